"""A server of ours, and curl."""

import unittest

from harness import *

MAXIMUM = {"TLSv1.2": ("--tls-max", "1.2"), "TLSv1.3": ("--tlsv1.3",)}
SERVER = ROOT / "examples" / "network" / "https_server.py"


class Curl(Case):
    def serve(self, name="server"):
        port = free_port()
        server = self.start(MICROPYTHON, SERVER, "127.0.0.1", port, cert(name + ".crt"), cert(name + ".key"))
        server.wait_for("listening")
        return server, port

    def curl(self, port, *arguments, scheme="https"):
        return subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", "20", *arguments,
                               f"{scheme}://localhost:{port}/"], capture_output=True, text=True, timeout=TIMEOUT)

    def test_gets_the_page(self):
        for name, root in KINDS:
            _, port = self.serve(name)
            for version in VERSIONS:
                with self.subTest(name=name, version=version):
                    got = self.curl(port, *MAXIMUM[version], "--cacert", cert(root))
                    self.assertEqual(got.returncode, 0, got.stderr)
                    self.assertIn("It works", got.stdout)
                    self.assertIn(version, got.stdout)
                    head = self.curl(port, *MAXIMUM[version], "--cacert", cert(root), "--head")
                    self.assertIn("200 OK", head.stdout)

    def test_the_server_survives_its_clients(self):
        server, port = self.serve()
        self.assertEqual(self.curl(port, "--cacert", cert("ca-other.crt")).returncode, 60)
        server.wait_for("CERT_REFUSED")
        self.assertNotEqual(self.curl(port, scheme="http").returncode, 0)
        server.wait_for("NOT_TLS")
        socket.create_connection(("127.0.0.1", port)).close()
        server.wait_for("PEER_CLOSED")
        self.assertEqual(self.curl(port, "--tls-max", "1.1", "--cacert", cert("ca.crt")).returncode, 35)
        server.wait_for("NO_SHARED_VERSION")
        # One that says nothing is waited for, but not for ever.
        with socket.create_connection(("127.0.0.1", port)):
            self.assertIn("It works", self.curl(port, "--cacert", cert("ca.crt")).stdout)
        server.wait_for("ETIMEDOUT" if "ETIMEDOUT" in server.text() else "refused: 110")


if __name__ == "__main__":
    unittest.main(verbosity=2)
