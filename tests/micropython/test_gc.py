# Everything is released by the collector, in any order, and nothing too early.

import gc
import os

import ussl
from ussltest import *


def open_files():
    return len(os.listdir("/proc/self/fd"))


def kilobytes():
    """Memory of this process, as the kernel sees it."""
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])


def overwrite_stack(depth=30):
    # The collector finds objects through stale words on the stack.
    x = [depth] * 10
    return overwrite_stack(depth - 1) if depth else x


def collect():
    overwrite_stack()
    gc.collect()
    gc.collect()


def forget_socket():
    client, server, a, b = psk_tcp_pair()
    client.write(b"hello")


def test_forgotten_sockets_are_closed():
    collect()
    before = open_files()
    for i in range(40):
        forget_socket()
        if i % 10 == 9:
            collect()
    collect()
    # A few may still be found through a stale word of the stack.
    assert open_files() <= before + 4, (before, open_files())


def test_a_forgotten_socket_closes_no_other_file():
    # Closed by hand, its number used anew: the collector must leave that alone.
    a, b = tcp_pair()
    a.setblocking(False)
    client = psk_client(a, do_handshake=False)
    a.close()
    again, other = tcp_pair()
    client = a = None
    collect()
    again.write(b"alive")
    equal(other.read(5), b"alive")
    equal(again.fileno() >= 0, True)


def test_closed_sockets_are_not_closed_again():
    a, b = tcp_pair()
    a.setblocking(False)
    client = psk_client(a, do_handshake=False)
    client.close()
    again, other = tcp_pair()
    client = None
    collect()
    again.write(b"alive")
    equal(other.read(5), b"alive")


def test_a_failed_wrap_socket_keeps_the_stream_open():
    a, b = tcp_pair()
    a.setblocking(False)
    b.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    raises(OSError, psk_client, a, code=ussl.ERR_NOT_TLS)
    collect()
    equal(a.write(b"mine"), 4)
    # And an unwrapped one.
    client, server, a, b = psk_tcp_pair()
    raises(OSError, client.unwrap, code=errno.EAGAIN)
    b.setblocking(True)
    server.unwrap()
    a.setblocking(True)
    client.unwrap()
    client = server = None
    collect()
    equal(a.write(b"mine"), 4)
    b.setblocking(True)
    equal(b.read(4), b"mine")


def test_it_holds_its_stream_and_context():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, psk_keys={IDENTITY: bytes(KEY)}, do_handshake=False)
    a = b = None
    collect()
    junk = [bytearray(64) for _ in range(1000)]  # overwrites released memory
    shake(client, server)
    collect()
    junk = [bytearray(64) for _ in range(1000)]
    client.write(b"hello")
    equal(server.read(5), b"hello")


def test_it_holds_its_psk_keys():
    class Keys:
        def get(self, identity):
            return KEY

    a, b = pipe()
    server = psk_server(b, psk_keys=Keys(), do_handshake=False)
    collect()
    junk = [bytearray(64) for _ in range(1000)]
    shake(psk_client(a, do_handshake=False), server)


def test_it_holds_the_exception_it_raises_again():
    class Raises(End):
        def readinto(self, buf):
            raise ValueError("made in the stream")

    a, b = Raises(), End()
    a.peer, b.peer = b, a
    client = psk_client(a, do_handshake=False)
    raises(ValueError, client.read, 1)
    collect()
    junk = [bytearray(64) for _ in range(1000)]
    raises(ValueError, client.read, 1, text="made in the stream")


def test_cycles():
    # A stream that knows its socket, and a lookup that knows it.
    def make():
        a, b = pipe()
        client = psk_client(a, do_handshake=False)
        a.sock = client

        class Keys:
            def get(self, identity):
                return KEY

        keys = Keys()
        server = psk_server(b, psk_keys=keys, do_handshake=False)
        keys.sock = server
        shake(client, server)

    for _ in range(50):
        make()
    collect()


def test_any_order():
    # Contexts, sockets and streams are released in the order of the heap.
    for i in range(60):
        a, b = pipe()
        context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ussl.CERT_NONE
        things = [a, b, context, context.wrap_socket(a, do_handshake_on_connect=False),
                  ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), do_handshake=False)]
        if i % 2:
            shake(things[3], things[4])
        for at in (i % 5, (i + 2) % 5):
            things[at] = None
            a = b = context = None
            gc.collect()
        things = None
        gc.collect()


def test_del_by_hand():
    client, server, a, b = psk_pair()
    client.__del__()
    client.__del__()
    raises(OSError, client.read, 1, code=errno.EBADF)
    context = client.context
    context.__del__()
    context.__del__()
    server.context.__del__()
    server.write(b"still fine")  # the connection has its own hold


def steady(make, rounds=300, most=6000):
    """The used memory after many rounds is the same as after some."""
    for _ in range(60):
        make()
        gc.collect()
    before = kilobytes()
    for i in range(rounds if not SLOW else rounds // 5):
        make()
        gc.collect()
    grown = kilobytes() - before
    # AddressSanitizer keeps freed memory for a while.
    assert ASAN or grown < most, "%d KB more" % grown


def test_memory_of_connections():
    def make():
        client, server, a, b = psk_pair()
        client.write(b"hello")
        server.read(5)

    steady(make, most=2000)


def test_memory_of_certificate_connections():
    def make():
        c, s, a, b = cert_pair(client={"ca_certs": cert("ca.crt"), "server_hostname": "localhost"})
        c.getpeercert(True), c.getpeercert()
        c.close()

    steady(make, most=2000)


def test_memory_of_failed_handshakes():
    def make():
        a, b = pipe()
        client = psk_client(a, psk_key=b"wrong", do_handshake=False)
        server = psk_server(b, do_handshake=False)
        shake_out(client, server)
        a, b = pipe()
        b.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        raises(OSError, psk_client, a)

    steady(make, most=2000)


def test_memory_of_refusals():
    def make():
        for options in ({"keyfile": cert("server.key"), "certfile": cert("truncated.crt")},
                        {"keyfile": cert("garbage"), "certfile": cert("server.crt")},
                        {"ca_certs": cert("ca-then-truncated.crt"), "server_hostname": "x"}):
            raises(ValueError, ussl.wrap_socket, End(), do_handshake=False, **options)

    steady(make, most=2000)


def test_memory_of_unsent_data_and_exceptions():
    class Raises(End):
        now = False

        def write(self, buf):
            if self.now:
                raise ValueError("in the stream")
            return End.write(self, buf)

    def make():
        a, b = Raises(), End()
        a.peer, b.peer = b, a
        client, server, a, b = psk_pair(a, b)
        b.room = 0
        server.write(pattern_16k)
        a.now = True
        raises(ValueError, client.write, b"x")
        # Forgotten sockets with unsent data are kept until it is sent.
        b.room, a.now = 1 << 20, False
        ussl.flush_closed(0)

    steady(make, most=2000)


pattern_16k = bytes(16000)


def test_out_of_heap_while_reading():
    # MemoryError, and the connection continues.
    client, server, a, b = psk_pair()
    server.write(b"hello")
    raises(MemoryError, client.read, 1 << 30)
    equal(client.read(5), b"hello")


def test_many_at_once():
    pairs = [psk_pair() for _ in range(40)]
    for i, (client, server, a, b) in enumerate(pairs):
        client.write(b"%d" % i)
    for i, (client, server, a, b) in enumerate(pairs):
        equal(server.read(), b"%d" % i)


run(globals())
