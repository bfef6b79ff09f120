# The errors that a program receives after failures, and that none of its calls crashes the interpreter.

import errno
import gc
import select
import time

import ussl
from ussltest import *

SOL_SOCKET, SO_SNDBUF, SO_RCVBUF = 1, 7, 8

ALL_CALLS = (
    lambda s: s.read(10),
    lambda s: s.read(),
    lambda s: s.readinto(bytearray(10)),
    lambda s: s.readline(),
    lambda s: s.recv(10),
    lambda s: s.recv_into(bytearray(10)),
    lambda s: s.write(b"x"),
    lambda s: s.send(b"x"),
    lambda s: s.sendall(b"x"),
    lambda s: s.flush(),
    lambda s: s.do_handshake(),
    lambda s: s.unwrap(),
)


def every_call_raises(sock, kind, code=None, text=None):
    for call in ALL_CALLS:
        raises(kind, call, sock, code=code, text=text)


def linked(first, second=None):
    """Two ends of these classes."""
    a, b = first(), (second or End)()
    a.peer, b.peer = b, a
    return a, b


# --- actions of the peer


def test_a_peer_that_speaks_http():
    for text in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 smtp.example ESMTP\r\n", b"SSH-2.0-x\r\n"):
        a, b = pipe()
        client = psk_client(a, do_handshake=False)
        b.write(text)
        e = raises(OSError, client.read, 1, code=ussl.ERR_NOT_TLS)
        assert str(e.args[1]).startswith("NOT_TLS: "), e
        every_call_raises(client, OSError, code=ussl.ERR_NOT_TLS, text="NOT_TLS: ")
        client.close()


def test_a_client_that_speaks_http():
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"EHLO me\r\n", b"\x00" * 100, b"\xff" * 100):
        a, b = pipe()
        server = psk_server(b, do_handshake=False)
        a.write(text)
        raises(OSError, server.read, 1, code=ussl.ERR_NOT_TLS, text="NOT_TLS: ")
        every_call_raises(server, OSError, code=ussl.ERR_NOT_TLS)
        server.close()


def test_garbage_never_crashes():
    # Random bytes, and random bytes behind a good record header, at both sides.
    for seed in range(60):
        junk = pattern(300, seed * 7919 + 1)
        for head in (b"", b"\x16\x03\x01\x01\x00", b"\x16\x03\x03\x00\x40\x02", b"\x15\x03\x03\x00\x02"):
            for make in (psk_client, psk_server):
                a, b = pipe()
                sock = make(a, do_handshake=False)
                step(sock)
                b.write(head + junk)
                b.ioctl(IOCTL_CLOSE, 0)
                e = raises(OSError, sock.read, 1)
                assert -504 < e.errno < -100, e
                assert ": " in e.args[1], e
                sock.close()


def test_a_flipped_bit_anywhere_in_the_handshake():
    # Any damaged byte causes an error, never a successful connection with other data. (Damage to one version byte of a
    # record header has no effect.)
    a, b = pipe()
    psk_pair(a, b)
    length = len(a.log) + len(b.log)
    for at in range(0, length, 1 if not SLOW else 5):
        a, b = pipe()
        client = psk_client(a, do_handshake=False)
        server = psk_server(b, do_handshake=False)
        ends = (a, b)
        done = [False, False]
        failed = False
        moved = 0
        for _ in range(50):
            for i, sock in enumerate((client, server)):
                before = len(ends[1 - i].inbox)
                try:
                    done[i] = done[i] or step(sock)
                except OSError as e:
                    assert e.errno < 0, e
                    failed = True
                inbox = ends[1 - i].inbox
                if moved <= at < moved + len(inbox) - before:
                    inbox[before + at - moved] ^= 0x10
                moved += len(inbox) - before
            if failed or (done[0] and done[1]):
                break
        if not failed:
            try:
                client.write(b"good")
                got = server.read(4)
                assert got in (b"good", None), got
            except OSError as e:
                assert e.errno < 0, e


def test_a_flipped_bit_in_data():
    for at in (5, 10, -1):
        client, server, a, b = psk_pair()
        client.read(1)
        server.write(b"0123456789")
        a.inbox[at] ^= 1
        raises(OSError, client.read, 10, code=ussl.ERR_RECORD_CORRUPT,
               text=("RECORD_CORRUPT: ", "(alert sent: bad_record_mac)"))
        every_call_raises(client, OSError, code=ussl.ERR_RECORD_CORRUPT, text="alert sent")
        # The peer is notified.
        e = raises(OSError, server.read, 1, code=ussl.ERR_ALERT,
                   text=("ALERT: ", "(alert received: bad_record_mac)"))
        every_call_raises(server, OSError, code=ussl.ERR_ALERT)


def test_a_replayed_and_a_dropped_record():
    client, server, a, b = psk_pair()
    client.read(1)
    server.write(b"one")
    record = bytes(a.inbox)
    a.inbox += record
    equal(client.read(3), b"one")
    raises(OSError, client.read, 3, code=ussl.ERR_RECORD_CORRUPT)
    client, server, a, b = psk_pair()
    client.read(1)
    server.write(b"one")
    a.inbox = bytearray()
    server.write(b"two")
    raises(OSError, client.read, 3, code=ussl.ERR_RECORD_CORRUPT)


def test_the_error_is_kept():
    client, server, a, b = psk_pair()
    client.read(1)
    server.write(b"x")
    a.inbox[-1] ^= 1
    first = raises(OSError, client.read, 1)
    calls = a.calls
    for _ in range(3):
        e = raises(OSError, client.read, 1)
        equal(e.args, first.args)
    equal(a.calls, calls)  # no more I/O
    client.close()
    raises(OSError, client.read, 1, code=errno.EBADF)


def test_an_alert_that_came_in_is_read_before_EPIPE():
    client, server, a, b = psk_pair()
    client.read(1)
    client.write(b"x")
    b.inbox[-1] ^= 1
    raises(OSError, server.read, 1, code=ussl.ERR_RECORD_CORRUPT)
    a.broken = True
    raises(OSError, client.write, b"more", code=ussl.ERR_ALERT, text="alert received: bad_record_mac")
    # Without one, it is the stream's errno.
    client, server, a, b = psk_pair()
    a.broken = True
    raises(OSError, client.write, b"more", code=EPIPE)
    raises(OSError, client.write, b"more", code=EPIPE)


def test_data_is_still_readable_when_writing_fails():
    client, server, a, b = psk_pair()
    server.write(b"the answer")
    server.close()
    a.broken = True
    raises(OSError, client.write, b"more", code=EPIPE)
    equal(client.read(), b"the answer")
    equal(client.read(), b"")
    raises(OSError, client.write, b"more", code=EPIPE)


def test_texts():
    # Every row has its constant, and each constant its own negative number.
    numbers = {}
    for name in dir(ussl):
        if name.startswith("ERR_"):
            number = getattr(ussl, name)
            assert -600 < number < -100 and number not in numbers, name
            numbers[number] = name
    assert len(numbers) >= 25, len(numbers)
    # The contract's numbers, which never change.
    for name, number in (("HANDSHAKE_FAILED", 101), ("NO_SHARED_VERSION", 102), ("NO_SHARED_CIPHER", 103),
                         ("NOT_TLS", 105), ("PEER_CLOSED", 106), ("CERT_REFUSED", 108),
                         ("CERT_UNKNOWN_ISSUER", 203), ("CERT_HOSTNAME", 207), ("CERT_EXPIRED", 209),
                         ("PSK_IDENTITY", 301), ("PSK_KEY", 302), ("PSK_REFUSED", 303),
                         ("RECORD_CORRUPT", 401), ("TRUNCATED", 402), ("BAD_USE", 502), ("ENGINE", 503), ("CALLBACK", 505)):
        equal(getattr(ussl, "ERR_" + name), -number)


# --- actions of the stream


def test_counts_that_make_no_sense_when_reading():
    for count, kind in ((1 << 20, OSError), (-errno.EIO, OSError), ("5", TypeError), ([], TypeError),
                        (1.5, TypeError), (1 << 62, (OSError, OverflowError))):
        class Odd(End):
            def readinto(self, buf):
                return count

        for make in (psk_client, psk_server):
            a, b = linked(Odd)
            sock = make(a, do_handshake=False)
            try:
                sock.read(1)
                raise AssertionError("no error for %r" % (count,))
            except kind as e:
                first = e
            # Kept, as every fatal error.
            try:
                sock.read(1)
            except kind as e:
                equal(e.args, first.args)
            sock.close()
            equal(a.closed, 1)


def test_counts_that_make_no_sense_when_reading_later():
    for count in (1 << 20, -1000, "5"):
        class Odd(End):
            odd = False

            def readinto(self, buf):
                return count if self.odd else End.readinto(self, buf)

        a, b = linked(Odd)
        client, server, a, b = psk_pair(a, b)
        a.odd = True
        raises(TypeError if count == "5" else OSError, client.read, 1)
        client.close()


def test_counts_that_make_no_sense_when_writing():
    for count, kind in ((1 << 20, OSError), (-errno.EIO, OSError), ("5", TypeError), ([], TypeError),
                        (1.5, TypeError), (1 << 62, (OSError, OverflowError))):
        class Odd(End):
            odd = True

            def write(self, buf):
                return count if self.odd else End.write(self, buf)

        a, b = linked(Odd)
        sock = psk_client(a, do_handshake=False)
        try:
            # The peer may have sent the reason: the error of a write is raised after that was read.
            a.at_end = True
            sock.write(b"x")
            raise AssertionError("no error for %r" % (count,))
        except kind:
            pass
        sock.close()
        equal(a.closed, 1)
        a, b = linked(Odd)
        a.odd = False
        client, server, a, b = psk_pair(a, b)
        a.odd = True
        try:
            client.write(b"x")
            raise AssertionError("no error for %r" % (count,))
        except kind:
            pass
        a.odd = False
        client.close()


def test_a_write_that_takes_nothing_is_no_spin():
    class Zero(End):
        full = False

        def write(self, buf):
            if self.full:
                self.calls += 1
                return 0
            return End.write(self, buf)

    a, b = linked(Zero)
    client, server, a, b = psk_pair(a, b)
    a.full = True
    before = a.calls
    equal(client.write(b"held"), 4)
    equal(client.write(b"more"), None)
    assert a.calls - before <= 4, a.calls - before
    a.full = False
    client.flush()
    equal(server.read(), b"held")


def test_odd_errnos():
    # MicroPython's way for a stream in Python to fail is a negative errno.
    for number in (5, 104, 9, 110):
        class Fails(End):
            def readinto(self, buf):
                return -number

        a, b = linked(Fails)
        sock = psk_client(a, do_handshake=False)
        raises(OSError, sock.read, 1, code=number)
        sock.close()


def test_errnos_that_mean_not_now():
    for number in (errno.EAGAIN, errno.EINPROGRESS, errno.EALREADY):
        class PollInterest(End):
            waits = False

            def readinto(self, buf):
                return -number if self.waits else End.readinto(self, buf)

            def write(self, buf):
                return -number if self.waits else End.write(self, buf)

        a, b = linked(PollInterest)
        client, server, a, b = psk_pair(a, b)
        a.waits = True
        equal(client.read(1), None)
        equal(client.write(b"later"), 5)  # taken, and sent when it can be
        equal(client.write(b"!"), None)
        raises(OSError, client.ioctl, IOCTL_FLUSH, 0, code=errno.EAGAIN)
        a.waits = False
        equal(client.ioctl(IOCTL_FLUSH, 0), 0)
        equal(server.read(10), b"later")


class Mine(Exception):
    pass


class Raising(End):
    """A stream that raises in one of its methods, once it is told to, and has given so many bytes."""

    where = None
    spare = 0

    def readinto(self, buf):
        if self.where == "read" and self.spare == 0:
            raise Mine("while reading")
        n = End.readinto(self, buf)
        self.spare = max(0, self.spare - (n or 0))
        return n

    def write(self, buf):
        if self.where == "write":
            raise Mine("while writing")
        return End.write(self, buf)

    def ioctl(self, request, arg):
        if self.where == "poll" and request == IOCTL_POLL or self.where == "close" and request == IOCTL_CLOSE:
            raise Mine("while polling or closing")
        return End.ioctl(self, request, arg)


def test_an_exception_while_shaking_hands():
    for where in ("read", "write"):
        for make in (psk_client, psk_server):
            if (where, make) == ("write", psk_server):
                continue  # it reads first
            a, b = linked(Raising)
            a.where = where
            a.inbox.extend(b"\x16")  # a poll finds it readable
            raises(Mine, make, a, text="while")
            equal(a.closed, 0)
            a, b = linked(Raising)
            a.where = where
            sock = make(a, do_handshake=False)
            first = raises(Mine, sock.do_handshake)
            assert raises(Mine, sock.do_handshake) is not first
            a.where = None
            other = (psk_server if make is psk_client else psk_client)(b, do_handshake=False)
            shake(*((sock, other) if make is psk_client else (other, sock)))
            sock.close()
            equal(a.closed, 1)


def test_an_exception_while_writing_the_servers_answer():
    a, b = linked(End, Raising)
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    step(client)
    b.where = "write"
    raises(Mine, server.read, 1, text="while writing")
    server.close()


def test_an_exception_while_reading():
    a, b = linked(Raising)
    client, server, a, b = psk_pair(a, b)
    for call in ALL_CALLS[:6]:
        a.where = "read"
        raises(Mine, call, client, text="while reading")
        a.where = None
        server.write(b"hello\n")
        equal(client.read(6), b"hello\n")
    equal(client.write(b"bye"), 3)
    client.close()
    equal(server.read(), b"bye")


def test_an_exception_after_some_bytes_of_a_read():
    a, b = linked(Raising)
    client, server, a, b = psk_pair(a, b)
    client.read(1)
    server.write(b"hello")
    a.where = "read"
    a.spare = len(a.inbox)
    equal(client.read(10), b"hello")
    raises(Mine, client.read, 1)
    a.where = None
    equal(client.read(1), None)
    client.close()


def test_an_exception_while_writing():
    a, b = linked(Raising)
    client, server, a, b = psk_pair(a, b)
    a.where = "write"
    raises(Mine, client.write, b"x", text="while writing")
    raises(Mine, client.flush, text="while writing")
    a.where = None
    # The record was accepted before the stream raised.
    equal(client.write(b"y"), 1)
    client.close()
    equal(server.read(), b"xy")


def test_an_exception_while_polling_and_closing():
    a, b = linked(Raising)
    client, server, a, b = psk_pair(a, b)
    a.where = "poll"
    raises(Mine, client.ioctl, IOCTL_POLL, POLL_RD, text="polling")
    # Nothing has happened to the connection.
    a.where = None
    equal(client.ioctl(IOCTL_POLL, POLL_WR), POLL_WR)
    # A poll that is to send unsent data,
    a.room = 0
    client.write(b"held")
    a.where = "poll"
    raises(Mine, client.ioctl, IOCTL_POLL, POLL_WR, text="polling")
    a.where, a.room = "write", 1 << 20
    # which may be repeated.
    raises(Mine, client.ioctl, IOCTL_POLL, POLL_WR, text="writing")
    raises(Mine, client.write, b"x", text="writing")
    a.where = None
    equal(client.ioctl(IOCTL_POLL, POLL_WR), POLL_WR)
    equal(server.read(4), b"held")
    client.close()
    a, b = linked(Raising)
    client, server, a, b = psk_pair(a, b)
    a.where = "close"
    raises(Mine, client.close, text="closing")
    equal(client.close(), None)
    raises(OSError, client.read, 1, code=errno.EBADF)


def test_an_exception_while_saying_goodbye():
    # It is raised once; the delivery is tried once more.
    for where in (None, "write"):
        a, b = linked(Raising)
        client, server, a, b = psk_pair(a, b)
        a.where = "write"
        raises(Mine, client.close, text="while")
        equal(a.closed, 0)
        equal(client.close(), None)
        a.where = where
        equal(ussl.flush_closed(1), 0)
        equal(a.closed, 1)
        equal(server.read(1), b"")
    # But not one that was raised before.
    a, b = linked(Raising)
    client, server, a, b = psk_pair(a, b)
    a.where = "read"
    raises(Mine, client.read, 1)
    equal(client.close(), None)


def test_KeyboardInterrupt_and_SystemExit_pass_through():
    for kind in (KeyboardInterrupt, SystemExit):
        class Interrupts(End):
            def readinto(self, buf):
                raise kind()

        a, b = linked(Interrupts)
        client = psk_client(a, do_handshake=False)
        try:
            client.read(1)
            raise AssertionError("nothing was raised")
        except kind:
            pass
        client.close()


def test_MemoryError_in_a_stream():
    class Greedy(End):
        def readinto(self, buf):
            bytearray(sys.maxsize // 2)

    a, b = linked(Greedy)
    client = psk_client(a, do_handshake=False)
    raises(MemoryError, client.read, 1)
    client.close()


def test_a_stream_without_some_methods():
    class NoRead(io.IOBase):
        def ioctl(self, request, arg):
            return 0

        def write(self, buf):
            return len(buf)

    sock = psk_client(NoRead(), do_handshake=False)
    raises(AttributeError, sock.read, 1)
    sock.close()

    class NoIoctl(io.IOBase):
        def readinto(self, buf):
            return None

        def write(self, buf):
            return len(buf)

    sock = psk_client(NoIoctl(), do_handshake=False)
    equal(sock.read(1), None)
    raises(OSError, sock.ioctl, IOCTL_POLL, POLL_RD)
    equal(sock.close(), None)


# --- the program calls back


def test_calls_from_within_the_stream():
    seen = []

    class CallsBack(End):
        sock = None
        where = None

        def back(self):
            if self.sock is None or self.where is None:
                return
            where, self.where = self.where, None
            for call in ALL_CALLS:
                try:
                    seen.append(call(self.sock))
                except OSError as e:
                    seen.append(e.errno)
            self.sock.ioctl(IOCTL_POLL, POLL_RD | POLL_WR)
            self.sock.pending(), self.sock.version(), self.sock.cipher(), self.sock.getpeercert(True)

        def readinto(self, buf):
            if self.where == "read":
                self.back()
            return End.readinto(self, buf)

        def write(self, buf):
            if self.where == "write":
                self.back()
            return End.write(self, buf)

    for where in ("read", "write"):
        # In the handshake,
        a, b = linked(CallsBack)
        client = psk_client(a, do_handshake=False)
        server = psk_server(b, do_handshake=False)
        a.sock, a.where = client, where
        del seen[:]
        shake(client, server)
        equal(seen, [ussl.ERR_BAD_USE] * len(ALL_CALLS))
        # and after it.
        a.where = where
        del seen[:]
        equal(client.write(b"hello"), 5)
        equal(client.read(1), None)
        equal(seen, [ussl.ERR_BAD_USE] * len(ALL_CALLS))
        equal(server.read(5), b"hello")


def test_close_from_within_the_stream():
    class Closes(End):
        sock = None

        def readinto(self, buf):
            sock, self.sock = self.sock, None
            if sock:
                sock.close()
            return End.readinto(self, buf)

        def write(self, buf):
            sock, self.sock = self.sock, None
            if sock:
                sock.close()
            return End.write(self, buf)

    for call in (lambda s: s.read(1), lambda s: s.write(b"x"), lambda s: s.do_handshake()):
        a, b = linked(Closes)
        client = psk_client(a, do_handshake=False)
        a.sock = client
        try:
            call(client)
        except OSError:
            pass
        equal((client.version(), client.ioctl(IOCTL_POLL, POLL_RD)), (None, POLL_NVAL))
        raises(OSError, client.read, 1, code=errno.EBADF)
        client.close()
        equal(a.closed, 1)
    for call in (lambda s: s.read(1), lambda s: s.write(b"x" * 40000)):
        a, b = linked(Closes)
        client, server, a, b = psk_pair(a, b)
        a.sock = client
        try:
            call(client)
        except OSError:
            pass
        equal((client.version(), client.ioctl(IOCTL_POLL, POLL_RD)), (None, POLL_NVAL))
        raises(OSError, client.read, 1, code=errno.EBADF)
        client.close()
        equal(a.closed, 1)


def test_close_from_within_close():
    class Closes(End):
        sock = None

        def ioctl(self, request, arg):
            sock, self.sock = self.sock, None
            if sock:
                sock.close()
            return End.ioctl(self, request, arg)

    a, b = linked(Closes)
    client, server, a, b = psk_pair(a, b)
    a.sock = client
    client.close()
    equal(a.closed, 1)
    a.sock = client
    client.close()


def test_del_from_within_the_stream():
    class Deletes(End):
        sock = None

        def readinto(self, buf):
            sock, self.sock = self.sock, None
            if sock and hasattr(sock, "__del__"):
                sock.__del__()
            gc.collect()
            return End.readinto(self, buf)

    a, b = linked(Deletes)
    client, server, a, b = psk_pair(a, b)
    a.sock = client
    client.read(1)
    client.write(b"x")
    client.close()
    if hasattr(client, "__del__"):
        client.__del__()
        client.__del__()
        raises(OSError, client.read, 1, code=errno.EBADF)


def test_a_stream_that_keeps_its_buffers():
    kept = []

    class Keeps(End):
        def readinto(self, buf):
            kept.append(buf)
            return End.readinto(self, buf)

        def write(self, buf):
            kept.append(buf)
            return End.write(self, buf)

    a, b = linked(Keeps, Keeps)
    client, server, a, b = psk_pair(a, b)
    client.write(b"hello")
    equal(server.read(), b"hello")
    client.close()
    server.close()
    gc.collect()
    # Reading and writing them harms nobody.
    total = 0
    for buf in kept:
        total += sum(buf)
        buf[:] = bytes(len(buf))
    assert total > 0


def test_a_stream_that_resizes_its_buffers():
    class Resizes(End):
        def readinto(self, buf):
            n = End.readinto(self, buf)
            if n:
                try:
                    buf.extend(bytes(100000))
                except Exception:
                    pass
                gc.collect()
            return n

        def write(self, buf):
            n = End.write(self, buf)
            try:
                buf.extend(bytes(1000))
            except Exception:
                pass
            return n

    a, b = linked(Resizes, Resizes)
    client, server, a, b = psk_pair(a, b)
    client.write(b"hello")
    equal(server.read(), b"hello")


# --- options of the stream


def test_setblocking_and_settimeout_reach_the_stream():
    class Tells(End):
        told = None

        def setblocking(self, flag):
            self.told = ("setblocking", flag)

        def settimeout(self, seconds):
            self.told = ("settimeout", seconds)

    a, b = linked(Tells)
    client = psk_client(a, do_handshake=False)
    for flag in (True, False):
        client.setblocking(flag)
        equal(a.told, ("setblocking", flag))
    for seconds in (None, 0, 1.5):
        client.settimeout(seconds)
        equal(a.told, ("settimeout", seconds))
    # A stream that has neither reports it.
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    raises(AttributeError, client.setblocking, True)


def test_a_timeout_leaves_the_connection_usable():
    client, server, a, b = psk_tcp_pair()
    client.settimeout(0.2)
    for _ in range(2):
        begin = time.ticks_ms()
        raises(OSError, client.read, 1, code=errno.ETIMEDOUT)
        waited = time.ticks_diff(time.ticks_ms(), begin)
        assert 150 <= waited < 20000, waited  # a busy machine wakes late
    equal(client.write(b"hello"), 5)
    server.setblocking(True)
    equal(server.read(5), b"hello")
    server.write(b"world")
    equal(client.read(5), b"world")
    # Data that was received before the timeout is delivered.
    server.write(b"abc")
    equal(client.read(10), b"abc")
    raises(OSError, client.read, 10, code=errno.ETIMEDOUT)
    client.settimeout(0)
    equal(client.read(1), None)


def test_a_timeout_in_wrap_socket():
    a, b = tcp_pair()
    a.settimeout(0.2)
    begin = time.ticks_ms()
    raises(OSError, psk_client, a, code=errno.ETIMEDOUT)
    waited = time.ticks_diff(time.ticks_ms(), begin)
    assert 150 <= waited < 20000, waited
    # And by a read that was to perform the handshake, which then continues.
    a, b = tcp_pair()
    a.settimeout(0.2)
    client = psk_client(a, do_handshake=False)
    raises(OSError, client.read, 1, code=errno.ETIMEDOUT)
    b.setblocking(False)
    server = psk_server(b, do_handshake=False)
    step(server)
    client.do_handshake()
    shake(client, server)
    client.write(b"late")
    server.setblocking(True)
    equal(server.read(4), b"late")


def test_a_timeout_while_writing():
    client, server, a, b = psk_tcp_pair()
    client.settimeout(0.1)
    data = pattern(1 << 16) * 4
    sent = 0
    timeouts = 0
    # Nobody reads: at last the kernel's buffers are full.
    for _ in range(200):
        try:
            sent += client.write(memoryview(data)[sent % len(data):]) or 0
        except OSError as e:
            equal(e.errno, errno.ETIMEDOUT)
            timeouts += 1
            if timeouts == 2:
                break
    equal(timeouts, 2)
    # All that was taken arrives, once and in order.
    got = 0
    poller = select.poll()
    poller.register(server, select.POLLIN)
    poller.register(client, 0)  # a poll sends unsent data
    while got < sent:
        equal(poller.poll(30000), [(server, select.POLLIN)])
        part = server.read(16384) or b""
        for at in (0, len(part) - 1) if part else ():
            equal(part[at], data[(got + at) % len(data)])
        got += len(part)
    equal(server.read(1), None)
    client.setblocking(False)
    equal(client.write(b"more"), 4)


def test_ctrl_c_ends_a_blocking_read():
    client, server, a, b = psk_tcp_pair()
    client.setblocking(True)
    try:
        os.system("(sleep 0.3; kill -INT $PPID) &")
        client.read(1)
        raise AssertionError("nothing was raised")
    except KeyboardInterrupt:
        pass
    client.close()
    raises(OSError, client.read, 1, code=errno.EBADF)


# --- threads


def in_thread(call, ended, is_inside):
    """Returns when the thread is in the call; `ended` gets its result, or its errno."""
    import _thread

    def work():
        try:
            ended.append(call())
        except OSError as e:
            # is_inside() was asking at the same moment.
            work() if e.errno == ussl.ERR_BAD_USE else ended.append(e.errno)

    _thread.start_new_thread(work, ())
    until = time.ticks_add(time.ticks_ms(), 30000)
    while not is_inside():
        assert time.ticks_diff(until, time.ticks_ms()) > 0 and not ended, ended
        time.sleep_ms(2)


def is_refused(call, *args):
    """Whether another thread is in such a call. Else, this one does nothing."""
    try:
        call(*args)
        return False
    except OSError as e:
        equal(e.errno, ussl.ERR_BAD_USE)
        return True


def wait_for(ended):
    for _ in range(6000):
        if ended:
            return
        time.sleep_ms(5)


def test_two_readers_at_one_connection():
    client, server, a, b = psk_tcp_pair()
    client.setblocking(True)
    got = []
    in_thread(lambda: client.read(5), got, lambda: is_refused(client.recv, 0))
    # The other is in a read: these are refused and change nothing.
    for call in ALL_CALLS[:6] + ALL_CALLS[-1:]:
        raises(OSError, call, client, code=ussl.ERR_BAD_USE)
    client.write(b"world")
    equal(client.flush(), True)
    equal(client.version()[:5], "TLSv1")
    server.setblocking(True)
    equal(server.read(5), b"world")
    server.write(b"hello")
    wait_for(got)
    equal(got, [b"hello"])


def test_two_writers_at_one_connection():
    client, server, a, b = psk_tcp_pair()
    client.setblocking(True)
    # More than the kernel holds: nobody reads.
    a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
    b.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    data = pattern(500000)
    poller = select.poll()
    poller.register(client, select.POLLOUT)
    sent = []
    # Acknowledgements may make room once more, a little later.
    in_thread(lambda: client.write(data), sent, lambda: not poller.poll(300))
    for call in ALL_CALLS[6:10] + ALL_CALLS[-1:]:
        raises(OSError, call, client, code=ussl.ERR_BAD_USE)
    server.setblocking(True)
    equal(server.read(len(data)) == data, True)
    wait_for(sent)
    equal(sent, [len(data)])


def test_a_second_thread_over_a_stream_that_blocks():
    # Nobody can wait for such a stream but its own read().
    client, server, a, b = psk_pair()
    inside, got = [], []

    def wait():
        inside.append(True)
        time.sleep_ms(1)

    a.pump = wait
    in_thread(lambda: client.recv(5), got, lambda: inside)
    for call in ALL_CALLS:
        raises(OSError, call, client, code=ussl.ERR_BAD_USE)
    raises(OSError, client.version, code=ussl.ERR_BAD_USE)
    server.write(b"hello")
    wait_for(got)
    equal(got, [b"hello"])
    a.pump = None
    equal(client.write(b"world"), 5)
    equal(server.recv(5), b"world")


def test_close_while_another_thread_reads():
    client, server, a, b = psk_tcp_pair()
    client.setblocking(True)
    got = []
    in_thread(lambda: client.read(5), got, lambda: is_refused(client.recv, 0))
    client.close()
    equal(client.ioctl(IOCTL_POLL, POLL_RD), POLL_NVAL)
    wait_for(got)
    equal(got, [errno.EBADF])
    gc.collect()
    server.setblocking(True)
    equal(server.read(5), b"")
    raises(OSError, client.read, 1, code=errno.EBADF)
    equal(client.version(), None)


def test_threads_with_a_connection_each():
    import _thread

    done = []

    def work(n):
        try:
            for i in range(10):
                client, server, a, b = psk_pair()
                data = pattern(3000, n * 100 + i)
                client.write(data)
                equal(server.read() == data, True)
                raises(OSError, psk_client, refusing(), code=ussl.ERR_NOT_TLS)
            done.append(True)
        except Exception as e:
            done.append(e)

    def refusing():
        a, b = pipe()
        b.write(b"220 not TLS\r\n")
        return a

    for n in range(4):
        _thread.start_new_thread(work, (n,))
    for _ in range(4000):
        if len(done) == 4:
            break
        time.sleep_ms(5)
    equal(done, [True] * 4)


# --- any call in any state


def test_never_connected():
    for make in (psk_client, psk_server):
        sock = make(socket.socket(), do_handshake=False)
        for call in ALL_CALLS:
            try:
                call(sock)
                raise AssertionError("no error")
            except OSError as e:
                # ENOTCONN, EPIPE or ECONNRESET, as the kernel sees it; or BAD_USE of unwrap.
                assert e.errno > 0 or e.errno == ussl.ERR_BAD_USE, e
        equal((sock.version(), sock.cipher(), sock.pending(), sock.getpeercert()), (None, None, 0, None))
        sock.close()
        sock.close()


def test_methods_called_with_nonsense():
    client, server, a, b = psk_pair()
    for call in (
        lambda: client.read(1, 2), lambda: client.read("x"), lambda: client.write(), lambda: client.write(5),
        lambda: client.readinto(), lambda: client.readinto(5), lambda: client.recv(), lambda: client.recv("x"),
        lambda: client.readline("x"), lambda: client.getpeercert(1, 2), lambda: client.getpeercert(nonsense=1),
        lambda: client.setblocking(), lambda: client.ioctl(), lambda: client.ioctl("x", 0),
        lambda: client.close(1), lambda: client.do_handshake(1, 2, 3), lambda: client.__exit__(),
    ):
        raises(TypeError, call)
    # Not even with another object as self.
    for method in ("read", "write", "close", "cipher"):
        function = getattr(type(client), method)
        try:
            function(5, b"x") if method == "write" else function(5)
            raise AssertionError(method)
        except (TypeError, AttributeError):
            pass
    client.write(b"fine")
    equal(server.read(4), b"fine")


run(globals())
