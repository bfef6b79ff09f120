"""ussl and the openssl program, in both roles."""

from harness import *

FLAG = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
# As OpenSSL calls them, and IANA.
GROUPS = (("X25519", "x25519"), ("P-256", "secp256r1"), ("P-384", "secp384r1"), ("P-521", "secp521r1"))


def certificate(name):
    return ("-cert", cert(name + ".crt"), "-key", cert(name + ".key")) if name else ()


class OurClient(Case):
    def s_server(self, *arguments):
        port = free_port()
        # From OpenSSL 3.2 on, names are printed otherwise by default.
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-nameopt",
                            "oneline,-space_eq", *arguments)
        self.await_port(port, server)
        return server, port

    def psk_s_server(self, version, *arguments):
        return self.s_server(FLAG[version], "-nocert", "-psk", KEY, "-psk_identity", "me", *arguments)

    def test_certificates(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.s_server(FLAG[version], *certificate(name), "-rev")
                    told = self.ussl_client(port, "hello", **trusting(root))
                    self.assert_done(told, version)
                    self.assertEqual(told["heard"], "lssu morf olleh\n")
                    self.assertIn([["commonName", "localhost"]], told["subject"])
                    if version == "TLSv1.2":
                        self.assertIn(IN_SUITE[name], told["cipher"])
                    server.wait_for(f"Protocol version: {version}\n")

    def test_groups(self):
        for version in VERSIONS:
            for group, name in GROUPS:
                with self.subTest(version=version, group=group):
                    # In TLS 1.2 the groups limit the curves of certificates: an RSA key has none.
                    server, port = self.s_server(FLAG[version], "-groups", group, *certificate("server-rsa"), "-rev")
                    told = self.ussl_client(port, "hello", **trusting("ca-rsa.crt"))
                    self.assert_done(told, version)
                    self.assertEqual(told["group"], name)

    def test_a_lot_of_data(self):
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.s_server(FLAG[version], *certificate(name))
                    client = self.start_ussl_client(port, "bulk", BULK, **trusting(root))
                    server.wait_for_output(BULK)
                    server.send(data)
                    told = self.told(client)
                    self.assert_done(told, version)
                    self.assertEqual((told["sent_size"], told["sent"]), (BULK, checksum(server.output)))
                    self.assertEqual((told["received_size"], told["received"]), (BULK, checksum(data)))

    def test_a_certificate_that_is_not_verified(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                _, port = self.s_server(FLAG[version], *certificate("server-other"), "-rev")
                told = self.ussl_client(port, "hello", cert_reqs=CERT_NONE)
                self.assert_done(told, version)
                self.assertGreater(told["certificate"], 0)

    def test_refused_certificates(self):
        for version in VERSIONS:
            for name, expected, alert in (
                ("server-other", "CERT_UNKNOWN_ISSUER", "unknown ca"),
                ("server-expired", "CERT_EXPIRED", "certificate expired"),
                ("server-future", "CERT_NOT_YET_VALID", "certificate expired"),
                ("server-name", "CERT_HOSTNAME", "bad certificate"),
                ("server-selfsigned", "CERT_SELF_SIGNED", "unknown ca"),
                ("server-clientauth", "CERT_PURPOSE", "unsupported certificate"),
            ):
                with self.subTest(version=version, name=name):
                    server, port = self.s_server(FLAG[version], *certificate(name))
                    self.assert_error(self.ussl_client(port, **trusting()), expected)
                    server.wait_for(f"alert {alert}")

    def test_client_certificate(self):
        for version in VERSIONS:
            for kind, root, good in (("server", "ca.crt", "client"), ("server-rsa", "ca-rsa.crt", "client-rsa")):
                for demand in ("-verify", "-Verify"):
                    for name in (good, None, "client-other", "client-expired"):
                        with self.subTest(version=version, kind=kind, demand=demand, name=name):
                            server, port = self.s_server(FLAG[version], *certificate(kind), "-rev", demand, "2",
                                                         "-verify_return_error", "-CAfile", cert("ca-all.crt")
                                                         if name == "client-expired" else cert(root))
                            told = self.ussl_client(port, "read" if name != good and version == "TLSv1.3" and
                                                    (name or demand == "-Verify") else "hello",
                                                    **trusting(root, **own_cert(name)))
                            if name == good or (name is None and demand == "-verify"):
                                self.assert_done(told, version)
                                cn = {"client": "client one", "client-rsa": "client two"}.get(name)
                                server.wait_for(f"CN={cn}\n" if name else "CONNECTION ESTABLISHED")
                                if name is None:
                                    self.assertNotIn("Peer certificate", server.text())
                            elif name is None:
                                server.wait_for("peer did not return a certificate")
                                if version == "TLSv1.2":
                                    # OpenSSL reports only that it failed.
                                    self.assert_error(told, "HANDSHAKE_FAILED")
                                    self.assertIn("handshake_failure", told["text"])
                                else:
                                    self.assert_refused_certificate(told, version)
                                    self.assertIn("certificate_required", told["text"])
                            else:
                                server.wait_for("certificate verify failed")
                                self.assert_refused_certificate(told, version)
                                self.assertIn("certificate_expired" if name == "client-expired" else "unknown_ca",
                                              told["text"])

    def test_signature_algorithms_of_the_server(self):
        for kind, root, name, key in (("server", "ca.crt", "client", "ECDSA"), ("server-rsa", "ca-rsa.crt", "client-rsa", "RSA")):
            for version in VERSIONS:
                algorithms = [f"{key}+SHA256", f"{key}+SHA384", f"{key}+SHA512:{key}+SHA384", f"{key}+SHA512",
                              "ed25519"] if version == "TLSv1.2" else ["ed25519"]
                for algorithm in algorithms:
                    for demand in ("-verify", "-Verify"):
                        with self.subTest(version=version, key=key, algorithm=algorithm, demand=demand):
                            server, port = self.s_server(FLAG[version], *certificate(kind), "-rev", demand, "2",
                                                         "-CAfile", cert(root), "-client_sigalgs", algorithm)
                            none = algorithm == "ed25519" or (algorithm == f"{key}+SHA512" and
                                                              lacks("client_signature_sha512"))
                            told = self.ussl_client(port, "read" if none and demand == "-Verify" and version == "TLSv1.3"
                                                    else "hello", **trusting(root, **own_cert(name)))
                            goes_on = version == "TLSv1.2" or not lacks("client_without_signature_tls1_3")
                            if none and (demand == "-Verify" or not goes_on):
                                self.assert_error(told, "NO_SHARED_CIPHER",
                                                  "talk" if version == "TLSv1.3" and goes_on else "handshake")
                            else:
                                self.assert_done(told, version)
                                server.wait_for("CONNECTION ESTABLISHED")
                                # A server that only requests a certificate continues without one.
                                self.assertEqual("Peer certificate" in server.text(), not none)

    def test_a_refused_client_that_writes_first(self):
        with self.subTest():
            _, port = self.s_server("-tls1_3", *certificate("server"), "-Verify", "2", "-verify_return_error",
                                    "-CAfile", cert("ca.crt"))
            self.assert_refused_certificate(self.ussl_client(port, "bulk", BULK, **trusting()), "TLSv1.3")

    def test_psk(self):
        suites = {"TLSv1.3": (None,),
                  "TLSv1.2": (None, "PSK-AES128-GCM-SHA256", "DHE-PSK-AES256-GCM-SHA384",
                              "ECDHE-PSK-CHACHA20-POLY1305", "PSK-AES128-CCM")}
        for version in VERSIONS:
            for suite in suites[version]:
                with self.subTest(version=version, suite=suite):
                    server, port = self.psk_s_server(version, "-rev", *(("-cipher", suite) if suite else ()))
                    told = self.ussl_client(port, "hello", **psk_client())
                    self.assert_done(told, version)
                    self.assertEqual(told["heard"], "lssu morf olleh\n")
                    self.assertEqual((told["certificate"], told["subject"]), (0, None))
                    server.wait_for(f"Ciphersuite: {suite or ''}")

    def test_small_records(self):
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                for limit in (512, 1024, 4096, 10000):
                    with self.subTest(version=version, name=name, limit=limit):
                        server, port = self.s_server(FLAG[version], *certificate(name), "-msg")
                        client = self.start_ussl_client(port, "bulk", BULK, record_size_limit=limit, **trusting(root))
                        server.wait_until(lambda: b"ClientHello" in server.output, "handshake")
                        server.send(data)
                        told = self.told(client)
                        self.assert_done(told, version)
                        self.assertEqual(told["received"], checksum(data))

    def test_a_lot_of_data_with_psk(self):
        data = some_data()
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.psk_s_server(version)
                client = self.start_ussl_client(port, "bulk", BULK, **psk_client())
                server.wait_for_output(BULK)
                server.send(data)
                told = self.told(client)
                self.assert_done(told, version)
                self.assertEqual((told["sent"], told["received"]), (checksum(server.output), checksum(data)))

    def test_psk_refused(self):
        for version in VERSIONS:
            # For an unknown identity s_server has no more than a warning in TLS 1.2.
            strangers = (psk_client("somebody"),) if version == "TLSv1.3" else ()
            for options in (psk_client(key=WRONG_KEY), *strangers):
                with self.subTest(version=version, options=options):
                    server, port = self.psk_s_server(version)
                    self.assert_error(self.ussl_client(port, **options), "PSK_REFUSED")
                    server.wait_for("error:")
                    self.assertEqual(server.output, b"")

    def test_psk_client_at_a_server_with_certificates(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                _, port = self.s_server(FLAG[version], *certificate("server"))
                self.assert_error(self.ussl_client(port, **psk_client()), "PSK_REFUSED")

    def test_what_is_too_old(self):
        with self.subTest(what="TLS 1.1"):
            server, port = self.s_server("-tls1_1", "-cipher", "ALL:@SECLEVEL=0", *certificate("server"))
            self.assert_error(self.ussl_client(port, **trusting()), "NO_SHARED_VERSION")
            server.wait_for("unsupported protocol")
        with self.subTest(what="CBC"):
            server, port = self.s_server("-tls1_2", "-cipher", "AES128-SHA256:ECDHE-ECDSA-AES128-SHA256",
                                         *certificate("server"))
            told = self.ussl_client(port, **trusting())
            # The server sends handshake_failure, as for many reasons.
            self.assert_error(told, "HANDSHAKE_FAILED")
            self.assertIn("handshake_failure", told["text"])
            server.wait_for("no shared cipher")

    def test_a_cookie_of_a_hello_retry_request(self):
        # RFC 8446 §4.2.2: a server that keeps nothing before the second ClientHello.
        with self.subTest():
            server, port = self.s_server("-tls1_3", "-stateless", *certificate("server"), "-rev")
            told = self.ussl_client(port, "hello", **trusting())
            self.assert_done(told, "TLSv1.3")
            self.assertEqual(told["heard"], "lssu morf olleh\n")

    def test_a_server_that_speaks_something_else(self):
        with self.subTest(what="HTTP"), socket.create_server(("127.0.0.1", 0)) as listener:
            def answer():
                with listener.accept()[0] as sock:
                    sock.recv(5000)
                    sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            thread = threading.Thread(target=answer)
            thread.start()
            told = self.ussl_client(listener.getsockname()[1], **trusting())
            thread.join(TIMEOUT)
            self.assert_error(told, "NOT_TLS")

    def test_a_server_that_hangs_up(self):
        with self.subTest(), socket.create_server(("127.0.0.1", 0)) as listener:
            def hang_up():
                with listener.accept()[0] as sock:
                    sock.recv(5000)  # a close with unread data would be a reset
            thread = threading.Thread(target=hang_up)
            thread.start()
            told = self.ussl_client(listener.getsockname()[1], **trusting())
            thread.join(TIMEOUT)
            self.assert_error(told, "PEER_CLOSED")


class OurServer(Case):
    def s_client(self, port, *arguments, send=b""):
        client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
                            *arguments)
        if send:
            client.send(send)
        return client

    def echoed(self, server, client, data=b"hello\n", version=None):
        """The client has received all data and closes. Returns the report of the server."""
        client.wait_for_output(len(data))
        self.assertEqual(checksum(client.output), checksum(data))
        client.stop()
        told = self.told(server)
        self.assert_done(told, version)
        for way in ("sent", "received"):
            self.assertEqual((told[way + "_size"], told[way]), (len(data), checksum(data)))
        return told

    def test_groups(self):
        for version in VERSIONS:
            for group, name in GROUPS:
                with self.subTest(version=version, group=group):
                    server, port = self.ussl_server(**server_cert("server-rsa"))
                    client = self.s_client(port, FLAG[version], "-groups", group, "-CAfile", cert("ca-rsa.crt"),
                                           "-verify_return_error", "-quiet", send=b"hello\n")
                    self.assertEqual(self.echoed(server, client, version=version)["group"], name)

    def test_a_lot_of_data(self):
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    client = self.s_client(port, FLAG[version], "-CAfile", cert(root), "-verify_return_error",
                                           "-verify_hostname", "localhost", "-quiet", send=data)
                    told = self.echoed(server, client, data, version)
                    self.assertEqual(told["certificate"], 0)
                    if version == "TLSv1.2":
                        self.assertIn(IN_SUITE[name], told["cipher"])

    def test_small_records(self):
        data = some_data()
        for version in VERSIONS:
            for name, root in KINDS:
                for most in ("512", "4096"):
                    with self.subTest(version=version, name=name, most=most):
                        server, port = self.ussl_server(**server_cert(name))
                        client = self.s_client(port, FLAG[version], "-CAfile", cert(root), "-verify_return_error",
                                               "-quiet", "-maxfraglen", most, send=data)
                        self.echoed(server, client, data, version)

    def test_early_data_for_another_server_is_skipped(self):
        # RFC 8446 §4.2.10
        session, early = self.folder / "session", self.folder / "early"
        for size in (1, 5000, 16000):
            with self.subTest(size=size):
                session.unlink(missing_ok=True)
                early.write_text("x" * size)
                other = free_port()
                first = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{other}", "-early_data", "-quiet",
                                   "-tls1_3", *certificate("server"))
                self.await_port(other, first)
                client = self.s_client(other, "-sess_out", session)
                self.await_file(session)
                client.stop()
                first.stop()
                server, port = self.ussl_server(**server_cert("server"))
                client = self.s_client(port, "-quiet", "-sess_in", session, "-early_data", early, send=b"hello\n")
                self.echoed(server, client, version="TLSv1.3")

    def test_a_client_that_does_not_trust_us(self):
        for version in VERSIONS:
            for name, root, alert in (("server", "ca-other.crt", "unknown_ca"), ("server-rsa", "ca.crt", "unknown_ca"),
                                      ("server-expired", "ca.crt", "certificate_expired")):
                with self.subTest(version=version, name=name):
                    server, port = self.ussl_server(**server_cert(name))
                    client = self.s_client(port, FLAG[version], "-CAfile", cert(root), "-verify_return_error")
                    self.assertEqual(client.wait(), 1)
                    self.assertIn("certificate verify failed", client.text())
                    told = self.told(server)
                    self.assert_error(told, "CERT_REFUSED")
                    self.assertIn(alert, told["text"])

    def test_client_certificate(self):
        for version in VERSIONS:
            for mode, name, expected, alert in (
                (CERT_NONE, "client", None, None),
                (CERT_OPTIONAL, "client", None, None),
                (CERT_REQUIRED, "client", None, None),
                (CERT_REQUIRED, "client-rsa", None, None),
                (CERT_OPTIONAL, None, None, None),
                (CERT_REQUIRED, None, "CERT_MISSING",
                 "alert certificate required" if version == "TLSv1.3" else "alert handshake failure"),
                (CERT_OPTIONAL, "client-other", "CERT_UNKNOWN_ISSUER", "alert unknown ca"),
                (CERT_REQUIRED, "client-other", "CERT_UNKNOWN_ISSUER", "alert unknown ca"),
                (CERT_REQUIRED, "client-expired", "CERT_EXPIRED", "alert certificate expired"),
                (CERT_REQUIRED, "client-serverauth", "CERT_PURPOSE", "alert unsupported certificate"),
            ):
                for kind, root in KINDS:
                    with self.subTest(version=version, kind=kind, mode=mode, name=name):
                        trust = self.folder / "trust.crt"
                        trust.write_text("".join(pathlib.Path(cert(c)).read_text() for c in ("ca.crt", "ca-rsa.crt")))
                        server, port = self.ussl_server(
                            **server_cert(kind, cert_reqs=mode, **({"ca_certs": str(trust)} if mode else {})))
                        client = self.s_client(port, FLAG[version], "-quiet", *certificate(name),
                                               send=b"" if expected else b"hello\n")
                        if expected:
                            self.assertEqual(client.wait(), 1)
                            self.assertIn(alert, client.text())
                            self.assertEqual(client.output, b"")
                            self.assert_error(self.told(server), expected)
                            continue
                        told = self.echoed(server, client, version=version)
                        if name and mode:
                            self.assertGreater(told["certificate"], 0)
                            cn = {"client": "client one", "client-rsa": "client two"}[name]
                            self.assertIn([["commonName", cn]], told["subject"])
                        else:
                            self.assertEqual((told["certificate"], told["subject"]), (0, None))

    def test_psk(self):
        suites = {"TLSv1.3": (None,),
                  "TLSv1.2": (None, "PSK-AES128-GCM-SHA256", "DHE-PSK-AES256-GCM-SHA384",
                              "ECDHE-PSK-CHACHA20-POLY1305", "PSK-AES256-CCM")}
        data = some_data()
        for version in VERSIONS:
            for suite in suites[version]:
                for hint in ({}, {"psk_hint": "a hint"}):
                    with self.subTest(version=version, suite=suite, hint=hint):
                        server, port = self.ussl_server(**psk_server(you=WRONG_KEY, me=KEY), **hint)
                        client = self.s_client(port, FLAG[version], "-psk", KEY, "-psk_identity", "me", "-quiet",
                                               *(("-cipher", suite) if suite else ()), send=data)
                        told = self.echoed(server, client, data, version)
                        self.assertEqual(told["certificate"], 0)
                        if suite:
                            kind = suite.partition("PSK")[0].replace("-", "_") + "PSK_"
                            self.assertTrue(told["cipher"].startswith("TLS_" + kind), told["cipher"])

    def test_psk_refused(self):
        for version in VERSIONS:
            alerts = {}
            for key, identity, expected in ((WRONG_KEY, "me", "PSK_KEY"), (KEY, "somebody", "PSK_IDENTITY")):
                with self.subTest(version=version, expected=expected):
                    server, port = self.ussl_server(**psk_server())
                    client = self.s_client(port, FLAG[version], "-psk", key, "-psk_identity", identity)
                    self.assertEqual(client.wait(), 1)
                    self.assert_error(self.told(server), expected)
                    alerts[expected] = re.search(r"SSL alert number \d+", client.text())[0]
            with self.subTest(version=version):
                # From outside, one looks like the other.
                self.assertEqual(alerts["PSK_KEY"], alerts["PSK_IDENTITY"])

    def test_psk_of_a_client_that_offers_a_ticket_first(self):
        # A ticket of another server, which ours does not have. Only the first identity counts, with any others after it.
        for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"):
            port = free_port()
            stranger = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_3", "-rev",
                                  "-ciphersuites", suite, *certificate("server"))
            self.await_port(port, stranger)
            ticket = self.folder / f"ticket-{suite}"
            first = self.s_client(port, "-sess_out", str(ticket), send=b"hello\n")
            # It arrives after the tickets, which s_client writes into one file, each over the previous one.
            first.wait_for("olleh")
            first.stop()
            for key, identity in ((KEY, "me"), (WRONG_KEY, "me"), (KEY, "somebody")):
                with self.subTest(suite=suite, key=key, identity=identity):
                    server, port = self.ussl_server(**psk_server())
                    client = self.s_client(port, "-sess_in", str(ticket), "-psk", key, "-psk_identity", identity,
                                           "-quiet")
                    self.assertEqual(client.wait(), 1)
                    is_malformed = suite.endswith("384") and lacks("binders_of_sha384")
                    self.assert_error(self.told(server), "PROTOCOL" if is_malformed else "PSK_IDENTITY")

    def test_psk_server_and_a_client_without_one(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.ussl_server(**psk_server())
                self.assertEqual(self.s_client(port, FLAG[version]).wait(), 1)
                self.assert_error(self.told(server), "NO_SHARED_CIPHER")

    def test_what_is_too_old(self):
        for arguments, expected, alert in (
            (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "NO_SHARED_VERSION", "alert protocol version"),
            (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"), "NO_SHARED_CIPHER", "alert handshake failure"),
            (("-tls1_2", "-cipher", "AES256-GCM-SHA384"), "NO_SHARED_CIPHER", "alert handshake failure"),
        ):
            with self.subTest(arguments=arguments):
                server, port = self.ussl_server(**server_cert())
                client = self.s_client(port, *arguments)
                self.assertEqual(client.wait(), 1)
                self.assertIn(alert, client.text())
                self.assert_error(self.told(server), expected)


if __name__ == "__main__":
    main(verbosity=2)
