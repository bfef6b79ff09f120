# What docs/engines.md says that an engine cannot do. Runs on MicroPython and on CPython.


def lacks(folder, engine, row):
    """Whether the table in `folder`/docs has something to say of the row in the engine's column;
    `engine` is ussl.ENGINE."""
    column = None
    with open(folder + "/docs/engines.md") as table:
        for line in table:
            cells = [cell.strip() for cell in line.split("|")]
            if line.startswith("| what "):
                column = [engine.startswith(cell.split(" ")[0]) for cell in cells].index(True, 2)
            elif column and line.startswith("| `" + row + "`"):
                return cells[column] != "–"
    raise ValueError("there is no row " + row + " for " + engine)
