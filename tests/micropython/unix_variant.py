#!/usr/bin/python3
"""A unix build with MICROPY_ASYNC_KBD_INTR (the port's standard variant) fails, and the message names the right variant."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WANTED = ("MICROPY_ASYNC_KBD_INTR must be 0", "VARIANT_DIR=", "bindings/micropython/unix")


def main():
    source = subprocess.run([ROOT / "tools" / "deps", "source", "micropython"], check=True, stdout=subprocess.PIPE,
                            text=True).stdout.strip()
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    with tempfile.TemporaryDirectory(prefix="ussl-variant-") as build:
        # As far as the headers that are made from the sources, which are preprocessed for it.
        done = subprocess.run(
            ["make", "-C", f"{source}/ports/unix", f"BUILD={build}", "VARIANT=standard", "MICROPY_PY_BTREE=0",
             "MICROPY_PY_SSL=0", f"USER_C_MODULES={ROOT / 'bindings'}", f"{build}/genhdr/qstr.i.last"],
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    missing = [text for text in WANTED if text not in done.stdout]
    if done.returncode == 0 or missing:
        print(done.stdout[-3000:])
        print(f"FAILED: exit status {done.returncode}; not said: {missing}")
        return 1
    print("ok: " + next(line for line in done.stdout.splitlines() if WANTED[0] in line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
