# Data that was accepted before close() arrives, with any behavior of the stream and the peer.

import asyncio
import errno
import io
import os
import select
import socket
import time

import ussl
from ussltest import *

SOL_SOCKET, SO_SNDBUF, SO_RCVBUF = 1, 7, 8


def connected_over_sockets(small=(), **options):
    """A client and a server over TCP, with the handshake done, and their sockets."""
    a, b = tcp_pair()
    for sock in small:
        (a, b)[sock].setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
    server = other_thread(lambda: psk_server(b))
    client = psk_client(a, **options)
    return client, server(), a, b


def read_to_the_end(sock, pause_ms=0, size=8192):
    """All received data, read slowly."""
    got = bytearray()
    buf = bytearray(size)
    while True:
        n = sock.readinto(buf)
        if not n:
            return bytes(got)
        got += memoryview(buf)[:n]
        time.sleep_ms(pause_ms)


def same(got, wanted):
    equal(len(got), len(wanted))
    equal(got == wanted, True)


def no_closed_sockets(seconds=5):
    equal(ussl.flush_closed(seconds), 0)


# --- sockets


def test_small_writes_before_close_arrive():
    # The client reads nothing: session tickets stay unread, and a plain close would reset the connection.
    for _ in range(5):
        client, server, a, b = connected_over_sockets()
        for part in (b"0123456789", b"abcdefghij", b"ABCDEFGHIJ"):
            equal(client.write(part), 10)
        client.close()
        same(read_to_the_end(server), b"0123456789abcdefghijABCDEFGHIJ")
        server.close()
    no_closed_sockets()


def test_an_upload_before_close_arrives():
    part = pattern(60000)

    def count_parts(sock, pause_ms):
        n = 0
        while True:
            got = sock.read(len(part))
            if not got:
                return n
            equal(got == part, True)
            n += 1
            time.sleep_ms(pause_ms)

    for pause_ms in (0, 20):
        client, server, a, b = connected_over_sockets()
        reading = other_thread(lambda: count_parts(server, pause_ms))
        for _ in range(50):
            equal(client.write(part), len(part))
        client.close()
        equal(reading(60), 50)
        server.close()
    no_closed_sockets()


def test_unread_input_does_not_lose_output():
    client, server, a, b = connected_over_sockets()
    b.settimeout(5)
    server.write(pattern(100000))
    client.write(b"last words")
    client.close()
    same(read_to_the_end(server), b"last words")
    server.close()
    no_closed_sockets()


def expect_delivery(size, after_close=lambda sock: None):
    """Data that a non-blocking socket has accepted arrives after close()."""
    client, server, a, b = connected_over_sockets(small=(0,))
    client.setblocking(False)
    data = pattern(size)
    accepted = client.write(data)
    client.close()
    after_close(a)
    reading = other_thread(lambda: read_to_the_end(server, 1))
    no_closed_sockets()
    same(reading(), data[:accepted])
    server.close()


def test_what_a_nonblocking_socket_did_not_accept_arrives():
    for size in (6000, 40000, 300000):
        expect_delivery(size)


def test_sock_close_after_close_loses_nothing():
    expect_delivery(40000, after_close=lambda sock: sock.close())


def test_two_threads_close_with_data_unsent():
    for _ in range(10):
        client, server, a, b = connected_over_sockets(small=(0,))
        client.setblocking(False)
        data = pattern(40000)
        accepted = client.write(data)
        closing = other_thread(client.close)
        client.close()
        closing()
        client.close()
        raises(OSError, client.write, b"x", code=errno.EBADF)
        reading = other_thread(lambda: read_to_the_end(server))
        no_closed_sockets()
        same(reading(), data[:accepted])
        server.close()


def test_a_poll_of_other_sockets_delivers():
    client, server, a, b = connected_over_sockets(small=(0,))
    client.setblocking(False)
    data = pattern(40000)
    accepted = client.write(data)
    client.close()
    reading = other_thread(lambda: read_to_the_end(server, 1))
    listener, address = listen()
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    begin = time.ticks_ms()
    poll.poll(500)
    assert time.ticks_diff(time.ticks_ms(), begin) >= 490
    listener.close()
    same(reading(), data[:accepted])
    server.close()


def test_a_peer_that_does_not_read_is_reset_when_linger_is_over():
    a, b = tcp_pair()
    a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
    b.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    context = ussl.SSLContext(CLIENT)
    context.psk_identity, context.psk_key = IDENTITY, KEY
    context.linger = 0.2
    equal(context.linger, 0.2)
    server = other_thread(lambda: psk_server(b))
    client = context.wrap_socket(a)
    server = server()
    client.setblocking(False)
    full = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), full) < 400:
        if client.write(bytes(16384)):
            full = time.ticks_ms()
    begin = time.ticks_ms()
    client.close()
    assert time.ticks_diff(time.ticks_ms(), begin) < 150
    equal(ussl.flush_closed(0), 1)
    equal(ussl.flush_closed(5), 0)
    took = time.ticks_diff(time.ticks_ms(), begin)
    assert 150 < took < 3000, took
    # No clean end after data was lost.
    raises(OSError, lambda: len(read_to_the_end(server)), code=errno.ECONNRESET)
    server.close()


def test_peers_that_do_not_close_take_a_bounded_number_of_descriptors():
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    kept = []
    before = descriptors()
    for _ in range(300):
        client, server, a, b = connected_over_sockets()
        client.close()
        kept.append(b)
    # Of each pair, the peer's end stays open.
    assert descriptors() - before <= 300 + 256 + 1, descriptors() - before
    for b in kept:
        b.close()
    no_closed_sockets()


def test_linger_of_a_context():
    context = ussl.SSLContext(CLIENT)
    equal(context.linger, 10)
    context.linger = 0
    equal(context.linger, 0)
    for wrong, kind in ((-1, ValueError), (1e9, ValueError), ("1", TypeError), (None, TypeError)):
        raises(kind, setattr, context, "linger", wrong)
    equal(context.linger, 0)


def test_close_of_a_blocking_socket_waits_for_the_stream_and_not_for_the_peer():
    client, server, a, b = connected_over_sockets(small=(0,))
    data = pattern(60000)
    reading = other_thread(lambda: (time.sleep_ms(200), read_to_the_end(server, 1))[1])
    equal(client.write(data), len(data))
    client.close()
    same(reading(), data)
    # Silent, and not closed: nobody waits for it.
    client2, server2, a2, b2 = connected_over_sockets()
    begin = time.ticks_ms()
    client2.close()
    assert time.ticks_diff(time.ticks_ms(), begin) < 500
    server2.close()
    server.close()
    no_closed_sockets()


def test_close_within_the_time_of_the_socket():
    client, server, a, b = connected_over_sockets(small=(0,))
    client.settimeout(0.2)
    while True:
        try:
            if client.write(bytes(16384)) != 16384:
                break
        except OSError as e:
            equal(e.errno, errno.ETIMEDOUT)
            break
    begin = time.ticks_ms()
    client.close()
    took = time.ticks_diff(time.ticks_ms(), begin)
    assert took < 2000, took
    reading = other_thread(lambda: len(read_to_the_end(server)))
    no_closed_sockets()
    assert reading() > 0
    server.close()


def a_poll_that_is_ready():
    """A poll object that has found something as soon as it is asked: each poll is one turn of an event loop."""
    client, server, a, b = connected_over_sockets()
    poll = select.poll()
    poll.register(client, select.POLLOUT)

    def turn():
        equal(len(poll.poll(1)), 1)

    return turn, (client, server)


def test_an_endless_sender_costs_a_bounded_amount_per_turn():
    # The discarded input of one peer in one turn (delivery.hpp), and half of the size of each of two kernel buffers, whose
    # windows open in steps.
    per_turn, buffers, turns = 65536, 1 << 17, 50
    a, b = tcp_pair()
    a.setsockopt(SOL_SOCKET, SO_RCVBUF, buffers)
    b.setsockopt(SOL_SOCKET, SO_SNDBUF, buffers)
    server = other_thread(lambda: psk_server(b))
    context = ussl.SSLContext(CLIENT)
    context.psk_identity, context.psk_key = IDENTITY, KEY
    context.linger = 3
    client = context.wrap_socket(a)
    server = server()
    turn, others = a_poll_that_is_ready()
    client.setblocking(False)
    client.write(b"bye")
    begin = time.ticks_ms()
    client.close()
    # Not TLS: nobody decrypts it.
    b.setblocking(False)
    noise = bytes(16384)

    def fill():
        """The bytes that the peer's kernel accepts: no more than ours has sent."""
        sent = 0
        while n := b.write(noise):
            sent += n
        return sent

    assert fill() > per_turn
    sent = 0
    for _ in range(turns):
        turn()
        sent += fill()
    assert time.ticks_diff(time.ticks_ms(), begin) < 3000, "too slow for this test"
    assert turns * per_turn // 2 < sent <= turns * per_turn + 4 * buffers, sent
    time.sleep_ms(max(0, 3000 - time.ticks_diff(time.ticks_ms(), begin)))
    turn()
    turn()
    e = raises(OSError, fill)
    assert e.errno in (EPIPE, errno.ECONNRESET), e
    equal(ussl.flush_closed(0), 0)
    server.close()
    for sock in others:
        sock.close()
    no_closed_sockets()


def test_a_peer_that_does_not_read_keeps_no_poll_busy():
    client, server, a, b = connected_over_sockets(small=(0,))
    b.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    client.setblocking(False)
    data, accepted = pattern(16384), 0
    full = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), full) < 200:
        if n := client.write(data):
            accepted += n
            full = time.ticks_ms()
    client.close()
    assert ussl.flush_closed(0) == 1
    watch = Watch()
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    listener, address = listen()
    poll.register(listener, select.POLLIN)  # with a descriptor, it sleeps in poll(2)
    watch.start()
    equal(poll.poll(200), [])
    watch.slept()
    listener.close()
    reading = other_thread(lambda: len(read_to_the_end(server)))
    no_closed_sockets(20)
    equal(reading(), accepted)
    server.close()


def test_an_asyncio_server_delivers_before_it_closes():
    for size in (6000, 40000):
        body = pattern(size)

        async def handle(reader, writer):
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            writer.write(body)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async def main():
            listener, address = listen()
            listener.setblocking(False)
            got = []

            def client():
                s = socket.socket()
                s.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
                s.connect(address)
                c = psk_client(s)
                got.append(read_to_the_end(c, 1, 1000))
                c.close()

            reading = other_thread(client)
            while True:
                try:
                    conn = listener.accept()[0]
                    break
                except OSError:
                    await asyncio.sleep_ms(5)
            conn.setsockopt(SOL_SOCKET, SO_SNDBUF, 2048)
            conn.setblocking(False)
            stream = asyncio.StreamReader(psk_server(conn, do_handshake=False))
            await handle(stream, stream)
            for _ in range(1000):
                if got:
                    break
                await asyncio.sleep_ms(5)
            listener.close()
            return got[0]

        same(asyncio.run(main()), b"HTTP/1.0 200 OK\r\n\r\n" + body)
        asyncio.new_event_loop()


# --- streams written in Python


def test_a_stream_that_accepts_part_of_a_record():
    for room in (0, 1, 600):
        client, server, a, b = psk_pair()
        server.read(1)
        a.room = room
        equal(client.write(bytes(1000)), 1000)
        client.close()
        equal(a.closed, 0)
        raises(OSError, client.write, b"x", code=errno.EBADF)
        a.room = 1 << 20
        ussl.flush_closed(1)
        same(server.read(), bytes(1000))
        equal(server.read(), b"")
        equal(a.closed, 1)


def test_delivery_goes_on_with_other_calls():
    client, server, a, b = psk_pair()
    a.room = 0
    client.write(b"late")
    client.close()
    other, other_server, _, _ = psk_pair()
    equal(server.read(), None)
    a.room = 1 << 20
    poll = select.poll()
    poll.register(other, select.POLLIN)
    poll.poll(1)
    equal(server.read(), b"late")
    equal(a.closed, 1)


class Counting(End):
    """Counts how often it is called, by the method's name."""

    def __init__(self):
        super().__init__()
        self.count = {"readinto": 0, "write": 0, "ioctl": 0}

    def readinto(self, buf):
        self.count["readinto"] += 1
        return super().readinto(buf)

    def write(self, buf):
        self.count["write"] += 1
        return super().write(buf)

    def ioctl(self, request, arg):
        self.count["ioctl"] += 1
        return super().ioctl(request, arg)


def test_a_stream_that_accepts_nothing_is_asked_once_per_turn():
    a, b = Counting(), End()
    a.peer, b.peer = b, a
    client, server, a, b = psk_pair(a, b)
    turn, others = a_poll_that_is_ready()
    a.room = 0
    client.write(b"late")
    client.close()
    # It sends without end, too; nobody asks for it.
    a.inbox += bytes(100000)
    for _ in range(20):
        for name in a.count:
            a.count[name] = 0
        turn()
        equal(a.count["readinto"], 0)
        assert 0 < a.count["ioctl"] <= 2, a.count
        assert a.count["write"] <= 1, a.count
    a.room = 1 << 20
    turn()
    equal(server.read(), b"late")
    equal(a.closed, 1)
    for sock in others:
        sock.close()


def test_a_stream_that_raises_while_closing():
    class Raises(End):
        def write(self, buf):
            if self.fail:
                self.fail -= 1
                raise KeyError("once")
            return super().write(buf)

    a, b = Raises(), End()
    a.peer, b.peer = b, a
    a.fail = 0
    client, server, a, b = psk_pair(a, b)
    a.room = 0
    client.write(b"hello")
    a.room = 1 << 20
    a.fail = 1
    raises(KeyError, client.close)
    client.close()
    ussl.flush_closed(1)
    equal(server.read(), b"hello")
    equal(a.closed, 1)


class Fault(Exception):
    pass


class Faulty(End):
    """From arm() on, the call with a certain number fails."""

    at = None

    def arm(self, fault, at):
        self.fault, self.at, self.n = fault, at, 0

    def hits(self, *faults):
        if self.at is None or self.fault not in faults:
            return False
        self.n += 1
        return self.n == self.at

    def write(self, buf):
        if self.hits("raises"):
            raise Fault
        if self.hits("accepts nothing"):
            return None
        if self.hits("times out"):
            return -errno.ETIMEDOUT
        if self.hits("breaks"):
            self.broken = True
        if self.hits("accepts one byte"):
            buf = memoryview(buf)[:1]
        return super().write(buf)

    def ioctl(self, request, arg):
        if request == IOCTL_POLL:
            if self.hits("raises"):
                raise Fault
            if self.hits("accepts nothing"):
                return 0
        return super().ioctl(request, arg)


def after_a_fault(fault, at):
    """Closes a socket with data unsent. Returns whether there was a call of that number, whether all has arrived, and
    how many exceptions were raised on either side."""
    a, b = Faulty(), End()
    a.peer, b.peer = b, a
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False, suppress_ragged_eofs=False)
    shake(client, server)
    data = pattern(1500)
    a.room = 600
    equal(client.write(data), len(data))
    a.room = 1 << 20
    a.arm(fault, at)
    raised = 0
    for _ in range(3):
        try:
            client.close()
        except Fault:
            raised += 1
        raises(OSError, client.write, b"x", code=errno.EBADF)
    equal(ussl.flush_closed(5), 0)
    equal(a.closed, 1)
    got = bytearray()
    failed = 0
    while True:
        try:
            part = server.read(100)
        except OSError as e:
            equal(e.errno, ussl.ERR_TRUNCATED)
            failed = 1
            break
        if not part:
            equal(part, b"")  # an end, not "nothing now"
            break
        got += part
    equal(bytes(got), data[: len(got)])
    return a.n >= at, len(got) == len(data) and not failed, raised, failed


def test_any_fault_at_any_call_after_close():
    calls = 0
    for fault in ("raises", "accepts nothing", "times out", "breaks", "accepts one byte"):
        for at in range(1, 100):
            is_hit, is_delivered, raised, failed = after_a_fault(fault, at)
            if not is_hit:
                equal(is_delivered, True)
                break
            calls += 1
            assert is_delivered or (failed and fault in ("raises", "breaks")), (fault, at)
            assert raised <= (1 if fault == "raises" else 0), (fault, at, raised)
    assert calls >= 8, calls


def test_close_from_within_the_streams_write():
    class Closes(End):
        def write(self, buf):
            if self.victim:
                victim, self.victim = self.victim, None
                victim.close()
                equal(self.closed, 0)
            return super().write(buf)

    a, b = Closes(), End()
    a.peer, b.peer = b, a
    a.victim = None
    client, server, a, b = psk_pair(a, b)
    a.victim = client
    equal(client.write(b"hello"), 5)
    raises(OSError, client.write, b"x", code=errno.EBADF)
    equal(server.read(), b"hello")
    equal(server.read(), b"")
    equal(a.closed, 1)


def test_a_forgotten_socket_keeps_its_unsent_data():
    import gc

    def write_and_forget():
        client, server, a, b = psk_pair()
        a.room = 0
        equal(client.write(b"unsent"), 6)
        return server, a

    server, a = write_and_forget()
    for _ in range(3):
        gc.collect()
        [bytearray(100) for _ in range(100)]
    equal(a.closed, 0)
    a.room = 1 << 20
    psk_pair()  # any other call
    equal(server.read(6), b"unsent")


def test_flush_closed_with_nothing_to_do():
    equal(ussl.flush_closed(), 0)
    equal(ussl.flush_closed(0), 0)
    equal(ussl.flush_closed(None), 0)
    raises(ValueError, ussl.flush_closed, -1)
    raises(TypeError, ussl.flush_closed, "1")


run(globals())
