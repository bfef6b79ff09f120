"""The interface between the suites in Python and ./test: a filter, and the skipped tests."""

import fnmatch
import os
import pathlib
import sys
import unittest

SKIPPED = 77  # the exit status of a suite of which no test has run
FILTER = os.environ.get("USSL_FILTER", "")
PATTERN = f"*{FILTER}*"


def matches(name):
    """Whether a test of this name is to run: USSL_FILTER is a part of it, with * and ? for any characters."""
    return fnmatch.fnmatchcase(name, PATTERN)


def certs():
    """The folder of the test certificates."""
    folder = os.environ.get("USSL_CERTS")
    if not folder:
        sys.exit("USSL_CERTS is not set: ./test sets it to the folder of the test certificates")
    return pathlib.Path(folder)


def none_match():
    print(f"skipped: no test matches '{FILTER}'")
    return SKIPPED


def main(**options):
    """unittest.main() of the tests that match; skipped ones are named as ./test expects it."""
    result = unittest.main(argv=[*sys.argv, "-k", PATTERN], exit=False, **options).result
    for reason in dict.fromkeys(reason for _, reason in result.skipped):
        print("skipped:", reason)
    if not result.testsRun:
        sys.exit(none_match() if FILTER else "there are no tests")
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if len(result.skipped) == result.testsRun else 0)
