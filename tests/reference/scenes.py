# Runs an example of docs/reference: `micropython scenes.py EXAMPLE PEER [NAME...]`. Runs on MicroPython, in a folder with
# the files of FILES in run.py. PEER is a key of PEERS. The example uses each NAME without defining it;
# docs/reference/README.md explains them.
#
# The peer of an example is in this process: each time that the example would wait for it, the peer does one step.

import errno
import sys

sys.path.insert(0, sys.path[0] + "/../micropython")

import ussl
from ussltest import IOCTL_POLL, End

EXAMPLE, PEER, *NAMES = sys.argv[1:]
KEY = b"0123456789abcdef"
MAX_STEPS = 1000  # of a peer, in one call of the example


class Stream(End):
    """The example's end of a connection. Blocks, unless the example calls setblocking(False) or settimeout(0)."""

    def __init__(self):
        super().__init__()
        self.blocks = True

    def readinto(self, buf):
        for _ in range(MAX_STEPS if self.blocks else 1):
            self.peer.step()
            count = super().readinto(buf)
            if count is not None:
                return count
        return -errno.ETIMEDOUT if self.blocks else None

    def ioctl(self, request, arg):
        if request == IOCTL_POLL:
            self.peer.step()
        return super().ioctl(request, arg)

    def setblocking(self, flag):
        self.blocks = flag

    def settimeout(self, seconds):
        self.blocks = seconds != 0

    def close(self):
        super().ioctl(4, 0)


class PeerEnd(End):
    """The peer's end: runs `work`, a generator, step by step."""

    def __init__(self, work):
        super().__init__()
        self.work = work(self)

    def step(self):
        next(self.work, None)


def connection(work):
    stream, end = Stream(), PeerEnd(work)
    stream.peer, end.peer = end, stream
    return stream


def handshake(sock):
    """Yields until the handshake is done."""
    while True:
        try:
            return sock.do_handshake()
        except OSError as e:
            if e.errno != errno.EAGAIN:
                raise
        yield


def ends(work):
    """A failing peer closes its end; the example sees that, and maybe an alert."""

    def guarded(end):
        try:
            yield from work(end)
        except OSError:
            end.ioctl(4, 0)

    return guarded


def echo(wrap):
    """A server that sends everything back. wrap(stream) returns its SSLSocket, before the handshake."""

    def work(end):
        sock = wrap(end)
        yield from handshake(sock)
        while True:
            data = sock.recv(1000)
            if data == b"":
                return sock.close()
            if data:
                sock.write(data)
            yield

    return ends(work)


def echo_with(**options):
    return echo(lambda end: ussl.wrap_socket(end, server_side=True, do_handshake=False, **options))


def caller(**options):
    """A client that sends "hello\n" and then discards all data."""

    def work(end):
        sock = ussl.wrap_socket(end, do_handshake=False, **options)
        yield from handshake(sock)
        sock.write(b"hello\n")
        while sock.recv(1000) != b"":
            yield
        sock.close()

    return ends(work)


def context_of_server():
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.pem", "server.key")
    return context


def context_of_client():
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile="ca.pem")
    return context


SERVER = {"certfile": "server.pem", "keyfile": "server.key"}
CLIENT = {"ca_certs": "ca.pem", "server_hostname": "localhost"}
shared = context_of_server()  # a server that resumes sessions


def shared_context(end):
    return shared.wrap_socket(end, server_side=True, do_handshake_on_connect=False)


def mqtt_only(end):
    context = context_of_server()
    context.set_alpn_protocols(["mqtt"])
    return context.wrap_socket(end, server_side=True, do_handshake_on_connect=False)


# name: (the server that `tcp` and connect() are connected to, the client that `conn` is connected to)
PEERS = {
    "": (echo(shared_context), caller(**CLIENT)),
    "psk": (echo_with(psk_keys={b"sensor-1": KEY}), caller(psk_ident="sensor-1", psk_key=KEY)),
    "mutual": (echo_with(ca_certs="ca.pem", cert_reqs=ussl.CERT_REQUIRED, **SERVER),
               caller(certfile="device.pem", keyfile="device.key", **CLIENT)),
    "expired": (echo_with(certfile="expired.pem", keyfile="expired.key"), None),
    "mqtt": (echo(mqtt_only), None),
}


to_server, to_client = PEERS[PEER]
# Makes the object of each name.
MAKERS = {
    "ussl": lambda: ussl,
    "key": lambda: KEY,
    "connect": lambda: lambda: connection(to_server),
    "tcp": lambda: connection(to_server),
    "conn": lambda: connection(to_client),
    "ctx": context_of_client,
    "server": context_of_server,
    "sock": lambda: context_of_client().wrap_socket(connection(to_server), server_hostname="localhost"),
}

with open(EXAMPLE) as file:
    exec(file.read(), {"__name__": "__main__"} | {name: MAKERS[name]() for name in NAMES})
