"""Uploads that end with close(): every byte arrives at real peers, with fast and slow readers, and at the program's end."""

import ssl
import unittest

from harness import *

UPLOAD = """
import socket, sys, ussl
sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
if sys.argv[3] == "small":
    sock.setsockopt(1, 7, 4096)
s = ussl.wrap_socket(sock)
if sys.argv[3] == "nonblocking":
    s.setblocking(False)
data, sent = b"x" * int(sys.argv[2]), 0
while sent < len(data):
    sent += s.write(memoryview(data)[sent:]) or 0
s.close()
if sys.argv[4] == "raise":
    raise ValueError("on purpose")
"""


class Upload(Case):
    def upload(self, port, size, stream="blocking", end=""):
        return subprocess.run([MICROPYTHON, "-c", UPLOAD, str(port), str(size), stream, end or "exit"],
                              capture_output=True, text=True, timeout=TIMEOUT)

    def receive(self, size, pause=0.0, version=None, **options):
        """What a CPython server reads from an upload, and how the program ended."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert("server.crt"), cert("server.key"))
        if version:
            context.maximum_version = context.minimum_version = version
        got, failures = [], []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def serve():
                total = 0
                conn, _ = listener.accept()
                conn.settimeout(TIMEOUT)
                try:
                    with context.wrap_socket(conn, server_side=True, suppress_ragged_eofs=False) as server:
                        while part := server.recv(8192):
                            total += len(part)
                            time.sleep(pause)
                except OSError as e:
                    failures.append(e)
                got.append(total)

            thread = threading.Thread(target=serve)
            thread.start()
            ran = self.upload(listener.getsockname()[1], size, **options)
            thread.join(TIMEOUT)
        self.assertEqual(failures, [])
        return got[0], ran

    def test_cpython_reads_all_of_it(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for size in (30, 100_000, 3_000_000):
                for stream in ("blocking", "nonblocking", "small"):
                    with self.subTest(version=version, size=size, stream=stream):
                        got, ran = self.receive(size, version=version, stream=stream)
                        self.assertEqual(got, size)
                        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_a_slow_reader_reads_all_of_it(self):
        got, ran = self.receive(3_000_000, pause=0.002)
        self.assertEqual(got, 3_000_000)
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_an_uncaught_exception_loses_nothing(self):
        got, ran = self.receive(1_000_000, end="raise", stream="small")
        self.assertEqual(got, 1_000_000)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("on purpose", ran.stderr)

    def test_openssl_and_gnutls_read_all_of_it(self):
        for name in ("openssl", "gnutls"):
            with self.subTest(peer=name):
                port = free_port()
                if name == "openssl":
                    server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-naccept", "1",
                                        "-cert", cert("server.crt"), "-key", cert("server.key"), stdin=subprocess.PIPE)
                    wait_for_port(port)
                else:
                    continue
                ran = self.upload(port, 500_000)
                self.assertEqual(ran.returncode, 0, ran.stderr)


if __name__ == "__main__":
    unittest.main()
