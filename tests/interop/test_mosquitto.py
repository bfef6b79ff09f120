"""ussl and mosquitto: our client at its broker, and its bridge at our server."""

import pwd
import shutil

from harness import *

EXAMPLE = ROOT / "examples" / "network" / "mqtt_psk.py"
MESSAGE = 200_000  # bytes; MicroPython's heap has to hold it several times
PSK_SUITES = {
    "TLSv1.3": (None,),
    "TLSv1.2": (None, "PSK-AES128-GCM-SHA256", "PSK-CHACHA20-POLY1305", "DHE-PSK-AES256-GCM-SHA384",
                "ECDHE-PSK-CHACHA20-POLY1305"),
}


ME = pwd.getpwuid(os.getuid()).pw_name


class Mosquitto(Case):
    def program(self):
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.assertTrue(program, "mosquitto is not installed")
        return program

    def mosquitto(self, version, *lines):
        # mosquitto's own tls_version is the oldest that it takes, so that 1.2 alone needs the settings of OpenSSL.
        settings = self.folder / "openssl.cnf"
        settings.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                            f"MinProtocol = {version}\nMaxProtocol = {version}\n")
        conf = self.folder / "conf"
        conf.write_text("\n".join([f"user {ME}", "log_type all", *lines, ""]))
        broker = self.start(self.program(), "-c", conf, env={**os.environ, "OPENSSL_CONF": str(settings)})
        broker.wait_for(" running")
        return broker

    def broker(self, version, *lines):
        port = free_port()
        return self.mosquitto(version, f"listener {port} 127.0.0.1", f"tls_version {version.lower()}",
                              "use_identity_as_username true", *lines), port


class OurClient(Mosquitto):
    def psk_broker(self, version, *lines):
        self.need_mosquitto_psk(self.program(), ME, version)
        (self.folder / "psk").write_text(f"you:{WRONG_KEY}\nme:{KEY}\n")
        return self.broker(version, "psk_hint broker", f"psk_file {self.folder}/psk", *lines)

    def test_psk(self):
        for version in VERSIONS:
            for suite in PSK_SUITES[version]:
                with self.subTest(version=version, suite=suite):
                    broker, port = self.psk_broker(version, *([f"ciphers {suite}"] if suite else []))
                    told = self.ussl_client(port, "mqtt", MESSAGE, **psk_client())
                    self.assert_done(told, version)
                    if suite:
                        kind = suite.partition("PSK")[0].replace("-", "_") + "PSK_"
                        self.assertTrue(told["cipher"].startswith("TLS_" + kind), told["cipher"])
                    broker.wait_for("u'me'")

    def test_psk_in_small_records(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                broker, port = self.psk_broker(version)
                told = self.ussl_client(port, "mqtt", MESSAGE, record_size_limit=1024, **psk_client())
                self.assert_done(told, version)

    def test_psk_refused(self):
        for version in VERSIONS:
            for suite in PSK_SUITES[version]:
                for options in (psk_client(key=WRONG_KEY), psk_client("stranger")):
                    with self.subTest(version=version, suite=suite, options=options):
                        broker, port = self.psk_broker(version, *([f"ciphers {suite}"] if suite else []))
                        self.assert_error(self.ussl_client(port, "mqtt", **options), "PSK_REFUSED")
                        broker.wait_for("error:")
                        self.assertNotIn("New client", broker.text())

    def test_the_example(self):
        for version in VERSIONS:
            for identity, key, expected in (("me", KEY, None), ("me", WRONG_KEY, "PSK_REFUSED"),
                                            ("stranger", KEY, "PSK_REFUSED")):
                with self.subTest(version=version, identity=identity, expected=expected):
                    broker, port = self.psk_broker(version)
                    example = self.start(MICROPYTHON, EXAMPLE, "127.0.0.1", port, identity, key)
                    status = example.wait()
                    if expected:
                        self.assertEqual(status, 1)
                        self.assertTrue(example.errors.decode().startswith(f"TLS: {ERR[expected]} {expected}:"))
                        self.assertNotIn("New client", broker.text())
                    else:
                        self.assertEqual(status, 0)
                        self.assertIn(version, example.text())
                        self.assertIn("hello from me", example.text())
                        broker.wait_for("u'me'")

    def test_certificates(self):
        for version in VERSIONS:
            for kind, root, good, cn in (("server", "ca.crt", "client", "client one"),
                                         ("server-rsa", "ca-rsa.crt", "client-rsa", "client two")):
                with self.subTest(version=version, kind=kind):
                    broker, port = self.anonymous_broker(version, kind)
                    self.assert_done(self.ussl_client(port, "mqtt", MESSAGE, **trusting(root)), version)
                    broker.wait_for("New client connected")
                for name in (good, None, "client-other"):
                    with self.subTest(version=version, kind=kind, name=name):
                        broker, port = self.broker(
                            version, f"cafile {cert(root)}", f"certfile {cert(kind + '.crt')}",
                            f"keyfile {cert(kind + '.key')}", "require_certificate true")
                        told = self.ussl_client(port, "read" if name != good and version == "TLSv1.3" else "mqtt", MESSAGE,
                                                **trusting(root, **own_cert(name)))
                        if name == good:
                            self.assert_done(told, version)
                            broker.wait_for(f"u'{cn}'")
                            continue
                        if name is None and version == "TLSv1.2":
                            self.assert_error(told, "HANDSHAKE_FAILED")
                        else:
                            self.assert_refused_certificate(told, version)
                        broker.wait_for("certificate verify failed" if name else "peer did not return a certificate")
                        self.assertNotIn("New client", broker.text())

    def anonymous_broker(self, version, kind):
        port = free_port()
        return self.mosquitto(version, f"listener {port} 127.0.0.1", "allow_anonymous true",
                              f"certfile {cert(kind + '.crt')}", f"keyfile {cert(kind + '.key')}"), port

    def test_certificates_that_we_refuse(self):
        for version in VERSIONS:
            for kind, expected in (("server-other", "CERT_UNKNOWN_ISSUER"), ("server-expired", "CERT_EXPIRED"),
                                   ("server-name", "CERT_HOSTNAME")):
                with self.subTest(version=version, kind=kind):
                    broker, port = self.anonymous_broker(version, kind)
                    self.assert_error(self.ussl_client(port, "mqtt", **trusting()), expected)
                    broker.wait_for("alert")
                    self.assertNotIn("New client", broker.text())


class OurServer(Mosquitto):
    """A bridge is mosquitto's client."""

    def bridge(self, version, port, identity="me", key=KEY):
        self.need_mosquitto_psk(self.program(), ME, version)
        return self.mosquitto(version, f"listener {free_port()} 127.0.0.1", "connection over-there",
                              f"address 127.0.0.1:{port}", "topic # out", f"bridge_psk {key}",
                              f"bridge_identity {identity}", "restart_timeout 30")

    def test_psk(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server("hear", psk_hint="a hint", **psk_server())
                self.bridge(version, port)
                told = self.told(server)
                self.assert_done(told, version)
                self.assertTrue(bytes.fromhex(told["heard"]).startswith(b"\0\4MQTT"), told)

    def test_psk_refused(self):
        for version in VERSIONS:
            for identity, key, expected in (("me", WRONG_KEY, "PSK_KEY"), ("stranger", KEY, "PSK_IDENTITY")):
                with self.subTest(version=version, expected=expected):
                    server, port = self.ussl_server("hear", **psk_server())
                    bridge = self.bridge(version, port, identity, key)
                    self.assert_error(self.told(server), expected)
                    bridge.wait_for("alert")


if __name__ == "__main__":
    main(verbosity=2)
