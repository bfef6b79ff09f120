"""Programs that end, or are interrupted, with data on its way: every byte arrives at real peers, over real sockets."""

import shutil
import signal
import ssl

from harness import *

# Three writes of 10 bytes, and many of 10,000.
UPLOADS = ((30, 10), (3_000_000, 10_000))

UPLOAD = """
import socket, sys, ussl
port, size, piece = (int(n) for n in sys.argv[1:4])
stream, end = sys.argv[4:]
sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
if stream == "small":
    sock.setsockopt(1, 7, 4096)  # SOL_SOCKET, SO_SNDBUF
s = ussl.wrap_socket(sock)
if stream == "nonblocking":
    s.setblocking(False)
data, sent = memoryview(b"x" * piece), 0
while sent < size:
    sent += s.write(data[:size - sent]) or 0
s.close()
if end == "flush":
    assert ussl.flush_closed(20) == 0
if end == "raise":
    raise ValueError("on purpose")
"""

INTERRUPTED = """
import select, socket, sys, ussl
sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
s = ussl.wrap_socket(sock)
poll = select.poll()
poll.register(s, select.POLLIN)
interrupts = 0
s.write(b"ready")
try:
    if sys.argv[2] == "read":
        s.read(10)
    else:
        while not poll.poll(5000):
            pass
except KeyboardInterrupt:
    interrupts += 1
try:
    s.write(b"last words")
    answer = s.read(6)
    s.close()
except KeyboardInterrupt:
    interrupts += 1
print(interrupts, answer)
"""


class Delivery(Case):
    @contextlib.contextmanager
    def server(self, serve, version=None):
        """A CPython server of one connection; its port. serve(connection) has returned at the end."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert("server.crt"), cert("server.key"))
        if version:
            context.maximum_version = context.minimum_version = version
        failures = []

        def accept(listener):
            try:
                connection, _ = listener.accept()
                connection.settimeout(TIMEOUT)
                with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as server:
                    serve(server)
            except Exception as e:
                failures.append(e)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(TIMEOUT)
            thread = threading.Thread(target=accept, args=(listener,))
            thread.start()
            yield listener.getsockname()[1]
            thread.join(2 * TIMEOUT)
        self.assertFalse(thread.is_alive())
        self.assertEqual(failures, [])

    def start_upload(self, port, size, piece=10_000, stream="blocking", end="return"):
        return self.start(MICROPYTHON, "-c", UPLOAD, port, size, piece, stream, end)

    def upload(self, size, piece=10_000, pause=0.0, version=None, stream="blocking", end="return"):
        got = []

        def serve(server):
            while part := server.recv(8192):
                got.append(len(part))
                time.sleep(pause)

        with self.server(serve, version) as port:
            program = self.start_upload(port, size, piece, stream, end)
            status = program.wait()
        self.assertEqual(sum(got), size)
        return program, status

    def test_every_byte_of_an_upload_arrives(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for size, piece in (*UPLOADS, (100_000, 10_000)):
                for stream in ("blocking", "nonblocking", "small"):
                    with self.subTest(version=version, size=size, stream=stream):
                        self.assertEqual(self.upload(size, piece, version=version, stream=stream)[1], 0)

    def test_every_byte_arrives_at_a_slow_reader(self):
        for size, piece in UPLOADS:
            with self.subTest(size=size):
                self.assertEqual(self.upload(size, piece, pause=0.002, end="flush")[1], 0)
        # At the program's end, data that the peer's kernel does not accept within 2 s is discarded.
        self.assertEqual(self.upload(1_000_000, pause=0.002)[1], 0)

    def test_an_uncaught_exception_loses_nothing(self):
        program, status = self.upload(1_000_000, stream="small", end="raise")
        self.assertEqual(status, 1)
        self.assertIn("on purpose", program.text())

    def test_every_byte_arrives_at_openssl(self):
        for size, piece in UPLOADS:
            with self.subTest(size=size):
                port = free_port()
                server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-naccept", "1",
                                    "-cert", cert("server.crt"), "-key", cert("server.key"))
                self.await_port(port, server)
                self.assertEqual(self.start_upload(port, size, piece).wait(), 0)
                server.wait()
                self.assertEqual(server.output.count(b"x"), size)

    def uploads_to(self, *command):
        """Uploads to a program that counts the received bytes, fast and slowly."""
        for size, piece in UPLOADS:
            for pause in (0, 2):  # milliseconds after each 8 KB
                with self.subTest(size=size, pause=pause):
                    port = free_port()
                    server = self.start(*command, port, cert("server.crt"), cert("server.key"), pause)
                    server.wait_for("listening")
                    program = self.start_upload(port, size, piece, end="flush" if pause else "return")
                    self.assertEqual(program.wait(), 0)
                    self.assertEqual(server.wait(), 0)
                    self.assertIn(f"received={size} end=true\n", server.text())

    def built(self, program, peer):
        path = pathlib.Path(os.environ["USSL_PEERS"]) / program
        if not path.exists():
            self.skipTest(f"no {peer}: its reception of an upload")
        return path

    def test_every_byte_arrives_at_gnutls(self):
        self.uploads_to(self.built("sink_gnutls", "GnuTLS (gnutls.pc)"))

    def test_every_byte_arrives_at_go(self):
        self.uploads_to(self.built("sink_go", "Go"))

    def test_every_byte_arrives_at_node(self):
        if not shutil.which("node"):
            self.skipTest("no Node: its reception of an upload")
        self.uploads_to("node", PROGRAMS / "sink.js")

    def test_an_interrupt_is_raised_once(self):
        for where in ("read", "poll"):
            with self.subTest(where=where):
                ready = threading.Event()
                got = []

                def serve(server):
                    self.assertEqual(server.recv(5), b"ready")
                    ready.set()
                    got.append(server.recv(100))
                    server.sendall(b"answer")
                    got.append(server.recv(100))

                with self.server(serve, ssl.TLSVersion.TLSv1_2) as port:  # without tickets, which a poll finds
                    program = self.start(MICROPYTHON, "-c", INTERRUPTED, port, where)
                    self.assertTrue(ready.wait(TIMEOUT))
                    time.sleep(0.3)  # the way into the call
                    program.process.send_signal(signal.SIGINT)
                    status = program.wait()
                self.assertEqual((status, program.output.decode().strip()), (0, "1 b'answer'"), program.story())
                self.assertEqual(got, [b"last words", b""])


if __name__ == "__main__":
    main()
