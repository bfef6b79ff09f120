# The program that bench/mcu runs on the chip: handshakes of a client and a server in one program, over
# streams in memory. Each end is measured separately. Prints a line of JSON.
#
# bench/mcu puts mcu_counters.py before it, and these: CASE (name, options of client and server), STACK (the addresses
# of the firmware's stack).

import io
import json

import ussl


class End(io.IOBase):
    """One end of a connection in memory. The instructions of its methods are not counted."""

    ticks = 0

    def __init__(self):
        self.inbox = bytearray(6000)
        self.held = 0
        self.peer = None

    def readinto(self, buf):
        begin = now()
        n = min(len(buf), self.held)
        buf[:n] = self.inbox[:n]
        self.inbox[: self.held - n] = self.inbox[n : self.held]
        self.held -= n
        End.ticks += now() - begin
        return n or None

    def write(self, buf):
        begin = now()
        peer = self.peer
        peer.inbox[peer.held : peer.held + len(buf)] = buf
        peer.held += len(buf)
        End.ticks += now() - begin
        return len(buf)

    def ioctl(self, request, argument):
        return argument & (5 if self.held else 4) if request == 3 else 0


def pipe():
    a, b = End(), End()
    a.peer, b.peer = b, a
    return a, b


class Side:
    """The costs of one end."""

    def __init__(self, stream, server, options):
        self.stream, self.server, self.options = stream, server, options
        self.sock = None
        self.ticks = self.setup = self.held = self.peak = 0
        self.done = False

    def measured(self, call):
        in_use = machine.mem32[IN_USE]
        machine.mem32[PEAK] = in_use
        End.ticks = 0
        begin = now()
        result = call()
        self.ticks += now() - begin - End.ticks
        self.peak = max(self.peak, self.held + machine.mem32[PEAK] - in_use)
        self.held += machine.mem32[IN_USE] - in_use
        return result

    def wrap(self):
        self.sock = self.measured(
            lambda: ussl.wrap_socket(self.stream, server_side=self.server, do_handshake=False, **self.options))
        self.setup = self.ticks
        self.ticks = 0

    def step(self):
        if not self.done:
            self.done = self.measured(self.shake)

    def shake(self):
        try:
            self.sock.do_handshake()
            return True
        except OSError as e:
            if e.errno != 11:
                raise
            return False


def sides():
    a, b = pipe()
    return Side(a, False, CASE[1]), Side(b, True, CASE[2])


def connect(client, server):
    client.wrap()
    server.wrap()
    while not (client.done and server.done):
        client.step()
        server.step()


def paint_stack():
    for address in range(STACK[0], STACK[1] - 4096, 4):
        machine.mem32[address] = 0x55AA55AA


def stack_peak():
    for address in range(STACK[0], STACK[1], 4):
        if machine.mem32[address] != 0x55AA55AA:
            return STACK[1] - address


def talk(client, server):
    for sender, receiver in ((client.sock, server.sock), (server.sock, client.sock)):
        sender.write(b"hello")
        assert receiver.read(5) == b"hello"


def main():
    # From now on, there are all objects that are made once, and a session if sessions are resumed. Otherwise
    # there is no context, because its cost is measured below.
    client, server = sides()
    resumes = CASE[1].get("resumption", False)
    if not resumes:
        for side in (client, server):
            side.options = dict(side.options, resumption=not side.options.get("resumption", True))
    connect(client, server)
    talk(client, server)
    first = (client.sock.context, server.sock.context) if resumes else ()
    client.sock.close()
    server.sock.close()
    del client, server
    allocated()

    client, server = sides()
    paint_stack()
    connect(client, server)
    stack = stack_peak()
    talk(client, server)
    cipher, version = client.sock.cipher()[0], client.sock.version()
    assert client.sock.session_reused == resumes, "resumed, or not"
    # Sockets with the same options share a context: a second pair only adds a connection.
    contexts = client.sock.context, server.sock.context
    client.sock.close()
    server.sock.close()
    client.sock = server.sock = None
    more_client, more_server = sides()
    before = allocated()
    connect(more_client, more_server)
    objects = (allocated() - before - more_client.held - more_server.held) // 2
    talk(more_client, more_server)
    assert all(contexts) and all(first)  # alive until here
    print(json.dumps({
        "name": CASE[0],
        "cipher": cipher,
        "version": version,
        "instructions": [40 * client.ticks, 40 * server.ticks],
        "setup": [40 * client.setup, 40 * server.setup],
        "peak": [more_client.peak + objects, more_server.peak + objects],
        "peak with context": [client.peak + objects, server.peak + objects],
        "idle": [more_client.held + objects, more_server.held + objects],
        "context": [client.held - more_client.held, server.held - more_server.held],
        "stack": stack,
    }))


main()
