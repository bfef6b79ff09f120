# A sensor and a server that share a key, both in this program, over a pipe in memory: no network, no
# files, so that it runs anywhere MicroPython does.
#
#     ./run examples/desk_and_chip.py          on the desk
#     ./run --mcu examples/desk_and_chip.py    on a microcontroller (an emulated one)

import io

import ussl

KEYS = {b"sensor-1": bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")}


class End(io.IOBase):
    """One end of a pipe: a stream that never blocks."""

    def __init__(self):
        self.inbox = b""
        self.other = None

    def readinto(self, buf):
        n = min(len(buf), len(self.inbox))
        buf[:n] = self.inbox[:n]
        self.inbox = self.inbox[n:]
        return n or None

    def write(self, buf):
        self.other.inbox += bytes(buf)
        return len(buf)

    def ioctl(self, request, argument):
        if request != 3:  # MP_STREAM_POLL: 1 is readable, 4 is writable
            return 0
        return argument & (5 if self.inbox else 4)


def handshake(sock):
    try:
        sock.do_handshake()
        return "done"
    except OSError as e:
        return None if e.errno == 11 else e  # EAGAIN: it waits for the other end


def meet(identity, key):
    a, b = End(), End()
    a.other, b.other = b, a
    client = ussl.wrap_socket(a, psk_ident=identity, psk_key=key, record_size_limit=1024, do_handshake=False)
    server = ussl.wrap_socket(b, server_side=True, psk_keys=KEYS, do_handshake=False)
    ends = [None, None]
    while None in ends:
        for i, sock in enumerate((client, server)):
            ends[i] = ends[i] or handshake(sock)
    return client, server, ends


client, server, ends = meet("sensor-1", KEYS[b"sensor-1"])
print("both", ends, "with", client.version(), client.cipher()[0])
client.write(b'{"temperature": 21.5}')
print("the server reads", server.read(21))
server.write(b"thank you")
print("the sensor reads", client.read(9))
client.close()
print("and then", server.read(1), "- the end")

for identity, key in (("sensor-1", b"a wrong key"), ("sensor-2", b"whatever")):
    client, server, ends = meet(identity, key)
    print(identity, "is rejected:", ends[1].errno == ussl.ERR_PSK_KEY, ends[1].errno == ussl.ERR_PSK_IDENTITY)
    print(ends[1].args[1].split(" (")[0])
