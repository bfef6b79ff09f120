"""tools/rp2040, and a chip whose ring oscillator is stuck."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
from suite import main  # noqa: E402

SECONDS = 200
STUCK = """
for _ in range(2):
    _, _, results = connect(psk_client(), psk_server())
    assert isinstance(results[0], OSError) and results[0].errno == ussl.ERR_ENGINE, results
print("done")
"""


class Tool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ussl-rp2040-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_program(self, text, *arguments, options=(), **environment):
        program = self.folder / "program.py"
        program.write_text(text)
        done = subprocess.run([ROOT / "tools/rp2040", *options, program, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=2 * SECONDS,
                              env=os.environ | {"USSL_RP2040_TIMEOUT": str(SECONDS)} | environment)
        return done.returncode, done.stdout, done.stderr

    def test_output_arguments_and_success(self):
        done = self.run_program("import sys\nprint(sys.argv)\nprint('ä', 1.5 * 3, round(1000 * 2 ** 0.5), 7 // 2.0)",
                                "a", "it's \"b\"")
        self.assertEqual(done, (0, "['program.py', 'a', 'it\\'s \"b\"']\nä 4.5 1414 3.0\n", ""))

    def test_exit_status(self):
        self.assertEqual(self.run_program("import sys\nprint('x')\nsys.exit(3)"), (3, "x\n", ""))
        self.assertEqual(self.run_program("import sys\nsys.exit()"), (0, "", ""))
        self.assertEqual(self.run_program("import sys\nsys.exit('bad')"), (1, "bad\n", ""))

    def test_exceptions(self):
        for text, name in (("print('x')\n1 / 0\n", "ZeroDivisionError"), ("print('x'", "SyntaxError")):
            status, _, errors = self.run_program(text)
            self.assertEqual(status, 1, errors)
            self.assertIn(name, errors)
            self.assertIn('File "program.py", line ', errors)

    def test_a_reset_ends_the_program(self):
        status, output, errors = self.run_program(
            "import machine, time\nprint('x')\ntime.sleep(0.1)\nmachine.reset()")
        self.assertEqual((status, output, errors), (1, "x\n", "rp2040: the program has reset the chip\n"))

    def test_timeout(self):
        status, _, errors = self.run_program("while True: pass", USSL_RP2040_TIMEOUT="5")
        self.assertEqual((status, errors), (124, "rp2040: the program did not end in 5 s\n"))

    def test_wrong_arguments(self):
        status, _, errors = self.run_program("", options=["--file", str(self.folder / "missing")])
        self.assertEqual((status, errors), (2, f"rp2040: there is no file {self.folder / 'missing'}\n"))
        status, _, errors = self.run_program("", options=["--unknown"])
        self.assertEqual(status, 2)
        self.assertIn("tools/rp2040 [--file FILE]", errors)

    def test_files(self):
        content = bytes(range(256)) * 20
        (self.folder / "data").write_bytes(content)
        done = self.run_program("""
content = bytes(range(256)) * 20
print(open("data", "rb").read() == content)
with open("other", "wb") as f:
    f.write(content)
print(open("other", "rb").read() == content)
""", options=["--file", str(self.folder / "data")])
        self.assertEqual(done, (0, "True\nTrue\n", ""))

    def test_clock(self):
        status, output, errors = self.run_program("import time\nprint(time.time())", USSL_RP2040_CLOCK="1000000000")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn(int(output) - 1_000_000_000, range(10))

    def test_a_stuck_oscillator_makes_no_connection(self):
        program = (ROOT / "tests/mcu/common.py").read_text() + STUCK
        for bit in ("0", "1"):
            with self.subTest(bit=bit):
                self.assertEqual(self.run_program(program, USSL_RP2040_ROSC=bit), (0, "done\n", ""))


if __name__ == "__main__":
    main()
