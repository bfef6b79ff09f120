"""Programs that end, or are interrupted, with data on its way: every byte arrives at real peers, over real sockets."""

import signal
import ssl

from harness import *

UPLOAD = """
import socket, sys, ussl
port, size, stream, end = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
if stream == "small":
    sock.setsockopt(1, 7, 4096)  # SOL_SOCKET, SO_SNDBUF
s = ussl.wrap_socket(sock)
if stream == "nonblocking":
    s.setblocking(False)
data, sent = memoryview(b"x" * 10000), 0
while sent < size:
    sent += s.write(data[:size - sent]) or 0
s.close()
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

    def upload(self, size, pause=0.0, version=None, stream="blocking", end="return"):
        got = []

        def serve(server):
            while part := server.recv(8192):
                got.append(len(part))
                time.sleep(pause)

        with self.server(serve, version) as port:
            program = self.start(MICROPYTHON, "-c", UPLOAD, port, size, stream, end)
            status = program.wait()
        self.assertEqual(sum(got), size)
        return program, status

    def test_every_byte_of_an_upload_arrives(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for size in (30, 100_000, 3_000_000):
                for stream in ("blocking", "nonblocking", "small"):
                    with self.subTest(version=version, size=size, stream=stream):
                        self.assertEqual(self.upload(size, version=version, stream=stream)[1], 0)

    def test_every_byte_arrives_at_a_slow_reader(self):
        # At the program's end, what the peer's kernel does not accept within 2 s is discarded.
        self.assertEqual(self.upload(1_000_000, pause=0.002)[1], 0)

    def test_an_uncaught_exception_loses_nothing(self):
        program, status = self.upload(1_000_000, stream="small", end="raise")
        self.assertEqual(status, 1)
        self.assertIn("on purpose", program.text())

    def test_every_byte_arrives_at_openssl(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-naccept", "1",
                            "-cert", cert("server.crt"), "-key", cert("server.key"))
        self.await_port(port, server)
        self.assertEqual(self.start(MICROPYTHON, "-c", UPLOAD, port, 300_000, "blocking", "return").wait(), 0)
        server.wait()
        self.assertEqual(server.output.count(b"x"), 300_000)

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
