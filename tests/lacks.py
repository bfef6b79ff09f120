# The rows of tests/engines.def: features that an engine lacks. Runs on MicroPython and on CPython.


def lacks(tests, engine, row):
    """Whether the engine, by its ussl.ENGINE, lacks the row according to the table in the folder `tests`."""
    known = False
    with open(tests + "/engines.def") as table:
        for line in table:
            if line.startswith("USSL_LACKS(" + row + ", "):
                known = True
                name = line.split(", ")[1].split(")")[0]
                if engine.lower().replace(" ", "").startswith(name):
                    return True
    if not known:
        raise ValueError("there is no row " + row)
    return False
