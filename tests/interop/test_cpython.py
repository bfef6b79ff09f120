"""ussl and CPython's ssl, in both roles."""

import hashlib
import ssl
import unittest

from harness import *

VERSION = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def context(role, version):
    made = ssl.SSLContext(role)
    made.minimum_version = made.maximum_version = VERSION[version]
    return made


class OurClient(Case):
    def serve(self, version, name="server", verify=None):
        """An echo server in a thread; its port and what it has to tell."""
        made = context(ssl.PROTOCOL_TLS_SERVER, version)
        made.load_cert_chain(cert(name + ".crt"), cert(name + ".key"))
        if verify is not None:
            made.verify_mode = verify
            made.load_verify_locations(cert("ca.crt"))
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(TIMEOUT)
        self.addCleanup(listener.close)
        told = {}

        def run():
            try:
                with listener.accept()[0] as sock:
                    sock.settimeout(TIMEOUT)
                    with made.wrap_socket(sock, server_side=True) as stream:
                        told["cipher"], told["peer"] = stream.cipher(), stream.getpeercert()
                        while data := stream.recv(10000):
                            stream.sendall(data)
            except OSError as e:
                told["error"] = str(e)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join, TIMEOUT)
        return listener.getsockname()[1], told, thread

    def test_a_lot_of_data(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    port, told, _ = self.serve(version, name)
                    ours = self.ussl_client(port, lines=5, size=100_000, **trusting(root))
                    self.assert_done(ours, version)

    def test_refused_certificates(self):
        for version in VERSIONS:
            for name, expected, alert in (("server-expired", "CERT_EXPIRED", "CERTIFICATE_EXPIRED"),
                                          ("server-other", "CERT_UNKNOWN_ISSUER", "UNKNOWN_CA"),
                                          ("server-clientauth", "CERT_PURPOSE", "UNSUPPORTED_CERTIFICATE")):
                with self.subTest(version=version, name=name):
                    port, told, thread = self.serve(version, name)
                    self.assert_error(self.ussl_client(port, **trusting()), expected)
                    thread.join(TIMEOUT)
                    self.assertIn(alert, told["error"])

    def test_client_certificate(self):
        for version in VERSIONS:
            for name, expected in (("client", None), (None, "CERT_REFUSED"), ("client-other", "CERT_REFUSED")):
                with self.subTest(version=version, name=name):
                    port, told, thread = self.serve(version, verify=ssl.CERT_REQUIRED)
                    ours = self.ussl_client(port, **trusting(**(server_cert(name) if name else {})))
                    if expected is None:
                        self.assert_done(ours, version)
                        thread.join(TIMEOUT)
                        self.assertIn((("commonName", "client one"),), told["peer"]["subject"])
                    else:
                        without = name is None and version == "TLSv1.2"
                        self.assert_error(ours, "HANDSHAKE_FAILED" if without else expected)


class OurServer(Case):
    def connect(self, version, port, root="ca.crt", own=None):
        made = context(ssl.PROTOCOL_TLS_CLIENT, version)
        made.load_verify_locations(cert(root))
        if own:
            made.load_cert_chain(cert(own + ".crt"), cert(own + ".key"))
        sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.addCleanup(sock.close)
        stream = made.wrap_socket(sock, server_hostname="localhost")
        self.addCleanup(stream.close)
        return stream

    def test_a_lot_of_data(self):
        lines = [hashlib.sha256(b"%d" % number).hexdigest().encode() * 10 + b"\n" for number in range(500)]
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    stream = self.connect(version, port, root)
                    for at in range(0, len(lines), 50):
                        sent = b"".join(lines[at : at + 50])
                        stream.sendall(sent)
                        got = b""
                        while len(got) < len(sent):
                            more = stream.recv(50000)
                            self.assertTrue(more, "the stream ended")
                            got += more
                        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(sent).digest())
                    stream.unwrap()
                    self.assert_done(self.told(server), version)

    def test_client_certificate(self):
        for version in VERSIONS:
            for own, expected in (("client", None), (None, "CERT_MISSING"), ("client-other", "CERT_UNKNOWN_ISSUER")):
                with self.subTest(version=version, own=own):
                    server, port = self.ussl_server(**server_cert(cert_reqs=2, ca_certs=cert("ca.crt")))
                    if expected is None:
                        stream = self.connect(version, port, own=own)
                        stream.sendall(b"hello\n")
                        self.assertEqual(stream.recv(100), b"hello\n")
                        stream.unwrap()
                        self.assert_done(self.told(server), version)
                    else:
                        # In TLS 1.3 the refusal comes with the first read.
                        with self.assertRaises(ssl.SSLError):
                            self.connect(version, port, own=own).recv(1)
                        self.assert_error(self.told(server), expected)

    def test_a_name_that_is_not_ours(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**server_cert("server-name"))
                with self.assertRaises(ssl.SSLCertVerificationError):
                    self.connect(version, port)
                self.assert_error(self.told(server), "CERT_REFUSED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
