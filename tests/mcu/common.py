# The common code of the programs for the chip: connections in memory, both ends in one thread.
import gc
import io

import ussl

KEY = bytes(range(16))


class End(io.IOBase):
    def __init__(self):
        self.inbox = bytearray()
        self.peer = None

    def readinto(self, buf):
        if not self.inbox:
            return None
        n = min(len(buf), len(self.inbox))
        buf[:n] = self.inbox[:n]
        self.inbox = self.inbox[n:]
        return n

    def write(self, buf):
        self.peer.inbox += buf
        return len(buf)

    def ioctl(self, request, argument):
        return argument & (5 if self.inbox else 4) if request == 3 else 0


def pipe():
    a, b = End(), End()
    a.peer, b.peer = b, a
    return a, b


def step(sock):
    """True: done; None: not yet; or the error."""
    try:
        sock.do_handshake()
        return True
    except OSError as e:
        return None if e.errno == 11 else e


def connect(client, server):
    """Two sockets and how their handshakes ended."""
    a, b = pipe()
    c = ussl.wrap_socket(a, do_handshake=False, **client)
    s = ussl.wrap_socket(b, server_side=True, do_handshake=False, **server)
    results = [None, None]
    for _ in range(50):
        for i, sock in enumerate((c, s)):
            if results[i] is None:
                results[i] = step(sock)
    return c, s, results


def psk_client():
    return {"psk_ident": "me", "psk_key": KEY}


def psk_server():
    return {"psk_keys": {b"me": KEY}}


def shown(name):
    return {"certfile": CERTS[name + ".crt"], "keyfile": CERTS[name + ".key"]}


def trusting(root="ca.crt", host="localhost"):
    return {"ca_certs": CERTS[root], "server_hostname": host}


def talk(c, s, size=3000):
    """A message each way, checked."""
    data = bytes(i & 255 for i in range(size))
    for sender, receiver in ((c, s), (s, c)):
        got = bytearray()
        sent = 0
        while len(got) < size:
            if sent < size:
                sent += sender.write(memoryview(data)[sent:]) or 0
            got += receiver.read(size - len(got)) or b""
        assert got == data


