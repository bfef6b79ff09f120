# ussl over the Mbed TLS that a port builds for MicroPython's own TLS, in its own configuration. It has
# TLS 1.2 only, without its own PEM, pre-shared keys and PSA, and without ussl's replacements for parts of that library.

import ussl
from ussltest import *

import binascii
import tls


def der(name):
    """A PEM file as DER."""
    lines = cert_bytes(name).decode().split("\n")
    return binascii.a2b_base64("".join(line for line in lines if not line.startswith("-----")))


def trusting(root="ca.crt", host="localhost"):
    return {"ca_certs": der(root), "server_hostname": host}


def showing(name, **more):
    return dict({"certfile": der(name + ".crt"), "keyfile": der(name + ".key")}, **more)


def ends(client, server):
    a, b = pipe()
    return (ussl.wrap_socket(a, do_handshake=False, **client),
            ussl.wrap_socket(b, server_side=True, do_handshake=False, **server))


def test_both_modules_are_there():
    assert tls is not ussl
    tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    equal((ussl.HAS_TLSv1_2, ussl.HAS_TLSv1_3, ussl.HAS_PSK), (True, False, False))
    assert ussl.ENGINE.startswith("Mbed TLS 3."), ussl.ENGINE


def test_what_the_library_lacks_is_refused():
    for options in ({"psk_ident": b"x", "psk_key": b"y"}, {"server_side": True, "psk_keys": {b"x": b"y"}}):
        raises(ValueError, ussl.wrap_socket, End(), text="this build's TLS library has no pre-shared keys", **options)
    raises(ValueError, ussl.wrap_socket, End(), True, keyfile=cert("encrypted-old-aes-128.pem"), certfile=cert("server.crt"),
           key_password="secret", text="unsupported key encryption: AES-128-CBC")


def test_pem_needs_nothing_of_the_library():
    client, server = ends({"ca_certs": cert("ca.crt"), "server_hostname": "localhost"},
                          {"certfile": cert("server.crt"), "keyfile": cert("server.key")})
    shake(client, server)


def test_what_a_context_lacks_is_refused():
    ctx = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    ctx.sign_callback = lambda algorithm, digest: b""
    raises(ValueError, ctx.load_cert_chain, der("server.crt"), text="cannot sign with a callback")
    raises(ValueError, ussl.self_signed, "device.local", text="cannot make certificates")
    ctx = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(der("ca.crt"))
    ctx.verify_flags = ussl.VERIFY_CRL_CHECK_LEAF
    raises(ValueError, ctx.wrap_socket, End(), server_hostname="localhost", text="has no CRLs")
    raises(ValueError, ctx.load_verify_locations, cert_bytes("ca.crl.der"), text="invalid cert")
    equal(ussl.cert_info(der("server.crt"))["subject"][-1], (("commonName", "localhost"),))


def test_data_both_ways():
    data = pattern(100000)
    for limit in (None, 1024):
        client, server = ends(trusting(), showing("server", record_size_limit=limit))
        shake(client, server)
        equal(client.version(), "TLSv1.2")
        for sender, receiver in ((client, server), (server, client)):
            equal(sender.write(data), len(data))
            equal(receiver.read(len(data)) == data, True)
        client.close()
        equal(server.read(1), b"")


def test_the_peers_certificate():
    client, server = ends(trusting(), showing("server"))
    shake(client, server)
    equal(client.getpeercert(True), cert_bytes("server.der"))
    equal(client.getpeercert()["subject"][-1], (("commonName", "localhost"),))
    equal(server.getpeercert(), None)


def test_certificates_are_verified():
    for name, root, host, code in (
        ("server", "ca.crt", "other.example", ussl.ERR_CERT_HOSTNAME),
        ("server", "ca-other.crt", "localhost", ussl.ERR_CERT_UNKNOWN_ISSUER),
        ("server-expired", "ca.crt", "localhost", ussl.ERR_CERT_EXPIRED),
        ("server-future", "ca.crt", "localhost", ussl.ERR_CERT_NOT_YET_VALID),
        ("server-flipped", "ca.crt", "localhost", ussl.ERR_CERT_BAD_SIGNATURE),
        ("server-clientauth", "ca.crt", "localhost", ussl.ERR_CERT_PURPOSE),
    ):
        result = shake_out(*ends(trusting(root, host), showing(name)))
        equal((name, result[0].errno, result[1].errno), (name, code, ussl.ERR_CERT_REFUSED))


def test_client_certificates():
    demands = {"ca_certs": der("ca.crt")}
    for mode, name, code in (
        (ussl.CERT_REQUIRED, "client", None),
        (ussl.CERT_REQUIRED, None, ussl.ERR_CERT_MISSING),
        (ussl.CERT_REQUIRED, "client-other", ussl.ERR_CERT_UNKNOWN_ISSUER),
        (ussl.CERT_OPTIONAL, "client", None),
        (ussl.CERT_OPTIONAL, None, None),
        (ussl.CERT_OPTIONAL, "client-other", ussl.ERR_CERT_UNKNOWN_ISSUER),
    ):
        client, server = ends(dict(trusting(), **(showing(name) if name else {})),
                              showing("server", cert_reqs=mode, **demands))
        if code is None:
            shake(client, server)
            equal(server.getpeercert(True), cert_bytes("client.der") if name else None)
        else:
            equal(shake_out(client, server)[1].errno, code)


run(globals())
