# Several threads, each with its own connections, over the same contexts.
# heap: 32m

import _thread
import errno
import io
import select
import time

import ussl
from ussltest import *

THREADS = 4
ROUNDS = 6 if not SLOW else 3


def contexts():
    client, server = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT), ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    client.load_verify_locations(cert_bytes("ca.crt"))
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    return client, server


def in_threads(*jobs):
    """Runs all at once; raises the exception of any of them."""
    ended = [None] * len(jobs)

    def run_one(i):
        try:
            jobs[i]()
            ended[i] = "ok"
        except BaseException as e:
            ended[i] = e

    for i in range(len(jobs)):
        _thread.start_new_thread(run_one, (i,))
    begin = time.ticks_ms()
    while None in ended:
        assert time.ticks_diff(time.ticks_ms(), begin) < 50000, ended
        time.sleep_ms(2)
    for what in ended:
        if what != "ok":
            raise what


def receive(sock, count):
    """All of it; both ends write before they read."""
    got = sock.read(count)
    assert len(got) == count, (len(got), count)
    return got


def talk(wrap, pairs, end, data):
    for pair in pairs:
        sock = pair[end]
        sock.settimeout(20)
        tls = wrap(sock)
        tls.write(data)
        assert receive(tls, len(data)) == data
        tls.close()


def over(wrap_client, wrap_server, data=pattern(3000)):
    jobs = []
    for _ in range(THREADS):
        pairs = [tcp_pair() for _ in range(ROUNDS)]
        jobs.append(lambda pairs=pairs: talk(wrap_client, pairs, 0, data))
        jobs.append(lambda pairs=pairs: talk(wrap_server, pairs, 1, data))
    in_threads(*jobs)


def test_contexts_with_certificates():
    client, server = contexts()
    for _ in range(2):
        over(lambda sock: client.wrap_socket(sock, server_hostname="localhost"),
             lambda sock: server.wrap_socket(sock, server_side=True))


def test_contexts_with_keys():
    client, server = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT), ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    client.psk_identity, client.psk_key = IDENTITY, KEY
    server.server_psk_keys = {IDENTITY: KEY}
    over(client.wrap_socket, lambda sock: server.wrap_socket(sock, server_side=True))


def test_wrap_socket():
    roots, key, certificate = cert_bytes("ca.crt"), cert_bytes("server.key"), cert_bytes("server.crt")
    over(lambda sock: ussl.wrap_socket(sock, ca_certs=roots, server_hostname="localhost"),
         lambda sock: ussl.wrap_socket(sock, True, key, certificate))


def connected(wrap_client, wrap_server):
    a, b = tcp_pair()
    for sock in (a, b):
        sock.settimeout(30)
    ends = [None, None]

    def connect():
        ends[0] = wrap_client(a)

    def accept():
        ends[1] = wrap_server(b)

    in_threads(connect, accept)
    return ends


def psk_contexts():
    client, server = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT), ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    client.psk_identity, client.psk_key = IDENTITY, KEY
    server.server_psk_keys = {IDENTITY: KEY}
    return client, server


def write_pieces(tls, data, piece):
    for at in range(0, len(data), piece):
        part = data[at : at + piece]
        assert tls.write(part) == len(part)


def test_one_thread_reads_while_another_writes():
    # Both directions are full most of the time: writes wait for the peer in the middle of records.
    client, server = contexts()
    jobs = []
    for n in range(2):
        c, s = connected(lambda sock: client.wrap_socket(sock, server_hostname="localhost"),
                         lambda sock: server.wrap_socket(sock, server_side=True))
        up, down = pattern(500000, n), pattern(400000, n + 10)

        def read_back(tls, data):
            # In pieces, without an allocation of the whole size: this heap has four such buffers already.
            expected, piece = memoryview(data), bytearray(20000)
            for at in range(0, len(data), len(piece)):
                part = expected[at : at + len(piece)]
                assert tls.readinto(memoryview(piece)[: len(part)]) == len(part)
                assert memoryview(piece)[: len(part)] == part

        jobs.append(lambda c=c, up=up: write_pieces(c, up, 30000))
        jobs.append(lambda c=c, down=down: read_back(c, down))
        jobs.append(lambda s=s, down=down: write_pieces(s, down, 700))
        jobs.append(lambda s=s, up=up: read_back(s, up))
    in_threads(*jobs)


def test_the_first_read_and_the_first_write_run_the_handshake():
    for _ in range(ROUNDS):
        client, server = psk_contexts()
        a, b = tcp_pair()
        for sock in (a, b):
            sock.settimeout(30)
        c = client.wrap_socket(a, do_handshake_on_connect=False)
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        got = {}

        def read(tls, name):
            got[name] = tls.read(5)

        in_threads(lambda: read(c, "c"), lambda: c.write(b"hello"), lambda: read(s, "s"), lambda: s.write(b"world"))
        equal(got, {"c": b"world", "s": b"hello"})


def test_a_request_is_answered_while_the_reader_waits():
    # As a client of MQTT whose reader is a thread of its own.
    client, server = psk_contexts()
    c, s = connected(client.wrap_socket, lambda sock: server.wrap_socket(sock, server_side=True))
    answers = []

    def read():
        for _ in range(50):
            answers.append(c.read(4))

    def write():
        for i in range(50):
            c.write(b"%04d" % i)
            while len(answers) <= i:
                time.sleep_ms(1)

    def serve():
        for _ in range(50):
            s.write(s.read(4))

    in_threads(read, write, serve)
    equal(answers, [b"%04d" % i for i in range(50)])


def test_facts_and_polls_beside_traffic():
    client, server = contexts()
    c, s = connected(lambda sock: client.wrap_socket(sock, server_hostname="localhost"),
                     lambda sock: server.wrap_socket(sock, server_side=True))
    data = pattern(300000)
    over = []
    looked = []

    def read():
        while not looked:  # the other thread may start late
            time.sleep_ms(1)
        assert receive(c, len(data)) == data
        over.append(True)

    def look():
        poller = select.poll()
        poller.register(c, select.POLLIN | select.POLLOUT)
        while not over:
            assert c.version().startswith("TLSv1")
            assert c.cipher()[0].startswith("TLS_")
            assert len(c.getpeercert(True)) > 300
            assert "subject" in c.getpeercert()
            assert 0 <= c.pending() <= 16384
            assert not c.session_reused
            c.session
            poller.poll(0)
            looked.append(True)

    in_threads(read, look, lambda: write_pieces(s, data, 5000), lambda: write_pieces(c, data, 100),
               lambda: receive(s, len(data)))


def test_close_beside_reads_and_writes():
    client, server = psk_contexts()
    for i in range(ROUNDS):
        c, s = connected(client.wrap_socket, lambda sock: server.wrap_socket(sock, server_side=True))
        data = pattern(3000)
        count = [0]

        def until_closed(call):
            try:
                while call():
                    pass
            except OSError as e:
                equal(e.errno, errno.EBADF)

        def write():
            count[0] += c.write(data)
            return True

        def end():
            time.sleep_ms(20 + 7 * i)
            c.close()

        arrived = [0]

        def serve():
            while True:
                part = s.recv(len(data) - arrived[0] % len(data))
                if not part:
                    break
                at = arrived[0] % len(data)
                assert part == data[at : at + len(part)]
                arrived[0] += len(part)

        in_threads(lambda: until_closed(lambda: c.recv(100)), lambda: until_closed(write), end, serve)
        # Each byte that was accepted has arrived; of the call that was refused in the end, perhaps some.
        assert count[0] <= arrived[0] <= count[0] + len(data), (count[0], arrived[0])
        s.close()


# --- streams without a descriptor, such as the sockets of a board


class Plain(io.IOBase):
    """A stream whose read and write block inside of it. `waits`: how often they did."""

    def __init__(self, sock):
        self.sock = sock
        self.timeout_ms = -1
        self.waits = 0
        sock.setblocking(False)

    def setblocking(self, flag):
        self.timeout_ms = -1 if flag else 0

    def settimeout(self, seconds):
        self.timeout_ms = -1 if seconds is None else int(seconds * 1000)

    def until(self, call):
        begin = time.ticks_ms()
        while True:
            result = call()
            if result is not None or self.timeout_ms == 0:
                return result
            if 0 <= self.timeout_ms <= time.ticks_diff(time.ticks_ms(), begin):
                return -errno.ETIMEDOUT
            self.waits += 1
            time.sleep_ms(1)

    def readinto(self, buf):
        return self.until(lambda: self.sock.readinto(buf))

    def write(self, buf):
        return self.until(lambda: self.sock.write(buf))

    def ioctl(self, request, arg):
        if request == IOCTL_CLOSE:
            self.sock.close()
            return 0
        return -errno.EINVAL


class Pollable(Plain):
    def ioctl(self, request, arg):
        if request == IOCTL_POLL:
            # Its own poller for each call: threads ask at the same time.
            poller = select.poll()
            poller.register(self.sock, arg)
            for _, ready in poller.ipoll(0):
                return ready
            return 0
        return super().ioctl(request, arg)


def connected_over(kind, do_handshake=True):
    client, server = psk_contexts()
    a, b = (kind(sock) for sock in tcp_pair())
    c = client.wrap_socket(a, do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    for sock in (c, s):
        sock.settimeout(30)
    if do_handshake:
        in_threads(c.do_handshake, s.do_handshake)
        a.waits = b.waits = 0
    return c, s, a, b


def test_one_thread_reads_while_another_writes_without_a_descriptor():
    for do_handshake in (True, False):
        c, s, a, b = connected_over(Pollable, do_handshake)
        up, down = pattern(60000), pattern(50000, 1)
        got = {}

        def read(tls, name, size):
            got[name] = receive(tls, size)

        in_threads(lambda: read(c, "down", len(down)), lambda: write_pieces(c, up, 20000),
                   lambda: read(s, "up", len(up)), lambda: write_pieces(s, down, 700))
        assert got["up"] == up and got["down"] == down
        # Nothing has waited inside the stream, where it would keep other threads out.
        equal((a.waits, b.waits), (0, 0))


def test_a_request_is_answered_while_the_reader_waits_without_a_descriptor():
    for mode in (lambda sock: sock.setblocking(True), lambda sock: sock.settimeout(20)):
        c, s, a, b = connected_over(Pollable)
        mode(c)
        answers = []

        def read():
            for _ in range(20):
                answers.append(c.read(4))

        def write():
            for i in range(20):
                c.write(b"%04d" % i)
                while len(answers) <= i:
                    time.sleep_ms(1)

        def serve():
            for _ in range(20):
                s.write(s.read(4))

        in_threads(read, write, serve)
        equal(answers, [b"%04d" % i for i in range(20)])
        equal((a.waits, b.waits), (0, 0))


class SaysNothing(Plain):
    def ioctl(self, request, arg):
        if request == IOCTL_CLOSE:
            self.sock.close()
        return 0


def test_a_stream_whose_ioctl_always_returns_0_is_not_polled():
    c, s, _, _ = connected_over(SaysNothing, False)
    got = []
    in_threads(lambda: c.write(b"hello"), lambda: got.append(s.read(5)))
    equal(got, [b"hello"])


def test_the_modes_of_a_stream_without_a_descriptor():
    c, s, a, b = connected_over(Pollable)
    c.settimeout(0.2)
    begin = time.ticks_ms()
    raises(OSError, c.read, 1, code=errno.ETIMEDOUT)
    assert time.ticks_diff(time.ticks_ms(), begin) >= 200
    c.setblocking(False)
    equal(c.read(1), None)
    equal(c.write(b"hello"), 5)
    equal(s.read(5), b"hello")
    s.write(b"world")
    c.settimeout(20)
    equal(c.read(5), b"world")
    # close() in another thread ends a read.
    ended = []

    def read():
        try:
            c.read(1)
        except OSError as e:
            ended.append(e.errno)

    def end():
        time.sleep_ms(50)
        c.close()

    in_threads(read, end)
    equal(ended, [errno.EBADF])
    equal(s.read(1), b"")


def test_a_stream_that_cannot_be_polled_is_for_one_thread():
    c, s, a, b = connected_over(Plain)
    got = []
    before = a.waits

    def read():
        got.append(c.read(5))

    def others():
        while a.waits == before:  # the read is inside the stream
            time.sleep_ms(1)
        raises(OSError, c.write, b"x", code=ussl.ERR_BAD_USE)
        raises(OSError, c.version, code=ussl.ERR_BAD_USE)
        s.write(b"hello")

    in_threads(read, others)
    equal(got, [b"hello"])
    equal(c.write(b"world"), 5)
    equal(s.read(5), b"world")


run(globals())
