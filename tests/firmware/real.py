"""./firmware with a maker's real SDK: real.py PORT BOARD. Skipped where the SDK is not there and cannot be fetched.

USSL_SDK_MICROPY_DIR= names a git checkout of MicroPython with its submodules, and nothing is skipped; otherwise ./firmware
fetches one."""

import os
import re
import subprocess
import sys

SKIPPED = 77
ABSENT = 3  # ./firmware's exit status if something is not installed or cannot be fetched
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def build(*arguments):
    """Returns the output of ./firmware."""
    environment = {name: value for name, value in os.environ.items() if name != "MICROPY_DIR"}
    own = environment.get("USSL_SDK_MICROPY_DIR")
    if own:
        environment["MICROPY_DIR"] = own
    done = subprocess.run([os.path.join(ROOT, "firmware"), *arguments], env=environment, text=True, stdout=subprocess.PIPE)
    if done.returncode == ABSENT and not own:
        print(f"skipped: {' '.join(arguments)}: the SDK cannot be had (above)")
        sys.exit(SKIPPED)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def main(port, board):
    printed = build(port, board)
    print(printed)
    lines = re.findall(r"^(with ussl|without TLS|with MicroPython's TLS) +([\d,]+)", printed, re.M)
    return len(lines) != 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
