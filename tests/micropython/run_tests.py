#!/usr/bin/python3
"""Runs the tests of this folder on MicroPython with ussl, each file in a process of its own.

    run_tests.py [--micropython PROGRAM] [--list] [--failing FILE] [--emulated PROCESSOR] [NAME...]

NAME chooses files: `options` is test_options.py; a name that ends in .py is that file, for files that
need a MicroPython of their own. With USSL_FILTER, only files and tests run whose names contain it. The
program may also be set with USSL_MICROPYTHON, and the folder of certificates with USSL_CERTS (by default, they are made in a
temporary folder).
FILE lists tests that must fail, with the reason: "test_FILE.test_NAME: PATCH", or "…: PATCH, PATCH" of patches/mbedtls-PATCH.patch.
If the program was built with AddressSanitizer, its reports fail the test.
--emulated is for a program that qemu-PROCESSOR runs: more time, and without the tests that emulated.txt lists.

Prints a line per file, all output of a file that fails, and the names of the failed tests again at the end.
"""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
import suite  # noqa: E402

SECONDS = 100 * (20 if os.environ.get("USSL_FULL") == "1" else 1)
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|Assertion .* failed")
# MicroPython's own: it copies nothing from nowhere when it slices an empty bytearray. With its stack.
KNOWN = re.compile(r"^\.\./\.\./py/\w+\.c:\d+:\d+: runtime error: null pointer passed as argument .*\n(?: +#.*\n|\n)*", re.M)
# The same on all processors: MicroPython's own heap is half as large with 32 bits. A file may ask for another in one of its
# first lines: "# heap: 64m".
DEFAULT_HEAP = "8m"
HEAP = re.compile(r"^# heap: (\w+)$", re.M)
TEST = re.compile(r"^def (test_\w+)", re.M)
RESULT = re.compile(r"^(test_\w+) (ok|FAILED)$", re.M)


def chosen(path, left_out):
    """The names of the tests of a file to run: all of them ([]), some, or none of them (None)."""
    if suite.matches(path.stem) and not left_out:
        return []
    return [name for name in TEST.findall(path.read_text())
            if name not in left_out and (suite.matches(name) or suite.matches(path.stem))] or None


def run(program, path, tests, slow, environment):
    """Returns (passed, output)."""
    heap = HEAP.search(path.read_text()[:500])
    command = [program, "-X", f"heapsize={heap[1] if heap else DEFAULT_HEAP}", str(path), *tests]
    seconds = SECONDS * (5 if slow else 1)
    with subprocess.Popen(command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            printed = process.communicate(timeout=seconds)[0]
            end = f"exit status {process.returncode}" if process.returncode != 0 else ""
        except subprocess.TimeoutExpired:
            # AddressSanitizer reports the place (handle_abort).
            process.send_signal(signal.SIGABRT)
            end = f"no end within {seconds} s"
            try:
                printed = process.communicate(timeout=60)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                printed = process.communicate()[0]
                end += ", nor by SIGABRT"
    output = KNOWN.sub("", printed.decode(errors="replace")) + end
    return not end and not SANITIZER.search(output), output


PROCESSORS = ("i386", "ppc")


def listed_tests(path, check=lambda name, reason: None, processor=None):
    """Of each file's name, the tests that `path` lists, each with a reason."""
    tests = {}
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, reason = line.partition(": ")
        only, _, name = name.rpartition(" ")
        if only not in ("", *PROCESSORS):
            raise SystemExit(f"{path}: there is no processor {only}")
        check(name, reason)
        file, test = name.split(".")
        if test not in TEST.findall((HERE / f"{file}.py").read_text()):
            raise SystemExit(f"{path}: there is no test {name}")
        if only in ("", processor):
            tests.setdefault(file, set()).add(test)
    return tests


def tests_that_fail(path):
    patches = {patch.name for patch in (HERE.parents[1] / "patches").iterdir()}

    def check(name, reasons):
        for reason in reasons.split(", "):
            if f"mbedtls-{reason}.patch" not in patches:
                raise SystemExit(f"{path}: {name}: there is no patch {reason!r}")

    return listed_tests(path, check)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micropython", default=os.environ.get("USSL_MICROPYTHON"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--failing", type=pathlib.Path)
    parser.add_argument("--emulated", metavar="PROCESSOR", choices=PROCESSORS)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    files = sorted(HERE.glob("test_*.py"))
    if options.names and all(name.endswith(".py") for name in options.names):
        files = [HERE / name for name in options.names]
    elif options.names:
        wanted = {"test_" + name.removeprefix("test_").removesuffix(".py") for name in options.names}
        if unknown := wanted - {path.stem for path in files}:
            parser.error("no such test: " + ", ".join(sorted(unknown)))
        files = [path for path in files if path.stem in wanted]
    if options.list:
        print(*(path.stem for path in files), sep="\n")
        return 0
    left_out = listed_tests(HERE / "emulated.txt", processor=options.emulated) if options.emulated else {}
    tests_of = {path: tests for path in files if (tests := chosen(path, left_out.get(path.stem, ()))) is not None}
    if not tests_of:
        return suite.none_match()
    if not options.micropython:
        parser.error("which MicroPython? --micropython, or USSL_MICROPYTHON")

    failing = tests_that_fail(options.failing) if options.failing else {}
    asan = b"__asan_init" in pathlib.Path(options.micropython).read_bytes()
    passed, failed = 0, []
    with tempfile.TemporaryDirectory(prefix="ussl-test-") as scratch:
        certs = os.environ.get("USSL_CERTS")
        if not certs:
            certs = os.path.join(scratch, "certs")
            subprocess.run([HERE.parent / "certs" / "make_certs", certs], check=True, stdout=subprocess.DEVNULL)
        temporary = os.path.join(scratch, "tmp")
        os.mkdir(temporary)
        environment = os.environ | {
            "USSL_CERTS": os.path.abspath(certs),
            "USSL_TMP": temporary,  # where tests may write
            "USSL_ASAN": "1" if asan else "0",
            "USSL_SLOW": "1" if asan or options.emulated else "0",
            # MicroPython's own heap is one piece of memory that is released with the process.
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1:handle_abort=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        for path, wanted in tests_of.items():
            begin = time.monotonic()
            good, output = run(options.micropython, path, wanted, asan or options.emulated, environment)
            seconds = time.monotonic() - begin
            results = dict(RESULT.findall(output))
            bad = [name for name, result in results.items() if result == "FAILED"]
            must_fail = {name for name in failing.get(path.stem, ()) if not wanted or name in wanted}
            listed = ""
            if must_fail and set(bad) == must_fail and set(results) == set(wanted or TEST.findall(path.read_text())):
                good, bad, listed = True, [], f", {len(must_fail)} fail as listed"
            bad += [f"{name}, which must fail, did not" for name in sorted(must_fail) if results.get(name) == "ok"]
            # A file that fails without a failed test, or with no test at all, has died.
            if not bad and not (good and results):
                bad = [f"after {[*results][-1]}" if results else "before its first test"]
            count = list(results.values()).count("ok")
            passed += count
            failed += [f"{path.stem}: {name}" for name in bad]
            print(f"{path.stem}  {count} ok{listed}{f', {len(bad)} FAILED' if bad else ''}  {seconds:.1f} s")
            if bad:
                print(textwrap.indent(output.rstrip() or "no test has run", "    "))
            sys.stdout.flush()
    print(f"{passed} passed, {len(failed)} failed")
    for name in failed:
        print("FAILED", name)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
