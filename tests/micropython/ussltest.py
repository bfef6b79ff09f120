# The common code of the tests: streams in memory, certificates, a runner. Runs on MicroPython.

import errno
import io
import os
import socket
import sys
import time

import ussl

ROOT = sys.path[0] + "/../.."
sys.path.append(ROOT + "/tests")

import lacks as table

EPIPE = 32  # MicroPython's errno has no name for it
POLL_RD, POLL_WR, POLL_ERR, POLL_HUP, POLL_NVAL = 1, 4, 8, 16, 32
IOCTL_FLUSH, IOCTL_SEEK, IOCTL_POLL, IOCTL_CLOSE, IOCTL_GET_FILENO = 1, 2, 3, 4, 10

ASAN = os.getenv("USSL_ASAN") == "1"
SLOW = os.getenv("USSL_SLOW") == "1"  # with sanitizers, or emulated



def lacks(row):
    return table.lacks(ROOT + "/tests", ussl.ENGINE, row)


# --- streams


class End(io.IOBase):
    """One end of a connection in memory. Non-blocking, unless it has a `pump`: a read that finds
    nothing then calls it until there is something, as a blocking stream waits for its peer."""

    def __init__(self):
        self.inbox = bytearray()  # arrived and not yet read
        self.peer = None
        self.chunk = 1 << 30  # most that one read or write moves
        self.room = 1 << 30  # bytes that writes still accept
        self.reads_stuck = False
        self.at_end = False  # the peer has closed
        self.broken = False  # writes fail
        self.closed = 0  # how many times
        self.log = bytearray()  # all that was written
        self.calls = 0
        self.pump = None

    def readinto(self, buf):
        self.calls += 1
        while self.pump and not self.inbox and not self.at_end:
            self.pump()
        if self.reads_stuck or (not self.inbox and not self.at_end):
            return None
        n = min(len(buf), len(self.inbox), self.chunk)
        buf[:n] = self.inbox[:n]
        self.inbox = self.inbox[n:]
        return n

    def write(self, buf):
        self.calls += 1
        if self.broken:
            return -EPIPE
        n = min(len(buf), self.chunk, self.room)
        if n == 0:
            return None
        self.room -= n
        self.log += buf[:n]
        self.peer.inbox += buf[:n]
        return n

    def ioctl(self, request, arg):
        if request == IOCTL_POLL:
            ready = 0
            if not self.reads_stuck and (self.inbox or self.at_end):
                ready |= POLL_RD
            if self.room > 0:
                ready |= POLL_WR
            return ready & arg
        if request == IOCTL_CLOSE:
            self.closed += 1
            self.peer.at_end = True
            return 0
        return -errno.EINVAL


def pipe():
    a, b = End(), End()
    a.peer, b.peer = b, a
    return a, b


class Watch(io.IOBase):
    """Never ready. Register it with a poll, to count the poll's rounds: between two rounds, it must sleep for a
    millisecond, unless something is ready."""

    def __init__(self):
        self.start()

    def start(self):
        self.times = 0
        self.begin = time.ticks_ms()

    def ioctl(self, request, arg):
        if request == IOCTL_POLL:
            self.times += 1
            return 0
        return -errno.EINVAL

    def slept(self):
        """Whether it has slept since then. A slow machine makes fewer rounds."""
        most = time.ticks_diff(time.ticks_ms(), self.begin) + 10
        assert 0 < self.times <= most, (self.times, most)


def listen():
    """A listener on a free loopback port, and its address. MicroPython has no getsockname."""
    while True:
        port = 21000 + int.from_bytes(os.urandom(2), "big") % 11000  # tests/interop has those below
        address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
        listener = socket.socket()
        try:
            listener.bind(address)
            listener.listen(50)
            return listener, address
        except OSError as e:
            listener.close()
            if e.errno != errno.EADDRINUSE:
                raise


def tcp_pair():
    """Two connected sockets over loopback."""
    listener, address = listen()
    a = socket.socket()
    a.connect(address)
    b = listener.accept()[0]
    listener.close()
    return a, b


def psk_tcp_pair():
    """psk_pair() over sockets that do not block."""
    a, b = tcp_pair()
    a.setblocking(False)
    b.setblocking(False)
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    shake(client, server)
    return client, server, a, b


# --- threads


def other_thread(call):
    """Runs call() beside us; returns a function that waits for it and gives its result."""
    import _thread

    result = []

    def work():
        try:
            result.append(call())
        except Exception as e:
            result.append(e)

    _thread.start_new_thread(work, ())

    def join(seconds=20):
        until = time.ticks_add(time.ticks_ms(), seconds * 1000)
        while not result:
            if time.ticks_diff(until, time.ticks_ms()) < 0:
                raise AssertionError("the other thread does not end")
            time.sleep_ms(2)
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    return join


# --- connections

IDENTITY = b"tester"
KEY = b"0123456789abcdef"


def psk_client(stream, **options):
    options.setdefault("psk_ident", IDENTITY)
    options.setdefault("psk_key", KEY)
    return ussl.wrap_socket(stream, **options)


def psk_server(stream, **options):
    options.setdefault("psk_keys", {IDENTITY: KEY})
    return ussl.wrap_socket(stream, server_side=True, **options)


def step(sock):
    """One step of a handshake; whether it is done."""
    try:
        sock.do_handshake()
        return True
    except OSError as e:
        if e.errno != errno.EAGAIN:
            raise
        return False


def shake(client, server, rounds=10000):
    """Both handshakes, step by step, in this one thread."""
    c = s = False
    for n in range(rounds):
        c = c or step(client)
        s = s or step(server)
        if c and s:
            return
        if n >= 100:
            time.sleep_ms(1)  # a busy kernel takes its time from socket to socket
    raise AssertionError("the handshake does not end")


def shake_out(client, server):
    """As shake, for a handshake that fails. Returns the result of each side (an exception or None)."""
    result = [None, None]
    done = [False, False]
    for _ in range(10000):
        for i, sock in enumerate((client, server)):
            if not done[i]:
                try:
                    done[i] = step(sock)
                except Exception as e:
                    result[i] = e
                    done[i] = True
                    sock.close()
        if done[0] and done[1]:
            # TLS 1.3: a client is done before the server has processed its messages.
            if result[1] and not result[0]:
                try:
                    client.read(1)
                except Exception as e:
                    result[0] = e
            return result
    raise AssertionError("the handshake does not end")


def psk_pair(a=None, b=None, **options):
    """A client and a server that have shaken hands over streams in memory, and these."""
    if a is None:
        a, b = pipe()
    client = psk_client(a, do_handshake=False, **options)
    server = psk_server(b, do_handshake=False, **options)
    shake(client, server)
    return client, server, a, b


def cert_pair(a=None, b=None, client=None, server=None):
    if a is None:
        a, b = pipe()
    s = {"keyfile": cert("server.key"), "certfile": cert("server.crt")}
    s.update(server or {})
    c = ussl.wrap_socket(a, do_handshake=False, **(client or {}))
    s = ussl.wrap_socket(b, server_side=True, do_handshake=False, **s)
    shake(c, s)
    return c, s, a, b


# --- contexts

CLIENT, SERVER = ussl.PROTOCOL_TLS_CLIENT, ussl.PROTOCOL_TLS_SERVER


def client_context(roots="ca.crt"):
    ctx = ussl.SSLContext(CLIENT)
    if roots:
        ctx.load_verify_locations(cert_bytes(roots))
    return ctx


def server_context(name="server"):
    ctx = ussl.SSLContext(SERVER)
    ctx.load_cert_chain(cert(name + ".crt"), cert(name + ".key"))
    return ctx


def outcome(client, server, name="localhost"):
    """Both sockets after the handshake, and the result of each end (None or an exception)."""
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname=name, do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    return c, s, shake_out(c, s)


def connected(client, server, name="localhost"):
    c, s, result = outcome(client, server, name)
    equal(result, [None, None])
    return c, s


def refused(client, server, row, name="localhost"):
    c, s, result = outcome(client, server, name)
    assert type(result[0]) is OSError and result[0].errno == getattr(ussl, "ERR_" + row), result
    return result


# --- data


def pattern(size, seed=1):
    """Bytes in which no two places look alike."""
    out = bytearray(size)
    x = seed
    for i in range(size):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        out[i] = x >> 16 & 255
    return bytes(out)


# --- certificates


def cert(name):
    """The path of a file that tests/certs/make_certs made."""
    return os.getenv("USSL_CERTS") + "/" + name


def content_of(path):
    with open(path, "rb") as f:
        return f.read()


def cert_bytes(name):
    return content_of(cert(name))


# --- checks


def raises(kind, call, *args, code=None, text=None, **options):
    """Calls; checks the exception's exact type, its errno and that its text holds `text`."""
    try:
        result = call(*args, **options)
    except Exception as e:
        if type(e) is not kind:
            raise
        if code is not None and (not e.args or e.args[0] != code):
            raise AssertionError("errno %r, not %r: %r" % (e.args and e.args[0], code, e))
        for wanted in (text,) if isinstance(text, str) else text or ():
            if wanted not in str(e):
                raise AssertionError("%r is not in %r" % (wanted, str(e)))
        return e
    raise AssertionError("no %s; it returned %r" % (kind.__name__, result))


def equal(got, wanted):
    if got != wanted or type(got) is not type(wanted):
        raise AssertionError("%s, not %s" % (short(got), short(wanted)))


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:150] + "... (%d)" % len(value)


def run(names):
    """Runs every test_* of a module: run(globals()). Arguments of the program choose among them."""
    failed = 0
    for name in sorted(names):
        if not name.startswith("test_") or (len(sys.argv) > 1 and name not in sys.argv[1:]):
            continue
        try:
            names[name]()
            print(name, "ok")
        except Exception as e:
            failed += 1
            print(name, "FAILED")
            sys.print_exception(e)
    sys.exit(1 if failed else 0)
