#!/usr/bin/python3
"""Builds firmware for the emulated chip that omits features (docs/porting/small-builds.md), and runs program.py on it.

    run.py           the profile `small`, with its size; and the errors of wrong names
    run.py --each    each feature alone

With USSL_FILTER, only the builds and checks with a matching name.
"""
import base64
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))
import suite  # noqa: E402

# The most flash of ussl's own code in the profile `small`, in bytes.
MOST = 49_700


def run(*command, **environment):
    return subprocess.run([str(word) for word in command], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def features():
    return run(ROOT / "tools" / "features", "--list").stdout.split()


def der(pem):
    """All PEM blocks of a text, as DER."""
    blocks = re.findall(r"-----BEGIN [^-]*-----\n([^-]*)", pem)
    return b"".join(base64.b64decode(block) for block in blocks)


def program(omitted):
    text = (HERE / "program.py").read_text()
    names = re.search(r"^# certs: (.*)$", text, re.M)[1].split()
    files = {name: suite.certs() / name for name in names}
    pem = {name: file.read_text() for name, file in files.items() if file.suffix in (".crt", ".key", ".crl")}
    certs = {name: file.read_bytes() for name, file in files.items() if name not in pem}
    certs |= {name: der(text) for name, text in pem.items()} if "pem" in omitted else pem
    return (f"{(HERE.parent / 'mcu' / 'common.py').read_text()}CERTS = {certs!r}\nPEM = {pem['ca.crt']!r}\n"
            f"OMITTED = {omitted!r}\n{text}")


def builds_and_runs(omitted, *variables, most=None):
    """Returns the problem, or an empty text."""
    built = run(ROOT / "tools" / "micropython", "mcu", *variables)
    if built.returncode:
        return built.stdout
    firmware = pathlib.Path(built.stdout.splitlines()[-1])
    sizes = run(ROOT / "bench" / "mcu", "--sizes", firmware).stdout
    print(sizes, end="", flush=True)
    flash = int(re.search(r", ussl +\| +([\d,]+)", sizes)[1].replace(",", ""))
    if most is not None and flash > most:
        return f"ussl's own code takes {flash} bytes of flash, more than {most}\n"
    with tempfile.TemporaryDirectory(prefix="ussl-small-") as folder:
        path = pathlib.Path(folder) / "program.py"
        path.write_text(program(omitted))
        done = run(ROOT / "tools" / "mcu", path, USSL_MCU_FIRMWARE=str(firmware), USSL_MCU_NETWORK="off")
    return "" if done.stdout.rstrip().endswith("\ndone") else done.stdout


def small():
    return builds_and_runs(set(features()), "USSL_PROFILE=small", most=MOST)


def names():
    """A wrong name stops the build, with the list of the names."""
    for variable, wanted in (
        ("USSL_WITHOUT=crl,crls", f"USSL_WITHOUT=crl,crls: there is no feature 'crls'. The features are {' '.join(features())}"),
        ("USSL_WITH=all", "USSL_WITH=all: there is no feature 'all'. The features are alpn"),
        ("USSL_PROFILE=tiny", "USSL_PROFILE=tiny: the profiles are full, small"),
    ):
        built = run(ROOT / "tools" / "micropython", "mcu", variable)
        if not built.returncode or wanted not in built.stdout:
            return f"{variable}: {built.stdout}"
    # USSL_WITH precedes USSL_PROFILE and USSL_WITHOUT.
    macros = run(ROOT / "tools" / "features", "small", "crl", "crl,alpn").stdout.split()
    expected = {f"USSL_WITHOUT_{name.upper()}=1" for name in features()} - {"USSL_WITHOUT_CRL=1", "USSL_WITHOUT_ALPN=1"}
    return "" if set(macros) == expected | {"USSL_OMITS_FEATURES=1"} else f"{macros}\n"


def main():
    tests = {"small": small, "names": names}
    if sys.argv[1:] == ["--each"]:
        tests = {name: lambda name=name: builds_and_runs({name}, f"USSL_WITHOUT={name}") for name in features()}
    count = failed = 0
    for name, test in tests.items():
        if not suite.matches(name):
            continue
        count += 1
        problem = test()
        print(name, "FAILED" if problem else "ok", flush=True)
        print(problem, end="", flush=True)
        failed += bool(problem)
    if not count:
        sys.exit(suite.none_match())
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
