# One of two chips on a wire: wire.py ROLE WHAT SIZE [CA | CERT KEY]
#
# B, the server, accepts connections on port 4433, one after the other, and prints a line for each; A, the client, makes
# one. Errors are printed, and end the connection. WHAT is
#
#     echo      A sends SIZE bytes and reads them again
#     slow      A sends SIZE bytes, which B only begins to read after 4 s, and answers
#     wait      A reads, and B sends nothing
#     drain     A reads to the end of the stream, and then sends SIZE bytes, which B reads
#     upload    A sends SIZE bytes and closes at once; B reads slowly
#     page      B sends SIZE bytes and closes at once (asyncio); A waits for 4 s, and reads to the end
#     dns       A asks B for an address first
#     connect   as echo, by A's connection that does not block
import asyncio
import errno
import select
import socket
import sys
import time

import ussl

role, what, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
PORT = 4433
block = bytes(i * 7 + (i >> 8) & 255 for i in range(1024))


def send(s, size):
    for _ in range(size // 1024):
        sent = 0
        while sent < 1024:
            sent += s.write(memoryview(block)[sent:])


def receive(s, size):
    """The number of correct bytes that were received, up to the end or an error."""
    got = 0
    buf = bytearray(1024)
    while got < size:
        n = s.readinto(memoryview(buf)[: 1024 - got % 1024])
        if not n:
            break
        assert buf[:n] == block[got % 1024 : got % 1024 + n], got
        got += n
    return got


def serve(listener, options):
    sock, _ = listener.accept()
    sock.settimeout(90)
    s = sock
    got = 0
    try:
        s = ussl.wrap_socket(sock, server_side=True, **options)
        print("shaken hands", s.version())
        if what in ("slow", "upload"):
            if what == "slow":
                time.sleep(4)
            while got < size:
                buf = s.recv(512)
                if not buf:
                    break
                got += len(buf)
                if what == "upload":
                    time.sleep_ms(2)
            if what == "slow":
                s.write(b"done")
        elif what == "drain":
            got = receive(s, size)
        elif what == "wait":
            s.read(1)
        else:
            while True:
                data = s.recv(1024)
                if not data:
                    break
                s.write(data)
                got += len(data)
        print("served", got)
    except OSError as e:
        print("error", e.errno, got)
    finally:
        s.close()


async def page(reader, writer):
    try:
        await reader.readline()
        writer.write(block * (size // 1024))
        await writer.drain()
        print("written")
    finally:
        writer.close()
        await writer.wait_closed()


async def pages(options):
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options["certfile"], options["keyfile"])
    server = await asyncio.start_server(page, "0.0.0.0", PORT, ssl=context)
    print("listening")
    await server.wait_closed()


def answer_dns():
    """One question for chip.example; the answer is our own address."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 53))
    print("answering")
    question, address = s.recvfrom(512)
    answer = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\x09\0\2"
    s.sendto(answer, address)
    s.close()


def server():
    options = {"certfile": sys.argv[4], "keyfile": sys.argv[5]}
    if what == "page":
        return asyncio.run(pages(options))
    if what == "dns":
        answer_dns()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", PORT))
    listener.listen(2)
    print("listening")
    while True:
        serve(listener, options)


def connected():
    host = "10.9.0.2"
    if what == "dns":
        import network

        network.ipconfig(dns=host)
        host = "chip.example"
    address = socket.getaddrinfo(host, PORT)[0][-1]
    sock = socket.socket()
    options = {"ca_certs": sys.argv[4], "server_hostname": host}
    if what != "connect":
        sock.settimeout(90)
        sock.connect(address)
        return ussl.wrap_socket(sock, **options)
    sock.setblocking(False)
    try:
        sock.connect(address)
        raise SystemExit("it blocked")
    except OSError as e:
        assert e.errno == errno.EINPROGRESS, e
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    assert not poller.poll(0)
    assert poller.poll(30000)[0][1] & select.POLLOUT
    s = ussl.wrap_socket(sock, do_handshake=False, **options)
    poller = select.poll()
    poller.register(s, select.POLLIN)
    calls = 0
    while True:
        try:
            calls += 1
            s.do_handshake()
            break
        except OSError as e:
            assert e.errno == errno.EAGAIN, e
        assert poller.poll(30000)
    print("calls", calls)
    s.settimeout(90)
    return s


def client():
    s = connected()
    print("shaken hands", s.version())
    if what == "wait":
        print("read", s.read(1))
    elif what == "drain":
        print("read", s.read(1))
        time.sleep(1)
        send(s, size)
        print("sent", size)
    elif what == "page":
        s.write(b"now\n")
        time.sleep(4)
        print("received", receive(s, 1 << 30))
    else:
        got = 0
        for _ in range(size // 4096):
            send(s, 4096)
            if what not in ("upload", "slow"):
                got += receive(s, 4096)
        if what == "slow":
            print("read", s.read(4))
        print("received", got)
    s.close()


try:
    {"server": server, "client": client}[role]()
except OSError as e:
    print("error", e.errno)
