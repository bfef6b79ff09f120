"""Our client, and a real broker: pre-shared keys and certificates."""

import pwd
import shutil
import unittest

from harness import *

EXAMPLE = ROOT / "examples" / "network" / "mqtt_psk.py"


class Mosquitto(Case):
    def broker(self, version, *lines):
        # mosquitto's own tls_version is the oldest that it takes; this is the newest.
        settings = self.folder / "openssl.cnf"
        settings.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                            f"MinProtocol = {version}\nMaxProtocol = {version}\n")
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.assertTrue(program, "mosquitto is not installed")
        port = free_port()
        conf = self.folder / "conf"
        me = pwd.getpwuid(os.getuid()).pw_name
        conf.write_text("\n".join([f"listener {port} 127.0.0.1", f"user {me}", "log_type all", *lines, ""]))
        broker = self.start(program, "-c", conf, env={**os.environ, "OPENSSL_CONF": str(settings)})
        broker.wait_for(" running")
        return broker, port

    def psk_broker(self, version, *lines):
        (self.folder / "psk").write_text(f"sensor-1:{KEY}\n")
        return self.broker(version, "psk_hint broker", f"psk_file {self.folder}/psk", "use_identity_as_username true", *lines)

    def example(self, port, identity="sensor-1", key=KEY):
        return subprocess.run([MICROPYTHON, EXAMPLE, "127.0.0.1", str(port), identity, key],
                              capture_output=True, text=True, timeout=TIMEOUT)

    def test_psk(self):
        for version, suite in (("TLSv1.3", None), ("TLSv1.2", None), ("TLSv1.2", "PSK-AES128-GCM-SHA256"),
                               ("TLSv1.2", "ECDHE-PSK-CHACHA20-POLY1305"), ("TLSv1.2", "DHE-PSK-AES256-GCM-SHA384"),
                               ("TLSv1.2", "PSK-CHACHA20-POLY1305")):
            with self.subTest(version=version, suite=suite):
                broker, port = self.psk_broker(version, *([f"ciphers {suite}"] if suite else []))
                ran = self.example(port)
                self.assertEqual(ran.returncode, 0, ran.stderr + broker.text())
                self.assertIn(version, ran.stdout)
                self.assertIn("hello from sensor-1", ran.stdout)
                broker.wait_for("u'sensor-1'")
                broker.stop()

    def test_psk_refused(self):
        for version in ("TLSv1.3", "TLSv1.2"):
            for identity, key in (("sensor-1", WRONG_KEY), ("stranger", KEY)):
                with self.subTest(version=version, identity=identity):
                    broker, port = self.psk_broker(version)
                    ran = self.example(port, identity, key)
                    self.assertEqual(ran.returncode, 1)
                    self.assertTrue(ran.stderr.startswith(f"TLS: {ERR['PSK_REFUSED']} PSK_REFUSED:"), ran.stderr)
                    self.assertNotIn("New client", broker.text())
                    broker.stop()

    def test_certificates(self):
        for version in ("TLSv1.3", "TLSv1.2"):
            for name in ("client", None, "client-other"):
                with self.subTest(version=version, name=name):
                    broker, port = self.broker(
                        version, f"cafile {cert('ca.crt')}", f"certfile {cert('server.crt')}",
                        f"keyfile {cert('server.key')}", "require_certificate true", "use_identity_as_username true")
                    told = self.ussl_client(port, talk="hello", **trusting(**(server_cert(name) if name else {})))
                    if name == "client":
                        # A broker has nothing to say to "hello": it closes.
                        self.assert_done(told, version)
                    elif name is None and version == "TLSv1.2":
                        self.assert_error(told, "HANDSHAKE_FAILED")
                    else:
                        self.assert_error(told, "CERT_REFUSED")
                    broker.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
