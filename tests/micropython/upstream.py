#!/usr/bin/python3
"""Runs MicroPython's own tests of its TLS module, from its source tree, against ussl.

    upstream.py [--micropython PROGRAM] [--tests FOLDER] [NAME...]

PROGRAM may also come in USSL_MICROPYTHON; FOLDER is the tests/ of MicroPython's source, by default that
of `tools/deps source micropython`. Every test must give what MicroPython expects of it, but for those in
DIFFERENCES below. Of these, each must differ (or the table is wrong), and must pass with exactly the
changes that stand there.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
PATTERNS = ("ssl_*.py", "tls_*.py")


@dataclass
class Differs:
    reason: str
    change: tuple = ()  # (old, new) in the test, each exactly once
    expect: tuple = ()  # (old, new) in what it should print, each exactly once


@dataclass
class Skips:
    reason: str


SERVER_NEEDS_A_KEY = "a server with nothing to show itself by can shake hands with nobody: refused with ValueError"

DIFFERENCES = {
    "ssl_basic.py": Differs(
        SERVER_NEEDS_A_KEY,
        change=(("ss = ssl.wrap_socket(TestSocket(), server_side=1, do_handshake=0)",
                 "ss = ssl.wrap_socket(TestSocket(), do_handshake=0)"),)),
    "ssl_ioctl.py": Differs(
        SERVER_NEEDS_A_KEY,
        change=(("io.BytesIO(), server_side=1, do_handshake=0", "io.BytesIO(), do_handshake=0"),)),
    "ssl_keycert.py": Differs(
        "a key without its certificate is refused before it is looked at, with a ValueError that says so",
        change=(('key=b"!")', 'key=b"!", cert=b"!")'),
                ("except TypeError as er:", "except ValueError as er:")),
        expect=(("TypeError(\"can't convert 'NoneType' object to str implicitly\",)",
                 "ValueError('keyfile needs certfile',)"),)),
    "ssl_keycert_pkcs8.py": Differs(
        "skips itself for all but Mbed TLS; every engine of ussl reads PKCS#8",
        change=(('"MBEDTLS_VERSION"', '"ENGINE"'),)),
    "ssl_noleak.py": Differs(
        "wants unittest of micropython-lib, of which the source package has none: a stand-in for the two names used",
        change=(("import unittest\n\n", (
            "class unittest:\n"
            "    class TestCase:\n"
            "        pass\n"
            "    def main():\n"
            "        for name in dir(TLSNoLeaks):\n"
            "            if name.startswith('test_'):\n"
            "                getattr(TLSNoLeaks(), name)()\n")),)),
    "ssl_poll.py": Differs(
        "while the handshake waits for the peer a write cannot go on: ussl asks the stream for what it does wait "
        "for, where MicroPython's module says writable until a write has been tried in vain; and a client's first "
        "read has a hello to send before there is anything to wait for",
        change=(("# At this point the TLS handshake wants to read, but we don't know that yet:\n"
                 "assert_poll(client_sock, client_io, _MP_STREAM_POLL_RD, _MP_STREAM_POLL_RD, 0)\n"
                 "assert_poll(client_sock, client_io, _MP_STREAM_POLL_WR, _MP_STREAM_POLL_WR, _MP_STREAM_POLL_WR)\n",
                 "assert_poll(client_sock, client_io, _MP_STREAM_POLL_RD, _MP_STREAM_POLL_RD, 0)\n"
                 "assert_poll(client_sock, client_io, _MP_STREAM_POLL_WR, _MP_STREAM_POLL_RD, 0)\n"),
                ("assert_poll(client_sock, client_io, _MP_STREAM_POLL_RD, _MP_STREAM_POLL_RD, _MP_STREAM_POLL_RD)",
                 "assert_poll(client_sock, client_io, _MP_STREAM_POLL_RD, _MP_STREAM_POLL_WR, _MP_STREAM_POLL_RD)"))),
    "ssl_sslcontext.py": Differs(
        SERVER_NEEDS_A_KEY,
        change=(("ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n",
                 "ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\nctx.verify_mode = ssl.CERT_NONE\n"),)),
    "ssl_sslcontext_verify_mode2.py": Differs(
        "skips itself for all but OpenSSL and Mbed TLS, which it knows by their own names only",
        change=(('"OPENSSL_VERSION"', '"ENGINE"'),)),
    "tls_dtls.py": Skips("DTLS is a later issue"),
    "tls_sslcontext_ciphers.py": Skips("get_ciphers() and set_ciphers() are a later issue"),
}

# For tests without a file beside them that says what they print, MicroPython asks CPython.
EXPECTED = {
    "ssl_noleak.py": "".join(f"{n}\n" for n in [*range(128)] * 2),
    "ssl_sslcontext.py": "True\n",
    "ssl_sslcontext_verify_mode.py": "True\nTrue\n",
    "ssl_sslcontext_verify_mode2.py": "True\nTrue\n",
}


def substitute(text, pairs):
    for old, new in pairs:
        if text.count(old) != 1:
            raise ValueError(f"this stands there {text.count(old)} times, not once: {old!r}")
        text = text.replace(old, new)
    return text


def run(program, source):
    with tempfile.TemporaryDirectory(prefix="ussl-upstream-") as folder:
        path = pathlib.Path(folder, "test.py")
        path.write_text(source)
        done = subprocess.run([program, str(path)], cwd=folder, stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout + (f"exit status {done.returncode}\n" if done.returncode else "")


def check(program, path):
    """Returns (result, why not)."""
    source = path.read_text()
    beside = path.with_name(path.name + ".exp")
    expected = beside.read_text() if beside.exists() else EXPECTED.get(path.name)
    if expected is None:
        return "FAILED", "what it should print is not known: EXPECTED has no line for it"
    row = DIFFERENCES.get(path.name)
    output = run(program, source)
    if row is None:
        return ("ok", "") if output == expected else ("FAILED", difference(output, expected))
    if output == expected:
        return "FAILED", "it passes as it is: take it out of the table"
    if isinstance(row, Skips):
        return ("skips", row.reason) if output == "SKIP\n" else ("FAILED", difference(output, "SKIP\n"))
    try:
        output, expected = run(program, substitute(source, row.change)), substitute(expected, row.expect)
    except ValueError as e:
        return "FAILED", str(e)
    return ("ok but for", row.reason) if output == expected else ("FAILED", difference(output, expected))


def difference(output, expected):
    return "".join(f"\n      {name}:" + "".join(f"\n        {line}" for line in text.splitlines())
                   for name, text in (("expected", expected), ("printed", output)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micropython", default=os.environ.get("USSL_MICROPYTHON"))
    parser.add_argument("--tests", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if not options.micropython:
        parser.error("which MicroPython? --micropython, or USSL_MICROPYTHON")
    folder = options.tests
    if not folder:
        deps = HERE.parent.parent / "tools" / "deps"
        source = subprocess.run([deps, "source", "micropython"], check=True, stdout=subprocess.PIPE, text=True)
        folder = pathlib.Path(source.stdout.strip(), "tests")

    paths = sorted(path for pattern in PATTERNS for path in (folder / "extmod").glob(pattern))
    if options.names:
        paths = [path for path in paths if path.stem in options.names or path.name in options.names]
    counts = {}
    for path in paths:
        result, why = check(options.micropython, path)
        counts[result] = counts.get(result, 0) + 1
        print(f"{path.stem}  {result}{': ' + why if why else ''}", flush=True)
    # What the table speaks of must be there.
    if not options.names:
        for name in sorted(set(DIFFERENCES) - {path.name for path in paths}):
            print(f"{name}  FAILED: it is in the table, and not in {folder.name}/extmod")
            counts["FAILED"] = counts.get("FAILED", 0) + 1
    passed = counts.get("ok", 0) + counts.get("ok but for", 0)
    failed = counts.get("FAILED", 0)
    print(f"{passed} passed, {failed} failed, {counts.get('skips', 0)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
