#!/usr/bin/python3
"""Runs the programs of this folder on the emulated microcontroller, and on the host with each engine:
all three must print the same.

    run_tests.py [NAME...]

A program is put together from common.py, the certificates it names in a line "# certs: …" (as a dictionary
CERTS, for a chip has no files), and the file itself. With a line "# chip only", it must end well there.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SECONDS = 300


def whole(path):
    text = path.read_text()
    named = re.search(r"^# certs: (.*)$", text, re.M)
    certs = {name: (pathlib.Path(os.environ["USSL_CERTS"]) / name).read_text()
             for name in (named[1].split() if named else ())}
    return (HERE / "common.py").read_text() + f"CERTS = {certs!r}\n" + text


def output_of(command, engine=None):
    environment = os.environ | ({"USSL_ENGINE": engine} if engine else {})
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS)
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode(errors="replace") + f"timed out after {e.timeout} s\n"
    status = f"exit status {done.returncode}\n" if done.returncode else ""
    return done.stdout.decode(errors="replace").replace("\r\n", "\n") + status


def main():
    names = sys.argv[1:]
    failed = 0
    for path in sorted(HERE.glob("test_*.py")):
        if names and path.stem.removeprefix("test_") not in names:
            continue
        text = whole(path)
        with tempfile.TemporaryDirectory(prefix="ussl-mcu-") as folder:
            program = pathlib.Path(folder) / path.name
            program.write_text(text)
            outputs = {"the chip": output_of([ROOT / "run", "--mcu", program])}
            if "# chip only\n" not in text:
                for engine in ("openssl", "mbedtls"):
                    outputs[engine] = output_of([ROOT / "run", program], engine)
        chip = outputs["the chip"]
        good = chip.endswith("done\n") and all(output == chip for output in outputs.values())
        print(path.stem, "ok" if good else "FAILED", flush=True)
        failed += not good
        if not good:
            for where, output in outputs.items():
                print(f"--- {where}\n{output}", end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
