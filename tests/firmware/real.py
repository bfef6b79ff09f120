"""./firmware with a maker's real SDK: real.py PORT BOARD. Skipped where the SDK is not there and cannot be fetched.

USSL_SDK_MICROPY_DIR= names a git checkout of MicroPython with its submodules; otherwise ./firmware fetches one."""

import os
import re
import subprocess
import sys

SKIPPED = 77
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What ./firmware says if something cannot be fetched or is not installed.
ABSENT = "cannot get the source|fetching .* failed|IDF_PATH is not set|could not be installed|is not installed"


def main(port, board):
    environment = {name: value for name, value in os.environ.items() if name != "MICROPY_DIR"}
    if environment.get("USSL_SDK_MICROPY_DIR"):
        environment["MICROPY_DIR"] = environment["USSL_SDK_MICROPY_DIR"]
    done = subprocess.run([os.path.join(ROOT, "firmware"), port, board], env=environment, text=True, capture_output=True)
    print(done.stdout, done.stderr, sep="")
    if done.returncode == 1 and (reason := re.search(f"^.*({ABSENT}).*$", done.stderr, re.M)):
        print(f"skipped: {port} {board}: {reason[0]}")
        return SKIPPED
    lines = re.findall(r"^(with ussl|without TLS|with MicroPython's TLS) +([\d,]+)", done.stdout, re.M)
    return 0 if done.returncode == 0 and len(lines) == 3 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
