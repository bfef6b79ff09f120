"""ussl and GnuTLS's programs, in both roles."""

from harness import *

PRIORITY = {"TLSv1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLSv1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"}
NAME = {"TLSv1.2": "TLS1.2", "TLSv1.3": "TLS1.3"}
ANY_PSK = ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"
# GnuTLS's key exchange and cipher of each suite, and our name of it
PSK_SUITES = {
    "TLSv1.3": ((ANY_PSK, "TLS_"),),
    "TLSv1.2": (
        (ANY_PSK, "TLS_ECDHE_PSK_"),
        (":-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-GCM", "TLS_PSK_WITH_AES_128_GCM_SHA256"),
        (":-KX-ALL:+DHE-PSK:-CIPHER-ALL:+AES-256-GCM", "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384"),
    ),
}
# Faults that each side rejects, and may find in the other
TOO_OLD = (
    ("TLS 1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1:+SIGN-ALL:%VERIFY_ALLOW_SIGN_WITH_SHA1"),
    ("CBC", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC"),
    ("RC4", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128:+SHA1"),
    ("no forward secrecy", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"),
)


class OurClient(Case):
    def gnutls_serv(self, priority, *arguments):
        port = free_port()
        server = self.start("gnutls-serv", "--echo", "-p", port, "--priority", priority, *arguments)
        self.await_port(port, server)
        server.port = port
        return server, port

    def certificate(self, name="server"):
        return ("--x509certfile", cert(name + ".crt"), "--x509keyfile", cert(name + ".key"))

    def assert_said(self, server, *words):
        """Its output has a buffer, which is flushed at its end. It processes one connection after the other: when it has
        answered another client, it has received all earlier data."""
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as other, \
                contextlib.suppress(ConnectionResetError):
            other.sendall(b"no TLS at all\n" * 10)
            while other.recv(1000):
                pass
        server.stop()
        for word in words:
            self.assertIn(word, server.text())

    def psk_file(self):
        path = self.folder / "psk"
        path.write_text(f"you:{WRONG_KEY}\nme:{KEY}\n")
        return ("--pskpasswd", path)

    def test_a_lot_of_data(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.gnutls_serv(PRIORITY[version], *self.certificate(name), "--disable-client-cert")
                    told = self.ussl_client(port, "echo", BULK, **trusting(root))
                    self.assert_done(told, version)
                    self.assertEqual((told["sent_size"], told["sent"]), (BULK, told["received"]))
                    if version == "TLSv1.2":
                        self.assertIn(IN_SUITE[name], told["cipher"])
                    self.assert_said(server, f"- Version: {NAME[version]}\n")

    def test_small_records(self):
        for version in VERSIONS:
            for name, root in KINDS:
                for limit in (512, 3000):
                    with self.subTest(version=version, name=name, limit=limit):
                        server, port = self.gnutls_serv(PRIORITY[version], *self.certificate(name), "--disable-client-cert")
                        # In TLS 1.2, GnuTLS 3.7 agrees to a max_fragment_length and sends longer records.
                        talk, size = ("hello", 0) if version == "TLSv1.2" else ("echo", BULK)
                        told = self.ussl_client(port, talk, size, record_size_limit=limit, **trusting(root))
                        self.assert_done(told, version)
                        if size:
                            self.assertEqual(told["sent"], told["received"])

    def test_refused_certificates(self):
        for version in VERSIONS:
            for name, expected in (
                ("server-other", "CERT_UNKNOWN_ISSUER"),
                ("server-expired", "CERT_EXPIRED"),
                ("server-name", "CERT_HOSTNAME"),
                ("server-clientauth", "CERT_PURPOSE"),
            ):
                with self.subTest(version=version, name=name):
                    server, port = self.gnutls_serv(PRIORITY[version], *self.certificate(name), "--disable-client-cert")
                    self.assert_error(self.ussl_client(port, **trusting()), expected)
                    # In TLS 1.3, OpenSSL's client sends its alert before it has changed keys: GnuTLS cannot read it.
                    self.assert_said(server, "A TLS fatal alert has been received" if version == "TLSv1.2" else
                                     "Error in handshake: ")

    def test_client_certificate(self):
        for version in VERSIONS:
            for kind, root, good in (("server", "ca.crt", "client"), ("server-rsa", "ca-rsa.crt", "client-rsa")):
                for demand in ((), ("--require-client-cert",)):
                    for name in (good, None, "client-other"):
                        with self.subTest(version=version, kind=kind, demand=demand, name=name):
                            server, port = self.gnutls_serv(
                                PRIORITY[version], *self.certificate(kind), *demand, "--verify-client-cert",
                                "--x509cafile", cert(root))
                            refused = name == "client-other" or (name is None and demand)
                            told = self.ussl_client(port, "read" if refused and version == "TLSv1.3" else "echo",
                                                    **trusting(root, **own_cert(name)))
                            if not refused:
                                self.assert_done(told, version)
                                self.assert_said(server, f"- Version: {NAME[version]}\n",
                                                 "CN=client " if name else "")
                            elif name is None and version == "TLSv1.3":
                                self.assert_refused_certificate(told, version)
                                self.assertIn("certificate_required", told["text"])
                            else:
                                # gnutls-serv has alerts of its own taste for it.
                                if name:
                                    self.assert_error(told, "CERT_REFUSED", *(("talk",) if version == "TLSv1.3" else ()))
                                else:
                                    self.assert_error(told, "HANDSHAKE_FAILED")
                                self.assertIn("access_denied" if name else "decode_error", told["text"])
                                self.assert_said(server, "Error in the certificate" if name else "No certificate was found")

    def test_psk(self):
        for version in VERSIONS:
            for priority, suite in PSK_SUITES[version]:
                with self.subTest(version=version, suite=suite):
                    server, port = self.gnutls_serv(PRIORITY[version] + priority, *self.psk_file())
                    told = self.ussl_client(port, "echo", BULK, **psk_client())
                    self.assert_done(told, version)
                    self.assertEqual((told["sent_size"], told["sent"]), (BULK, told["received"]))
                    self.assertTrue(told["cipher"].startswith(suite), told["cipher"])
                    self.assertEqual(told["certificate"], 0)
                    self.assert_said(server, "PSK authentication. Connected as 'me'")

    def test_psk_refused(self):
        for version in VERSIONS:
            for options in (psk_client(key=WRONG_KEY), psk_client("somebody")):
                for priority, suite in PSK_SUITES[version]:
                    with self.subTest(version=version, options=options, suite=suite):
                        server, port = self.gnutls_serv(PRIORITY[version] + priority, *self.psk_file())
                        self.assert_error(self.ussl_client(port, **options), "PSK_REFUSED")
                        self.assert_said(server, "Error in handshake")

    def test_what_is_too_old(self):
        for what, priority in TOO_OLD:
            with self.subTest(what=what):
                # RSA has a certificate for each of these suites.
                server, port = self.gnutls_serv(priority, *self.certificate("server-rsa"), "--disable-client-cert")
                told = self.ussl_client(port, **trusting("ca-rsa.crt"))
                # GnuTLS checks the suites before the version, and reports no details of either.
                self.assert_error(told, "HANDSHAKE_FAILED")
                self.assertIn("handshake_failure", told["text"])
                self.assert_said(server, "Error in handshake")


class OurServer(Case):
    def gnutls_cli(self, priority, port, *arguments, send=None):
        client = self.start("gnutls-cli", "-p", port, "--priority", priority, *arguments, "127.0.0.1")
        if send:
            client.send(send)
        return client

    def trusting(self, root):
        # With pre-shared keys, GnuTLS 3.7's --verify-hostname is a null pointer.
        return ("--x509cafile", cert(root), "--verify-hostname", "localhost", "--sni-hostname", "localhost")

    def own(self, name):
        return ("--x509certfile", cert(name + ".crt"), "--x509keyfile", cert(name + ".key")) if name else ()

    def echoed(self, server, client, data, version):
        """The client has received all data and closes. Returns the report of the server."""
        begin = b"- Simple Client Mode:\n\n"
        client.wait_until(lambda: len(client.output.partition(begin)[2]) >= len(data), "echo")
        self.assertEqual(checksum(client.output.partition(begin)[2][: len(data)]), checksum(data))
        client.end_input()
        self.assertEqual(client.wait(), 0)
        self.assertIn(f"- Description: ({NAME[version]}", client.text())
        told = self.told(server)
        self.assert_done(told, version)
        for way in ("sent", "received"):
            self.assertEqual((told[way + "_size"], told[way]), (len(data), checksum(data)))
        return told

    def refused(self, client, *words):
        """The client has ended with an error, and printed it."""
        self.assertEqual(client.wait(), 1)
        for word in words:
            self.assertIn(word, client.text())

    def test_small_records(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server("bulk", size=BULK, **server_cert(name))
                    # It sends at most 512 bytes of the data that it reads at once, and loses the rest: our end sends the data.
                    client = self.gnutls_cli(PRIORITY[version], port, *self.trusting(root), "--recordsize", "512")
                    begin = b"- Simple Client Mode:\n\n"
                    client.wait_until(lambda: len(client.output.partition(begin)[2]) >= BULK, "data")
                    client.end_input()
                    self.assertEqual(client.wait(), 0)
                    told = self.told(server)
                    self.assert_done(told, version)
                    self.assertEqual(told["sent"], checksum(client.output.partition(begin)[2][:BULK]))

    def test_a_lot_of_data(self):
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    client = self.gnutls_cli(PRIORITY[version], port, *self.trusting(root), send=data)
                    told = self.echoed(server, client, data, version)
                    self.assertEqual(told["certificate"], 0)
                    if version == "TLSv1.2":
                        self.assertIn(IN_SUITE[name], told["cipher"])

    def test_a_client_that_does_not_trust_us(self):
        for version in VERSIONS:
            for name, root in (("server", "ca-other.crt"), ("server-expired", "ca.crt"), ("server-name", "ca.crt")):
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    client = self.gnutls_cli(PRIORITY[version], port, *self.trusting(root))
                    self.refused(client, "The certificate is NOT trusted")
                    self.assert_error(self.told(server), "CERT_REFUSED")

    def test_client_certificate(self):
        data = b"hello\n"
        for version in VERSIONS:
            for kind, root in KINDS:
                for mode, name, expected, said in (
                    (CERT_NONE, "client", None, None),
                    (CERT_OPTIONAL, "client", None, None),
                    (CERT_REQUIRED, "client", None, None),
                    (CERT_REQUIRED, "client-rsa", None, None),
                    (CERT_OPTIONAL, None, None, None),
                    (CERT_REQUIRED, None, "CERT_MISSING", "Handshake failed" if version == "TLSv1.2" else
                     "Certificate is required"),
                    (CERT_OPTIONAL, "client-other", "CERT_UNKNOWN_ISSUER", "CA is unknown"),
                    (CERT_REQUIRED, "client-other", "CERT_UNKNOWN_ISSUER", "CA is unknown"),
                    (CERT_REQUIRED, "client-expired", "CERT_EXPIRED", "Certificate is expired"),
                ):
                    with self.subTest(version=version, kind=kind, mode=mode, name=name):
                        trust = self.folder / "trust.crt"
                        trust.write_text("".join(pathlib.Path(cert(c)).read_text() for c in ("ca.crt", "ca-rsa.crt")))
                        server, port = self.ussl_server(
                            **server_cert(kind, cert_reqs=mode, **({"ca_certs": str(trust)} if mode else {})))
                        client = self.gnutls_cli(PRIORITY[version], port, *self.trusting(root), *self.own(name),
                                                 send=None if expected else data)
                        if expected:
                            self.refused(client, said)
                            self.assertNotIn(data, client.output)
                            self.assert_error(self.told(server), expected)
                            continue
                        told = self.echoed(server, client, data, version)
                        if name and mode:
                            cn = {"client": "client one", "client-rsa": "client two"}[name]
                            self.assertIn([["commonName", cn]], told["subject"])
                        else:
                            self.assertEqual((told["certificate"], told["subject"]), (0, None))

    def test_psk(self):
        data = some_data()
        for version in VERSIONS:
            for priority, suite in PSK_SUITES[version]:
                if suite in ("TLS_ECDHE_PSK_", "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384"):
                    continue  # gnutls-cli 3.7.9 dies of SIGSEGV after the handshake, at gnutls-serv as well
                with self.subTest(version=version, suite=suite):
                    server, port = self.ussl_server(**psk_server(you=WRONG_KEY, me=KEY))
                    client = self.gnutls_cli(PRIORITY[version] + priority, port, "--pskusername", "me", "--pskkey", KEY,
                                             send=data)
                    told = self.echoed(server, client, data, version)
                    self.assertTrue(told["cipher"].startswith(suite), told["cipher"])
                    self.assertEqual(told["certificate"], 0)

    def test_psk_refused(self):
        for version in VERSIONS:
            for key, identity, expected in ((WRONG_KEY, "me", "PSK_KEY"), (KEY, "somebody", "PSK_IDENTITY")):
                for priority, suite in PSK_SUITES[version]:
                    with self.subTest(version=version, expected=expected, suite=suite):
                        server, port = self.ussl_server(**psk_server())
                        client = self.gnutls_cli(PRIORITY[version] + priority, port, "--pskusername", identity,
                                                 "--pskkey", key)
                        self.refused(client, "alert")
                        self.assert_error(self.told(server), expected)

    def test_psk_server_and_a_client_without_one(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**psk_server())
                other = version == "TLSv1.3" and lacks("no_psk_alert")
                self.refused(self.gnutls_cli(PRIORITY[version], port), "[109]" if other else "Handshake failed")
                self.assert_error(self.told(server), "NO_SHARED_CIPHER")

    def test_what_is_too_old(self):
        for what, priority in TOO_OLD:
            with self.subTest(what=what):
                server, port = self.ussl_server(**server_cert("server-rsa"))
                client = self.gnutls_cli(priority, port, *self.trusting("ca-rsa.crt"))
                old = what == "TLS 1.1"
                self.refused(client, "Error in protocol version" if old else "Handshake failed")
                self.assert_error(self.told(server), "NO_SHARED_VERSION" if old else "NO_SHARED_CIPHER")


if __name__ == "__main__":
    main(verbosity=2)
