# read, readinto, readline, recv.

import errno

import ussl
from ussltest import *


def test_nothing_there_is_None():
    client, server, a, b = psk_pair()
    equal(client.read(), None)
    equal(client.read(10), None)
    equal(client.read(-1), None)
    equal(client.read(None), None)
    equal(client.readinto(bytearray(10)), None)
    equal(client.readline(), None)
    equal(client.recv(10), None)
    equal(client.recv_into(bytearray(10)), None)
    server.write(b"still works")
    equal(client.read(), b"still works")


def test_read_n_gives_what_is_there_on_a_non_blocking_stream():
    client, server, a, b = psk_pair()
    server.write(b"hello")
    equal(client.read(3), b"hel")
    equal(client.read(10), b"lo")
    equal(client.read(10), None)


def test_read_zero():
    client, server, a, b = psk_pair()
    equal(client.read(0), b"")
    equal(client.readinto(bytearray()), 0)
    equal(client.recv(0), b"")
    server.write(b"x")
    equal(client.read(0), b"")
    equal(client.read(1), b"x")


def test_read_n_fills_on_a_blocking_stream():
    client, server, a, b = psk_pair()
    parts = [b"one", b"two", b"three"]
    a.pump = lambda: server.write(parts.pop(0))
    equal(client.read(8), b"onetwoth")
    equal(client.recv(100), b"ree")


def test_recv_gives_what_is_there():
    client, server, a, b = psk_pair()
    parts = [b"one", b"two", b"three"]
    a.pump = lambda: server.write(parts.pop(0))
    equal(client.recv(100), b"one")
    buf = bytearray(10)
    equal(client.recv_into(buf), 3)
    equal(bytes(buf[:3]), b"two")
    equal(client.recv(2), b"th")
    equal(client.recv(100), b"ree")


def test_readinto():
    client, server, a, b = psk_pair()
    server.write(b"0123456789")
    buf = bytearray(b"----------")
    equal(client.readinto(buf, 3), 3)
    equal(bytes(buf), b"012-------")
    equal(client.readinto(memoryview(buf)[5:]), 5)
    equal(bytes(buf), b"012--34567")
    equal(client.readinto(buf, 100), 2)
    equal(bytes(buf), b"892--34567")
    server.write(b"abcdefghijk\n")
    equal(client.readinto(buf, -1), 10)  # as much as there is room for
    equal(bytes(buf), b"abcdefghij")
    equal(client.readline(None), b"k\n")
    raises(TypeError, client.readinto, b"not writable")
    raises(TypeError, client.readinto, 5)


def test_recv_into_a_part():
    client, server, a, b = psk_pair()
    server.write(b"0123456789")
    buf = bytearray(4)
    equal(client.recv_into(buf, 2), 2)
    equal(client.recv_into(buf), 4)


def test_readline():
    client, server, a, b = psk_pair()
    server.write(b"first\nsecond\r\n\nrest")
    equal(client.readline(), b"first\n")
    equal(client.readline(3), b"sec")
    equal(client.readline(), b"ond\r\n")
    equal(client.readline(-1), b"\n")
    server.close()
    equal(client.readline(), b"rest")
    equal(client.readline(), b"")


def test_readline_over_a_blocking_stream():
    client, server, a, b = psk_pair()
    parts = [b"on", b"e\ntw", b"o\n"]
    a.pump = lambda: server.write(parts.pop(0))
    equal(client.readline(), b"one\n")
    equal(client.readline(), b"two\n")


def test_a_long_line():
    client, server, a, b = psk_pair()
    line = b"x" * 40000 + b"\n"
    server.write(line)
    equal(client.readline() == line, True)


def test_read_to_the_end():
    client, server, a, b = psk_pair()
    data = pattern(100000)
    server.write(data)
    server.close()
    equal(client.read() == data, True)


def test_the_end_again_and_again():
    client, server, a, b = psk_pair()
    server.write(b"last")
    server.close()
    equal(client.read(4), b"last")
    for _ in range(3):
        equal(client.read(), b"")
        equal(client.read(10), b"")
        equal(client.readline(), b"")
        equal(client.recv(10), b"")
        equal(client.readinto(bytearray(5)), 0)
        equal(client.recv_into(bytearray(5)), 0)


def test_read_n_over_the_end():
    client, server, a, b = psk_pair()
    server.write(b"abc")
    server.close()
    equal(client.read(100), b"abc")
    equal(client.read(100), b"")


def test_data_before_an_error_is_delivered_first():
    for read in (lambda s: s.read(100), lambda s: s.read(), lambda s: s.readline()):
        client, server, a, b = psk_pair()
        server.write(b"good")
        server.write(b"damaged")
        a.inbox[-1] ^= 1
        equal(read(client), b"good")
        raises(OSError, client.read, 100, code=ussl.ERR_RECORD_CORRUPT)
        raises(OSError, client.read, code=ussl.ERR_RECORD_CORRUPT)
        raises(OSError, client.readline, code=ussl.ERR_RECORD_CORRUPT)
        raises(OSError, client.recv, 1, code=ussl.ERR_RECORD_CORRUPT)
        raises(OSError, client.readinto, bytearray(1), code=ussl.ERR_RECORD_CORRUPT)


def test_data_before_an_exception_is_delivered_first():
    client, server, a, b = psk_pair()
    server.write(b"good")
    server.write(b"never seen")
    held = bytes(a.inbox)
    a.inbox = bytearray(held[: len(held) // 2])

    def pump():
        raise KeyError("from the stream")

    a.pump = pump
    equal(client.read(100), b"good")
    raises(KeyError, client.read, 100, text="from the stream")


def test_pending():
    client, server, a, b = psk_pair()
    equal(client.pending(), 0)
    server.write(b"0123456789")
    equal(client.read(3), b"012")
    equal(client.pending(), 7)
    equal(client.read(7), b"3456789")
    equal(client.pending(), 0)


def test_negative_and_huge_sizes():
    client, server, a, b = psk_pair()
    server.write(b"abc")
    equal(client.read(-5), b"abc")
    raises(MemoryError, client.read, sys.maxsize // 2)
    for call in (client.read, client.recv):
        try:
            call(1 << 40)
        except (MemoryError, OverflowError):
            continue
        raise AssertionError
    raises(TypeError, client.read, "5")
    raises(TypeError, client.recv)
    server.write(b"def")
    equal(client.read(3), b"def")


def test_as_any_stream():
    # MicroPython's own code calls the protocol of a stream, not the methods.
    import json
    import select

    client, server, a, b = psk_pair()
    json.dump({"a": [1, 2]}, client)
    client.write(b"\n")
    equal(server.readline(), b'{"a": [1, 2]}\n')
    server.write(b'{"b": 3}')
    server.close()
    equal(json.load(client), {"b": 3})
    print("formatted", 5, file=client, end="")
    equal(client.flush(), True)


run(globals())
