"""./test finds its suites without CMake, and a run in which nothing is tested is an error: test_runner.py BUILD_FOLDER"""

import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
from suite import SKIPPED, main  # noqa: E402

BUILD = pathlib.Path(sys.argv.pop(1))
BASH = "/bin/bash"
# A substitute for GoogleTest, with the options that tests/gtest uses.
PROGRAM = """#!/bin/bash
[[ $* == *--gtest_list_tests* ]] || { echo "runs $*"; exit; }
case $* in
    *'=*Stream*') printf 'AStream.\\n  Reads\\n  Writes  # GetParam() = 1\\n' ;;
    *'=*Writes*') printf 'AStream.\\n  Writes  # GetParam() = 1\\nAMemory.\\n  Writes\\n' ;;
esac
"""
# A substitute for MicroPython: one file whose tests succeed, one with a failed test, one that crashes, one without tests.
MICROPYTHON = """#!/bin/bash
case $* in
    */test_gc.py) printf 'test_a ok\\ntest_b ok\\nnoise\\n' ;;
    */test_psk.py) printf 'test_a FAILED\\nwhy\\ntest_b ok\\n'; exit 1 ;;
    */test_read.py) printf 'test_a ok\\n'; exit 3 ;;
esac
"""
MICROPYTHON_RUN = """\
test_gc  2 ok  TIME
test_psk  1 ok, 1 FAILED  TIME
    test_a FAILED
    why
    test_b ok
    exit status 1
test_read  1 ok, 1 FAILED  TIME
    test_a ok
    exit status 3
test_write  0 ok, 1 FAILED  TIME
    no test has run
4 passed, 3 failed
FAILED test_psk: test_a
FAILED test_read: after test_a
FAILED test_write: before its first test
"""


def run(*command, **environment):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("USSL_")} | environment
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Runner(unittest.TestCase):
    def names(self, **environment):
        status, out, err = run(BASH, "./test", "--list", **environment)
        self.assertEqual((status, err), (0, ""))
        return [line.split("\t")[0] for line in out.splitlines()]

    def test_lists_what_ctest_has_without_any_program(self):
        declared = re.findall(r'^add_test\(\W*([\w-]+)', (BUILD / "tests" / "CTestTestfile.cmake").read_text(), re.M)
        self.assertGreater(len(declared), 10)
        self.assertEqual(sorted(self.names(PATH="")), sorted(declared))

    def test_leaves_out_the_other_engine(self):
        for engine, other in (("openssl", "upstream-mbedtls"), ("mbedtls", "upstream")):
            names = self.names(USSL_ENGINE=engine)
            self.assertNotIn(other, names)
            self.assertIn("contract", names)
            self.assertEqual(len(names), len(set(names)))

    def test_rejects_what_is_neither_a_suite_nor_an_option(self):
        for arguments, text in (
            (("contarct",), "no suite or label 'contarct'"),
            (("contarct", "Psk"), "no suite or label 'contarct'"),
            (("contract", "Psk", "Poll"), "no suite or label 'Psk'"),
            (("--lsit",), "unknown option"),
            (("--list", "contract"), "no further argument"),
            (("coverage", "contract"), "no further argument"),
        ):
            status, out, err = run(BASH, "./test", *arguments)
            self.assertEqual((status, out), (2, ""), arguments)
            self.assertIn(text, err)

    def test_rejects_a_filter_that_no_chosen_suite_takes(self):
        for arguments in (("format", "x"), ("lint", "contarct")):
            status, _, err = run(BASH, "./test", *arguments)
            self.assertEqual(status, 2)
            self.assertIn("no chosen suite takes it", err)

    def test_filters_a_gtest_program(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            program.write_text(PROGRAM)
            program.chmod(stat.S_IRWXU)
            for pattern, text, expected in (
                (("*Stream*",), "", (0, "runs --gtest_filter=*Stream*\n")),
                ((), "", (0, "runs --gtest_filter=*\n")),
                (("*Stream*",), "Writes", (0, "runs --gtest_filter=AStream.Writes\n")),
                (("*Stream*",), "Never", (SKIPPED, "skipped: no test matches 'Never'\n")),
            ):
                self.assertEqual(run("tests/gtest", program, *pattern, USSL_FILTER=text)[:2], expected)

    def test_the_micropython_suite_names_what_failed_at_the_end(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "micropython"
            program.write_text(MICROPYTHON)
            program.chmod(stat.S_IRWXU)
            status, out, _ = run(sys.executable, "tests/micropython/run_tests.py", "read", "write", "psk", "gc",
                                 USSL_MICROPYTHON=str(program), USSL_CERTS=folder, USSL_FILTER="")
        self.assertEqual(status, 1)
        self.assertEqual(re.sub(r"  [0-9.]+ s\n", "  TIME\n", out), MICROPYTHON_RUN)

    def test_a_filter_without_a_match_skips_the_python_suites(self):
        # The program is not run.
        for command in ("tests/micropython/run_tests.py", "tests/micropython/upstream.py"):
            more = {"USSL_FILTER": "no_such_test", "USSL_MICROPYTHON": "/bin/false"}
            tests = ["--tests", "tests"] if command.endswith("upstream.py") else []
            status, out, _ = run(sys.executable, command, *tests, **more)
            self.assertEqual((status, out), (SKIPPED, "skipped: no test matches 'no_such_test'\n"), command)


if __name__ == "__main__":
    main(verbosity=2)
