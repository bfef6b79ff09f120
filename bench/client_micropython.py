"""MicroPython with ussl as a contestant; client.cpp says what the arguments and the answer mean."""

import gc
import json
import socket
import sys
import time

import ussl

question, port, size, seconds, folder = sys.argv[1:]
address = socket.getaddrinfo("127.0.0.1", int(port))[0][-1]
size = int(size)
seconds = float(seconds)
BATCH = max(64, (1 << 20) // size)


class Stopwatch:
    def __init__(self):
        gc.collect()  # what is left of the set-up is not part of the measurement
        self.cpu = time.clock()
        self.wall = time.ticks_us()

    def elapsed(self):
        return time.ticks_diff(time.ticks_us(), self.wall) / 1e6

    def over(self):
        return self.elapsed() >= seconds

    def report(self, count, tls):
        wall = self.elapsed()
        cpu = time.clock() - self.cpu
        print(json.dumps({"count": count, "seconds": wall, "cpu": cpu, "tls": tls}))


def content(name):
    with open(folder + "/" + name, "rb") as file:
        return file.read()


def negotiated(tls):
    return tls.version() + " " + tls.cipher()[0]


def connected(ca, sock=None, resumption=False):
    sock = sock or socket.socket()
    sock.connect(address)
    return ussl.wrap_socket(
        sock, cert_reqs=ussl.CERT_REQUIRED, ca_certs=ca, server_hostname="localhost", resumption=resumption
    )


def write():
    sock = socket.socket()
    tls = connected(content("ca.pem"), sock)
    tls.write(b"w")
    message = bytes(size)
    write = tls.write
    count = 0
    watch = Stopwatch()
    while not watch.over():
        for _ in range(BATCH):
            write(message)
        count += BATCH * size
    sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
    tls.write(b"\x01")
    tls.read(1)
    watch.report(count, negotiated(tls))


def read():
    tls = connected(content("ca.pem"))
    tls.write(b"r %d" % size)
    message = bytearray(size)
    readinto = tls.readinto
    readinto(message)
    count = 0
    watch = Stopwatch()
    while not watch.over():
        for _ in range(BATCH):
            count += readinto(message)
    watch.report(count, negotiated(tls))


def connect():
    ca = content("ca.pem")
    warm = connected(ca)
    tls = negotiated(warm)
    warm.close()
    count = 0
    watch = Stopwatch()
    while not watch.over():
        connected(ca).close()
        count += 1
    watch.report(count, tls)


def accept():
    key = content("server.key")
    certificate = content("server.pem")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(128)
    print("listening")

    def accepted():
        sock = listener.accept()[0]
        return ussl.wrap_socket(sock, server_side=True, keyfile=key, certfile=certificate, resumption=False)

    warm = accepted()
    tls = negotiated(warm)
    warm.close()
    count = 0
    watch = Stopwatch()
    while not watch.over():
        accepted().close()
        count += 1
    watch.report(count, tls)


def reconnect(resumption=True):
    ca = content("ca.pem")

    def once():
        tls = connected(ca, None, resumption)
        tls.write(b"e")
        assert tls.read(1) == b"e"
        return tls

    warm = once()
    tls = negotiated(warm)
    warm.close()
    count = 0
    watch = Stopwatch()
    while not watch.over():
        one = once()
        assert one.session_reused == resumption
        one.close()
        count += 1
    watch.report(count, tls)


def reconnect_anew():
    reconnect(False)


{
    "write": write,
    "read": read,
    "connect": connect,
    "accept": accept,
    "reconnect": reconnect,
    "reconnect-anew": reconnect_anew,
}[question]()
