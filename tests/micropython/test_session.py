# Sessions: resumed by themselves, by hand, and as bytes.

import gc

import ussl
from ussltest import *

VERSIONS = ussl.TLSv1_2, ussl.TLSv1_3


def contexts(version):
    client, server = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT), ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    client.load_verify_locations(cert_bytes("ca.crt"))
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    client.minimum_version = client.maximum_version = version
    return client, server


def test_by_themselves():
    for version in VERSIONS:
        client, server = contexts(version)
        equal([reused(client, server) for _ in range(4)], [False, True, True, True])
        equal(reused(client, server, "127.0.0.1"), False)
        equal(reused(client, server), True)


def reused(client, server, name="localhost", **options):
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname=name, do_handshake_on_connect=False, **options)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    shake(c, s)
    s.write(b"hello")
    equal(c.read(5), b"hello")
    result = c.session_reused
    equal(s.session_reused, result)
    equal(c.getpeercert(True), cert_bytes("server.der"))
    assert c.getpeercert()
    c.close()
    s.close()
    return result


def session_of(client, server, name="localhost"):
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname=name, do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    equal(c.session, None)
    shake(c, s)
    s.write(b"hello")
    equal(c.read(5), b"hello")
    session = c.session
    equal(s.session, None)
    c.close()
    equal(c.session, None)
    s.close()
    return session


def test_switched_off():
    for version in VERSIONS:
        for off in ("client", "server", "tickets"):
            client, server = contexts(version)
            equal((client.resumption, server.resumption, server.num_tickets), (True, True, 1))
            if off == "tickets":
                server.num_tickets = 0
            else:
                (client if off == "client" else server).resumption = False
            equal([reused(client, server) for _ in range(2)], [False, False])


def test_by_hand():
    for version in VERSIONS:
        client, server = contexts(version)
        session = session_of(client, server)
        equal(type(session), ussl.SSLSession)
        # A context of the same options: the device has slept.
        data = bytes(session)
        assert len(data) > 32
        client, _ = contexts(version)
        equal(reused(client, server, session=ussl.SSLSession(data)), True)
        client, _ = contexts(version)
        client.verify_time = 1800000000
        equal(reused(client, server, session=None), False)


def test_that_do_not_belong_here():
    client, server = contexts(ussl.TLSv1_3)
    data = bytes(session_of(client, server))
    session = ussl.SSLSession(data)

    def refused(ctx, given, name="localhost"):
        raises(ValueError, ctx.wrap_socket, pipe()[0], server_hostname=name, session=given, text="session is damaged")

    refused(client, session, "127.0.0.1")
    for at in (0, 31, 32, 60, len(data) - 1):
        bad = bytearray(data)
        bad[at] ^= 0x10
        refused(client, ussl.SSLSession(bad))
    refused(client, ussl.SSLSession(data[:-1]))
    refused(client, ussl.SSLSession(data + b"x"))
    refused(client, ussl.SSLSession(b"x"))
    other, _ = contexts(ussl.TLSv1_3)
    other.verify_mode = ussl.CERT_NONE
    refused(other, session)
    other, _ = contexts(ussl.TLSv1_3)
    other.verify_callback = lambda certificate, depth: 0
    refused(other, session)
    other.resumption = False
    raises(ValueError, other.wrap_socket, pipe()[0], server_hostname="localhost", session=session,
           text="does not resume")
    raises(ValueError, server.wrap_socket, pipe()[0], server_side=True, session=session, text="only valid for a client")


def test_with_a_verify_callback():
    # Nobody knows whether another callback would accept the server.
    client, server = contexts(ussl.TLSv1_3)
    client.verify_callback = lambda certificate, depth: 0
    equal([reused(client, server) for _ in range(2)], [False, True])
    c, s = connected(client, server)
    s.write(b"x")
    c.read(1)
    session = c.session
    client.wrap_socket(pipe()[0], server_hostname="localhost", session=session, do_handshake_on_connect=False)
    client.verify_callback = lambda certificate, depth: 1
    raises(ValueError, client.wrap_socket, pipe()[0], server_hostname="localhost", session=session, text="session")
    refused_by_callback, s, result = outcome(client, server)
    equal(result[0].errno, ussl.ERR_CERT_REJECTED)


def test_lifetime():
    client, server = contexts(ussl.TLSv1_3)
    equal(client.session_lifetime, 86400)
    now = 1800000000
    client.session_lifetime = 60
    client.verify_time = now
    c, s = connected(client, server)
    s.write(b"x")
    c.read(1)
    session = c.session
    for time, expected in ((now + 59, True), (now + 60, False), (now - 1, False)):
        client.verify_time = time
        a, b = pipe()
        c = client.wrap_socket(a, server_hostname="localhost", session=session, do_handshake_on_connect=False)
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        shake(c, s)
        equal(c.session_reused, expected)


def test_of_the_wrong_type():
    client, server = contexts(ussl.TLSv1_3)
    for bad in (b"bytes", "text", 5, client):
        raises(TypeError, client.wrap_socket, pipe()[0], server_hostname="localhost", session=bad)
    for bad, error in (("text", TypeError), (5, TypeError), (None, TypeError), (b"", ValueError)):
        raises(error, ussl.SSLSession, bad)
    raises(TypeError, ussl.SSLSession)
    for bad, error in ((-1, ValueError), (17, ValueError), ("1", TypeError)):
        raises(error, setattr, server, "num_tickets", bad)
    raises(ValueError, setattr, client, "num_tickets", 1)


def test_a_context_that_changes_forgets():
    client, server = contexts(ussl.TLSv1_3)
    equal([reused(client, server) for _ in range(2)], [False, True])
    client.pins = None
    equal(reused(client, server), False)
    # The same when the server has another certificate.
    equal(reused(client, server), True)
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    equal(reused(client, server), False)


def test_wrap_socket_by_itself():
    # Only ussl's stored session is left of the first connection.
    server = contexts(ussl.TLSv1_3)[1]

    def once(**options):
        options.setdefault("ca_certs", cert_bytes("ca.crt"))
        options.setdefault("server_hostname", "localhost")
        a, b = pipe()
        c = ussl.wrap_socket(a, do_handshake=False, **options)
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        shake(c, s)
        s.write(b"hello")
        equal(c.read(5), b"hello")
        result = c.session_reused
        c.close()
        s.close()
        return result

    results = []
    for options in ({}, {}, {"server_hostname": "127.0.0.1"}, {}, {"cert_reqs": ussl.CERT_NONE}, {"resumption": False},
                    {}):
        results.append(once(**options))
        gc.collect()
    equal(results, [False, True, False, True, False, False, True])
    # A client's own key is not kept for longer than it is used.
    own = {"keyfile": cert("client.key"), "certfile": cert("client.crt")}
    equal(once(**own), False)
    gc.collect()
    gc.collect()
    equal(once(**own), False)


def test_wrap_socket_beside_many_open_connections():
    # More contexts are in use than ussl shares between calls: the newest ones are shared.
    server = contexts(ussl.TLSv1_3)[1]
    kept = []

    def connect(limit):
        a, b = pipe()
        c = ussl.wrap_socket(a, do_handshake=False, ca_certs=cert_bytes("ca.crt"), server_hostname="localhost",
                             record_size_limit=limit)
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        shake(c, s)
        s.write(b"hello")
        equal(c.read(5), b"hello")
        kept.append((c, s))
        return c.session_reused

    equal([connect(1024 + i) for i in range(10)], [False] * 10)
    equal(connect(1024 + 9), True)
    equal(connect(2048), False)
    equal(connect(2048), True)
    for c, s in kept:
        c.close()
        s.close()


def test_many_contexts_are_not_kept():
    server = contexts(ussl.TLSv1_3)[1]
    for i in range(30):
        a, b = pipe()
        c = ussl.wrap_socket(a, do_handshake=False, ca_certs=cert_bytes("ca.crt") + b"\n" * i, server_hostname="localhost")
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        shake(c, s)
        c.close()
        s.close()


def test_no_session_where_the_peer_must_show_itself():
    client, server = contexts(ussl.TLSv1_3)
    client.load_cert_chain(cert("client.crt"), cert("client.key"))
    server.load_verify_locations(cert_bytes("ca.crt"))
    server.verify_mode = ussl.CERT_REQUIRED
    equal([reused(client, server) for _ in range(2)], [False, False])


def test_asyncio_resumes():
    import asyncio

    client, server = contexts(ussl.TLSv1_3)
    results = []

    async def serve(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main():
        free, address = listen()
        free.close()  # asyncio makes its own, on the port that was free a moment ago
        port = bytes(address)[2] << 8 | bytes(address)[3]
        listener = await asyncio.start_server(serve, "127.0.0.1", port, ssl=server)
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
            writer.write(b"line\n")
            await writer.drain()
            equal(await reader.readline(), b"line\n")
            results.append(reader.s.session_reused)
            writer.close()
            await writer.wait_closed()
        listener.close()
        await listener.wait_closed()

    asyncio.run(main())
    equal(results, [False, True, True])


run(globals())
