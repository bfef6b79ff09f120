# How the module and its objects look.

import ssl
import sys

import tls
import ussl
from ussltest import *


def test_one_module_under_three_names():
    assert ssl is ussl and tls is ussl
    equal(ussl.__name__, "ussl")


def test_constants():
    equal((ussl.CERT_NONE, ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED), (0, 1, 2))
    equal((ussl.PROTOCOL_TLS_CLIENT, ussl.PROTOCOL_TLS_SERVER), (0, 1))
    equal((ussl.TLSv1_2, ussl.TLSv1_3), (0x0303, 0x0304))
    assert ussl.ENGINE.startswith(("OpenSSL 3.", "Mbed TLS 3.")) or "Mbed TLS 3." in ussl.ENGINE, ussl.ENGINE
    for name in ("HAS_TLSv1_2", "HAS_TLSv1_3", "HAS_PSK", "HAS_SNI", "HAS_ALPN"):
        assert getattr(ussl, name) in (True, False), name
    assert not hasattr(ussl, "SSLError")


def test_the_module_cannot_be_changed():
    try:
        ussl.CERT_NONE = 2
        raise AssertionError("it can")
    except AttributeError:
        pass
    equal(ussl.CERT_NONE, 0)


def test_repr():
    client, server, a, b = psk_pair()
    equal(repr(client), "<SSLSocket>")
    equal(str(server), "<SSLSocket>")
    equal(repr(client.context), "<SSLContext>")
    client.close()
    equal(repr(client), "<SSLSocket>")


def test_attributes_of_a_socket():
    a, b = pipe()
    client = psk_client(a, server_hostname="example.com", do_handshake=False)
    equal(client.server_hostname, "example.com")
    assert type(client.context) is ussl.SSLContext
    server = psk_server(b, do_handshake=False)
    equal(server.server_hostname, None)
    for name in ("read", "readinto", "readline", "write", "close", "setblocking", "settimeout", "do_handshake",
                 "unwrap", "pending", "version", "cipher", "getpeercert", "recv", "recv_into", "send", "sendall",
                 "__enter__", "__exit__"):
        assert callable(getattr(client, name)), name
    shake(client, server)
    name, version, bits = client.cipher()
    assert name.startswith("TLS_") and version == client.version() and bits in (128, 256), client.cipher()
    client.close()
    equal(client.server_hostname, "example.com")


def test_nothing_can_be_stored():
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    context = client.context
    for thing, name in ((client, "nonsense"), (client, "server_hostname"), (client, "context"), (client, "read"),
                        (context, "nonsense"), (context, "wrap_socket")):
        try:
            setattr(thing, name, 1)
            raise AssertionError("%s could be stored" % name)
        except AttributeError:
            pass
        try:
            delattr(thing, name)
            raise AssertionError("%s could be deleted" % name)
        except AttributeError:
            pass
    for thing in (client, context):
        try:
            thing.nonsense
            raise AssertionError("nonsense exists")
        except AttributeError:
            pass


def test_SSLSocket_is_made_by_wrap_socket_only():
    a, b = pipe()
    kind = type(psk_client(a, do_handshake=False))
    equal(kind.__name__, "SSLSocket")
    raises(TypeError, kind)
    raises(TypeError, kind, a)


def test_context_basics():
    raises(TypeError, ussl.SSLContext)
    raises(TypeError, ussl.SSLContext, 0, 1)
    raises(TypeError, ussl.SSLContext, "x")
    for wrong in (-1, 2, 99):
        raises(ValueError, ussl.SSLContext, wrong, text="protocol")
    client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    equal(client.verify_mode, ussl.CERT_REQUIRED)
    server = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    equal(server.verify_mode, ussl.CERT_NONE)
    for mode in (ussl.CERT_NONE, ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED):
        client.verify_mode = mode
        equal(client.verify_mode, mode)
    for wrong in (-1, 3, 99):
        try:
            client.verify_mode = wrong
            raise AssertionError("verify_mode took %r" % wrong)
        except ValueError:
            pass
    equal(client.verify_mode, ussl.CERT_REQUIRED)
    raises(ValueError, client.wrap_socket, End(), server_side=True, do_handshake_on_connect=False,
           server_hostname="x")
    raises(ValueError, client.wrap_socket, End(), do_handshake_on_connect=False, text="server_hostname")
    raises(ValueError, server.wrap_socket, End(), server_side=True, do_handshake_on_connect=False)


def test_one_context_for_many_sockets():
    server = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cafile=cert("ca.crt"))
    for _ in range(5):
        a, b = pipe()
        c = client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        assert c.context is client and s.context is server
        shake(c, s)
        c.write(b"x")
        equal(s.read(1), b"x")


run(globals())
