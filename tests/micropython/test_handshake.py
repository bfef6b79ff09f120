# When the handshake happens, and how it waits.

import errno
import time

import ussl
from ussltest import *


def test_no_io_in_wrap_socket_when_deferred():
    a, b = pipe()
    psk_client(a, do_handshake=False)
    psk_server(b, do_handshake=False)
    equal(a.calls + b.calls, 0)
    # Positional, after server_hostname.
    ussl.wrap_socket(a, False, None, None, ussl.CERT_NONE, None, None, False)
    equal(a.calls, 0)


def test_by_the_first_reads():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    for _ in range(10):
        equal(client.read(1), None)
        equal(server.read(1), None)
    equal(client.write(b"hello"), 5)
    equal(server.read(5), b"hello")
    equal(server.write(b"world"), 5)
    equal(client.read(5), b"world")


def test_by_the_first_writes():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    c = s = None
    while not (c and s):
        c = c or client.write(b"ping")
        s = s or server.write(b"pong")
    equal((c, s), (4, 4))
    equal((client.read(4), server.read(4)), (b"pong", b"ping"))


def byte_by_byte(pair):
    a, b = pipe()
    a.chunk = b.chunk = 1
    client, server, a, b = pair(a, b)
    equal(client.write(b"abc"), 3)
    equal(server.read(3), b"abc")
    equal(server.write(b"def"), 3)
    equal(client.read(3), b"def")


def test_byte_by_byte_psk():
    byte_by_byte(psk_pair)


def test_byte_by_byte_certificate():
    byte_by_byte(cert_pair)


def test_when_writes_are_stuck_at_any_byte():
    # The stream takes a few bytes only now and then: every message is cut somewhere.
    for most in (1, 7, 100):
        a, b = pipe()
        client = psk_client(a, do_handshake=False)
        server = psk_server(b, do_handshake=False)
        a.room = b.room = 0
        c = s = False
        for _ in range(20000):
            c = c or step(client)
            s = s or step(server)
            if c and s:
                break
            a.room = min(a.room + most, most)
            b.room = min(b.room + most, most)
        assert c and s, most
        a.room = b.room = 1 << 20
        equal(client.write(b"x"), 1)
        equal(server.read(1), b"x")


def test_do_handshake_says_EAGAIN_until_done():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    raises(OSError, client.do_handshake, code=errno.EAGAIN)
    raises(OSError, client.do_handshake, code=errno.EAGAIN)
    equal(client.version(), None)
    equal(client.cipher(), None)
    shake(client, server)
    equal(client.do_handshake(), None)
    equal(client.do_handshake(), None)
    equal(client.version(), "TLSv1.3")
    equal(client.cipher(), server.cipher())


def test_blocking_stream_written_in_python():
    a, b = pipe()
    server = psk_server(b, do_handshake=False)
    a.pump = lambda: step(server)
    client = psk_client(a)
    equal(client.version(), "TLSv1.3")
    client.write(b"hello")
    equal(server.read(5), b"hello")


def test_over_blocking_sockets():
    a, b = tcp_pair()
    server = other_thread(lambda: psk_server(b))
    client = psk_client(a)
    server = server()
    client.write(b"hello")
    equal(server.read(5), b"hello")
    server.write(b"bye")
    server.close()
    equal(client.read(), b"bye")
    client.close()


def test_over_non_blocking_sockets():
    a, b = tcp_pair()
    a.setblocking(False)
    b.setblocking(False)
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    shake(client, server)
    client.write(b"hello")
    until = time.ticks_add(time.ticks_ms(), 5000)
    got = None
    while not got and time.ticks_diff(until, time.ticks_ms()) > 0:
        got = server.read(5)
    equal(got, b"hello")
    equal(server.read(5), None)


def test_wrap_socket_waits_over_a_non_blocking_socket():
    a, b = tcp_pair()
    a.setblocking(False)

    def late():
        time.sleep_ms(300)
        return psk_server(b)

    begin = time.ticks_ms()
    server = other_thread(late)
    client = psk_client(a)
    waited = time.ticks_diff(time.ticks_ms(), begin)
    assert waited >= 250, waited
    equal(client.version(), "TLSv1.3")
    server = server()
    equal(client.read(1), None)
    server.close()


def test_wrap_socket_waits_without_spinning():
    a, b = tcp_pair()
    a.setblocking(False)

    def late():
        time.sleep_ms(600)
        return psk_server(b)

    server = other_thread(late)
    begin = time.clock()
    psk_client(a)
    used = time.clock() - begin
    server()
    # A loop without a pause would use all of these 600 ms.
    limit = 0.2 if not SLOW else 0.45
    assert used < limit, used


def test_deferred_over_a_blocking_socket():
    a, b = tcp_pair()

    def serve():
        server = psk_server(b, do_handshake=False)
        return server.read(5), server.write(b"world"), server.close()

    served = other_thread(serve)
    client = psk_client(a, do_handshake=False)
    equal(client.write(b"hello"), 5)
    equal(client.read(5), b"world")
    equal(served()[0], b"hello")
    client.close()


def test_certificates_over_sockets():
    a, b = tcp_pair()
    served = other_thread(
        lambda: ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt")))
    client = ussl.wrap_socket(a, ca_certs=cert("ca.crt"), server_hostname="localhost")
    server = served()
    client.write(b"hello")
    equal(server.read(5), b"hello")
    client.close()
    server.close()


def test_tls_within_tls():
    # An SSLSocket is a stream, too.
    outer_client, outer_server, a, b = psk_pair()
    client, server, _, _ = psk_pair(outer_client, outer_server)
    equal(client.write(b"deep inside"), 11)
    equal(server.read(11), b"deep inside")
    equal(client.ioctl(IOCTL_POLL, POLL_RD | POLL_WR), POLL_WR)
    client.close()
    equal(a.closed, 1)
    equal(server.read(), b"")
    assert server.unwrap() is outer_server


def test_over_a_subclass_of_socket():
    class Mine(socket.socket):
        pass

    listener, address = listen()
    a = Mine()
    a.connect(address)
    b = listener.accept()[0]
    listener.close()
    server = other_thread(lambda: psk_server(b))
    client = psk_client(a)
    server = server()
    client.write(b"hello")
    equal(server.read(5), b"hello")
    client.close()
    equal(server.read(1), b"")
    raises(OSError, a.write, b"x", code=errno.EBADF)
    server.close()


def test_a_failed_wrap_socket_leaves_the_stream_to_the_caller():
    a, b = pipe()
    b.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    raises(OSError, psk_client, a, code=ussl.ERR_NOT_TLS)
    equal(a.closed, 0)
    a.write(b"still mine")
    # A socket, too: nothing has closed it.
    a, b = tcp_pair()
    b.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    raises(OSError, psk_client, a, code=ussl.ERR_NOT_TLS)
    a.setblocking(False)
    equal(a.write(b"still mine"), 10)
    a.close()
    b.close()


def test_peer_that_closes_during_the_handshake():
    a, b = pipe()
    b.ioctl(IOCTL_CLOSE, 0)
    raises(OSError, psk_client, a, code=ussl.ERR_PEER_CLOSED, text="PEER_CLOSED: ")
    a, b = pipe()
    a.ioctl(IOCTL_CLOSE, 0)
    raises(OSError, psk_server, b, code=ussl.ERR_PEER_CLOSED)
    # Closed completely: the stream's own error.
    a, b = pipe()
    a.broken = a.at_end = True
    raises(OSError, psk_client, a, code=EPIPE)


run(globals())
