"""tools/psk_new.py does the same on CPython and on MicroPython."""

import os
import re
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from suite import main  # noqa: E402

TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "psk_new.py")
PYTHONS = {"CPython": sys.executable, "MicroPython": os.environ["USSL_MICROPYTHON"]}


def run(python, *arguments):
    ran = subprocess.run([python, TOOL, *arguments], capture_output=True, text=True, timeout=20)
    return ran.returncode, ran.stdout, ran.stderr


class PskNew(unittest.TestCase):
    def on_each(self, check):
        for name, python in PYTHONS.items():
            with self.subTest(python=name):
                check(python)

    def test_prints_the_line_of_a_psk_file_and_the_two_arguments(self):
        def check(python):
            status, out, err = run(python, "sensor-1")
            self.assertEqual((status, err), (0, ""))
            key = re.search(r"^\s*sensor-1:([0-9a-f]{64})$", out, re.M)
            self.assertTrue(key, out)
            self.assertIn("psk_ident", out)
            self.assertIn("psk_key", out)
            self.assertEqual(out.count(key.group(1)), 2, "the same key in both places")

        self.on_each(check)

    def test_every_key_is_new_and_of_the_length_that_was_asked_for(self):
        def check(python):
            keys = set()
            for size in (16, 32, 48):
                status, out, _ = run(python, "--line", "me", "--bytes", str(size))
                self.assertEqual(status, 0)
                self.assertRegex(out, rf"^me:[0-9a-f]{{{2 * size}}}\n$")
                keys.add(out[3:35])
            self.assertEqual(len(keys), 3)

        self.on_each(check)

    def test_refuses_what_a_psk_file_cannot_hold(self):
        def check(python):
            for bad in ((), ("",), ("a:b",), ("a\nb",), ("#a",), ("i" * 129,), ("me", "--bytes", "15"),
                        ("me", "--bytes", "49"), ("me", "--bytes", "many"), ("me", "--nonsense"), ("a", "b")):
                status, out, err = run(python, *bad)
                self.assertEqual((status, out), (2, ""), bad)
                self.assertTrue(err.strip(), bad)
                self.assertNotIn("Traceback", err, bad)

        self.on_each(check)


if __name__ == "__main__":
    main(verbosity=2)
