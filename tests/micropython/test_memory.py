# The interpreter's heap runs out anywhere in a conversation: MemoryError, and the next one is fine.

import errno
import gc
import micropython
import os

import ussl
from ussltest import *

try:
    import _heap  # of the build with sanitizers
except ImportError:
    _heap = None

FULL = os.getenv("USSL_FULL") == "1"
SOME = 120  # of the allocations of a conversation, unless it is a long run


def talk(client, server):
    """From the handshake to close_notify."""
    shake(client, server)
    for sender, receiver in ((client, server), (server, client)):
        equal(sender.write(b"question" * 100), 800)
        equal(receiver.read(800), b"question" * 100)
    client.close()
    equal(server.read(1), b"")
    server.close()


def by_key():
    a, b = pipe()
    talk(psk_client(a, do_handshake=False), psk_server(b, do_handshake=False))


def by_certificate():
    a, b = pipe()
    client = ussl.wrap_socket(
        a, do_handshake=False, server_hostname="localhost", ca_certs=cert("ca.crt"),
        keyfile=cert("client.key"), certfile=cert("client.crt"),
    )
    server = ussl.wrap_socket(
        b, do_handshake=False, server_side=True, ca_certs=cert("ca.crt"),
        keyfile=cert("server.key"), certfile=cert("server.crt"), cert_reqs=ussl.CERT_REQUIRED,
    )
    talk(client, server)


class Contexts:
    """Callbacks, protocols, and a session that is resumed."""

    def __init__(self):
        self.server = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(cert("server.crt"), cert("server.key"))
        self.client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
        self.client.load_verify_locations(cert("ca.crt"))
        self.client.verify_callback = lambda certificate, depth: 0
        for context in (self.client, self.server):
            context.set_alpn_protocols(["mqtt"])

    def talk(self):
        a, b = pipe()
        talk(
            self.client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False),
            self.server.wrap_socket(b, server_side=True, do_handshake_on_connect=False),
        )

    def __call__(self):
        self.talk()


def named():
    contexts = Contexts()
    other = Contexts()

    def choose(sock, name, context):
        equal(name, "localhost")
        sock.context = other.server

    contexts.server.sni_callback = choose
    contexts.talk()


def says_memory(error):
    """MicroPython's own errors lose their arguments when there is no memory for these."""
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError) and (not error.args or error.errno in (errno.ENOMEM, ussl.ERR_NO_MEMORY))
    )


def run_out(conversation):
    conversation()
    conversation()
    _heap.fail(0, False)
    conversation()
    count = _heap.plenty()
    step = 1 if FULL else 1 + count // SOME
    failed = tried = 0
    for lasting in (False, True):
        for nth in range(1, count + 1, step):
            error = None
            gc.collect()
            _heap.fail(nth, lasting)
            try:
                conversation()
                _heap.plenty()
            except Exception as e:
                _heap.plenty()
                error = e
            tried += 1
            if error is not None:
                failed += 1
                if not says_memory(error):
                    print("allocation", nth, "of", count, "and all that follow" if lasting else "")
                    raise error
            conversation()
    assert failed > tried // 3, (failed, tried)
    print("   ", tried, "of", 2 * count, "shortages,", failed, "of them told")


if _heap:

    def test_runs_out_with_keys():
        run_out(by_key)

    def test_runs_out_with_certificates():
        run_out(by_certificate)

    def test_runs_out_with_callbacks_and_sessions():
        run_out(Contexts())

    def test_runs_out_with_names():
        run_out(named)


def test_a_locked_heap_loses_nothing():
    # Sockets need no memory of the interpreter: all calls without allocations succeed.
    a, b = tcp_pair()
    a.setblocking(False)
    b.setblocking(False)
    client, server, _, _ = psk_pair(a, b)
    data = pattern(3000)
    room = bytearray(len(data))
    view = memoryview(room)
    written = got = 0
    while got < len(data):
        rest = memoryview(data)[written:]
        part = view[got:]
        took = came = None
        raised = 0
        micropython.heap_lock()
        try:
            took = client.write(rest)
            server.read(10)  # a bytes object for it is not to be had
        except MemoryError:
            raised = 1
        came = server.readinto(part)
        micropython.heap_unlock()
        equal(raised, 1)
        written += took or 0
        got += came or 0
    equal(bytes(room), data)
    client.close()
    server.close()


run(globals())
