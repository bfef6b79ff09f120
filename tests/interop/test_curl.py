"""Servers of ours, and curl."""

from harness import *

ONLY = {"TLSv1.2": ("--tls-max", "1.2"), "TLSv1.3": ("--tlsv1.3",)}
EXAMPLE = ROOT / "examples" / "network" / "https_server.py"
# curl's exit statuses
SSL_CONNECT_ERROR, SEND_ERROR, RECV_ERROR, PEER_FAILED_VERIFICATION = 35, 55, 56, 60


class Curl(Case):
    def curl(self, port, *arguments, path="", scheme="https"):
        """Runs to its end; the process."""
        client = self.start("curl", "-sS", "--noproxy", "*", "--max-time", "20", "--resolve",
                            f"localhost:{port}:127.0.0.1", *arguments, f"{scheme}://localhost:{port}/{path}")
        client.end_input()
        client.wait()
        return client

    def got(self, client):
        self.assertEqual(client.process.returncode, 0)
        return bytes(client.output)


class OurServer(Curl):
    def own(self, name):
        return ("--cert", cert(name + ".crt"), "--key", cert(name + ".key")) if name else ()

    def test_a_lot_of_data(self):
        size = BULK // 128 * 128
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(program="https.py", times=2, **server_cert(name))
                    options = (*ONLY[version], "--cacert", cert(root))
                    self.assertEqual(checksum(self.got(self.curl(port, *options, path=size))),
                                     checksum(b"0123456789abcdef" * (size // 16)))
                    sent = self.folder / "sent"
                    sent.write_bytes(data)
                    back = self.got(self.curl(port, *options, "--data-binary", f"@{sent}", "-H", "Expect:"))
                    self.assertEqual(back.decode(), checksum(data))
                    for told in self.told_all(server):
                        self.assert_done(told, version)
                        if version == "TLSv1.2":
                            self.assertIn(IN_SUITE[name], told["cipher"])

    def test_client_certificate(self):
        for version in VERSIONS:
            for kind, root in KINDS:
                for mode, name, expected, said in (
                    (CERT_NONE, "client", None, None),
                    (CERT_OPTIONAL, "client", None, None),
                    (CERT_REQUIRED, "client", None, None),
                    (CERT_OPTIONAL, None, None, None),
                    (CERT_REQUIRED, None, "CERT_MISSING", "alert handshake failure"),
                    (CERT_OPTIONAL, "client-other", "CERT_UNKNOWN_ISSUER", "alert unknown ca"),
                    (CERT_REQUIRED, "client-other", "CERT_UNKNOWN_ISSUER", "alert unknown ca"),
                    (CERT_REQUIRED, "client-expired", "CERT_EXPIRED", None),
                ):
                    with self.subTest(version=version, kind=kind, mode=mode, name=name):
                        server, port = self.ussl_server(program="https.py", **server_cert(
                            kind, cert_reqs=mode, **({"ca_certs": cert("ca.crt")} if mode else {})))
                        client = self.curl(port, *ONLY[version], "--cacert", cert(root), *self.own(name), path=128)
                        told = self.told(server)
                        if expected:
                            self.assert_error(told, expected)
                            self.assertEqual(client.output, b"")
                            if version == "TLSv1.3":
                                # It is connected from its view, and sends its request to a server that has closed:
                                # its error depends on which of the two is faster.
                                self.assertIn(client.process.returncode, (SEND_ERROR, RECV_ERROR))
                            elif name == "client-expired":
                                self.assertEqual(client.process.returncode, PEER_FAILED_VERIFICATION)
                            else:
                                self.assertEqual(client.process.returncode, SSL_CONNECT_ERROR)
                                self.assertIn(said, client.text())
                            continue
                        self.assertEqual(len(self.got(client)), 128)
                        self.assert_done(told, version)
                        if name and mode:
                            self.assertIn([["commonName", "client one"]], told["subject"])
                        else:
                            self.assertIsNone(told["subject"])

    def test_a_client_that_does_not_trust_us(self):
        for version in VERSIONS:
            for name in ("server-other", "server-name", "server-expired", "server-selfsigned"):
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(program="https.py", **server_cert(name))
                    client = self.curl(port, *ONLY[version], "--cacert", cert("ca.crt"))
                    self.assertEqual(client.process.returncode, PEER_FAILED_VERIFICATION)
                    told = self.told(server)
                    if name == "server-name":
                        # curl looks at the name after the handshake, and hangs up.
                        self.assertEqual((told["stage"], told["version"]), ("talk", version))
                        self.assertNotIn("done", told)
                    else:
                        self.assert_error(told, "CERT_REFUSED")

    def test_what_is_too_old(self):
        for options, expected in (
            (("--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"), "NO_SHARED_VERSION"),
            (("--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-SHA256"), "NO_SHARED_CIPHER"),
        ):
            with self.subTest(options=options):
                server, port = self.ussl_server(program="https.py", **server_cert())
                client = self.curl(port, *options, "--tlsv1.0", "--cacert", cert("ca.crt"))
                self.assertEqual(client.process.returncode, SSL_CONNECT_ERROR)
                self.assert_error(self.told(server), expected)


class Example(Curl):
    def serve(self, name="server"):
        port = free_port()
        server = self.start(MICROPYTHON, EXAMPLE, "127.0.0.1", port, cert(name + ".crt"), cert(name + ".key"))
        server.wait_for("listening")
        return server, port

    def test_gets_the_page(self):
        for name, root in KINDS:
            for version in VERSIONS:
                with self.subTest(name=name, version=version):
                    _, port = self.serve(name)
                    page = self.got(self.curl(port, *ONLY[version], "--cacert", cert(root))).decode()
                    self.assertIn("It works", page)
                    self.assertIn(version, page)
                    head = self.got(self.curl(port, *ONLY[version], "--cacert", cert(root), "--head")).decode()
                    self.assertIn("200 OK", head)

    def test_the_server_survives_its_clients(self):
        with self.subTest():
            server, port = self.serve()
            self.assertEqual(self.curl(port, "--cacert", cert("ca-other.crt")).process.returncode, 60)
            server.wait_for("CERT_REFUSED")
            self.assertNotEqual(self.curl(port, scheme="http").process.returncode, 0)
            server.wait_for("NOT_TLS")
            socket.create_connection(("127.0.0.1", port)).close()
            server.wait_for("PEER_CLOSED")
            old = self.curl(port, "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0", "--cacert", cert("ca.crt"))
            self.assertEqual(old.process.returncode, SSL_CONNECT_ERROR)
            server.wait_for("NO_SHARED_VERSION")
            # The wait for a silent client is limited.
            with socket.create_connection(("127.0.0.1", port)):
                self.assertIn(b"It works", self.got(self.curl(port, "--cacert", cert("ca.crt"))))
            server.wait_for("110")


if __name__ == "__main__":
    main(verbosity=2)
