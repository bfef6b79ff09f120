"""The tasks of the contestants in Python, independent of their module. client.hpp explains the arguments and the answer.

For CPython and MicroPython. A contestant passes the calls of its module:

    client(kind)       a function that makes a TLS socket of a connected one; kind: "", "mutual" or "psk"
    server(kind)       the same for one that was accepted
    context(server)    an SSLContext with its credentials
    receive, send      the names of the methods that read into a buffer and write one
"""

import gc
import json
import select
import socket
import sys
import time

MICROPYTHON = sys.implementation.name == "micropython"

question, port, size, seconds, folder = sys.argv[1:]
port = int(port)
address = socket.getaddrinfo("127.0.0.1", port)[0][-1] if MICROPYTHON else ("127.0.0.1", port)
size = int(size)
seconds = float(seconds)
BATCH = max(64, (1 << 20) // size)
RECORD = 16384
PSK = (b"bench", b"0123456789abcdef0123456789abcdef")

if MICROPYTHON:
    now = time.ticks_us
    cpu_time = time.clock

    def since(begin):
        return time.ticks_diff(time.ticks_us(), begin) / 1e6

else:
    now = time.monotonic
    cpu_time = time.process_time

    def since(begin):
        return time.monotonic() - begin


class Stopwatch:
    def __init__(self):
        gc.collect()  # the rest of the set-up is not part of the measurement
        self.cpu = cpu_time()
        self.wall = now()

    def over(self):
        return since(self.wall) >= seconds

    def report(self, count, tls):
        wall = since(self.wall)
        cpu = cpu_time() - self.cpu
        print(json.dumps({"count": count, "seconds": wall, "cpu": cpu, "tls": tls}))


def content(name):
    with open(folder + "/" + name, "rb") as file:
        return file.read()


def negotiated(tls):
    """In IANA's names; Mbed TLS, and so MicroPython, has dashes in them."""
    suite, version = tls.cipher()[:2]
    return version + " " + suite.replace("-", "_")


def connected():
    sock = socket.socket()
    sock.connect(address)
    return sock


def listening():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(128)
    print("listening", **({} if MICROPYTHON else {"flush": True}))
    return listener


def send_at_once(sock):
    sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY


def write(module):
    sock = connected()
    tls = module.client("")(sock)
    raw = tls if hasattr(tls, "setsockopt") else sock
    send = getattr(tls, module.send)
    send(b"w")
    message = bytes(size)
    count = 0
    watch = Stopwatch()
    while not watch.over():
        for _ in range(BATCH):
            send(message)
        count += BATCH * size
    send_at_once(raw)
    send(b"\x01")
    tls.read(1)
    watch.report(count, negotiated(tls))


def read(module):
    tls = module.client("")(connected())
    getattr(tls, module.send)(b"r %d" % size)
    message = bytearray(size)
    receive = getattr(tls, module.receive)
    receive(message)
    count = 0
    watch = Stopwatch()
    while not watch.over():
        for _ in range(BATCH):
            count += receive(message)
    watch.report(count, negotiated(tls))


def bounce(module):
    sock = connected()
    send_at_once(sock)
    tls = module.client("")(sock)
    send = getattr(tls, module.send)
    receive = getattr(tls, module.receive)
    send(b"b %d" % size)
    tls.read(1)
    message = bytearray(size)
    count = 0
    watch = Stopwatch()
    while not watch.over():
        send(message)
        assert receive(message) == size
        count += 1
    watch.report(count, negotiated(tls))


def connections(make):
    warm = make()
    tls = negotiated(warm)
    warm.close()
    count = 0
    watch = Stopwatch()
    while not watch.over():
        make().close()
        count += 1
    watch.report(count, tls)


def connect(module, kind=""):
    wrap = module.client(kind)
    connections(lambda: wrap(connected()))


def accept(module, kind=""):
    wrap = module.server(kind)
    listener = listening()
    connections(lambda: wrap(listener.accept()[0]))


def serve(module):
    """An asyncio server that sends received data back."""
    import asyncio

    async def talk(reader, writer):
        try:
            while True:
                data = await reader.read(64)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def main():
        server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1000, ssl=module.context(True))
        print("listening", **({} if MICROPYTHON else {"flush": True}))
        await server.wait_closed() if MICROPYTHON else await server.serve_forever()

    asyncio.run(main())


def memory():
    """The memory of the process, and the part that Python uses: MicroPython's heap exists from the beginning."""
    gc.collect()
    malloc_trim(0)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * 4096, gc.mem_alloc() if MICROPYTHON else 0


def touch_heap():
    """Afterwards, the memory of the process does not depend on the used part of the heap."""
    pieces = []
    try:
        while True:
            pieces.append(bytearray(1 << 16))
    except MemoryError:
        pass


def grow(make):
    """The growth of the process by the results of `make`, for each of `size`, after the first few."""
    global malloc_trim
    if MICROPYTHON:
        import ffi

        malloc_trim = ffi.open("libc.so.6").func("i", "malloc_trim", "P")
        touch_heap()
    else:
        import ctypes

        malloc_trim = ctypes.CDLL(None).malloc_trim
    things = [make() for _ in range(10)]
    before = memory()
    for _ in range(size):
        things.append(make())
    after = memory()
    growth = [(b - a) / size for a, b in zip(before, after)]
    print(json.dumps({"bytes": sum(growth)}))


def held(module, idle):
    wrap = module.client("")
    message = 1 if idle else RECORD

    def make():
        sock = connected()
        send_at_once(sock)
        tls = wrap(sock)
        getattr(tls, module.send)(b"h %d" % message)
        assert len(tls.read(1)) == 1
        if idle:  # as a program waits for any of many
            poller = select.poll()
            poller.register(tls, select.POLLIN)
            assert not poller.poll(0)
        return tls

    grow(make)


def answer(module):
    name, *kind = question.split("-")
    kind = kind[0] if kind else ""
    if name == "memory":
        if kind == "context":

            def make():
                context = module.context(False)
                context.wrap_socket(connected(), server_hostname="localhost").close()
                return context

            grow(make)
        else:
            held(module, kind == "idle")
    elif name == "reconnect":
        module.reconnect(kind != "anew")
    elif name in ("connect", "accept"):
        {"connect": connect, "accept": accept}[name](module, kind)
    else:
        {"write": write, "read": read, "bounce": bounce, "serve": serve}[name](module)
