"""The interpreter was compiled with options that make memory faults harder to exploit."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from suite import main  # noqa: E402

MICROPYTHON = os.environ["USSL_MICROPYTHON"]


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments, MICROPYTHON], check=True, capture_output=True, text=True).stdout


class Hardening(unittest.TestCase):
    def test_it_is_loaded_anywhere(self):
        self.assertRegex(readelf("-h"), r"Type: +DYN")
        self.assertRegex(readelf("-d"), r"FLAGS_1.*\bPIE\b")

    def test_what_the_loader_has_filled_in_is_read_only(self):
        self.assertIn("GNU_RELRO", readelf("-l"))
        self.assertRegex(readelf("-d"), r"FLAGS.*\bNOW\b")

    def test_data_is_not_executed(self):
        self.assertRegex(readelf("-l"), r"GNU_STACK .* RW +0x")
        for line in readelf("-l").splitlines():
            if line.split()[:1] == ["LOAD"]:
                self.assertNotRegex(line, "WE|W E")

    def test_stacks_are_checked(self):
        self.assertIn("__stack_chk_fail", readelf("--dyn-syms"))

    def test_jumps_go_where_they_may(self):
        # Indirect branch tracking; other processors have other means.
        if os.uname().machine != "x86_64":
            self.skipTest("of x86_64")
        functions = subprocess.run(["objdump", "-dC", "--no-show-raw-insn", MICROPYTHON], check=True, capture_output=True,
                                   text=True).stdout
        for name in ("mp_execute_bytecode", "ussl::Connection::read("):
            self.assertRegex(functions, rf"<{re.escape(name)}[^>\n]*(?:>[^>\n]*)*>:\n.*\bendbr64\b")


if __name__ == "__main__":
    main(verbosity=2)
