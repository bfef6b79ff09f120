# CRLs, keys that are somewhere else, certificates made and looked into.

import ussl
from ussltest import *


# --- CRLs


def revoking(*files):
    ctx = ussl.SSLContext(CLIENT)
    for name in files:
        ctx.load_verify_locations(cert_bytes(name))
    return ctx


def test_a_revoked_server_is_refused():
    for files in (("ca.crt", "ca.crl"), ("ca.crl", "ca.crt"), ("ca.der", "ca.crl.der"), ("ca.crt", "ca.crl.der")):
        ctx = revoking(*files)
        equal(ctx.verify_flags, ussl.VERIFY_CRL_CHECK_LEAF)  # a CRL in ca_certs turns the check on
        connected(ctx, server_context())
        result = refused(ctx, server_context("server-revoked"), "CERT_REVOKED")
        assert "certificate_revoked" in str(result[1]), result


def test_a_revoked_client_is_refused():
    server = server_context()
    server.verify_mode = ussl.CERT_REQUIRED
    server.load_verify_locations(cert_bytes("ca.crt"))
    server.load_verify_locations(cert_bytes("ca.crl"))
    for name in ("client", "client-revoked"):
        client = client_context()
        client.load_cert_chain(cert_bytes(name + ".crt"), cert_bytes(name + ".key"))
        result = outcome(client, server)[2]
        equal(result[1] and result[1].errno, ussl.ERR_CERT_REVOKED if "revoked" in name else None)


def test_without_a_crl_nobody_passes_if_they_are_asked_for():
    ctx = client_context()
    equal(ctx.verify_flags, ussl.VERIFY_DEFAULT)
    ctx.verify_flags |= ussl.VERIFY_CRL_CHECK_LEAF
    refused(ctx, server_context(), "CERT_CRL")
    for name in ("ca-old.crl", "ca-early.crl", "ca-twin.crl"):
        refused(revoking("ca.crt", name), server_context(), "CERT_CRL")


def test_a_crl_can_be_left_aside():
    ctx = revoking("ca.crt", "ca.crl")
    ctx.verify_flags = ussl.VERIFY_DEFAULT
    connected(ctx, server_context("server-revoked"))


def test_crls_of_a_whole_chain():
    server = ussl.SSLContext(SERVER)
    server.load_cert_chain(cert("server-chain.crt"), cert("server-intermediate.key"))
    ctx = revoking("ca.crt", "ca-intermediate.crl")
    connected(ctx, server)
    ctx.verify_flags = ussl.VERIFY_CRL_CHECK_CHAIN
    refused(ctx, server, "CERT_CRL")
    ctx.load_verify_locations(cert("ca.crl"))
    connected(ctx, server)
    equal(ctx.verify_flags, ussl.VERIFY_CRL_CHECK_CHAIN)


def test_wrap_socket_heeds_crls():
    roots = cert_bytes("ca.crt") + cert_bytes("ca.crl")
    for name in ("server", "server-revoked"):
        a, b = pipe()
        c = ussl.wrap_socket(a, ca_certs=roots, server_hostname="localhost", do_handshake=False)
        s = ussl.wrap_socket(b, server_side=True, keyfile=cert(name + ".key"), certfile=cert(name + ".crt"),
                             do_handshake=False)
        error = shake_out(c, s)[0]
        equal(error and error.errno, ussl.ERR_CERT_REVOKED if "revoked" in name else None)


def test_bad_crls_and_flags():
    ctx = client_context()
    for name, text in (("ca-special.crl", "must cover all certificates"), ("ca-sha1.crl", "SHA-256"),
                       ("ca-endless.crl.der", "(nextUpdate) is missing")):
        raises(ValueError, ctx.load_verify_locations, cert_bytes(name), text=text)
    for value, error in ((1, ValueError), (8, ValueError), (-1, ValueError), (1 << 40, ValueError), ("x", TypeError)):
        try:
            ctx.verify_flags = value
        except (error, OverflowError):
            continue
        raise AssertionError(value)
    equal(ctx.verify_flags, 0)
    connected(ctx, server_context())


def test_cert_store_stats():
    ctx = ussl.SSLContext(CLIENT)
    equal(ctx.cert_store_stats(), {"x509": 0, "x509_ca": 0, "crl": 0, "unsupported": 0})
    ctx.load_verify_locations(cert_bytes("ca-all.crt"))
    equal(ctx.cert_store_stats(), {"x509": 3, "x509_ca": 3, "crl": 0, "unsupported": 0})
    ctx.load_verify_locations(cert_bytes("server.der"))
    ctx.load_verify_locations(cert_bytes("ca.crl"))
    equal(ctx.cert_store_stats(), {"x509": 4, "x509_ca": 3, "crl": 1, "unsupported": 0})


def test_unsupported_certificates_are_passed_over():
    odd = cert_bytes("unsupported-dsa.crt") + cert_bytes("unsupported-secp256k1.crt")
    ctx = ussl.SSLContext(CLIENT)
    raises(ValueError, ctx.load_verify_locations, odd, text="cadata, line 1: unsupported cert")
    ctx.load_verify_locations(odd + cert_bytes("ca.crt"))
    equal(ctx.cert_store_stats(), {"x509": 1, "x509_ca": 1, "crl": 0, "unsupported": 2})
    connected(ctx, server_context())


def test_roots_add_up():
    ctx = ussl.SSLContext(CLIENT)
    ctx.load_verify_locations(cert_bytes("ca-rsa.crt"))
    ctx.load_verify_locations(cadata=cert_bytes("ca.der"))
    raises(ValueError, ctx.load_verify_locations, b"garbage", text="invalid cert")
    connected(ctx, server_context("server-rsa"))
    connected(ctx, server_context())


# --- signatures by the program (that good ones work, tests/interop shows, with a signer of its own)


def signing(sign, **load):
    ctx = ussl.SSLContext(SERVER)
    ctx.sign_callback = sign
    ctx.load_cert_chain(cert_bytes("server.crt"), **load)
    return ctx


def test_what_a_sign_callback_is_asked():
    asked = []

    def sign(algorithm, digest):
        asked.append((algorithm, type(digest), len(digest)))
        return b"0no signature"

    result = outcome(client_context(), signing(sign))[2]
    assert asked and asked[0][:2] == ("ecdsa", bytes) and asked[0][2] in (32, 48, 64), asked
    assert result[0] and result[1], result  # the client does not take it for one


def test_what_a_sign_callback_is_asked_for_rsa():
    for version, names in ((ussl.TLSv1_2, ("rsa_pkcs1", "rsa_pss")), (ussl.TLSv1_3, ("rsa_pss",))):
        asked = []
        server = ussl.SSLContext(SERVER)
        server.sign_callback = lambda algorithm, digest: asked.append(algorithm) or bytes(256)
        server.load_cert_chain(cert_bytes("server-rsa.crt"))
        server.minimum_version = server.maximum_version = version
        result = outcome(client_context("ca-rsa.crt"), server)[2]
        assert len(asked) == 1 and asked[0] in names, asked
        assert result[0] and result[1], result


def test_a_sign_callback_is_asked_though_the_key_is_beside_the_certificate():
    asked = []
    server = ussl.SSLContext(SERVER)
    server.sign_callback = lambda algorithm, digest: asked.append(algorithm) or b"0no signature"
    server.load_cert_chain(cert_bytes("server.crt") + cert_bytes("server.key"))
    assert outcome(client_context(), server)[2][1]
    equal(asked, ["ecdsa"])


def test_a_sign_callback_of_a_client_without_a_certificate_is_not_asked():
    for name in ("sign_callback", "ecdsa_sign_callback"):
        client = client_context()
        setattr(client, name, lambda *a: 1 / 0)
        connected(client, server_context())


def test_a_sign_callback_that_fails():
    def raising(algorithm, digest):
        raise KeyError("no such slot")

    for sign, error in ((raising, KeyError), (lambda a, d: None, TypeError), (lambda a, d: "text", TypeError),
                        (lambda a, d: 5, TypeError), (lambda a, d: b"", ValueError),
                        (lambda a, d: bytes(5000), ValueError), (lambda: b"x", TypeError),
                        (lambda a, d: bytes(64), ValueError)):
        c, s, result = outcome(client_context(), signing(sign))
        equal(type(result[1]), error)
        c.close()
        s.close()


def test_a_sign_callback_that_uses_the_connection():
    def sign(algorithm, digest):
        for call in (s.read, lambda: s.write(b"x"), s.do_handshake):
            raises(OSError, call, code=ussl.ERR_BAD_USE)
        s.close()
        return b"0" * 70

    a, b = pipe()
    c = client_context().wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    s = signing(sign).wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    result = shake_out(c, s)
    assert result[0] and result[1], result
    raises(OSError, s.read, code=9)


def test_a_certificate_needs_a_key_or_a_callback():
    ctx = ussl.SSLContext(SERVER)
    raises(ValueError, ctx.load_cert_chain, cert_bytes("server.crt"), text="invalid key")
    for name in ("ecdsa_sign_callback", "sign_callback"):
        equal(getattr(ctx, name), None)
        raises(TypeError, setattr, ctx, name, 5)
        setattr(ctx, name, lambda *a: None)
        raises(ValueError, ctx.load_cert_chain, cert_bytes("server.crt"), cert_bytes("client.key"), text="do not match")
        if name == "ecdsa_sign_callback":  # which is about a key that is there
            raises(ValueError, ctx.load_cert_chain, cert_bytes("server.crt"), text="invalid key")
    ctx.load_cert_chain(cert_bytes("server.crt"))


def test_ecdsa_sign_callback_is_micropythons():
    asked = []

    def not_mine(key, digest):
        asked.append((len(key), len(digest)))
        return None  # the key that was loaded signs

    server = server_context()
    server.ecdsa_sign_callback = not_mine
    connected(client_context(), server)
    equal(asked[0][0], 32)

    # It is not used for RSA.
    server = server_context("server-rsa")
    server.ecdsa_sign_callback = lambda key, digest: 1 / 0
    connected(client_context("ca-rsa.crt"), server)

    server = server_context()
    server.ecdsa_sign_callback = lambda key, digest: 1 / 0
    equal(type(outcome(client_context(), server)[2][1]), ZeroDivisionError)


# --- certificates made and looked into


def test_cert_info():
    for content in (cert("server.crt"), cert_bytes("server.crt"), cert_bytes("server.der"),
                    cert_bytes("server.crt").decode()):
        info = ussl.cert_info(content)
        equal(info["subject"], ((("organizationName", "ussl tests"),), (("commonName", "localhost"),)))
        equal(info["subjectAltName"],
              (("DNS", "localhost"), ("IP Address", "127.0.0.1"), ("IP Address", "0:0:0:0:0:0:0:1")))
        equal(info["notAfter"], "Dec 31 23:59:59 2099 GMT")
    import hashlib

    equal(info["sha256"], hashlib.sha256(cert_bytes("server.der")).digest())
    equal(info["public_key_sha256"], hashlib.sha256(cert_bytes("server-public.der")).digest())
    # The dictionary of getpeercert(), and the hashes that pins takes.
    client = client_context()
    client.pins = [info["public_key_sha256"]]
    c, s = connected(client, server_context())
    peer = c.getpeercert()
    for key in peer:
        equal(info[key], peer[key])
    equal(set(info) - set(peer), {"sha256", "public_key_sha256"})


def test_cert_info_of_every_kind_of_name_and_text():
    info = ussl.cert_info(cert_bytes("curious.der"))
    equal(info["subject"], (
        (("commonName", "two"), ("organizationName", "in one")),
        (("1.2.3.4", "odd"),),
        (("organizationName", "caf\xe9"),),
        (("organizationName", "Zo\xeb \u20ac"),),
        (("organizationName", "\U0001d11e"),),
    ))
    equal(info["issuer"], info["subject"])
    # A directory name is not a name that TLS compares.
    equal(info["subjectAltName"], (("email", "me@localhost"), ("URI", "http://localhost/"), ("DNS", "localhost"),
                                   ("IP Address", "127.0.0.1")))


def test_cert_info_of_serial_numbers():
    # As CPython writes them: tests/interop/test_protocol.py asks it.
    for name, number in (("0", "00"), ("1", "01"), ("127", "7F"), ("128", "80"), ("256", "0100"),
                         ("20-bytes", "7F" + 19 * "FF"), ("top-bit", "80" + 18 * "00" + "01"), ("minus-1", "-01"),
                         ("minus-128", "-80"), ("minus-129", "-81"), ("minus-256", "-0100")):
        equal(ussl.cert_info(cert("serial-%s.crt" % name))["serialNumber"], number)


def test_cert_info_of_what_is_none():
    for content in (b"", b"garbage", cert_bytes("server.key"), cert_bytes("ca.crl"), cert_bytes("truncated.crt")):
        raises(ValueError, ussl.cert_info, content, text="invalid cert")
    raises(TypeError, ussl.cert_info, None)
    raises(TypeError, ussl.cert_info, 5)
    raises(OSError, ussl.cert_info, "/nowhere.crt", code=2)


def test_self_signed():
    key, certificate = ussl.self_signed("device.local")
    assert type(key) is bytes and type(certificate) is bytes
    info = ussl.cert_info(certificate)
    equal(info["subject"], ((("commonName", "device.local"),),))
    equal(info["issuer"], info["subject"])
    equal(info["subjectAltName"], (("DNS", "device.local"),))
    equal((info["notBefore"], info["notAfter"]), ("Jan  1 00:00:00 2000 GMT", "Dec 31 23:59:59 9999 GMT"))

    server = ussl.SSLContext(SERVER)
    server.load_cert_chain(certificate, key)
    client = ussl.SSLContext(CLIENT)
    client.load_verify_locations(certificate)
    connected(client, server, "device.local")
    refused(client, server, "CERT_HOSTNAME", "localhost")
    refused(client_context(), server, "CERT_SELF_SIGNED", "device.local")


def test_self_signed_with_options():
    names = ["device.local", "192.168.4.1"]
    key, certificate = ussl.self_signed(names, valid_from=1700000000, valid_until=1800000000)
    info = ussl.cert_info(certificate)
    equal(info["subjectAltName"], (("DNS", "device.local"), ("IP Address", "192.168.4.1")))
    equal((info["notBefore"], info["notAfter"]), ("Nov 14 22:13:20 2023 GMT", "Jan 15 08:00:00 2027 GMT"))


def test_self_signed_of_bad_names():
    for names in ("", "not a name", [], ["good.local", ""], ["n"] * 9, "a" * 300):
        raises(ValueError, ussl.self_signed, names)
    for names in (None, 5, b"bytes", [5]):
        raises(TypeError, ussl.self_signed, names)
    raises(ValueError, ussl.self_signed, "a", valid_from=5, valid_until=5, text="must end after it begins")
    raises(OverflowError, ussl.self_signed, "a", valid_until=1 << 70)
    raises(TypeError, ussl.self_signed, "a", valid_until="x")


run(globals())
