"""ussl and the openssl program, in both roles."""

import unittest

from harness import *

FLAG = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}


class OurClient(Case):
    def s_server(self, *arguments):
        port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", *arguments)
        self.await_port(port, server)
        return server, port

    def certificate(self, name="server"):
        return ("-cert", cert(name + ".crt"), "-key", cert(name + ".key"))

    def test_certificates(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    _, port = self.s_server(FLAG[version], *self.certificate(name), "-rev")
                    told = self.ussl_client(port, talk="hello", **trusting(root))
                    self.assert_done(told, version)
                    self.assertEqual(told["heard"], "lssu morf olleh\n")
                    self.assertIn("_GCM_" if version == "TLSv1.3" else "ECDHE_", told["cipher"])

    def test_refused_certificates(self):
        for version in VERSIONS:
            for name, expected in (("server-other", "CERT_UNKNOWN_ISSUER"), ("server-expired", "CERT_EXPIRED"),
                                   ("server-name", "CERT_HOSTNAME"), ("server-selfsigned", "CERT_SELF_SIGNED")):
                with self.subTest(version=version, name=name):
                    server, port = self.s_server(FLAG[version], *self.certificate(name))
                    self.assert_error(self.ussl_client(port, **trusting()), expected)
                    server.wait_for("alert")

    def test_client_certificate(self):
        for version in VERSIONS:
            for name in ("client", None, "client-other"):
                with self.subTest(version=version, name=name):
                    _, port = self.s_server(FLAG[version], *self.certificate(), "-rev", "-Verify", "2",
                                            "-verify_return_error", "-CAfile", cert("ca.crt"))
                    own = server_cert(name) if name else {}
                    told = self.ussl_client(port, talk="hello", **trusting(**own))
                    if name == "client":
                        self.assert_done(told, version)
                    elif name is None and version == "TLSv1.2":
                        self.assert_error(told, "HANDSHAKE_FAILED")
                    else:
                        self.assert_error(told, "CERT_REFUSED")

    def test_psk(self):
        for version in VERSIONS:
            suites = (None,)
            if version == "TLSv1.2":
                suites = (None, "PSK-AES128-GCM-SHA256", "DHE-PSK-AES256-GCM-SHA384", "ECDHE-PSK-CHACHA20-POLY1305",
                          "PSK-AES128-CCM")
            for suite in suites:
                with self.subTest(version=version, suite=suite):
                    _, port = self.s_server(FLAG[version], "-nocert", "-psk", KEY, "-psk_identity", "me", "-rev",
                                            *(("-cipher", suite) if suite else ()))
                    told = self.ussl_client(port, talk="hello", **psk_client())
                    self.assert_done(told, version)
                    self.assertEqual(told["certificate"], 0)

    def test_psk_refused(self):
        for version in VERSIONS:
            # For an unknown identity s_server has no more than a warning in TLS 1.2.
            strangers = (psk_client("somebody"),) if version == "TLSv1.3" else ()
            for options in (psk_client(key=WRONG_KEY), *strangers):
                with self.subTest(version=version, options=options):
                    _, port = self.s_server(FLAG[version], "-nocert", "-psk", KEY, "-psk_identity", "me")
                    self.assert_error(self.ussl_client(port, **options), "PSK_REFUSED")

    def test_psk_client_at_a_server_with_certificates(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                _, port = self.s_server(FLAG[version], *self.certificate())
                self.assert_error(self.ussl_client(port, **psk_client()), "PSK_REFUSED")

    def test_what_is_too_old(self):
        weak = ("-cipher", "ALL:@SECLEVEL=0")
        _, port = self.s_server("-tls1_1", *weak, *self.certificate())
        self.assert_error(self.ussl_client(port, **trusting()), "NO_SHARED_VERSION")
        _, port = self.s_server("-tls1_2", "-cipher", "AES128-SHA256:ECDHE-ECDSA-AES128-SHA256", *self.certificate())
        self.assert_error(self.ussl_client(port, **trusting()), "HANDSHAKE_FAILED")

    def test_a_server_that_closes_at_once(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
            told = self.ussl_client(listener.getsockname()[1], **trusting())
        self.assertIn(told.get("errno"), (ERR["PEER_CLOSED"], 104), told)


class OurServer(Case):
    def s_client(self, port, *arguments, send=b"hello\n"):
        client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
                            *arguments)
        client.send(send)
        return client

    def test_certificates(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    client = self.s_client(port, FLAG[version], "-CAfile", cert(root), "-verify_return_error",
                                           "-verify_hostname", "localhost", "-quiet", send=b"there and back\n")
                    client.wait_for("there and back")
                    client.stop()
                    self.assert_done(self.told(server), version)

    def test_a_lot_of_data(self):
        data = b"".join(b"%060d\n" % number for number in range(8000))
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**server_cert())
                client = self.s_client(port, FLAG[version], "-quiet", "-CAfile", cert("ca.crt"), send=data)
                client.wait_for("%060d" % 7999)
                client.stop()
                self.assertEqual(client.output[client.output.index(b"%060d\n" % 0):], data)
                self.assert_done(self.told(server), version)

    def test_a_client_that_does_not_trust_us(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**server_cert())
                self.s_client(port, FLAG[version], "-CAfile", cert("ca-other.crt"), "-verify_return_error").wait()
                self.assert_error(self.told(server), "CERT_REFUSED")

    def test_client_certificate(self):
        for version in VERSIONS:
            for mode, name, expected in (
                (1, None, None), (2, None, "CERT_MISSING"), (1, "client", None), (2, "client", None),
                (1, "client-other", "CERT_UNKNOWN_ISSUER"), (2, "client-other", "CERT_UNKNOWN_ISSUER"),
                (2, "client-expired", "CERT_EXPIRED"), (2, "client-serverauth", "CERT_PURPOSE"),
            ):
                with self.subTest(version=version, mode=mode, name=name):
                    server, port = self.ussl_server(
                        **server_cert(cert_reqs=mode, ca_certs=cert("ca.crt")))
                    own = ("-cert", cert(name + ".crt"), "-key", cert(name + ".key")) if name else ()
                    client = self.s_client(port, FLAG[version], "-quiet", *own)
                    if expected is None:
                        client.wait_for("hello")
                        client.stop()
                        told = self.told(server)
                        self.assert_done(told, version)
                        self.assertEqual(told["certificate"] > 0, name is not None)
                        if name:
                            self.assertIn([["commonName", "client one"]], told["subject"])
                    else:
                        client.wait()
                        self.assertIn("alert", client.text())
                        self.assert_error(self.told(server), expected)

    def test_psk(self):
        for version in VERSIONS:
            suites = (None,)
            if version == "TLSv1.2":
                suites = (None, "PSK-AES128-GCM-SHA256", "DHE-PSK-AES128-GCM-SHA256", "PSK-AES256-CCM")
            for suite in suites:
                with self.subTest(version=version, suite=suite):
                    server, port = self.ussl_server(psk_hint="a hint", **psk_server())
                    client = self.s_client(port, FLAG[version], "-psk", KEY, "-psk_identity", "me", "-quiet",
                                           *(("-cipher", suite) if suite else ()))
                    client.wait_for("hello")
                    client.stop()
                    self.assert_done(self.told(server), version)

    def test_psk_refused(self):
        for version in VERSIONS:
            alerts = {}
            for key, identity, expected in ((WRONG_KEY, "me", "PSK_KEY"), (KEY, "somebody", "PSK_IDENTITY")):
                with self.subTest(version=version, expected=expected):
                    server, port = self.ussl_server(**psk_server())
                    client = self.s_client(port, FLAG[version], "-psk", key, "-psk_identity", identity)
                    client.wait()
                    self.assert_error(self.told(server), expected)
                    alerts[expected] = client.text()[client.text().index("SSL alert number"):][:19]
            self.assertEqual(len(set(alerts.values())), 1, alerts)

    def test_psk_server_and_a_client_without_one(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**psk_server())
                self.s_client(port, FLAG[version]).wait()
                self.assert_error(self.told(server), "NO_SHARED_CIPHER")

    def test_what_is_too_old(self):
        server, port = self.ussl_server(**server_cert())
        self.s_client(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").wait()
        self.assert_error(self.told(server), "NO_SHARED_VERSION")
        server, port = self.ussl_server(**server_cert())
        self.s_client(port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256").wait()
        self.assert_error(self.told(server), "NO_SHARED_CIPHER")


if __name__ == "__main__":
    unittest.main(verbosity=2)
