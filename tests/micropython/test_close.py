# The end of a connection, in all its forms.

import errno

import ussl
from ussltest import *


def dead(sock):
    """Every way of I/O on a closed socket."""
    for call in (
        lambda: sock.read(1), lambda: sock.read(), lambda: sock.readinto(bytearray(1)),
        lambda: sock.readline(), lambda: sock.recv(1), lambda: sock.recv_into(bytearray(1)),
        lambda: sock.write(b"x"), lambda: sock.send(b"x"), lambda: sock.sendall(b"x"),
        lambda: sock.flush(), lambda: sock.do_handshake(), lambda: sock.unwrap(),
        lambda: sock.setblocking(True), lambda: sock.settimeout(1),
    ):
        raises(OSError, call, code=errno.EBADF)
    equal(sock.pending(), 0)
    equal(sock.version(), None)
    equal(sock.cipher(), None)
    equal(sock.getpeercert(), None)
    equal(sock.getpeercert(True), None)
    equal(repr(sock), "<SSLSocket>")


def test_close_says_goodbye():
    client, server, a, b = psk_pair()
    client.write(b"last words")
    client.close()
    equal(a.closed, 1)
    equal(server.read(), b"last words")
    equal(server.read(), b"")
    # It was close_notify, and not just the end of the stream.
    server.unwrap()


def test_goodbye_is_told_from_a_bare_end():
    a, b = pipe()
    client, server, a, b = psk_pair(a, b)
    a.ioctl(IOCTL_CLOSE, 0)
    equal(server.read(), b"")
    equal(server.read(), b"")


def test_any_number_of_times():
    client, server, a, b = psk_pair()
    for _ in range(5):
        equal(client.close(), None)
    equal(a.closed, 1)


def test_io_afterwards_is_EBADF():
    client, server, a, b = psk_pair()
    client.close()
    dead(client)
    client.close()


def test_before_the_handshake():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    client.close()
    equal(a.closed, 1)
    dead(client)


def test_in_the_middle_of_the_handshake():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    step(client)
    step(server)
    server.close()
    equal(b.closed, 1)
    dead(server)
    client.close()
    dead(client)


def test_after_a_failed_handshake():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    b.write(b"this is not TLS at all")
    raises(OSError, client.read, 1, code=ussl.ERR_NOT_TLS)
    equal(a.closed, 0)
    client.close()
    client.close()
    equal(a.closed, 1)
    dead(client)


def test_the_alert_goes_out_before_the_stream_is_closed():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    b.write(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00")
    a.room = 0
    equal(client.read(1), None)  # the hello cannot leave
    a.room = 1 << 20
    raises(OSError, client.read, 1)
    # The hello, then an alert record: type 21, a version, two bytes.
    equal((a.log[-7], a.log[-6], bytes(a.log[-4:-2])), (21, 3, b"\x00\x02"))
    client.close()


def test_an_alert_that_was_stuck_goes_out_with_close():
    client, server, a, b = psk_pair()
    server.write(b"damaged")
    a.inbox[-1] ^= 1
    a.room = 0
    raises(OSError, client.read, 1, code=ussl.ERR_RECORD_CORRUPT)
    equal(server.read(1), None)
    a.room = 1 << 20
    client.close()
    raises(OSError, server.read, 1, code=ussl.ERR_ALERT, text="bad_record_mac")


def test_close_never_blocks():
    client, server, a, b = psk_pair()
    a.room = 0
    client.write(b"stuck")
    client.close()
    equal(a.closed, 0)
    a.room = 1 << 20
    equal(ussl.flush_closed(1), 0)
    equal(a.closed, 1)
    equal(server.read(), b"stuck")


def test_close_sends_what_was_taken():
    client, server, a, b = psk_pair()
    a.room = 0
    client.write(b"taken")
    a.room = 1 << 20
    client.close()
    equal(server.read(), b"taken")
    server.unwrap()


def test_closed_beneath():
    client, server, a, b = psk_tcp_pair()
    a.close()
    # The socket's own error; the object stays closable.
    raises(OSError, client.read, 1, code=errno.EBADF)
    try:
        client.close()
    except OSError as e:
        equal(e.errno, errno.EBADF)
    client.close()
    dead(client)
    equal(server.read(1), b"")
    server.close()


def test_a_stream_that_fails_to_close():
    class Sticky(End):
        def ioctl(self, request, arg):
            if request == IOCTL_CLOSE:
                return -errno.EIO
            return End.ioctl(self, request, arg)

    a, b = Sticky(), End()
    a.peer, b.peer = b, a
    client, server, a, b = psk_pair(a, b)
    raises(OSError, client.close, code=errno.EIO)
    equal(client.close(), None)
    dead(client)


def test_context_manager():
    client, server, a, b = psk_pair()
    with client as c:
        assert c is client
        c.write(b"inside")
    equal(a.closed, 1)
    dead(client)
    equal(server.read(), b"inside")
    # An exception passes through.
    client, server, a, b = psk_pair()

    def body():
        with client:
            raise KeyError("mine")

    raises(KeyError, body, text="mine")
    equal(a.closed, 1)
    equal(server.read(), b"")


def test_bare_end_is_an_end():
    client, server, a, b = psk_pair()
    server.write(b"data")
    b.ioctl(IOCTL_CLOSE, 0)
    equal(client.read(100), b"data")
    equal(client.read(100), b"")
    equal(client.read(100), b"")


def test_bare_end_is_TRUNCATED_if_asked_for():
    client, server, a, b = psk_pair(suppress_ragged_eofs=False)
    server.write(b"data")
    b.ioctl(IOCTL_CLOSE, 0)
    equal(client.read(100), b"data")
    for _ in range(3):
        raises(OSError, client.read, 100, code=ussl.ERR_TRUNCATED, text="TRUNCATED: ")
    # And close_notify is not one.
    client, server, a, b = psk_pair(suppress_ragged_eofs=False)
    server.close()
    equal(client.read(100), b"")
    equal(client.read(100), b"")


def test_end_inside_a_record():
    for cut in (1, 4, 5, 6, 20):
        client, server, a, b = psk_pair()
        client.read(1)
        server.write(b"whole")
        before = len(a.inbox)
        server.write(b"cut in the middle")
        a.inbox = a.inbox[: before + cut]
        b.ioctl(IOCTL_CLOSE, 0)
        equal(client.read(5), b"whole")
        raises(OSError, client.read, 100, code=ussl.ERR_TRUNCATED)
        raises(OSError, client.read, 100, code=ussl.ERR_TRUNCATED)
        client.close()


def test_end_during_the_handshake():
    # After every number of bytes of the server's answer.
    probe_a, probe_b = pipe()
    client, server, probe_a, probe_b = psk_pair(probe_a, probe_b)
    flight = len(probe_b.log)
    for cut in range(0, min(flight, 200), 7):
        a, b = pipe()
        client = psk_client(a, do_handshake=False)
        server = psk_server(b, do_handshake=False)
        step(client)
        step(server)
        a.inbox = a.inbox[:cut]
        a.at_end = True
        raises(OSError, client.do_handshake, code=ussl.ERR_PEER_CLOSED)
        raises(OSError, client.read, 1, code=ussl.ERR_PEER_CLOSED)
        client.close()


def test_writing_on_after_the_peer_said_goodbye():
    # Half-closed: this side may still send data (TLS 1.3).
    client, server, a, b = psk_pair()
    server.write(b"question")
    # close_notify without closing the stream: unwrap that does not wait.
    raises(OSError, server.unwrap, code=errno.EAGAIN)
    equal(client.read(), b"question")
    equal(client.write(b"answer"), 6)


def test_unwrap_and_on_in_plain():
    client, server, a, b = psk_pair()
    client.write(b"secret")
    equal(server.read(6), b"secret")
    raises(OSError, client.unwrap, code=errno.EAGAIN)
    assert server.unwrap() is b
    assert client.unwrap() is a
    equal(a.closed + b.closed, 0)
    a.write(b"plain")
    buf = bytearray(10)
    equal(b.readinto(buf), 5)
    equal(bytes(buf[:5]), b"plain")
    dead(client)
    client.close()
    equal(a.closed, 0)


def test_unwrap_over_blocking_stream():
    client, server, a, b = psk_pair()
    state = []

    def pump():
        try:
            state.append(server.unwrap())
        except OSError as e:
            equal(e.errno, errno.EAGAIN)

    a.pump = pump
    assert client.unwrap() is a
    assert state == [b] or server.unwrap() is b


def test_unwrap_takes_no_plain_byte():
    # Data after the peer's close_notify on the stream belongs to the program.
    client, server, a, b = psk_pair()
    raises(OSError, client.unwrap, code=errno.EAGAIN)
    assert server.unwrap() is b
    b.write(b"220 ready\r\n")
    assert client.unwrap() is a
    buf = bytearray(20)
    n = a.readinto(buf)
    equal(bytes(buf[:n]), b"220 ready\r\n")


def test_unwrap_with_unread_data():
    client, server, a, b = psk_pair()
    server.write(b"unread")
    raises(OSError, client.unwrap, code=ussl.ERR_BAD_USE, text="BAD_USE: ")
    # It reports this and changes nothing.
    equal(client.read(6), b"unread")
    raises(OSError, client.unwrap, code=errno.EAGAIN)
    server.unwrap()
    assert client.unwrap() is a


def test_unwrap_before_the_handshake():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    raises(OSError, client.unwrap, code=ussl.ERR_BAD_USE)
    equal(a.calls, 0)


def test_unwrap_over_a_stream_that_just_ends():
    client, server, a, b = psk_pair()
    b.ioctl(IOCTL_CLOSE, 0)
    raises(OSError, client.unwrap, code=ussl.ERR_TRUNCATED)
    client.close()
    equal(a.closed, 1)


def test_no_write_after_own_goodbye():
    client, server, a, b = psk_pair()
    raises(OSError, client.unwrap, code=errno.EAGAIN)
    raises(OSError, client.write, b"late", code=ussl.ERR_BAD_USE)


def test_goodbyes_over_sockets():
    import _thread

    a, b = tcp_pair()
    done = []

    def serve():
        try:
            server = psk_server(b, suppress_ragged_eofs=False)
            done.append(server.read())
            done.append(server.unwrap() is b)
            b.write(b"in plain")
            b.close()
        except Exception as e:
            done.append(e)

    _thread.start_new_thread(serve, ())
    client = psk_client(a, suppress_ragged_eofs=False)
    client.write(b"hello")
    assert client.unwrap() is a
    equal(a.read(), b"in plain")
    equal(done, [b"hello", True])
    a.close()


def unwrapped_after(plain):
    """A client, and the result of its unwrap() when the server has sent close_notify and then these bytes over b."""
    a, b = tcp_pair()
    server = other_thread(lambda: psk_server(b))
    client = psk_client(a)
    server = server()
    server.write(b"hello")
    b.setblocking(False)
    raises(OSError, server.unwrap, code=errno.EAGAIN)
    b.write(plain)
    equal(client.read(), b"hello")
    beneath = client.unwrap()
    assert server.unwrap() is b
    return client, beneath, a, b


def test_unwrap_when_the_peer_has_gone_on_in_plain():
    # Before it had our close_notify: its data may have been read together with its own close_notify.
    import select

    client, beneath, a, b = unwrapped_after(b"220 ready\r\n250 ok\r\nsecret")
    dead(client)
    client.close()

    poller = select.poll()
    poller.register(beneath, select.POLLIN)
    equal(poller.poll(0), [(beneath, select.POLLIN)])
    equal(beneath.readline(), b"220 ready\r\n")
    equal(beneath.read(3), b"250")
    equal(beneath.recv(2), b" o")
    buffer = bytearray(3)
    equal(beneath.readinto(buffer), 3)
    equal(bytes(buffer), b"k\r\n")
    if beneath is not a:
        # These would bypass the buffered data.
        for name in ("recvfrom", "makefile", "fileno"):
            raises(AttributeError, getattr, beneath, name)
        raises(OSError, beneath.ioctl, IOCTL_GET_FILENO, 0)
    equal(beneath.read(6), b"secret")
    equal(poller.poll(0), [])
    poller.register(beneath, select.POLLIN | select.POLLOUT)
    equal(poller.poll(0), [(beneath, select.POLLOUT)])
    poller.unregister(beneath)
    equal(beneath.ioctl(IOCTL_GET_FILENO, 0), a.fileno())
    # From here on it is the socket, for TLS again as well.
    b.write(b"plain")
    equal(beneath.read(5), b"plain")
    equal(beneath.write(b"more"), 4)
    equal(b.read(4), b"more")
    beneath.setblocking(True)
    b.setblocking(True)
    server = other_thread(lambda: psk_server(b))
    again = psk_client(beneath)
    server = server()
    equal(again.write(b"once more"), 9)
    equal(server.read(9), b"once more")
    again.close()
    server.close()
    raises(OSError, beneath.read, 1)


def test_what_was_left_over_goes_with_the_stream():
    client, beneath, a, b = unwrapped_after(b"never read")
    raises(AttributeError, setattr, beneath, "stream", None)
    equal(beneath.read(1), b"n")
    beneath.close()
    raises(OSError, beneath.read, 1)
    b.close()


def test_close_of_a_stream_that_knows_no_poll():
    for refusal in (NotImplementedError, OSError):
        client, server, a, b = psk_pair()
        known = a.ioctl

        def ioctl(request, arg, refusal=refusal):
            if request == IOCTL_POLL:
                raise refusal(errno.EINVAL)
            return known(request, arg)

        a.ioctl = ioctl
        client.close()
        equal(a.closed, 1)
        # close_notify was still sent.
        equal(server.read(), b"")
        server.unwrap()


run(globals())
