"""ussl and CPython's ssl, in both roles. (It has no pre-shared keys before 3.13.)"""

import contextlib
import ssl
import tty
import warnings

from harness import *

NEWEST = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def context(protocol, version):
    made = ssl.SSLContext(protocol)
    made.minimum_version = made.maximum_version = NEWEST[version]
    return made


def tls1_1(protocol):
    made = ssl.SSLContext(protocol)
    made.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1
    return made


class OurClient(Case):
    def serve(self, made, name="server", verify=None, root="ca.crt"):
        """An echo server in a thread. Returns its port, and a function that returns its report."""
        made.load_cert_chain(cert(name + ".crt"), cert(name + ".key"))
        if verify is not None:
            made.verify_mode = verify
            made.load_verify_locations(cert(root))
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(TIMEOUT)
        told = {}

        def run():
            received = hashlib.sha256()
            try:
                with listener, listener.accept()[0] as sock:
                    sock.settimeout(TIMEOUT)
                    with made.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as stream:
                        told["version"], told["peer"] = stream.version(), stream.getpeercert()
                        while data := stream.recv(10000):
                            received.update(data)
                            stream.sendall(data)
                        told["received"] = received.hexdigest()
            except OSError as e:
                told["error"] = str(e)

        thread = threading.Thread(target=run)
        thread.start()

        def ended():
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())
            return told

        self.addCleanup(thread.join)  # bounded by the time-outs above
        return listener.getsockname()[1], ended

    def test_a_lot_of_data(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    port, ended = self.serve(context(ssl.PROTOCOL_TLS_SERVER, version), name)
                    ours = self.ussl_client(port, "echo", BULK, **trusting(root))
                    self.assert_done(ours, version)
                    # Not ragged: close() has sent close_notify.
                    self.assertEqual(ended(), {"version": version, "peer": None, "received": ours["sent"]})
                    self.assertEqual((ours["received_size"], ours["received"]), (BULK, ours["sent"]))

    def terminal(self, port):
        """The path of a terminal that leads to this port."""
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)

        def copy(read, write):
            with contextlib.suppress(OSError):  # our end has closed the terminal
                while data := read(4096):
                    write(data)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

        def write_all(data):
            while data:
                data = data[os.write(master, data) :]

        threads = [threading.Thread(target=copy, args=(lambda n: os.read(master, n), sock.sendall)),
                   threading.Thread(target=copy, args=(sock.recv, write_all))]  # fmt: skip
        for thread in threads:
            thread.start()

        def end():
            os.close(slave)  # the last one: the master reads no more
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(TIMEOUT)
            sock.close()
            os.close(master)

        self.addCleanup(end)
        return path

    def test_a_reader_and_a_writer_over_a_terminal(self):
        # It takes 4 KB: writes wait in the middle of records while the peer waits for its answers to be read.
        for version in VERSIONS:
            with self.subTest(version=version):
                port, _ = self.serve(context(ssl.PROTOCOL_TLS_SERVER, version))
                ours = self.told(self.run_program("terminal.py", path=self.terminal(port), size=200000,
                                                  options=trusting()))
                self.assertEqual(ours, {"version": version, "ended": [None], "same": True})

    def test_refused_certificates(self):
        for version in VERSIONS:
            for name, expected, alert in (
                ("server-expired", "CERT_EXPIRED", "CERTIFICATE_EXPIRED"),
                ("server-other", "CERT_UNKNOWN_ISSUER", "UNKNOWN_CA"),
                ("server-name", "CERT_HOSTNAME", "BAD_CERTIFICATE"),
                ("server-clientauth", "CERT_PURPOSE", "UNSUPPORTED_CERTIFICATE"),
            ):
                with self.subTest(version=version, name=name):
                    port, ended = self.serve(context(ssl.PROTOCOL_TLS_SERVER, version), name)
                    self.assert_error(self.ussl_client(port, **trusting()), expected)
                    self.assertIn(alert, ended()["error"])

    def test_client_certificate(self):
        for version in VERSIONS:
            for kind, root, good, cn in (("server", "ca.crt", "client", "client one"),
                                         ("server-rsa", "ca-rsa.crt", "client-rsa", "client two")):
                for verify in (ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED):
                    for name in (good, None, "client-other"):
                        with self.subTest(version=version, kind=kind, verify=verify, name=name):
                            port, ended = self.serve(context(ssl.PROTOCOL_TLS_SERVER, version), kind, verify, root)
                            refused = name == "client-other" or (name is None and verify == ssl.CERT_REQUIRED)
                            ours = self.ussl_client(port, "read" if refused else "echo",
                                                    **trusting(root, **own_cert(name)))
                            if not refused:
                                self.assert_done(ours, version)
                                peer = ended()["peer"]
                                if name:
                                    self.assertIn((("commonName", cn),), peer["subject"])
                                else:
                                    self.assertIsNone(peer)
                            elif name is None and version == "TLSv1.2":
                                self.assert_error(ours, "HANDSHAKE_FAILED")
                                self.assertIn("PEER_DID_NOT_RETURN_A_CERTIFICATE", ended()["error"])
                            else:
                                self.assert_refused_certificate(ours, version)
                                self.assertIn("CERTIFICATE_VERIFY_FAILED" if name else
                                              "PEER_DID_NOT_RETURN_A_CERTIFICATE", ended()["error"])

    def test_what_is_too_old(self):
        with self.subTest(what="TLS 1.1"):
            port, ended = self.serve(tls1_1(ssl.PROTOCOL_TLS_SERVER))
            self.assert_error(self.ussl_client(port, **trusting()), "NO_SHARED_VERSION")
            self.assertIn("UNSUPPORTED_PROTOCOL", ended()["error"])
        with self.subTest(what="CBC"):
            made = context(ssl.PROTOCOL_TLS_SERVER, "TLSv1.2")
            made.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
            port, ended = self.serve(made)
            self.assert_error(self.ussl_client(port, **trusting()), "HANDSHAKE_FAILED")
            self.assertIn("NO_SHARED_CIPHER", ended()["error"])


class OurServer(Case):
    @contextlib.contextmanager
    def connected(self, made, port, root="ca.crt", own=None):
        made.load_verify_locations(cert(root))
        if own:
            made.load_cert_chain(cert(own + ".crt"), cert(own + ".key"))
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
            with made.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as stream:
                yield stream

    def refused(self, made, port, reason, own=None):
        """In TLS 1.3 a client learns of it with its first read."""
        with self.assertRaises(ssl.SSLError) as caught, self.connected(made, port, own=own) as stream:
            stream.recv(1)
        self.assertEqual(caught.exception.reason, reason)

    def test_a_lot_of_data(self):
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    back = bytearray()
                    with self.connected(context(ssl.PROTOCOL_TLS_CLIENT, version), port, root) as stream:
                        for at in range(0, len(data), 50_000):
                            stream.sendall(data[at : at + 50_000])
                            # Complete lines are returned; the rest of a line waits for its end.
                            while len(back) < data.rfind(b"\n", 0, at + 50_000) + 1:
                                piece = stream.recv(50_000)
                                self.assertTrue(piece, "the stream ended")
                                back += piece
                        stream.unwrap()  # raises if the server does not send close_notify
                    told = self.told(server)
                    self.assert_done(told, version)
                    self.assertEqual((told["sent"], told["received"]), (checksum(data), checksum(back)))
                    self.assertEqual(checksum(back), checksum(data))

    def test_client_certificate(self):
        missing = {"TLSv1.2": "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSv1.3": "TLSV13_ALERT_CERTIFICATE_REQUIRED"}
        for version in VERSIONS:
            for kind, root in KINDS:
                for mode, own, expected, reason in (
                    (CERT_NONE, "client", None, None),
                    (CERT_OPTIONAL, "client", None, None),
                    (CERT_REQUIRED, "client", None, None),
                    (CERT_OPTIONAL, None, None, None),
                    (CERT_REQUIRED, None, "CERT_MISSING", missing[version]),
                    (CERT_OPTIONAL, "client-other", "CERT_UNKNOWN_ISSUER", "TLSV1_ALERT_UNKNOWN_CA"),
                    (CERT_REQUIRED, "client-other", "CERT_UNKNOWN_ISSUER", "TLSV1_ALERT_UNKNOWN_CA"),
                    (CERT_REQUIRED, "client-expired", "CERT_EXPIRED", "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
                ):
                    with self.subTest(version=version, kind=kind, mode=mode, own=own):
                        server, port = self.ussl_server(
                            **server_cert(kind, cert_reqs=mode, **({"ca_certs": cert("ca.crt")} if mode else {})))
                        made = context(ssl.PROTOCOL_TLS_CLIENT, version)
                        made.load_verify_locations(cert("ca-rsa.crt"))
                        if expected:
                            self.refused(made, port, reason, own)
                            self.assert_error(self.told(server), expected)
                            continue
                        with self.connected(made, port, own=own) as stream:
                            stream.sendall(b"hello\n")
                            self.assertEqual(stream.recv(100), b"hello\n")
                            stream.unwrap()
                        told = self.told(server)
                        self.assert_done(told, version)
                        if own and mode:
                            self.assertIn([["commonName", "client one"]], told["subject"])
                        else:
                            self.assertEqual((told["certificate"], told["subject"]), (0, None))

    def test_a_client_that_does_not_trust_us(self):
        for version in VERSIONS:
            for name in ("server-name", "server-other", "server-expired"):
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    self.refused(context(ssl.PROTOCOL_TLS_CLIENT, version), port, "CERTIFICATE_VERIFY_FAILED")
                    self.assert_error(self.told(server), "CERT_REFUSED")

    def test_psk_server_and_a_client_without_one(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**psk_server())
                other = version == "TLSv1.3" and lacks("no_psk_alert")
                alert = "TLSV13_ALERT_MISSING_EXTENSION" if other else "SSLV3_ALERT_HANDSHAKE_FAILURE"
                self.refused(context(ssl.PROTOCOL_TLS_CLIENT, version), port, alert)
                self.assert_error(self.told(server), "NO_SHARED_CIPHER")

    def test_what_is_too_old(self):
        with self.subTest(what="TLS 1.1"):
            server, port = self.ussl_server(**server_cert())
            self.refused(tls1_1(ssl.PROTOCOL_TLS_CLIENT), port, "TLSV1_ALERT_PROTOCOL_VERSION")
            self.assert_error(self.told(server), "NO_SHARED_VERSION")
        with self.subTest(what="CBC"):
            made = context(ssl.PROTOCOL_TLS_CLIENT, "TLSv1.2")
            made.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
            server, port = self.ussl_server(**server_cert())
            self.refused(made, port, "SSLV3_ALERT_HANDSHAKE_FAILURE")
            self.assert_error(self.told(server), "NO_SHARED_CIPHER")


if __name__ == "__main__":
    main(verbosity=2)
