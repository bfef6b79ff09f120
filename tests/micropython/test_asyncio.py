# ussl under MicroPython's asyncio.
# heap: 16m

import asyncio

import ussl
from ussltest import *


class Psk:
    """The methods that asyncio needs of an SSLContext, with pre-shared keys."""

    def __init__(self, **options):
        self.options = options

    def wrap_socket(self, sock, server_side=False, server_hostname=None, do_handshake_on_connect=True):
        make = psk_server if server_side else psk_client
        return make(sock, do_handshake_on_connect=do_handshake_on_connect, **self.options)


def certificate_contexts():
    server = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cafile=cert("ca.crt"))
    return server, client


def connect(port, context=None):
    return asyncio.open_connection("127.0.0.1", port, ssl=context or Psk(), server_hostname="localhost")


async def echo(reader, writer):
    try:
        while True:
            data = await reader.read(5000)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()
    await writer.wait_closed()


def checksum(data, start=0):
    import binascii

    return binascii.crc32(data, start)


async def talk(port, data, piece, context=None):
    """Sends all of data in pieces, and reads it back meanwhile; returns the checksum of the received data."""
    reader, writer = await connect(port, context)

    async def send():
        for at in range(0, len(data), piece):
            writer.write(memoryview(data)[at : at + piece])
            await writer.drain()

    sending = asyncio.create_task(send())
    total, got = 0, 0
    while got < len(data):
        part = await reader.read(8192)
        if not part:
            break
        total = checksum(part, total)
        got += len(part)
    await sending
    writer.close()
    await writer.wait_closed()
    return got, total


def run_async(main, seconds=30):
    async def limited():
        return await asyncio.wait_for(main, seconds if not SLOW else seconds * 4)

    try:
        return asyncio.run(limited())
    finally:
        asyncio.new_event_loop()


async def nothing_spins():
    watch = Watch()
    watching = asyncio.create_task(asyncio.StreamReader(watch).read(1))
    await asyncio.sleep_ms(10)  # delivery of the data on its way
    watch.start()
    await asyncio.sleep_ms(300)
    watch.slept()
    watching.cancel()


async def with_server(work, handle=echo, context=None):
    """await work(port) while a server answers there."""
    listener, address = listen()
    listener.close()  # asyncio makes its own, on the port that was free a moment ago
    port = bytes(address)[2] << 8 | bytes(address)[3]
    server = await asyncio.start_server(handle, "127.0.0.1", port, 50, ssl=context or Psk())
    try:
        return await work(port, address)
    finally:
        server.close()
        await server.wait_closed()


def test_echo():
    async def work(port, address):
        data = b"hello, world"
        equal(await talk(port, data, 100), (len(data), checksum(data)))

    run_async(with_server(work))


def test_echo_with_certificates():
    server, client = certificate_contexts()

    async def work(port, address):
        data = pattern(20000)
        equal(await talk(port, data, 3000, client), (len(data), checksum(data)))

    run_async(with_server(work, context=server))


def test_large_messages_both_ways():
    data = pattern(1 << 16) * 8

    async def work(port, address):
        equal(await talk(port, data, 100000), (len(data), checksum(data)))

    run_async(with_server(work))


def test_small_messages():
    data = pattern(3000)

    async def work(port, address):
        equal(await talk(port, data, 7), (len(data), checksum(data)))

    run_async(with_server(work))


def test_twenty_connections_at_once():
    async def work(port, address):
        async def one(i):
            data = pattern(20000 + i * 1000, i + 1)
            equal(await talk(port, data, 1000 + i * 100), (len(data), checksum(data)))
            return i

        done = await asyncio.gather(*(one(i) for i in range(20)))
        equal(done, list(range(20)))

    run_async(with_server(work))


def test_two_hundred_connections_at_once():
    # Small messages, and every tenth a large one; 400 ends in this one interpreter.
    server, client = certificate_contexts()

    async def work(port, address):
        async def one(i):
            data = pattern(300 if i % 10 else 40000, i + 1)
            equal(await talk(port, data, 100 if i % 10 else 7000, client), (len(data), checksum(data)))
            return i

        done = await asyncio.gather(*(one(i) for i in range(200)))
        equal(done, list(range(200)))

    run_async(with_server(work, context=server), 50)


def test_ssl_True_is_a_client_that_verifies():
    server, client = certificate_contexts()

    async def work(port, address):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=True, server_hostname="localhost")
        try:
            writer.write(b"hello")
            await writer.drain()
            raise AssertionError("a root that the system does not know was taken")
        except OSError as e:
            equal(e.errno, ussl.ERR_CERT_UNKNOWN_ISSUER)
        writer.close()
        await writer.wait_closed()

    run_async(with_server(work, context=server))


def test_a_handshake_can_be_cancelled():
    async def main():
        listener, address = listen()
        port = bytes(address)[2] << 8 | bytes(address)[3]
        for _ in range(3):
            reader, writer = await connect(port)
            reading = asyncio.create_task(reader.read(1))
            await asyncio.sleep_ms(20)
            reading.cancel()
            try:
                await reading
                raise AssertionError("not cancelled")
            except asyncio.CancelledError:
                pass
            try:
                await asyncio.wait_for(reader.read(1), 0.05)
                raise AssertionError("no time-out")
            except asyncio.TimeoutError:
                pass
            writer.close()
            await writer.wait_closed()
        listener.close()

    run_async(main())


def test_lines():
    async def shout(reader, writer):
        while True:
            line = await reader.readline()
            if not line:
                break
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def work(port, address):
        reader, writer = await connect(port)
        for line in (b"one\n", b"two\n", b"x" * 3000 + b"\n"):
            writer.write(line)
            await writer.drain()
            equal(await reader.readline(), line.upper())
        writer.write(b"0123456789")
        writer.write(b"\n")
        await writer.drain()
        equal(await reader.readexactly(11), b"0123456789\n")
        writer.close()

    run_async(with_server(work, shout))


def test_readexactly_and_the_end():
    async def few(reader, writer):
        writer.write(b"0123456789")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def work(port, address):
        reader, writer = await connect(port)
        equal(await reader.readexactly(4), b"0123")
        try:
            await reader.readexactly(100)
            raise AssertionError("no EOFError")
        except EOFError:
            pass
        writer.close()
        reader, writer = await connect(port)
        equal(await reader.read(-1), b"0123456789")
        writer.close()

    run_async(with_server(work, few))


def test_a_stalled_handshake_does_not_block_others():
    async def work(port, address):
        stalled = [socket.socket() for _ in range(3)]
        for sock in stalled:
            sock.connect(address)
        stalled[1].write(b"\x16\x03\x01")  # and one that stops in the middle
        data = pattern(5000)
        for _ in range(3):
            equal(await talk(port, data, 1000), (len(data), checksum(data)))
        await nothing_spins()
        for sock in stalled:
            sock.close()

    run_async(with_server(work))


def test_a_client_whose_server_is_silent_does_not_spin():
    async def main():
        listener, address = listen()
        reader, writer = await connect(bytes(address)[2] << 8 | bytes(address)[3])
        reading = asyncio.create_task(reader.read(1))
        writer.write(b"waiting to be sent")
        writing = asyncio.create_task(writer.drain())
        await nothing_spins()
        assert not reading.done() and not writing.done()
        reading.cancel()
        writing.cancel()
        listener.close()

    run_async(main())


def test_errors_reach_the_task():
    async def work(port, address):
        reader, writer = await connect(port)
        wrong = socket.socket()
        wrong.connect(address)
        wrong.write(b"GET / HTTP/1.0\r\n\r\n")
        wrong.close()
        bad, _ = await connect(port, Psk(psk_key=b"wrong"))
        try:
            await bad.read(1)
            raise AssertionError("no error")
        except OSError as e:
            equal(e.errno, ussl.ERR_PSK_REFUSED)
        await bad.wait_closed()
        # The others live on.
        writer.write(b"fine")
        await writer.drain()
        equal(await reader.readexactly(4), b"fine")
        writer.close()

    run_async(with_server(work))


def test_gathered_writes_leave_in_one_record():
    import _thread

    line = b"one of many lines\n"

    def records_of(gather):
        a, b = tcp_pair()
        records = []

        def count():
            server = psk_server(b)
            total = 0
            while total < 50 * len(line):
                records.append(server.recv(16384))
                total += len(records[-1])

        async def send(client):
            stream = asyncio.StreamWriter(client)
            for _ in range(50):
                stream.write(line)
            await stream.drain()
            while b"".join(records) != 50 * line:
                await asyncio.sleep_ms(1)

        _thread.start_new_thread(count, ())
        client = psk_client(a, gather_writes=gather)
        client.setblocking(False)
        asyncio.run(asyncio.wait_for(send(client), 30))
        client.close()
        b.close()
        return len(records)

    equal(records_of(False), 50)
    equal(records_of(True), 1)


run(globals())
