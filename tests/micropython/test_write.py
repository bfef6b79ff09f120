# Accepted data is sent once, in order.

# heap: 64m
import errno
import select

import ussl
from ussltest import *


def drain(server, client=None):
    """All that has arrived."""
    out = bytearray()
    while True:
        if client:
            client.flush()
        got = server.read(70000)
        if not got:
            return bytes(out)
        out += got


def test_none_while_the_handshake_is_under_way_takes_nothing():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    equal(client.write(b"AAAA"), None)
    equal(client.write(b"AAAA"), None)
    shake(client, server)
    equal(client.write(b"AAAABB"), 6)
    equal(drain(server), b"AAAABB")


def test_what_was_taken_by_a_stuck_stream_arrives_once():
    client, server, a, b = psk_pair()
    a.room = 0
    first = client.write(b"AAAA")
    equal(first, 4)  # it fits one record, which is held
    equal(client.write(b"AAAABBBB"), None)  # now nothing more is taken
    equal(client.write(b"CC"), None)
    equal(server.read(10), None)
    a.room = 1 << 20
    # The next passed data is new data, with any bytes and length.
    equal(client.write(b"AAAAB"), 5)
    equal(drain(server), b"AAAAAAAAB")


def test_a_shorter_buffer_afterwards_is_new_data():
    client, server, a, b = psk_pair()
    a.room = 3  # the record is cut
    equal(client.write(b"0123456789"), 10)
    equal(client.write(b"x"), None)
    a.room = 1 << 20
    equal(client.write(b"y"), 1)
    equal(drain(server), b"0123456789y")


def test_the_buffer_may_change_after_write():
    client, server, a, b = psk_pair()
    a.room = 0
    buf = bytearray(b"original")
    equal(client.write(buf), 8)
    buf[:] = b"OVERLAID"
    a.room = 1 << 20
    client.flush()
    equal(drain(server), b"original")


def test_short_count_when_the_stream_is_full():
    client, server, a, b = psk_pair()
    data = pattern(100000)
    a.room = 40000
    sent = client.write(data)
    assert 32768 <= sent < 100000, sent
    while sent < len(data):
        a.room = 20000
        n = client.write(memoryview(data)[sent:])
        assert n is None or n > 0, n
        sent += n or 0
    a.room = 1 << 20
    equal(client.flush(), True)
    equal(drain(server) == data, True)


def test_never_none_after_partial_progress():
    record = 16384
    for room in (0, 1, 100, 16384, 16406, 16407, 33000, 50000):
        client, server, a, b = psk_pair()
        data = pattern(60000)
        a.room = room
        n = client.write(data)
        assert type(n) is int and n >= record, (room, n)
        a.room = 1 << 20
        client.flush()
        equal(drain(server) == data[:n], True)


def test_one_megabyte():
    client, server, a, b = psk_pair()
    data = pattern(1 << 16) * 16
    equal(client.write(data), len(data))
    equal(drain(server) == data, True)
    equal(server.write(data), len(data))
    equal(drain(client) == data, True)


def test_one_megabyte_through_a_narrow_stream():
    client, server, a, b = psk_pair()
    data = pattern(1 << 16) * 16
    a.chunk = 1000
    b.chunk = 1499
    sent = 0
    got = bytearray()
    turns = 0
    while len(got) < len(data):
        a.room = 30000
        if sent < len(data):
            n = client.write(memoryview(data)[sent:])
            sent += n or 0
        else:
            client.flush()
        got += server.read(50000) or b""
        turns += 1
        assert turns < 1000
    equal(sent, len(data))
    equal(bytes(got) == data, True)


def test_both_directions_stuck_at_once():
    # Both ends write before either reads: neither may wait for the other.
    client, server, a, b = psk_pair()
    a.room = b.room = 20000
    one, two = pattern(50000, 1), pattern(50000, 2)
    c = s = 0
    to_server, to_client = bytearray(), bytearray()
    for _ in range(1000):
        c += client.write(memoryview(one)[c:]) or 0 if c < len(one) else 0
        s += server.write(memoryview(two)[s:]) or 0 if s < len(two) else 0
        to_client += client.read(9999) or b""
        to_server += server.read(9999) or b""
        a.room = b.room = 5000
        if len(to_client) == len(two) and len(to_server) == len(one):
            break
    equal(bytes(to_server) == one, True)
    equal(bytes(to_client) == two, True)


def test_flush():
    client, server, a, b = psk_pair()
    equal(client.flush(), True)
    a.room = 0
    equal(client.write(b"held"), 4)
    equal(client.flush(), False)
    equal(server.read(4), None)
    a.room = 1000
    equal(client.flush(), True)
    equal(server.read(4), b"held")


def test_read_sends_what_is_held():
    client, server, a, b = psk_pair()
    a.room = 0
    equal(client.write(b"held"), 4)
    a.room = 1000
    equal(client.read(1), None)
    equal(server.read(4), b"held")


def test_empty_writes():
    client, server, a, b = psk_pair()
    calls = len(a.log)
    equal(client.write(b""), 0)
    equal(client.write(bytearray()), 0)
    equal(len(a.log), calls)
    equal(server.read(1), None)


def test_sizes_around_a_record():
    client, server, a, b = psk_pair()
    for size in (1, 16383, 16384, 16385, 32768, 32769):
        data = pattern(size)
        equal(client.write(data), size)
        equal(drain(server) == data, True)


def test_kinds_of_buffers():
    client, server, a, b = psk_pair()
    import array

    for data in (b"bytes", bytearray(b"array"), memoryview(b"a view")[2:], "text \xe9",
                 array.array("H", [1, 2, 3])):
        raw = bytes(data, "utf-8") if isinstance(data, str) else bytes(memoryview(data))
        n = client.write(data)
        equal(server.read(n), raw if not isinstance(data, array.array) else bytes(data))
    for wrong in (None, 1, [1, 2], object()):
        raises(TypeError, client.write, wrong)


def test_size_and_offset_as_every_stream_of_micropython():
    client, server, a, b = psk_pair()
    equal(client.write(b"0123456789", 4), 4)
    equal(client.write(b"0123456789", 2, 3), 3)
    equal(client.write(b"0123456789", 8, 100), 2)
    equal(client.write(b"0123456789", 100, 1), 0)
    equal(client.write(b"01", 100), 2)
    equal(drain(server), b"01232348901")


def test_send_and_sendall():
    client, server, a, b = psk_pair()
    equal(client.send(b"abc"), 3)
    assert client.sendall(b"def") in (None, 3)
    equal(drain(server), b"abcdef")


def test_blocking_write_over_a_socket_takes_all():
    import _thread

    a, b = tcp_pair()
    data = pattern(1 << 16) * 8
    got = []

    def reader():
        try:
            server = psk_server(b)
            got.append(server.read(len(data)))
            server.close()
        except Exception as e:
            got.append(e)

    _thread.start_new_thread(reader, ())
    client = psk_client(a)
    equal(client.write(data), len(data))
    equal(client.read(1), b"")
    client.close()
    equal(got[0] == data, True)


def never_blocking(wrap, stream, **options):
    stream.setblocking = lambda flag: None
    client = wrap(stream, **options)
    client.setblocking(False)
    return client


def gathering():
    a, b = pipe()
    client = never_blocking(psk_client, a, do_handshake=False, gather_writes=True)
    server = psk_server(b, do_handshake=False)
    shake(client, server)
    return client, server, a, b


def test_gathered_writes_wait_for_a_poll():
    client, server, a, b = gathering()
    for _ in range(3):
        equal(client.write(b"first"), None)
        equal(client.send(b"first"), None)
    equal(client.ioctl(IOCTL_POLL, select.POLLIN), 0)
    equal(client.write(b"first"), None)
    equal(client.ioctl(IOCTL_POLL, select.POLLOUT), select.POLLOUT)
    equal(client.write(b"first and second"), 16)
    equal(client.write(b"third"), None)
    equal(server.recv(100), b"first and second")
    equal(server.recv(100), None)
    # Reading needs no poll, and errors do not wait for one.
    server.write(b"answer")
    equal(client.read(6), b"answer")
    client.close()
    raises(OSError, client.write, b"late", code=errno.EBADF)


def test_gathered_writes_hear_of_a_broken_stream():
    for event in (select.POLLERR, select.POLLHUP, 32):
        client, server, a, b = gathering()
        known = a.ioctl

        def ioctl(request, arg, known=known, event=event):
            return event if request == IOCTL_POLL else known(request, arg)

        a.ioctl, a.broken = ioctl, True
        equal(client.write(b"x"), None)
        equal(client.ioctl(IOCTL_POLL, select.POLLOUT), event)
        raises(OSError, client.write, b"x", code=EPIPE)


def test_gather_writes_is_nothing_to_a_stream_that_blocks():
    client, server, a, b = gathering()
    client.setblocking(True)
    equal(client.write(b"at once"), 7)
    a, b = tcp_pair()
    a.setblocking(False)
    client = psk_client(a, do_handshake=False, gather_writes=True)
    equal(client.write(b"x"), None)
    equal(b.setblocking(False), None)
    raises(OSError, b.recv, 1, code=errno.EAGAIN)  # no handshake was begun
    client.settimeout(1)
    server = psk_server(b, do_handshake=False)
    raises(OSError, client.write, b"x", code=errno.ETIMEDOUT)  # but by a write that waits
    b.setblocking(True)
    equal(len(b.recv(1)), 1)
    a.close()
    b.close()


def test_tls_over_a_socket_that_gathers_writes():
    outer, server, a, b = gathering()
    inner = psk_client(outer, do_handshake=False)
    peer = psk_server(server, do_handshake=False)
    shake(inner, peer)
    equal(inner.write(b"inside"), 6)
    equal(peer.read(6), b"inside")


def test_gather_writes_of_a_context():
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    context.psk_identity, context.psk_key = IDENTITY, KEY
    context.check_hostname = False
    context.gather_writes = 1
    equal(context.gather_writes, True)
    a, b = pipe()
    client = never_blocking(context.wrap_socket, a, do_handshake_on_connect=False)
    shake(client, psk_server(b, do_handshake=False))
    equal(client.write(b"x"), None)


def test_gathered_writes_begin_a_handshake():
    a, b = pipe()
    client = never_blocking(psk_client, a, do_handshake=False, gather_writes=True)
    server = psk_server(b, do_handshake=False)
    got = None
    for _ in range(20):
        if client.ioctl(IOCTL_POLL, select.POLLOUT):
            client.write(b"hello")
        got = server.read(5)
        if got:
            break
    equal(got, b"hello")


run(globals())
