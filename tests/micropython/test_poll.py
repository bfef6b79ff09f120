# poll tells the truth, in every state.

import errno
import select
import time

import ussl
from ussltest import *

BOTH = POLL_RD | POLL_WR


def polled(sock, flags=BOTH):
    return sock.ioctl(IOCTL_POLL, flags)


def test_open_and_idle():
    client, server, a, b = psk_pair()
    equal(polled(client), POLL_WR)
    equal(polled(client, POLL_RD), 0)
    equal(polled(client, POLL_WR), POLL_WR)
    equal(polled(client, 0), 0)


def test_readable_and_read_agree():
    client, server, a, b = psk_pair()
    # TLS 1.3: the server's session tickets may lie there still; a read takes them away.
    equal(client.read(1), None)
    equal(polled(client, POLL_RD), 0)
    server.write(b"hello")
    equal(polled(client, POLL_RD), POLL_RD)
    equal(client.read(5), b"hello")
    equal(polled(client, POLL_RD), 0)


def test_plaintext_held_inside():
    client, server, a, b = psk_pair()
    server.write(b"hello")
    equal(client.read(1), b"h")
    equal(len(a.inbox), 0)  # the stream is empty, the rest is in there
    equal(polled(client, POLL_RD), POLL_RD)
    equal(client.read(4), b"ello")
    equal(polled(client, POLL_RD), 0)


def test_a_record_held_inside():
    # Even if the engine reads ahead: as long as there is more to read, poll reports it.
    client, server, a, b = psk_pair()
    for i in range(5):
        server.write(b"%d" % i)
    for i in range(5):
        equal(polled(client, POLL_RD), POLL_RD)
        equal(client.recv(1), b"%d" % i)
    equal(polled(client, POLL_RD), 0)


def test_not_writable_while_the_stream_is_full():
    client, server, a, b = psk_pair()
    a.room = 0
    equal(polled(client, POLL_WR), 0)
    equal(client.write(b"held"), 4)
    equal(polled(client, POLL_WR), 0)
    equal(client.write(b"more"), None)
    a.room = 1000
    equal(polled(client, POLL_WR), POLL_WR)
    equal(client.write(b"more"), 4)
    equal(server.read(8), b"heldmore")


def test_a_poll_sends_what_is_held():
    client, server, a, b = psk_pair()
    a.room = 0
    client.write(b"held")
    a.room = 1000
    equal(server.read(1), None)
    polled(client, POLL_WR)
    equal(server.read(4), b"held")


def test_a_client_first_wants_to_write():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    # Reading and writing both begin with a hello that must leave.
    equal(polled(client, POLL_RD), POLL_RD)
    equal(polled(client, POLL_WR), POLL_WR)
    a.room = 0
    equal(polled(client), 0)
    equal(client.read(1), None)
    equal(polled(client), 0)


def test_a_server_first_wants_to_read():
    a, b = pipe()
    server = psk_server(b, do_handshake=False)
    equal(polled(server, POLL_WR), 0)
    equal(polled(server, POLL_RD), 0)
    a.write(b"\x16")
    equal(polled(server, POLL_WR), POLL_WR)
    equal(polled(server, POLL_RD), POLL_RD)


def test_wants_of_a_handshake():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    equal(step(client), False)
    # The hello is out: both directions wait for the answer.
    equal(polled(client), 0)
    equal(polled(server), BOTH)
    b.room = 0
    equal(step(server), False)
    # Its answer is stuck: both wait until it can leave.
    equal(polled(server), 0)
    b.room = 1 << 20
    equal(polled(server), BOTH)


def test_a_handshake_driven_by_poll_alone():
    # If poll reported no event while there was work to do, this would stop.
    for chunk in (1, 50, 1 << 20):
        a, b = pipe()
        a.chunk = b.chunk = chunk
        client = psk_client(a, do_handshake=False)
        server = psk_server(b, do_handshake=False)
        c = s = None
        for _ in range(10000):
            progress = False
            if not c and polled(client, POLL_WR):
                c = client.write(b"ping")
                progress = True
            if not s and polled(server, POLL_RD):
                s = server.read(4)
                progress = True
            if c and s:
                break
            assert progress, (chunk, c, s)
        equal((c, s), (4, b"ping"))


def test_no_call_is_in_vain_when_poll_says_ready():
    # Each call that a poll advised moves bytes on the stream or returns something.
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    vain = 0
    for _ in range(100):
        for sock in (client, server):
            if polled(sock, POLL_RD):
                before = len(a.log), len(b.log), len(a.inbox), len(b.inbox)
                if sock.read(1) is None and before == (
                    len(a.log), len(b.log), len(a.inbox), len(b.inbox)):
                    vain += 1
    equal(vain, 0)


def test_end_of_stream_is_readable():
    client, server, a, b = psk_pair()
    server.close()
    equal(polled(client, POLL_RD), POLL_RD)
    equal(client.read(), b"")
    equal(polled(client, POLL_RD), POLL_RD)
    equal(client.read(), b"")
    equal(polled(client, POLL_RD), POLL_RD)


def test_closed_is_NVAL_each_time():
    client, server, a, b = psk_pair()
    client.close()
    for _ in range(3):
        equal(polled(client), POLL_NVAL)
        equal(polled(client, 0), POLL_NVAL)
        equal(polled(client, POLL_RD), POLL_NVAL)


def test_failed_is_NVAL_each_time():
    a, b = pipe()
    b.write(b"HTTP/1.0 400 No\r\n\r\n")
    client = psk_client(a, do_handshake=False)
    raises(OSError, client.read, 1, code=ussl.ERR_NOT_TLS)
    for _ in range(3):
        equal(polled(client), POLL_NVAL)
    client.close()
    equal(polled(client), POLL_NVAL)


def test_unwrapped_is_NVAL():
    client, server, a, b = psk_pair()
    server.close()
    client.unwrap()
    equal(polled(client), POLL_NVAL)


def test_unsupported_ioctls():
    client, server, a, b = psk_pair()
    for request in (0, IOCTL_SEEK, 5, 6, 7, 8, 9, IOCTL_GET_FILENO, 11, 99, -1):
        raises(OSError, client.ioctl, request, 0, code=errno.EINVAL)
    client.write(b"fine")
    equal(server.read(4), b"fine")


def test_ioctl_flush_and_close():
    client, server, a, b = psk_pair()
    equal(client.ioctl(IOCTL_FLUSH, 0), 0)
    equal(client.ioctl(IOCTL_CLOSE, 0), 0)
    equal(client.ioctl(IOCTL_CLOSE, 0), 0)
    equal(a.closed, 1)
    raises(OSError, client.read, 1, code=errno.EBADF)


def test_other_flags_of_the_stream_are_passed_on():
    class HangsUp(End):
        def ioctl(self, request, arg):
            return POLL_HUP | POLL_WR if request == IOCTL_POLL else End.ioctl(self, request, arg)

    a, b = HangsUp(), End()
    a.peer, b.peer = b, a
    client, server, a, b = psk_pair(a, b)
    equal(polled(client, POLL_WR | POLL_HUP), POLL_WR | POLL_HUP)


def registered_for_reading(sock):
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return poller


def test_select_poll_over_memory():
    client, server, a, b = psk_pair()
    client.read(1)
    poller = registered_for_reading(client)
    equal(poller.poll(0), [])
    server.write(b"x")
    equal(poller.poll(0), [(client, select.POLLIN)])
    equal(client.read(1), b"x")
    equal(poller.poll(0), [])
    poller.modify(client, select.POLLIN | select.POLLOUT)
    equal(poller.poll(0), [(client, select.POLLOUT)])
    poller.unregister(client)
    equal(poller.poll(0), [])


def test_select_poll_over_sockets():
    a, b = tcp_pair()
    a.setblocking(False)
    b.setblocking(False)
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    poller = select.poll()
    poller.register(client, select.POLLOUT)
    poller.register(server, select.POLLIN)
    sent = got = None
    calls = 0
    until = time.ticks_add(time.ticks_ms(), 10000)
    while not got:
        assert time.ticks_diff(until, time.ticks_ms()) > 0
        for sock, event in poller.poll(1000):
            calls += 1
            if sock is client and not sent:
                sent = client.write(b"hello")
                if sent:
                    poller.modify(client, select.POLLIN)
            elif sock is server:
                got = server.read(5)
    equal((sent, got), (5, b"hello"))
    # Not one turn for each of thousands of polls: the handshake takes a few.
    assert calls < 30, calls


def tcp_psk_pair():
    """Client and server over non-blocking sockets, with nothing under way: and the sockets beneath."""
    a, b = tcp_pair()
    a.setblocking(False)
    b.setblocking(False)
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    done = [False, False]
    for _ in range(10000):
        done = [done[0] or step(client), done[1] or step(server)]
        if done == [True, True]:
            break
        time.sleep_ms(1)
    equal(done, [True, True])
    # In TLS 1.3, the server's ticket is sent after its handshake.
    server.write(b".")
    equal(wait_and_read(client, 1), b".")
    return client, server, a, b


def wait_and_read(sock, size):
    poller = registered_for_reading(sock)
    got = b""
    while len(got) < size:
        assert poller.poll(30000), "nothing comes"
        part = sock.read(size - len(got))
        assert part != b"", "the end"
        got += part or b""
    return got


def test_select_poll_sees_what_is_held_inside():
    # Registered all the time: the buffered data changes meanwhile, and the socket does not report it.
    client, server, a, b = tcp_psk_pair()
    poller = registered_for_reading(client)
    equal(poller.poll(0), [])
    server.write(b"hello")
    equal(poller.poll(30000), [(client, select.POLLIN)])
    beneath = registered_for_reading(a)
    equal(client.read(1), b"h")
    equal(beneath.poll(0), [])
    equal(poller.poll(), [(client, select.POLLIN)])
    equal(poller.poll(0), [(client, select.POLLIN)])
    equal(client.read(4), b"ello")
    equal(poller.poll(0), [])


def test_select_poll_sends_what_is_held():
    # With any requested events: here, there is data to read.
    client, server, a, b = tcp_psk_pair()
    data = b"0123456789abcdef" * 1024
    taken = 0
    while True:
        n = client.write(data)
        if n is None:
            break
        taken += n
    both = select.poll()
    both.register(client, select.POLLIN)
    both.register(server, select.POLLIN)
    got = 0
    while got < taken:
        equal(both.poll(30000), [(server, select.POLLIN)])
        part = server.read(100000)
        got += len(part or b"")
    equal(both.poll(0), [])
    both.modify(client, select.POLLOUT)
    equal(both.poll(30000), [(client, select.POLLOUT)])


def test_select_poll_says_writable_once_what_is_held_has_left():
    client, server, a, b = tcp_psk_pair()
    poller = select.poll()
    poller.register(client, select.POLLOUT)
    data = b"0123456789abcdef" * 1024
    taken = 0
    # Part of a record is held: nothing is writable for as long as it has not left. The kernel has the peer's
    # acknowledgements, which make room, a little later.
    while True:
        if n := client.write(data):
            taken += n
        elif not poller.poll(300):
            break
    readable = registered_for_reading(server)
    got = 0
    wrote = False
    while got < taken or not wrote:
        for sock, event in readable.poll(0):
            got += len(server.read(100000) or b"")
        for sock, event in poller.poll(10):
            equal(event, select.POLLOUT)
            if not wrote:
                n = client.write(b"more")
                assert n is not None, "it said writable"
                taken += n
                wrote = True


def test_select_poll_of_one_that_failed():
    a, b = tcp_pair()
    a.setblocking(False)
    client = psk_client(a, do_handshake=False)
    poller = registered_for_reading(client)
    b.write(b"HTTP/1.0 400 No\r\n\r\n")
    registered_for_reading(a).poll(10000)
    raises(OSError, client.read, 1, code=ussl.ERR_NOT_TLS)
    for _ in range(3):
        equal(poller.poll(1000), [(client, POLL_NVAL)])


def test_select_poll_of_one_that_was_closed_before():
    client, server, a, b = tcp_psk_pair()
    client.close()
    poller = registered_for_reading(client)
    equal(poller.poll(1000), [(client, POLL_NVAL)])


def test_select_poll_of_one_that_is_gone_and_whose_number_another_has():
    # Closed, or deleted explicitly: events of others are not reported for it.
    for go in (lambda sock: sock.close(), lambda sock: sock.__del__()):
        client, server, a, b = tcp_psk_pair()
        poller = registered_for_reading(client)
        server.write(b"x")
        go(client)
        others = [tcp_psk_pair() for _ in range(3)]
        for other in others:
            other[0].write(b"x")
            other[1].write(b"x")
        for _ in range(3):
            equal(poller.poll(1000), [(client, POLL_NVAL)])


def test_select_poll_when_the_socket_beneath_was_closed():
    client, server, a, b = tcp_psk_pair()
    poller = registered_for_reading(client)
    a.close()
    ((sock, event),) = poller.poll(10000)
    assert event & POLL_NVAL, event


def test_what_a_poll_gets_is_no_descriptor():
    client, server, a, b = tcp_psk_pair()
    raises(OSError, client.ioctl, IOCTL_GET_FILENO, 0, code=errno.EINVAL)


def test_select_poll_of_all_kinds_at_once():
    # Unmodified MicroPython 1.25 crashes here if there is a stream in Python and some sockets.
    class Counted(End):
        polls = 0

        def ioctl(self, request, arg):
            if request == IOCTL_POLL:
                Counted.polls += 1
            return End.ioctl(self, request, arg)

    flag, other = Counted(), End()
    flag.peer, other.peer = other, flag
    over_python, peer, _, _ = psk_pair()
    while over_python.read(1) is not None:
        pass
    poller = select.poll()
    poller.register(flag, select.POLLIN)
    poller.register(over_python, select.POLLIN)
    pairs = []
    for _ in range(30):
        pairs.append(tcp_psk_pair())
        poller.register(pairs[-1][0], select.POLLIN)
        plain = tcp_pair()
        pairs.append(plain)
        poller.register(plain[0], select.POLLIN)
    equal(poller.poll(0), [])
    Counted.polls = 0
    equal(poller.poll(20), [])
    assert Counted.polls > 0
    for pair in pairs[::7]:
        pair[1].write(b"x")
    other.write(b"x")
    peer.write(b"x")
    expected = {id(flag), id(over_python)} | {id(pair[0]) for pair in pairs[::7]}
    until = time.ticks_add(time.ticks_ms(), 30000)
    ready = set()
    while ready != expected:
        assert time.ticks_diff(until, time.ticks_ms()) > 0, len(ready)
        ready = {id(sock) for sock, event in poller.poll(1000)}
    equal(over_python.read(1), b"x")


def test_tls_over_tls_in_select_poll():
    client, server, a, b = tcp_psk_pair()
    inner_client = psk_client(client, do_handshake=False)
    inner_server = psk_server(server, do_handshake=False)
    poller = select.poll()
    poller.register(inner_client, select.POLLOUT)
    poller.register(inner_server, select.POLLIN)
    sent = got = None
    while not got:
        ready = poller.poll(30000)
        assert ready
        for sock, event in ready:
            if sock is inner_client and not sent:
                sent = sock.write(b"hello")
                if sent:
                    poller.modify(inner_client, select.POLLIN)
            elif sock is inner_server:
                got = sock.read(5)
    equal(got, b"hello")


def stalled(make, flags):
    """How often a poll wakes in 300 ms of waiting for a silent peer."""
    a, b = tcp_pair()
    a.setblocking(False)
    sock = make(a, do_handshake=False)
    raises(OSError, sock.do_handshake, code=errno.EAGAIN)
    poller = select.poll()
    poller.register(sock, flags)
    watch = Watch()
    poller.register(watch, select.POLLIN)
    wakes = 0
    for _ in range(3):
        for s, event in poller.poll(100):
            wakes += 1
            s.read(1)
    watch.slept()
    return wakes


def test_no_busy_loop_while_a_handshake_stalls():
    for make in (psk_client, psk_server):
        for flags in (select.POLLIN, select.POLLOUT, select.POLLIN | select.POLLOUT):
            # `write wants to read` must not be told as writable: the loop would never sleep.
            equal(stalled(make, flags), 0)


def test_no_busy_loop_behind_a_hang_up():
    # The peer has closed, and no event is requested.
    client, server, a, b = tcp_psk_pair()
    watch = Watch()
    poller = select.poll()
    poller.register(client, 0)
    poller.register(watch, select.POLLIN)
    b.close()
    client.write(b"x")
    equal(poller.poll(100), [])
    watch.slept()


def test_a_stream_that_cannot_be_polled():
    class NoPoll(End):
        def ioctl(self, request, arg):
            return -errno.EINVAL

    a, b = NoPoll(), NoPoll()
    a.peer, b.peer = b, a
    client, server, a, b = psk_pair(a, b)
    client.write(b"works")
    equal(server.read(5), b"works")
    raises(OSError, polled, client)
    client.write(b"still")
    equal(server.read(5), b"still")
    # Whether the unsent data can be sent is not known, and it is not tried.
    a.room = 0
    equal(client.write(b"held"), 4)
    raises(OSError, polled, client)
    a.room = 1000
    raises(OSError, polled, client)
    equal(server.read(4), None)
    equal(client.flush(), True)
    equal(server.read(4), b"held")


run(globals())
