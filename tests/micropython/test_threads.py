# Several threads, each with its own connections, over the same contexts.
# heap: 16m

import _thread
import time

import ussl
from ussltest import *

THREADS = 4
ROUNDS = 6 if not ASAN else 3


def contexts():
    client, server = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT), ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    client.load_verify_locations(cert_bytes("ca.crt"))
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    return client, server


def in_threads(*jobs):
    """Runs all at once; raises what any of them raised."""
    ended = [None] * len(jobs)

    def run_one(i):
        try:
            jobs[i]()
            ended[i] = "ok"
        except BaseException as e:
            ended[i] = e

    for i in range(len(jobs)):
        _thread.start_new_thread(run_one, (i,))
    begin = time.ticks_ms()
    while None in ended:
        assert time.ticks_diff(time.ticks_ms(), begin) < 50000, ended
        time.sleep_ms(2)
    for what in ended:
        if what != "ok":
            raise what


def receive(sock, count):
    """All of it; both ends write before they read."""
    got = sock.read(count)
    assert len(got) == count, (len(got), count)
    return got


def talk(wrap, pairs, end, data):
    for pair in pairs:
        sock = pair[end]
        sock.settimeout(20)
        tls = wrap(sock)
        tls.write(data)
        assert receive(tls, len(data)) == data
        tls.close()


def over(wrap_client, wrap_server, data=pattern(3000)):
    jobs = []
    for _ in range(THREADS):
        pairs = [tcp_pair() for _ in range(ROUNDS)]
        jobs.append(lambda pairs=pairs: talk(wrap_client, pairs, 0, data))
        jobs.append(lambda pairs=pairs: talk(wrap_server, pairs, 1, data))
    in_threads(*jobs)


def test_contexts_with_certificates():
    client, server = contexts()
    for _ in range(2):
        over(lambda sock: client.wrap_socket(sock, server_hostname="localhost"),
             lambda sock: server.wrap_socket(sock, server_side=True))


def test_contexts_with_keys():
    client, server = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT), ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    client.psk_identity, client.psk_key = IDENTITY, KEY
    server.server_psk_keys = {IDENTITY: KEY}
    over(client.wrap_socket, lambda sock: server.wrap_socket(sock, server_side=True))


def test_wrap_socket():
    roots, key, certificate = cert_bytes("ca.crt"), cert_bytes("server.key"), cert_bytes("server.crt")
    over(lambda sock: ussl.wrap_socket(sock, ca_certs=roots, server_hostname="localhost"),
         lambda sock: ussl.wrap_socket(sock, True, key, certificate))


def test_one_connection_is_for_one_call_at_a_time():
    # A read waits; meanwhile another thread's call is refused, and changes nothing.
    client, server = contexts()
    a, b = tcp_pair()
    ends = {}

    def connect():
        ends["c"] = client.wrap_socket(a, server_hostname="localhost")

    def accept():
        ends["s"] = server.wrap_socket(b, server_side=True)

    in_threads(connect, accept)
    c, s = ends["c"], ends["s"]
    got = []

    reading = []

    def wait():
        reading.append(True)
        got.append(c.read(4))

    def meddle():
        while not reading:
            time.sleep_ms(1)
        time.sleep_ms(50)  # what is left is the way into the call
        raises(OSError, c.read, 1, code=ussl.ERR_BAD_USE)
        raises(OSError, c.write, b"x", code=ussl.ERR_BAD_USE)
        s.write(b"late")

    in_threads(wait, meddle)
    equal(got, [b"late"])
    c.close()
    s.close()


run(globals())
