"""Every example against a real counterpart. (https_server: test_curl, mqtt_psk: test_mosquitto.)"""

import http.server
import ssl
import unittest

from harness import *

EXAMPLES = ROOT / "examples" / "network"


def run(name, *arguments):
    return subprocess.run([MICROPYTHON, EXAMPLES / name, *map(str, arguments)],
                          capture_output=True, text=True, timeout=TIMEOUT)


class HttpsClient(Case):
    def serve(self, certificate="server", chain=None):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"a page about " + self.path.encode() + b"\n" + b"x" * 50000
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.HTTPServer):
            def handle_error(self, *_):
                pass  # a client that refuses us

        server = Server(("127.0.0.1", 0), Page)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert(chain or certificate + ".crt"), cert(certificate + ".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join, TIMEOUT)
        self.addCleanup(server.shutdown)
        return f"https://127.0.0.1:{server.server_address[1]}/some/page"

    def test_fetches_a_page(self):
        for certificate, chain, root in (("server", None, "ca.crt"), ("server-rsa", None, "ca-rsa.crt"),
                                         ("server-intermediate", "server-chain.crt", "ca-all.crt")):
            with self.subTest(certificate=certificate):
                ran = run("https_client.py", self.serve(certificate, chain), cert(root))
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.assertIn("TLSv1.3", ran.stdout)
                self.assertIn("200 OK", ran.stdout)
                self.assertIn("a page about /some/page", ran.stdout)
                self.assertIn("x" * 50000, ran.stdout)

    def test_sets_the_clock_by_ntp_first(self):
        # MicroPython's unix port has no ntptime: one whose first messages are lost.
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "ntptime.py").write_text(
                "lost = 2\n"
                "def settime():\n"
                "    global lost\n"
                "    lost -= 1\n"
                "    print('the time is', 'not set' if lost >= 0 else 'set')\n"
                "    if lost >= 0:\n"
                "        raise OSError(116)\n")
            ran = subprocess.run([MICROPYTHON, EXAMPLES / "ntp_then_https.py", self.serve(), cert("ca.crt")],
                                 capture_output=True, text=True, timeout=TIMEOUT, env=os.environ | {"MICROPYPATH": folder})
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertTrue(ran.stdout.startswith("the time is not set\nthe time is not set\nthe time is set\nTLSv1.3"), ran.stdout)
        self.assertIn("a page about /some/page", ran.stdout)

    def test_the_first_program_of_the_readme(self):
        text = (ROOT / "README.md").read_text()
        program = re.search(r"## A first program\n\n```python\n(.*?)```", text, re.S)[1]
        port = self.serve().split(":")[-1].split("/")[0]
        changed = program
        for old, new in (('"example.org"', '"localhost"'), ("getaddrinfo(host", 'getaddrinfo("127.0.0.1"'), ("443", port)):
            self.assertIn(old, changed)
            changed = changed.replace(old, new)
        for root, wanted in (("ca.crt", 0), ("ca-rsa.crt", 1)):
            ran = subprocess.run([MICROPYTHON, "-c", changed], capture_output=True, text=True, timeout=TIMEOUT,
                                 env=os.environ | {"SSL_CERT_FILE": cert(root)})
            self.assertEqual(ran.returncode, wanted, ran.stderr)
            self.assertIn("HTTP/1.0 200 OK" if wanted == 0 else "CERT_UNKNOWN_ISSUER", ran.stdout + ran.stderr)

    def test_the_program_with_a_key_of_the_readme(self):
        programs = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        port, key = free_port(), "6b9f0c" + "5a" * 29
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-nocert", "-psk", key,
                            "-psk_identity", "sensor-1", "-quiet")
        self.await_port(port, server)
        changed = programs[1]
        for old, new in (("192.168.1.20", "127.0.0.1"), ("8883", str(port)), ("6b9f0c…", key)):
            self.assertIn(old, changed)
            changed = changed.replace(old, new)
        subprocess.run([MICROPYTHON, "-c", changed], check=True, capture_output=True, timeout=TIMEOUT)
        server.wait_for("21.5")

    def test_fetches_a_page_whose_end_is_the_end_of_the_stream(self):
        port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-tls1_2",
                            "-cert", cert("server.crt"), "-key", cert("server.key"))
        self.await_port(port, server)
        ran = run("https_client.py", f"https://127.0.0.1:{port}/", cert("ca.crt"))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("TLSv1.2", ran.stdout)

    def test_says_why_not(self):
        for certificate, root, expected in (("server-expired", "ca.crt", "CERT_EXPIRED"),
                                            ("server", "ca-other.crt", "CERT_UNKNOWN_ISSUER"),
                                            ("server-name", "ca.crt", "CERT_HOSTNAME")):
            with self.subTest(certificate=certificate):
                ran = run("https_client.py", self.serve(certificate), cert(root))
                self.assertEqual(ran.returncode, 1)
                self.assertTrue(ran.stderr.startswith(f"TLS: {ERR[expected]} {expected}:"), ran.stderr)
        # Without a CA file it uses the system's store, which does not contain the test root.
        ran = run("https_client.py", self.serve())
        self.assertEqual(ran.returncode, 1)
        self.assertTrue(ran.stderr.startswith(f"TLS: {ERR['CERT_UNKNOWN_ISSUER']}"), ran.stderr)
        ran = run("https_client.py", f"https://127.0.0.1:{free_port()}/", cert("ca.crt"))
        self.assertEqual((ran.returncode, ran.stderr[:8]), (1, "network:"))
        self.assertEqual(run("https_client.py", "http://localhost/").returncode, 2)
        self.assertEqual(run("https_client.py").returncode, 2)


class AsyncioEcho(Case):
    def serve(self):
        port = free_port()
        server = self.start(MICROPYTHON, EXAMPLES / "asyncio_echo_server.py", "127.0.0.1", port,
                            cert("server.crt"), cert("server.key"))
        server.wait_for("listening")
        return server, port

    def test_client_and_server(self):
        server, port = self.serve()
        for _ in range(3):
            ran = run("asyncio_echo_client.py", "127.0.0.1", port, cert("ca.crt"))
            self.assertEqual(ran.returncode, 0, ran.stderr + server.text())
            self.assertIn("10001 bytes came back", ran.stdout)

    def test_the_client_refuses_a_stranger(self):
        server, port = self.serve()
        ran = run("asyncio_echo_client.py", "127.0.0.1", port, cert("ca-other.crt"))
        self.assertEqual(ran.returncode, 1)
        self.assertIn("CERT_UNKNOWN_ISSUER", ran.stderr)
        server.wait_for("CERT_REFUSED")

    def test_a_silent_client_keeps_nobody_waiting(self):
        server, port = self.serve()
        with socket.create_connection(("127.0.0.1", port)):
            client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet",
                                "-CAfile", cert("ca.crt"))
            client.send(b"anybody there?\n")
            client.wait_for("anybody there?")

    def test_a_silent_client_does_not_stay(self):
        port = free_port()
        program = self.folder / "hasty.py"
        program.write_text(f"import sys\nsys.path.append({str(EXAMPLES)!r})\n"
                           "import asyncio_echo_server as s\ns.PATIENCE = 1\ns.asyncio.run(s.main(*sys.argv[1:]))\n")
        server = self.start(MICROPYTHON, program, "127.0.0.1", port, cert("server.crt"), cert("server.key"))
        server.wait_for("listening")
        for beginning in (b"", b"\x16\x03\x01"):  # (subTest would end the server)
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as s:
                s.sendall(beginning)
                self.assertEqual(s.recv(100), b"", beginning)


class MutualTls(Case):
    def serve(self):
        port = free_port()
        server = self.start(MICROPYTHON, EXAMPLES / "mutual_tls_server.py", "127.0.0.1", port,
                            cert("server.crt"), cert("server.key"), cert("ca.crt"))
        server.wait_for("listening")
        return server, port

    def test_client_and_server(self):
        server, port = self.serve()
        ran = run("mutual_tls_client.py", "127.0.0.1", port, cert("ca.crt"), cert("client.crt"), cert("client.key"))
        self.assertEqual((ran.returncode, ran.stdout), (0, "hello, client one\n"), ran.stderr)
        server.wait_for("accepted: client one")

    def test_the_server_lets_openssl_in_and_strangers_out(self):
        server, port = self.serve()
        for version in ("-tls1_2", "-tls1_3"):
            client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", version,
                                "-cert", cert("client.crt"), "-key", cert("client.key"))
            client.wait_for("hello, client one")
        ran = run("mutual_tls_client.py", "127.0.0.1", port, cert("ca.crt"),
                  cert("client-other.crt"), cert("client-other.key"))
        self.assertEqual(ran.returncode, 1)
        self.assertIn("CERT_REFUSED", ran.stderr)
        server.wait_for("CERT_UNKNOWN_ISSUER")
        self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}").wait()
        server.wait_for("CERT_MISSING")

    def test_the_client_at_openssl(self):
        port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "1",
                            "-verify_return_error", "-CAfile", cert("ca.crt"),
                            "-cert", cert("server.crt"), "-key", cert("server.key"))
        self.await_port(port, server)
        client = self.start(MICROPYTHON, EXAMPLES / "mutual_tls_client.py", "127.0.0.1", port, cert("ca.crt"),
                            cert("client.crt"), cert("client.key"))
        server.wait_for("client one")  # s_server describes the client that it accepted
        server.send(b"hello from openssl\n")
        self.assertEqual((client.wait(), client.text()), (0, "hello from openssl\n"))


if __name__ == "__main__":
    main(verbosity=2)
