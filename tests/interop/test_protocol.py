"""Rare behavior that TLS allows, with the openssl program and CPython's ssl. Suites and groups one by one, small records,
new keys, all ways to close, clients that misbehave, and the content of certificates."""

import contextlib
import hashlib
import ssl
import unittest

from harness import *

PROGRAM = ROOT / "tests" / "interop" / "programs" / "protocol.py"
FLAG = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
SIZES = (1, 17, 4096, 16383, 16384, 16385, 65536, 200000)  # around a record's 16384, and far beyond


def shown(name):
    return ("-cert", cert(name + ".crt"), "-key", cert(name + ".key"))


def der(name):
    return ssl.PEM_cert_to_DER_cert(pathlib.Path(cert(name + ".crt")).read_text())


class Protocol(Case):
    def program(self, **job):
        return self.start(MICROPYTHON, PROGRAM, env={**os.environ, "USSL_JOB": json.dumps(job)})

    def our_client(self, port, sizes=(100, 20000), reverse=False, end="close", **options):
        return self.program(role="client", port=port, options=options, sizes=sizes, reverse=reverse, end=end)

    def our_server(self, times=1, greeting="", **options):
        port = free_port()
        server = self.program(role="server", port=port, options=options, times=times, greeting=greeting)
        server.wait_for("listening")
        return server, port

    def s_server(self, *arguments):
        """One that sends each line back reversed."""
        port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-rev", *arguments)
        self.await_port(port, server)
        return port

    def s_client(self, port, *arguments):
        return self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments)

    def told_all(self, process):
        self.assertEqual(process.wait(), 0, process.text())
        return [json.loads(line) for line in process.text().splitlines() if line.startswith("{")]

    def told(self, process):
        (told,) = self.told_all(process)
        return told

    def echo(self, client, sizes=SIZES):
        """Sends lines through a program and awaits them back."""
        for number, size in enumerate(sizes):
            data = (b"%d: " % number + hashlib.sha256(b"%d" % number).hexdigest().encode() * (size // 64 + 1))[:size] + b"\n"
            client.send(data)
            client.wait_for(data.decode())


class OurClient(Protocol):
    def test_suites(self):
        for version, theirs, ours, kind, bits in (
            ("TLSv1.3", "TLS_AES_128_GCM_SHA256", None, "server", 128),
            ("TLSv1.3", "TLS_AES_256_GCM_SHA384", None, "server", 256),
            ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", None, "server", 256),
            ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "server", 128),
            ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "server", 256),
            ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "server", 256),
            ("TLSv1.2", "ECDHE-ECDSA-AES128-CCM", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "server", 128),
            ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "server-rsa", 128),
            ("TLSv1.2", "ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "server-rsa", 256),
        ):
            with self.subTest(suite=theirs):
                choice = ("-ciphersuites" if version == "TLSv1.3" else "-cipher", theirs)
                port = self.s_server(FLAG[version], *choice, *shown(kind))
                told = self.told(self.our_client(port, reverse=True, **trusting("ca-all.crt")))
                self.assert_done(told, version)
                self.assertEqual(told["cipher"], [ours or theirs, version, bits])

    def test_groups(self):
        # In TLS 1.3 a group that the client sent no share for takes one more round (HelloRetryRequest).
        for version in VERSIONS:
            for group in ("X25519", "P-256", "P-384", "P-521"):
                with self.subTest(version=version, group=group):
                    port = self.s_server(FLAG[version], "-groups", group, *shown("server"))
                    self.assert_done(self.told(self.our_client(port, reverse=True, **trusting())), version)

    def test_small_records(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                port = self.s_server(FLAG[version], "-max_send_frag", "512", *shown("server"))
                client = self.our_client(port, sizes=SIZES, reverse=True, **trusting())
                self.assert_done(self.told(client), version)

    def test_ed25519(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                port = self.s_server(FLAG[version], *shown("server-ed25519"))
                told = self.told(self.our_client(port, reverse=True, **trusting()))
                if lacks("eddsa"):
                    self.assert_error(told, "HANDSHAKE_FAILED")
                else:
                    self.assert_done(told, version)


class OurServer(Protocol):
    def test_sends_what_certfile_holds_and_no_more(self):
        # The trust anchors for the other side are not sent.
        for version in VERSIONS:
            for chain, key, count in (("server", "server", 1), ("server-chain", "server-intermediate", 2)):
                for more in ({}, {"cert_reqs": 1, "ca_certs": cert("ca-all.crt")}):
                    with self.subTest(version=version, chain=chain, **more):
                        server, port = self.our_server(certfile=cert(chain + ".crt"), keyfile=cert(key + ".key"), **more)
                        client = self.s_client(port, FLAG[version], "-showcerts")
                        client.end_input()
                        self.assertEqual(client.wait(), 0)
                        self.assertEqual(client.text().count("-----BEGIN CERTIFICATE-----"), count)
                        self.assert_done(self.told(server), version)

    def test_groups(self):
        for version in VERSIONS:
            for group in ("X25519", "P-256", "P-384", "P-521"):
                with self.subTest(version=version, group=group):
                    # With RSA: in TLS 1.2, -groups would limit the curve of the certificate, too.
                    server, port = self.our_server(**server_cert("server-rsa"))
                    client = self.s_client(port, FLAG[version], "-groups", group, "-quiet")
                    self.echo(client, (5000,))
                    client.stop()
                    self.assert_done(self.told(server), version)

    def test_small_records(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.our_server(**server_cert())
                client = self.s_client(port, FLAG[version], "-max_send_frag", "512", "-quiet")
                self.echo(client)
                client.stop()
                self.assert_done(self.told(server), version)

    def test_suites_that_are_not_for_everyone(self):
        # CBC, CCM_8, RSA key exchange: not unless asked for by name.
        psk = ("-psk", KEY, "-psk_identity", "me")
        for suite, ours, theirs in (
            ("AES128-GCM-SHA256", server_cert("server-rsa"), ()),
            ("ECDHE-RSA-AES128-SHA256", server_cert("server-rsa"), ()),
            ("ECDHE-ECDSA-AES128-CCM8", server_cert(), ()),
            ("PSK-AES128-CCM8", psk_server(), psk),
            ("PSK-AES128-CBC-SHA", psk_server(), psk),
            ("ECDHE-PSK-AES128-CBC-SHA256", psk_server(), psk),
        ):
            with self.subTest(suite=suite):
                server, port = self.our_server(**ours)
                client = self.s_client(port, "-tls1_2", "-cipher", suite + ":@SECLEVEL=0", *theirs)
                self.assertNotEqual(client.wait(), 0)
                self.assertIn("alert handshake failure", client.text())
                told = self.told(server)
                self.assert_error(told, "NO_SHARED_CIPHER")
                self.assertIn("(alert sent: handshake_failure)", told["text"])

    def test_psk_hint(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                server, port = self.our_server(psk_hint="our house", **psk_server())
                client = self.s_client(port, FLAG[version], "-psk", KEY, "-psk_identity", "me")
                client.end_input()
                self.assertEqual(client.wait(), 0, client.text())
                # There is no such thing in TLS 1.3.
                said = version == "TLSv1.2" and not lacks("psk_hint")
                self.assertEqual("PSK identity hint: our house" in client.text(), said, client.text())
                self.assert_done(self.told(server), version)

    def test_new_keys(self):
        # Each is answered, as RFC 8446 §4.6.3 requires; a peer that requests hundreds still gets its data.
        for times in (1, 300):
            with self.subTest(times=times):
                self.ask_for_new_keys(times)

    def ask_for_new_keys(self, times):
        server, port = self.our_server(greeting="hello\n", **server_cert())
        client = self.s_client(port, "-tls1_3", "-msg")
        client.wait_for("hello")
        told = "Handshake [length 0005], KeyUpdate"
        for number in range(times):
            client.send(b"K\n")  # new keys for both directions
            # s_client takes a command only as the first thing that it reads at once.
            client.wait_until(lambda: client.text().count(">>> TLS 1.3, " + told) > number, f"KeyUpdate {number}")
            if lacks("key_update"):
                self.assert_error(self.told(server), "PROTOCOL", "talk")
                return
        client.send(b"with new keys\n")
        client.wait_for("\nwith new keys\n")
        self.assertEqual(client.text().count("<<< TLS 1.3, " + told), times)
        client.send(b"Q\n")
        client.wait()
        self.assert_done(self.told(server), "TLSv1.3")

    def test_renegotiation_is_refused(self):
        server, port = self.our_server(greeting="hello\n", **server_cert())
        client = self.s_client(port, "-tls1_2")
        client.wait_for("hello")
        client.send(b"R\n")
        client.wait_for("no renegotiation")
        client.stop()
        self.assertEqual(self.told(server)["version"], "TLSv1.2")

    def test_an_alert_that_cannot_leave_does_not_swallow_what_is_written_next(self):
        port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_2", *shown("server"))
        self.await_port(port, server)
        client = self.start(MICROPYTHON, PROGRAM.with_name("stuck.py"), port)
        client.wait_for("ready")
        server.send(b"r\n")
        self.assertEqual(client.wait(), 0, client.text())
        self.assertEqual(client.text().splitlines()[-1], "[None, None, None] [4, 4] 2")

    def test_one_bad_client_after_the_other(self):
        server, port = self.our_server(times=6, **server_cert())

        def good():
            client = self.s_client(port, "-quiet")
            self.echo(client, (100,))
            client.stop()

        def bad(data):
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
                if data:
                    sock.sendall(data)
                    with contextlib.suppress(ConnectionResetError):
                        while sock.recv(1000):
                            pass

        good()
        bad(b"GET / HTTP/1.0\r\n\r\n")
        bad(bytes(range(256)))
        bad(None)
        self.s_client(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").wait()
        good()
        self.assertEqual([told.get("errno") for told in self.told_all(server)],
                         [None, ERR["NOT_TLS"], ERR["NOT_TLS"], ERR["PEER_CLOSED"], ERR["NO_SHARED_VERSION"], None])


class CPython(Protocol):
    """Our client, and a server of which each step is known."""

    def serve(self, handle, name="server", version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert(name + ".crt"), cert(name + ".key"))
        if version:
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
        self.names = []
        context.sni_callback = lambda stream, name, context: self.names.append(name)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(TIMEOUT)
        self.addCleanup(listener.close)
        self.failure = None

        def run():
            try:
                sock = listener.accept()[0]
                sock.settimeout(TIMEOUT)
                with sock, context.wrap_socket(sock, server_side=True) as stream:
                    handle(stream)
            except Exception as e:  # kept: a thread has no one to tell
                self.failure = e

        self.thread = threading.Thread(target=run)
        self.thread.start()
        self.addCleanup(self.thread.join, TIMEOUT)
        return listener.getsockname()[1]

    def ended(self):
        self.thread.join(TIMEOUT)
        self.assertFalse(self.thread.is_alive())
        if self.failure:
            raise self.failure

    def echo_once(self, stream):
        stream.sendall(stream.recv(1000))

    def test_both_say_goodbye(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                def handle(stream):
                    self.echo_once(stream)
                    self.assertEqual(stream.recv(1), b"")
                    stream.unwrap()
                port = self.serve(handle, version=version)
                told = self.told(self.our_client(port, sizes=(100,), end="unwrap", **trusting()))
                self.assert_done(told, version)
                self.assertIs(told["unwrapped"], True)
                self.ended()

    def test_the_peer_ends_it(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                def handle(stream):
                    self.echo_once(stream)
                    stream.sendall(b"and good night")
                    stream.unwrap()  # waits for ussl's close_notify, which close() sends
                port = self.serve(handle, version=version)
                told = self.told(self.our_client(port, sizes=(100,), end="read", suppress_ragged_eofs=False, **trusting()))
                self.assert_done(told, version)
                self.assertEqual(told["rest"], "and good night")
                self.ended()

    def test_the_peer_is_cut_off(self):
        for version in VERSIONS:
            for strict in (False, True):
                with self.subTest(version=version, strict=strict):
                    def handle(stream):
                        self.echo_once(stream)
                        stream.sendall(b"and good n")
                        stream.shutdown(socket.SHUT_WR)  # of TCP, without close_notify
                        with contextlib.suppress(OSError):
                            stream.recv(1)
                    port = self.serve(handle, version=version)
                    told = self.told(self.our_client(port, sizes=(100,), end="read", suppress_ragged_eofs=not strict, **trusting()))
                    self.ended()
                    if strict:
                        self.assertEqual(told["errno"], ERR["TRUNCATED"], told)
                        self.assertEqual(told["stage"], "end")
                    else:
                        self.assert_done(told, version)
                        self.assertEqual(told["rest"], "and good n")

    def test_the_peer_says_goodbye_during_the_handshake(self):
        # close_notify is a warning and no error; the end of a handshake is one all the same.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def run():
                with listener.accept()[0] as sock:
                    sock.recv(5000)
                    sock.sendall(bytes.fromhex("15 0303 0002 01 00"))
                    sock.recv(1)
            thread = threading.Thread(target=run)
            thread.start()
            told = self.told(self.our_client(listener.getsockname()[1], **trusting()))
            thread.join(TIMEOUT)
        self.assert_error(told, "PEER_CLOSED")

    def test_server_name(self):
        for name, expected in (("localhost", "localhost"), ("127.0.0.1", None), ("::1", None)):
            with self.subTest(name=name):
                port = self.serve(self.echo_once)
                told = self.told(self.our_client(port, sizes=(100,), **{**trusting(), "server_hostname": name}))
                self.assert_done(told)
                self.assertEqual(self.names, [expected])

    def test_certificates_say_the_same(self):
        # CPython's dictionary of a certificate, and ours.
        kinds = () if lacks("eddsa") else ("server-ed25519",)
        for name in ("server", "server-rsa", "server-wildcard", "server-cn", "server-ip", "server-name", *kinds):
            with self.subTest(name=name):
                host = {"server-wildcard": "a.example.test", "server-ip": "127.0.0.1", "server-name": "other.example"}
                options = {**trusting("ca-all.crt"), "server_hostname": host.get(name, "localhost")}
                told = self.told(self.our_client(self.serve(self.echo_once, name), sizes=(100,), **options))
                self.assert_done(told)
                context = ssl.create_default_context(cafile=cert("ca-all.crt"))
                context.hostname_checks_common_name = True
                server, port = self.our_server(**server_cert(name))
                with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
                    with context.wrap_socket(sock, server_hostname=options["server_hostname"]) as stream:
                        theirs = stream.getpeercert()
                self.assertEqual(told["certificate"], json.loads(json.dumps(theirs)))
                self.assertEqual(told["fingerprint"], hashlib.sha256(der(name)).hexdigest())

    def test_serial_numbers_are_the_same(self):
        paths = sorted(map(str, CERTS.glob("serial-*.crt")))
        program = "import json, sys, ussl; print(json.dumps([ussl.cert_info(p)['serialNumber'] for p in sys.argv[1:]]))"
        ours = self.start(MICROPYTHON, "-c", program, *paths)
        self.assertEqual(ours.wait(), 0, ours.text())
        # The function behind getpeercert(), which CPython's own tests use.
        theirs = [ssl._ssl._test_decode_cert(path)["serialNumber"] for path in paths]
        self.assertGreater(len(theirs), 10)
        self.assertEqual(json.loads(ours.output), theirs)


class HostileClient(Protocol):
    """The examples' servers outlive their clients."""

    def connect(self, port):
        context = ssl.create_default_context(cafile=cert("ca.crt"))
        sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.addCleanup(sock.close)
        stream = context.wrap_socket(sock, server_hostname="localhost")
        self.addCleanup(stream.close)
        return stream

    def test_https_server(self):
        port = free_port()
        server = self.start(MICROPYTHON, ROOT / "examples" / "network" / "https_server.py", "127.0.0.1", port,
                            cert("server.crt"), cert("server.key"))
        server.wait_for("listening")
        for data, words in ((b"x" * 5_000_000, "a line of the request is too long"),
                            (b"GET / HTTP/1.1\r\n" + b"Name: value\r\n" * 200_000, "too many headers")):
            with contextlib.suppress(OSError):  # the server does not listen to the end
                self.connect(port).sendall(data)
            server.wait_for(words)
            stream = self.connect(port)
            stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
            answer = b""
            while more := stream.recv(10000):
                answer += more
            self.assertIn(b"It works", answer)


if __name__ == "__main__":
    main(verbosity=2)
