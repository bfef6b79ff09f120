#!/usr/bin/python3
"""Runs MicroPython's own tests of its TLS module, from its source tree, against ussl.

    upstream.py [--micropython PROGRAM] [--tests FOLDER] [NAME...]

PROGRAM may also be set with USSL_MICROPYTHON; FOLDER is the tests/ of MicroPython's source, by default that
of `tools/deps source micropython`. With USSL_FILTER, only tests run whose names contain it. The tests of extmod run by
themselves; those of multi_net in two programs, through MicroPython's run-multitests.py. The tests of net_hosted use a
server of the openssl program, those of net_inet servers on this machine in place of the internet (elsewhere.py).
Every test must print the output that MicroPython expects, except the tests in DIFFERENCES below. Each of these must
differ (or the table is wrong), and must pass with exactly the listed changes.
Several releases of MicroPython are tested, which do not have the same tests.
"""
import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import elsewhere

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
import suite  # noqa: E402

PATTERNS = ("extmod/cryptolib_*.py", "extmod/hashlib_*.py", "extmod/ssl_*.py", "extmod/tls_*.py", "multi_net/ssl*.py",
            "multi_net/*tls_*.py", "net_hosted/ssl_*.py", "net_inet/*ssl*.py", "net_inet/*tls_*.py")
# The host that a test of net_hosted connects to otherwise.
ELSEWHERE = 'socket.getaddrinfo("micropython.org", 443)[0][-1]'


# A row of DIFFERENCES; or, where the test is not the same in all releases, a tuple of them: the first one whose changes
# are possible.
@dataclass
class Differs:
    reason: str
    change: tuple = ()  # (old, new) in the test, each exactly once
    expect: tuple = ()  # (old, new) in the expected output, each exactly once
    maybe: tuple = ()  # lines that it prints or not, as the two programs happen to run
    engine: str = ""  # with this engine only; with the other, it must pass as it is
    everywhere: bool = True  # False: there are releases without this test


@dataclass
class Skips:
    reason: str
    engine: str = ""
    everywhere: bool = True


REFUSED = '(-108, "CERT_REFUSED: the peer rejected this side\'s certificate, or requires one (alert received: %s)")'
CERTIFICATE = ('(certificate: subject "C=AU,O=MicroPython,CN=micropython.local", issuer "C=AU,O=MicroPython,'
               'CN=micropython.local", valid 2025-01-14T03:35:17Z to 2035-01-12T03:35:17Z%s)')
NAME = ("(-207, 'CERT_HOSTNAME: the certificate is not for this server_hostname " + CERTIFICATE % ""
        + " (alert sent: bad_certificate)')")
THEIR_ALERT = "(-30592, 'MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE')"
A_LIST_OR_A_STR = "set_ciphers: suites must be a list of str, or a str"
A_STR_IS_SEVERAL_CIPHERS = "a str is several names, as in CPython; and a mistake in the call is a ValueError"
ERRORS = "errors are OSErrors of one table, on every engine, and name what was wrong"
KEY_NEEDS_CERTIFICATE = "a key without its certificate is refused before it is looked at, with a ValueError that says so"
VERIFIES = "a client context verifies by default, and needs the name of the server"
NOT_VERIFIED = ("ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n",
                "ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); ssl_context.verify_mode = ssl.CERT_NONE\n")
SERVER_NEEDS_A_KEY = "a server with nothing to show itself by can shake hands with nobody: refused with ValueError"

DIFFERENCES = {
    "ssl_basic.py": Differs(
        SERVER_NEEDS_A_KEY,
        change=(("ss = ssl.wrap_socket(TestSocket(), server_side=1, do_handshake=0)",
                 "ss = ssl.wrap_socket(TestSocket(), do_handshake=0)"),),
        # Once it blocks, it is asked whether it can be polled.
        expect=(("TestSocket.setblocking(True)\n", "TestSocket.setblocking(True)\nTestSocket.ioctl 3 5\n"),)),
    "ssl_ioctl.py": Differs(
        SERVER_NEEDS_A_KEY,
        change=(("io.BytesIO(), server_side=1, do_handshake=0", "io.BytesIO(), do_handshake=0"),)),
    "ssl_keycert.py": (
        Differs(KEY_NEEDS_CERTIFICATE,
                change=(('key=b"!")', 'key=b"!", cert=b"!")'),
                        ("except TypeError as er:", "except ValueError as er:")),
                expect=(("TypeError(\"can't convert 'NoneType' object to str implicitly\",)",
                         "ValueError('key requires certfile',)"),)),
        Differs(KEY_NEEDS_CERTIFICATE,
                change=(('key=b"!")', 'key=b"!", cert=b"!")'),
                        ("except TypeError as er:", "except ValueError as er:")))),
    "ssl_keycert_pkcs8.py": Differs(
        "skips itself for all but Mbed TLS; every engine of ussl reads PKCS#8", engine="OpenSSL",
        change=(('"MBEDTLS_VERSION"', '"ENGINE"'),)),
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
        "skips itself for all but OpenSSL and Mbed TLS, which it knows by their own names only", engine="OpenSSL",
        change=(('"OPENSSL_VERSION"', '"ENGINE"'),)),
    "tls_dtls.py": Skips("DTLS is a later issue"),
    "tls_dtls_server_client.py": Skips("DTLS is a later issue"),
    "sslcontext_check_hostname_error.py": Differs(
        "the text names the attribute that asks for it; " + ERRORS,
        expect=(("(-29312, 'MBEDTLS_ERR_SSL_CONN_EOF')",
                 "(-106, 'PEER_CLOSED: the peer closed the connection during the handshake')"),
                ("CERT_REQUIRED requires server_hostname",
                 "verification (verify_mode) requires server_hostname"))),
    "sslcontext_getpeercert.py": Differs(
        SERVER_NEEDS_A_KEY, change=(("io.BytesIO(), server_side=True, do_handshake=False",
                                     "io.BytesIO(), do_handshake=False"),)),
    "ssl_getpeercert.py": Differs(
        SERVER_NEEDS_A_KEY, change=(("io.BytesIO(), server_side=True, do_handshake=False",
                                     "io.BytesIO(), do_handshake=False"),)),
    "sslcontext_server_client_ciphers.py": Differs(
        "suites with CBC are spoken if both ends name them: a server, too",
        change=(("    server_ctx.load_cert_chain(cadata, keydata)\n",
                 "    server_ctx.load_cert_chain(cadata, keydata)\n"
                 '    server_ctx.set_ciphers(["TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256"])\n'),)),
    "sslcontext_verify_error.py": Differs(
        ERRORS, expect=((THEIR_ALERT, REFUSED % "bad_certificate"),
                        ("\nThe certificate Common Name (CN) does not match with the expected CN\n", NAME))),
    "sslcontext_verify_time_error.py": Differs(
        "its key and certificate do not belong together, which is refused, and so another is looked at in a later year; "
        + ERRORS,
        change=(('cert = cafile = "expired_cert.der"', 'cert = cafile = "ec_cert.der"'),
                ("    client_ctx.verify_mode = ssl.CERT_REQUIRED\n",
                 "    client_ctx.verify_mode = ssl.CERT_REQUIRED\n    client_ctx.verify_time = 4000000000\n")),
        expect=((THEIR_ALERT, REFUSED % "certificate_expired"),
                ("\nThe certificate validity has expired\n",
                 "(-209, 'CERT_EXPIRED: the certificate has expired " + CERTIFICATE % ", clock 2096-10-02T07:06:40Z"
                 + " (alert sent: certificate_expired)')"))),
    "asyncio_tls_server_client_cert_required_error.py": Differs(
        "in TLS 1.3 a client hears with its first read that the server wants a certificate, and this one does not read; "
        + ERRORS,
        expect=(("(-29824, 'MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE')",
                 "(-211, 'CERT_MISSING: the peer sent no certificate (alert sent: certificate_required)')"),
                (THEIR_ALERT + "\n", ""))),
    # The server's answer may be there before the client's first write has returned.
    "asyncio_tls_server_client_verify_error.py": Differs(
        ERRORS, expect=((THEIR_ALERT, REFUSED % "bad_certificate"),
                        ("\nThe certificate Common Name (CN) does not match with the expected CN\n", NAME)),
        maybe=("drain\n",)),
    "ssl_verify_callback.py": Differs(
        "a client's CERT_OPTIONAL is CERT_REQUIRED, as in CPython, and needs roots and a name; " + ERRORS,
        change=(("    context.verify_mode = tls.CERT_OPTIONAL\n",
                 '    context.load_verify_locations(cafile="ec_cert.der")\n    context.check_hostname = False\n'),),
        expect=(("verify_callback: <class 'memoryview'> True 1\n", ""),
                ("verify_callback_fail: <class 'memoryview'> True 1\nMBEDTLS_ERR_ERROR_GENERIC_ERROR",
                 "verify_callback_fail: <class 'memoryview'> True 0\n"
                 "CERT_REJECTED: this program's verify_callback rejected the certificate " + CERTIFICATE % ""
                 + " (alert sent: bad_certificate)"))),
    "tls_sslcontext_ciphers.py": (
        Differs(A_STR_IS_SEVERAL_CIPHERS,
                change=(("    ctx.set_ciphers(ciphers[0])", "    ctx.set_ciphers(5)"),
                        ("except OSError as e:", "except ValueError as e:")),
                expect=(("object 'str' isn't a tuple or list", A_LIST_OR_A_STR),
                        ("(-24192, 'MBEDTLS_ERR_SSL_BAD_CONFIG')", "set_ciphers: no cipher suite 'BAR'"))),
        Differs(A_STR_IS_SEVERAL_CIPHERS,
                change=(("    ctx.set_ciphers(ciphers[0])", "    ctx.set_ciphers(5)"),
                        ("except OSError as e:", "except ValueError as e:")),
                expect=(("(-24192, 'MBEDTLS_ERR_SSL_BAD_CONFIG')", "set_ciphers: no cipher suite 'BAR'"),))),
    "tls_threads.py": Differs(
        "prints numbers of threads, which are not the same in any two runs", everywhere=False,
        change=(('        print("start", _thread.get_ident())\n', ""), ('        print("done", _thread.get_ident())\n', ""))),
    "test_tls_nonblock.py": Differs(VERIFIES, change=(NOT_VERIFIED,)),
    "test_tls_sites.py": Differs(VERIFIES, change=(NOT_VERIFIED,)),
    "tls_num_errors.py": (
        Differs(ERRORS + "; and 1.25 skips it where there is no alloc_emergency_exception_buf",
                change=(("import alloc_emergency_exception_buf, heap_lock", "import heap_lock"),
                        ("    alloc_emergency_exception_buf(256)\n", ""), ('"-29184" in', '"-105" in'))),
        Differs(ERRORS + "; skips itself for all but Mbed TLS", engine="OpenSSL",
                change=(('"MBEDTLS_VERSION"', '"ENGINE"'), ('"-29184" in', '"-105" in'))),
        Differs(ERRORS, change=(('"-29184" in', '"-105" in'),))),
    "tls_text_errors.py": (
        # "########" replaces the text of another TLS library.
        Differs(VERIFIES + "; " + ERRORS, change=(NOT_VERIFIED, ('"SSL_INVALID_RECORD"', '"NOT_TLS"')),
                expect=(("########\n", ""),)),
        Differs(VERIFIES + "; " + ERRORS, change=(NOT_VERIFIED, ('"SSL_INVALID_RECORD"', '"NOT_TLS"')))),
}

SITES = ("www.github.com", "micropython.org", "pypi.org", "api.pushbullet.com")
# For tests without a file of the expected output, MicroPython runs CPython.
EXPECTED = {
    "ssl_noleak.py": "".join(f"{n}\n" for n in [*range(128)] * 2),
    "tls_noleak.py": "".join(f"{n}\n" for n in [*range(128)] * 2),
    "tls_threads.py": "done\n",
    "ssl_sslcontext.py": "True\n",
    "ssl_sslcontext_verify_mode.py": "True\nTrue\n",
    "ssl_sslcontext_verify_mode2.py": "True\nTrue\n",
    "asyncio_tls_open_connection_readline.py": "".join(f"{line}\n" for line in (
        "write GET", "read response", *(f"read: {part}" for part in elsewhere.ANSWER.splitlines(True)), "read: b''",
        "close", "done")),
    "ssl_errors.py": "--- micropython.org\nconnected\nwrap: error\n--- micropython.org\nEINPROGRESS\nwrap: True\n"
                     "write: error\n--- test.mosquitto.org\nconnected\nwrap: error\n",
    "test_tls_nonblock.py": "".join(f"{site}\nwrapped\nwrote\nread\n{site} ok\n" for site in SITES) + "DONE\n",
    "test_tls_sites.py": "".join(f"{site} ok\n" for site in SITES),
    "test_tls_sites_simple.py": "micropython.org ok\npypi.org ok\n",
    "tls_text_errors.py": "wrap: True\n",
}

# micropython-lib, which has unittest, is not in every source tree: this is the part that these tests use.
UNITTEST = """
class TestCase:
    pass

def main():
    program = __import__("__main__")
    for name in dir(program):
        case = getattr(program, name)
        if isinstance(case, type) and issubclass(case, TestCase):
            for test in sorted(dir(case)):
                if test.startswith("test_"):
                    getattr(case(), test)()
"""


def substitute(text, pairs):
    for old, new in pairs:
        if text.count(old) != 1:
            raise ValueError(f"this stands there {text.count(old)} times, not once: {old!r}")
        text = text.replace(old, new)
    return text


def run(program, source, files=None):
    """Runs a test in a folder with nothing but these files (a dictionary: name, content)."""
    with tempfile.TemporaryDirectory(prefix="ussl-upstream-") as folder:
        path = pathlib.Path(folder, "test.py")
        path.write_text(source)
        for name, content in {"unittest.py": UNITTEST.encode(), **(files or {})}.items():
            (path.parent / name).write_bytes(content)
        done = subprocess.run([program, str(path)], cwd=folder, stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout + (f"exit status {done.returncode}\n" if done.returncode else "")


class Servers:
    """The servers for the tests of net_hosted and of net_inet, started when the first test needs them."""

    def __init__(self, folder):
        self.folder, self.process, self.inet = folder, None, None

    def internet(self):
        if self.inet is None:
            self.inet = elsewhere.Elsewhere()
        return self.inet

    def address(self):
        if self.process is None:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.port = listener.getsockname()[1]
            self.process = subprocess.Popen(
                ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-quiet", "-certform", "DER", "-cert",
                 self.folder / "ec_cert.der", "-keyform", "DER", "-key", self.folder / "ec_key.der"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
        return f'socket.getaddrinfo("127.0.0.1", {self.port})[0][-1]'

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        if self.inet is not None:
            self.inet.stop()


def run_hosted(program, source, path, servers):
    source = source.replace(ELSEWHERE, servers.address()).replace('"ec_cert.der"', repr(str(servers.folder / "ec_cert.der")))
    return run(program, source)


def run_inet(program, source, servers):
    # 1.25 has the root of one test in its text.
    source = source.replace("cadata=ca_cert_chain", 'cadata=open("isrgrootx1.der", "rb").read()')
    return run(program, source, servers.internet().files())


def run_pair(program, source, path):
    """Two programs, through MicroPython's own run-multitests.py, which needs its own source tree."""
    with tempfile.TemporaryDirectory(prefix="ussl-upstream-") as folder:
        tests = pathlib.Path(folder, "tests", "multi_net")
        tests.mkdir(parents=True)
        pathlib.Path(folder, "tools").mkdir()
        root = path.parent.parent
        # run-multitests.py imports run-tests.py in 1.26 and 1.27, and test_utils.py since 1.28.
        for script in root.glob("*.py"):
            shutil.copy(script, tests.parent)
        shutil.copy(root.parent / "tools" / "pyboard.py", pathlib.Path(folder, "tools"))
        for certificate in path.parent.glob("*.der"):
            shutil.copy(certificate, tests)
        # Tests that run at the same time would use the same port.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        (tests / path.name).write_text(source.replace("PORT = 8000", f"PORT = {port}"))
        (tests / (path.name + ".exp")).write_text("")
        # Without options that name them, both programs are the one of MICROPY_MICROPYTHON.
        done = subprocess.run(
            [sys.executable, "run-multitests.py", "-s", f"multi_net/{path.name}"], cwd=tests.parent, stdin=subprocess.DEVNULL, timeout=120, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", env={**os.environ, "MICROPY_MICROPYTHON": str(program)})
    text = done.stdout
    # The expected output is not printed for a test that skips itself.
    return text.partition("### TEST ###\n")[2].partition("### TRUTH ###\n")[0] or text


def run_test(program, source, path, servers):
    if path.parent.name == "multi_net":
        return run_pair(program, source, path)
    if path.parent.name == "net_hosted":
        return run_hosted(program, source, path, servers)
    if path.parent.name == "net_inet":
        return run_inet(program, source, servers)
    return run(program, source)


def possible(row, source, expected):
    return isinstance(row, Skips) or (all(source.count(old) == 1 for old, _ in row.change) and
                                      all(expected.count(old) == 1 for old, _ in row.expect))


def row_of(name, engine, source, expected):
    rows = rows_of(name)
    rows = [row for row in rows if engine.startswith(row.engine)]
    # The last one names the missing part.
    return next((row for row in rows if possible(row, source, expected)), rows[-1] if rows else None)


def rows_of(name):
    rows = DIFFERENCES.get(name, ())
    return rows if isinstance(rows, tuple) else (rows,)


def check(program, engine, path, servers):
    """Returns (result, why not)."""
    source = path.read_text()
    beside = path.with_name(path.name + ".exp")
    expected = beside.read_text() if beside.exists() else EXPECTED.get(path.name)
    if expected is None and path.name.startswith("hashlib_"):
        expected = run("/usr/bin/python3", source)
    if expected is None:
        return "FAILED", "what it should print is not known: EXPECTED has no line for it"
    row = row_of(path.name, engine, source, expected)
    output = run_test(program, source, path, servers)
    if row is None:
        return ("ok", "") if output == expected else ("FAILED", difference(output, expected))
    if output == expected:
        return "FAILED", "it passes as it is: take it out of the table"
    if isinstance(row, Skips):
        return "skips", row.reason
    try:
        output = run_test(program, substitute(source, row.change), path, servers)
        expected = substitute(expected, row.expect)
        for line in row.maybe:
            output, expected = output.replace(line, ""), expected.replace(line, "")
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

    paths = sorted({path for pattern in PATTERNS for path in folder.glob(pattern)})
    if options.names:
        paths = [path for path in paths if path.stem in options.names or path.name in options.names]
    paths = [path for path in paths if suite.matches(path.stem)]
    if not paths and suite.FILTER:
        return suite.none_match()
    counts = {}
    engine = subprocess.run([options.micropython, "-c", "import ussl; print(ussl.ENGINE)"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    servers = Servers(folder / "multi_net")
    for path in paths:
        try:
            result, why = check(options.micropython, engine, path, servers)
        except BaseException:
            servers.stop()
            raise
        counts[result] = counts.get(result, 0) + 1
        print(f"{path.stem}  {result}{': ' + why if why else ''}", flush=True)
    servers.stop()
    # The tests of the table must exist.
    if not options.names and not suite.FILTER:
        always = {name for name in DIFFERENCES if all(row.everywhere for row in rows_of(name))}
        for name in sorted(always - {path.name for path in paths}):
            print(f"{name}  FAILED: it is in the table, and not among the tests")
            counts["FAILED"] = counts.get("FAILED", 0) + 1
    passed = counts.get("ok", 0) + counts.get("ok but for", 0)
    failed = counts.get("FAILED", 0)
    print(f"{passed} passed, {failed} failed, {counts.get('skips', 0)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
