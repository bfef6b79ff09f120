# Runs on the chip after tests/mcu/common.py: checks a firmware that omits the features in OMITTED.
#
# certs: ca.crt ca-other.crt ca.crl server.crt server.key client.crt client.key server-expired.crt server-expired.key roots.bin server-encrypted.der
# PEM has ca.crt in PEM. If the build has PEM, the others are in PEM as well, otherwise in DER.


def raised(call):
    """The exception of a call, or None."""
    try:
        call()
    except Exception as e:
        return e
    return None


def check(feature, kind, call):
    """A call raises, with the switch in its text, exactly if the build omits the feature."""
    e = raised(call)
    if feature in OMITTED:
        assert isinstance(e, kind) and "is not in this build (USSL_WITH=%s)" % feature in str(e), (feature, repr(e))
        print(feature, "omitted:", e)
    else:
        assert e is None, (feature, repr(e))
        print(feature)


def established(client, server):
    c, s, results = connect(client, server)
    assert results == [True, True], results
    talk(c, s, 300)
    return c, s


def close(*sockets):
    for sock in sockets:
        sock.close()
    gc.collect()


# Every keyword of wrap_socket(), with a pre-shared key and with certificates.
common = {"suppress_ragged_eofs": False, "record_size_limit": 1024, "resumption": True, "gather_writes": False}
close(*established(dict(psk_client(), cert_reqs=ussl.CERT_NONE, **common), dict(psk_server(), psk_hint="hint", **common)))
close(*established(dict(trusting(), cert_reqs=ussl.CERT_REQUIRED, key_password=None, **common), dict(shown("server"), **common)))
new_names = {"key": CERTS["server.key"], "cert": CERTS["server.crt"], "cadata": CERTS["ca.crt"], "cert_reqs": ussl.CERT_REQUIRED}
close(*established(dict(trusting(), **shown("client")), new_names))
for name in ("do_handshake", "do_handshake_on_connect"):
    a, b = pipe()
    close(ussl.wrap_socket(a, **dict(psk_client(), **{name: False})))
assert isinstance(raised(lambda: ussl.wrap_socket(End(), nonsense=1)), TypeError)
print("keywords")

# Verification.
for name, root, host, error in (
    ("server", "ca-other.crt", "localhost", ussl.ERR_CERT_UNKNOWN_ISSUER),
    ("server", "ca.crt", "other.example", ussl.ERR_CERT_HOSTNAME),
    ("server-expired", "ca.crt", "localhost", ussl.ERR_CERT_EXPIRED),
):
    c, s, results = connect(trusting(root, host), shown(name))
    assert results[0].errno == error, (name, root, host, results)
    close(c, s)
has_texts = "error_texts" not in OMITTED
if has_texts:
    assert "the certificate has expired (certificate: subject" in results[0].args[1], results[0]
else:
    assert results[0].args[1] == "CERT_EXPIRED (alert sent: 45)", results[0]
print("error_texts", results[0])
c, s, results = connect({"psk_ident": "me", "psk_key": b"wrong"}, psk_server())
assert results[1].errno == ussl.ERR_PSK_KEY, results
close(c, s)
e = raised(lambda: ussl.wrap_socket(End(), psk_ident="me"))
assert isinstance(e, ValueError) and "psk_ident requires psk_key" in str(e), e
# A text for a wrong argument has its name.
for text, short, wrong in (
    ("psk_key must be 1 to 48 bytes", "psk_key: size", {"psk_ident": "me", "psk_key": b""}),
    ("psk_keys is only valid for a server", "psk_keys: invalid for a client", psk_server()),
    ("must be CERT_NONE", "cert_reqs is out of range", {"cert_reqs": 3}),
    ("requires server_hostname", "cert_reqs requires server_hostname", {"ca_certs": CERTS["ca.crt"]}),
    ("invalid cert", "ca_certs: invalid cert", trusting("client.key")),
):
    e = raised(lambda: ussl.wrap_socket(End(), do_handshake=False, **wrong))
    assert isinstance(e, ValueError) and (short if "argument_texts" in OMITTED else text) in str(e), e
    print("argument_texts", e)
print("verification")

# Omitted features are absent, and using one names the switch.
c, s = established(trusting(), shown("server"))
check("alpn", AttributeError, lambda: c.selected_alpn_protocol())
assert ussl.HAS_ALPN == ("alpn" not in OMITTED)
assert c.getpeercert(True)
check("cert_dict", NotImplementedError, lambda: c.getpeercert())
check("cert_dict", AttributeError, lambda: ussl.cert_info(CERTS["ca.crt"]))
check("context", AttributeError, lambda: ussl.SSLContext)
check("context", AttributeError, lambda: ussl.create_default_context)
check("context", AttributeError, lambda: ussl.Purpose)
check("context", AttributeError, lambda: ussl.TLSVersion)
check("crl", AttributeError, lambda: ussl.VERIFY_CRL_CHECK_LEAF)


def trusts(ca_certs):
    ussl.wrap_socket(End(), do_handshake=False, server_hostname="localhost", ca_certs=ca_certs)


if "crl" in OMITTED and "pem" in OMITTED:  # a CRL in DER is an invalid certificate
    assert isinstance(raised(lambda: trusts(CERTS["ca.crt"] + CERTS["ca.crl"])), ValueError)
else:
    check("crl", ValueError, lambda: trusts(CERTS["ca.crt"] + CERTS["ca.crl"]))
check("encrypted_keys", ValueError, lambda: ussl.wrap_socket(
    End(), server_side=True, do_handshake=False, certfile=CERTS["server.crt"], keyfile=CERTS["server-encrypted.der"],
    key_password="secret"))
check("pem", ValueError, lambda: trusts(PEM))
check("root_store", ValueError, lambda: trusts(CERTS["roots.bin"]))
check("self_signed", AttributeError, lambda: ussl.self_signed("localhost"))
check("session_export", AttributeError, lambda: ussl.SSLSession)
check("session_export", AttributeError, lambda: c.session)
check("socket_facts", AttributeError, lambda: c.version())
check("socket_facts", AttributeError, lambda: c.cipher())
check("socket_facts", AttributeError, lambda: c.group())
check("socket_facts", AttributeError, lambda: c.session_reused)
assert c.pending() == 0
close(c, s)
for name, feature in (("SSLContext", "context"), ("self_signed", "self_signed"), ("cert_info", "cert_dict"),
                      ("SSLSession", "session_export"), ("VERIFY_CRL_CHECK_CHAIN", "crl")):
    assert hasattr(ussl, name) == (feature not in OMITTED), name
assert not hasattr(ussl, "nonsense")

if "context" not in OMITTED:
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    check("alpn", AttributeError, lambda: context.set_alpn_protocols(["mqtt"]))
    check("crl", AttributeError, lambda: setattr(context, "verify_flags", 0))
    check("keylog", AttributeError, lambda: setattr(context, "keylog_filename", None))
    check("sign_callback", AttributeError, lambda: setattr(context, "sign_callback", None))
    check("sign_callback", AttributeError, lambda: context.ecdsa_sign_callback)
    check("sni_callback", AttributeError, lambda: setattr(context, "sni_callback", None))
    assert isinstance(raised(lambda: context.nonsense), AttributeError)

reused = []
for _ in range(2):
    c, s = established(trusting(), shown("server"))
    reused.append("socket_facts" not in OMITTED and c.session_reused)
    close(c, s)
# Without context_sharing, each call has sessions of its own.
assert reused[1] == (not OMITTED & {"resumption", "context_sharing", "socket_facts"}), reused
print("resumption, context_sharing", reused[1])

import hashlib

check("cryptolib", AttributeError, lambda: hashlib.md5(b"").digest())
check("cryptolib", AttributeError, lambda: hashlib.sha1(b"").digest())
assert isinstance(raised(lambda: __import__("cryptolib")), ImportError) == ("cryptolib" in OMITTED)
hashlib.sha256(b"").digest()
print("done")
