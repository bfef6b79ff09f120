"""CPython's ssl as a contestant; client.cpp says what the arguments and the answer mean."""

import json
import socket
import ssl
import sys
import time

question, port, size, seconds, folder = sys.argv[1:]
address = ("127.0.0.1", int(port))
size = int(size)
seconds = float(seconds)
BATCH = max(64, (1 << 20) // size)


class Stopwatch:
    def __init__(self):
        self.cpu = time.process_time()
        self.wall = time.monotonic()
        self.end = self.wall + seconds

    def over(self):
        return time.monotonic() >= self.end

    def report(self, count, tls):
        wall = time.monotonic() - self.wall
        cpu = time.process_time() - self.cpu
        print(json.dumps({"count": count, "seconds": wall, "cpu": cpu, "tls": tls}))


def negotiated(tls):
    return tls.version() + " " + tls.cipher()[0]


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder + "/ca.pem")
    return context


def connected(context):
    sock = socket.socket()
    sock.connect(address)
    return context.wrap_socket(sock, server_hostname="localhost")


def write():
    tls = connected(client_context())
    tls.send(b"w")
    message = bytes(size)
    send = tls.send
    count = 0
    watch = Stopwatch()
    while not watch.over():
        for _ in range(BATCH):
            send(message)
        count += BATCH * size
    tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls.send(b"\x01")
    tls.recv(1)
    watch.report(count, negotiated(tls))


def read():
    tls = connected(client_context())
    tls.send(b"r %d" % size)
    message = bytearray(size)
    recv_into = tls.recv_into
    recv_into(message)
    count = 0
    watch = Stopwatch()
    while not watch.over():
        for _ in range(BATCH):
            count += recv_into(message)
    watch.report(count, negotiated(tls))


def connect():
    context = client_context()
    warm = connected(context)
    tls = negotiated(warm)
    warm.close()
    count = 0
    watch = Stopwatch()
    while not watch.over():
        connected(context).close()
        count += 1
    watch.report(count, tls)


def accept():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/server.pem", folder + "/server.key")
    context.num_tickets = 0
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(128)
    print("listening", flush=True)

    def accepted():
        return context.wrap_socket(listener.accept()[0], server_side=True)

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
    context = client_context()

    def once(session):
        sock = socket.socket()
        sock.connect(address)
        tls = context.wrap_socket(sock, server_hostname="localhost", session=session)
        tls.send(b"e")
        assert tls.recv(1) == b"e"
        return tls

    warm = once(None)
    tls = negotiated(warm)
    session = warm.session
    warm.close()
    count = 0
    watch = Stopwatch()
    while not watch.over():
        one = once(session if resumption else None)
        assert one.session_reused == resumption
        session = one.session
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
