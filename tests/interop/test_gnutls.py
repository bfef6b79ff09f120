"""ussl and GnuTLS's programs, in both roles."""

import unittest

from harness import *

PRIORITY = {"TLSv1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLSv1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"}
PSK = ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"


class OurClient(Case):
    def gnutls_serv(self, version, *arguments, psk=False):
        port = free_port()
        server = self.start("gnutls-serv", "--echo", "-p", port, "--priority", PRIORITY[version] + (PSK if psk else ""),
                            *arguments)
        self.await_port(port, server)
        return server, port

    def certificate(self, name="server"):
        return ("--x509certfile", cert(name + ".crt"), "--x509keyfile", cert(name + ".key"))

    def psk_file(self):
        path = self.folder / "psk"
        path.write_text(f"me:{KEY}\n")
        return ("--pskpasswd", path)

    def test_certificates(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    _, port = self.gnutls_serv(version, *self.certificate(name), "--disable-client-cert")
                    self.assert_done(self.ussl_client(port, **trusting(root)), version)

    def test_a_lot_of_data(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                _, port = self.gnutls_serv(version, *self.certificate(), "--disable-client-cert")
                told = self.ussl_client(port, lines=100, size=4000, **trusting())
                self.assert_done(told, version)

    def test_refused_certificates(self):
        for version in VERSIONS:
            for name, expected in (("server-other", "CERT_UNKNOWN_ISSUER"), ("server-expired", "CERT_EXPIRED")):
                with self.subTest(version=version, name=name):
                    _, port = self.gnutls_serv(version, *self.certificate(name), "--disable-client-cert")
                    self.assert_error(self.ussl_client(port, **trusting()), expected)

    def test_client_certificate(self):
        for version in VERSIONS:
            for name in ("client", None, "client-other"):
                with self.subTest(version=version, name=name):
                    _, port = self.gnutls_serv(version, *self.certificate(), "--require-client-cert",
                                               "--verify-client-cert", "--x509cafile", cert("ca.crt"))
                    told = self.ussl_client(port, **trusting(**(server_cert(name) if name else {})))
                    if name == "client":
                        self.assert_done(told, version)
                    else:
                        # gnutls-serv closes with or without an alert
                        self.assertNotIn("done", told)
                        self.assertIn("errno", told)

    def test_psk(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                _, port = self.gnutls_serv(version, *self.psk_file(), psk=True)
                self.assert_done(self.ussl_client(port, **psk_client()), version)

    def test_psk_refused(self):
        for version in VERSIONS:
            for options in (psk_client(key=WRONG_KEY), psk_client("somebody")):
                with self.subTest(version=version, options=options):
                    _, port = self.gnutls_serv(version, *self.psk_file(), psk=True)
                    self.assert_error(self.ussl_client(port, **options), "PSK_REFUSED")


class OurServer(Case):
    def gnutls_cli(self, version, port, *arguments, psk=False, send=b"hello\n"):
        client = self.start("gnutls-cli", "-p", port, "--priority", PRIORITY[version] + (PSK if psk else ""),
                            *arguments, "127.0.0.1")
        client.send(send)
        return client

    def test_certificates(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    client = self.gnutls_cli(version, port, "--x509cafile", cert(root), "--sni-hostname", "localhost",
                                             "--verify-hostname", "localhost", send=b"there and back\n")
                    client.wait_for("there and back")
                    client.end_input()
                    self.assertEqual(client.wait(), 0, client.text())
                    self.assert_done(self.told(server), version)

    def test_a_client_that_does_not_trust_us(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**server_cert())
                client = self.gnutls_cli(version, port, "--x509cafile", cert("ca-other.crt"),
                                         "--verify-hostname", "localhost")
                self.assertNotEqual(client.wait(), 0)
                told = self.told(server)
                if "done" not in told:
                    self.assert_error(told, "CERT_REFUSED", "HANDSHAKE_FAILED", "PEER_CLOSED")

    def test_client_certificate(self):
        for version in VERSIONS:
            for name, expected in (("client", None), (None, "CERT_MISSING"), ("client-other", "CERT_UNKNOWN_ISSUER")):
                with self.subTest(version=version, name=name):
                    # The client is not told whose certificates are wanted, or it would not send the wrong one.
                    server, port = self.ussl_server(**server_cert(cert_reqs=2, ca_certs=cert("ca.crt")))
                    own = ("--x509certfile", cert(name + ".crt"), "--x509keyfile", cert(name + ".key")) if name else ()
                    client = self.gnutls_cli(version, port, "--x509cafile", cert("ca.crt"),
                                             "--verify-hostname", "localhost", *own)
                    if expected is None:
                        client.wait_for("hello")
                        client.end_input()
                        client.wait()
                        self.assert_done(self.told(server), version)
                    else:
                        self.assertNotEqual(client.wait(), 0)
                        # A client may keep back a certificate that nobody asked for.
                        self.assert_error(self.told(server), expected, "CERT_MISSING")

    def test_psk(self):
        for version in VERSIONS:
            kx = ":-KX-ALL:+PSK" if version == "TLSv1.2" else ""
            with self.subTest(version=version):
                server, port = self.ussl_server(**psk_server())
                client = self.gnutls_cli(version, port, "--priority", PRIORITY[version] + PSK + kx,
                                         "--pskusername", "me", "--pskkey", KEY, send=b"there and back\n")
                client.wait_for("there and back")
                client.end_input()
                client.wait()
                self.assert_done(self.told(server), version)

    def test_psk_with_forward_secrecy_in_tls1_2(self):
        # gnutls-cli 3.7 crashes after such a handshake, when it describes it, also with gnutls-serv;
        # but until then both ends have shaken hands.
        for kx, name in (("ECDHE-PSK", "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
                         ("DHE-PSK", "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256")):
            with self.subTest(kx=kx):
                server, port = self.ussl_server(**psk_server())
                self.gnutls_cli("TLSv1.2", port, "--priority", f"{PRIORITY['TLSv1.2']}:-KX-ALL:+{kx}",
                                "--pskusername", "me", "--pskkey", KEY).wait()
                self.assertEqual(self.told(server).get("cipher"), name)

    def test_psk_refused(self):
        for version in VERSIONS:
            for key, identity, expected in ((WRONG_KEY, "me", "PSK_KEY"), (KEY, "somebody", "PSK_IDENTITY")):
                with self.subTest(version=version, expected=expected):
                    server, port = self.ussl_server(**psk_server())
                    client = self.gnutls_cli(version, port, "--pskusername", identity, "--pskkey", key, psk=True)
                    self.assertNotEqual(client.wait(), 0)
                    self.assert_error(self.told(server), expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
