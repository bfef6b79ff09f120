# Certificates: which are taken, and with which error they are not.

import ussl
from ussltest import *

NONE, OPTIONAL, REQUIRED = ussl.CERT_NONE, ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED


def outcome(name="server", client=None, server=None, chain=None):
    """The results of client and server (None or an exception each)."""
    a, b = pipe()
    options = {"keyfile": cert(name + ".key"), "certfile": cert((chain or name) + ".crt")}
    options.update(server or {})
    c = ussl.wrap_socket(a, do_handshake=False, **(client or {}))
    s = ussl.wrap_socket(b, server_side=True, do_handshake=False, **options)
    result = shake_out(c, s)
    if result == [None, None]:
        c.write(b"ping")
        equal(s.read(4), b"ping")
        s.write(b"pong")
        equal(c.read(4), b"pong")
    return result


def checking(name="localhost", roots="ca.crt", **more):
    options = {"ca_certs": cert(roots), "server_hostname": name}
    options.update(more)
    return options


# certificate of the server, roots of the client, its server_hostname: its error
SERVERS = (
    ("server", "ca.crt", "localhost", None),
    ("server", "ca.crt", "127.0.0.1", None),
    ("server", "ca.crt", "::1", None),
    ("server", "ca.crt", "LOCALHOST", None),
    ("server", "ca.der", "localhost", None),
    ("server", "ca-all.crt", "localhost", None),
    ("server", "server.crt", "localhost", None),  # every certificate in ca_certs is trusted
    ("server-rsa", "ca-rsa.crt", "localhost", None),
    ("server-intermediate", "ca-intermediate.crt", "localhost", None),
    ("server-selfsigned", "server-selfsigned.crt", "localhost", None),
    ("server-cn", "ca.crt", "localhost", None),
    ("server-wildcard", "ca.crt", "a.example.test", None),
    ("server-ip", "ca.crt", "127.0.0.1", None),
    ("server-policies", "ca.crt", "localhost", None),
    ("server-constrained", "ca-constrained.crt", "localhost", "CERT_INVALID" if lacks("name_constraints") else None),
    ("server-name", "ca.crt", "other.example", None),
    # Not for this name.
    ("server", "ca.crt", "other.example", "CERT_HOSTNAME"),
    ("server", "ca.crt", "127.0.0.2", "CERT_HOSTNAME"),
    ("server-name", "ca.crt", "localhost", "CERT_HOSTNAME"),
    ("server-cn", "ca.crt", "127.0.0.1", "CERT_HOSTNAME"),
    ("server-ip", "ca.crt", "localhost", "CERT_HOSTNAME"),  # the common name does not count
    ("server-wildcard", "ca.crt", "example.test", "CERT_HOSTNAME"),
    ("server-wildcard", "ca.crt", "a.b.example.test", "CERT_HOSTNAME"),
    # Not trusted.
    ("server", "ca-other.crt", "localhost", "CERT_UNKNOWN_ISSUER"),
    ("server-other", "ca.crt", "localhost", "CERT_UNKNOWN_ISSUER"),
    ("server-intermediate", "ca.crt", "localhost", "CERT_UNKNOWN_ISSUER"),
    ("server-selfsigned", "ca.crt", "localhost", "CERT_SELF_SIGNED"),
    ("server-flipped", "ca.crt", "localhost", "CERT_BAD_SIGNATURE"),
    # Wrong in itself.
    ("server-expired", "ca.crt", "localhost", "CERT_EXPIRED"),
    ("server-future", "ca.crt", "localhost", "CERT_NOT_YET_VALID"),
    ("server-clientauth", "ca.crt", "localhost", "CERT_PURPOSE"),
    ("server-critical", "ca.crt", "localhost", "CERT_INVALID"),
    ("server-constrained-outside", "ca-constrained.crt", "localhost", "CERT_INVALID"),
    ("server-softly-outside", "ca-softly.crt", "localhost", "CERT_INVALID"),
    ("server-weak", "ca.crt", "localhost", "CERT_WEAK"),
    ("server-sha1", "ca-rsa.crt", "localhost", "CERT_WEAK"),
    ("server-noca", "ca.crt", "localhost", "CERT_UNKNOWN_ISSUER"),
)
if not lacks("eddsa"):
    SERVERS += (("server-ed25519", "ca.crt", "localhost", None),)


def test_client_against_every_server():
    for name, roots, host, wanted in SERVERS:
        c, s = outcome(name, checking(host, roots))
        where = (name, roots, host, c, s)
        if wanted is None:
            assert c is None and s is None, where
            continue
        assert type(c) is OSError and c.errno == getattr(ussl, "ERR_" + wanted), where
        assert c.args[1].startswith(wanted + ": ") and "(alert sent: " in c.args[1], where
        # The server is told that its certificate was the reason.
        assert type(s) is OSError and s.errno == ussl.ERR_CERT_REFUSED, where
        assert s.args[1].startswith("CERT_REFUSED: ") and "(alert received: " in s.args[1], where


def test_what_not_even_a_chain_helps():
    c, s = outcome("server-intermediate", checking(), chain="server-chain")
    assert (c, s) == (None, None), (c, s)
    c, s = outcome("server-noca", checking(), chain="server-noca-chain")
    assert c and c.errno in (ussl.ERR_CERT_INVALID, ussl.ERR_CERT_PURPOSE, ussl.ERR_CERT_UNKNOWN_ISSUER), c


def test_all_that_failed_is_named_worst_first():
    c, s = outcome("server-expired-name", checking())
    equal(c.errno, ussl.ERR_CERT_HOSTNAME)
    text = c.args[1]
    assert text.startswith("CERT_HOSTNAME: ") and 0 < text.find("; CERT_EXPIRED: "), text
    c, s = outcome("server-expired-name", checking(roots="ca-other.crt"))
    text = c.args[1]
    assert text.startswith("CERT_UNKNOWN_ISSUER: "), text
    assert text.find("CERT_HOSTNAME") < text.find("CERT_EXPIRED"), text


def test_the_certificate_that_failed_is_named_every_time():
    a, b = pipe()
    client = ussl.wrap_socket(a, ca_certs=cert("ca.crt"), server_hostname="other.example", do_handshake=False)
    server = ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), do_handshake=False)
    texts = []
    for _ in range(20):
        for sock in (client, server):
            try:
                step(sock)
            except OSError as e:
                if sock is client:
                    texts.append(e.args[1])
    assert len(texts) > 1 and set(texts) == {
        "CERT_HOSTNAME: the certificate is not for this server_hostname (certificate: "
        'subject "CN=localhost,O=ussl tests", issuer "CN=ussl test root,O=ussl tests", '
        "valid 2020-01-01T00:00:00Z to 2099-12-31T23:59:59Z) (alert sent: bad_certificate)"
    }, texts


def test_not_yet_valid_speaks_of_the_clock():  # CERT_CLOCK: clock.py
    c, s = outcome("server-future", checking())
    assert "clock" in c.args[1], c


def test_modes_of_a_client():
    for mode in (OPTIONAL, REQUIRED):
        c, s = outcome("server", checking(cert_reqs=mode))
        assert (c, s) == (None, None), (c, s)
        for name, roots, host, wanted in SERVERS:
            if wanted:
                c, s = outcome(name, checking(host, roots, cert_reqs=mode))
                assert c and c.errno == getattr(ussl, "ERR_" + wanted), (name, mode, c)
    # CERT_NONE takes them all, roots or not.
    for name, roots, host, wanted in SERVERS:
        for client in ({}, {"cert_reqs": NONE}, checking(host, roots, cert_reqs=NONE), {"server_hostname": host}):
            c, s = outcome(name, client)
            assert (c, s) == (None, None), (name, c, s)


def test_roots_alone_mean_REQUIRED():
    c, s = outcome("server-other", checking())
    equal(c.errno, ussl.ERR_CERT_UNKNOWN_ISSUER)
    c, s = outcome("server", {}, {"ca_certs": cert("ca.crt")})
    equal(s.errno, ussl.ERR_CERT_MISSING)


def test_the_system_store():
    # It does not know our root.
    c, s = outcome("server", {"cert_reqs": REQUIRED, "server_hostname": "localhost"})
    equal(c.errno, ussl.ERR_CERT_UNKNOWN_ISSUER)


def client_with(name, **more):
    options = checking()
    options.update({"keyfile": cert(name + ".key"), "certfile": cert(name + ".crt")})
    options.update(more)
    return options


# certificate of the client, roots of the server: the server's error
CLIENTS = (
    ("client", "ca.crt", None),
    ("client-rsa", "ca-rsa.crt", None),
    ("client", "ca-all.crt", None),
    ("client", "client.crt", None),
    ("server", "ca.crt", None),  # for no particular purpose, and no name is checked
    ("client", "ca-other.crt", "CERT_UNKNOWN_ISSUER"),
    ("client-other", "ca.crt", "CERT_UNKNOWN_ISSUER"),
    ("client-expired", "ca.crt", "CERT_EXPIRED"),
    ("client-serverauth", "ca.crt", "CERT_PURPOSE"),
    ("server-selfsigned", "ca.crt", "CERT_SELF_SIGNED"),
)


def test_server_against_every_client():
    for mode in (OPTIONAL, REQUIRED):
        for name, roots, wanted in CLIENTS:
            c, s = outcome("server", client_with(name), {"ca_certs": cert(roots), "cert_reqs": mode})
            where = (name, roots, mode, c, s)
            if wanted is None:
                assert (c, s) == (None, None), where
                continue
            assert type(s) is OSError and s.errno == getattr(ussl, "ERR_" + wanted), where
            assert s.args[1].startswith(wanted + ": ") and "(alert sent: " in s.args[1], where
            assert type(c) is OSError and c.errno == ussl.ERR_CERT_REFUSED, where
            assert "(alert received: " in c.args[1], where


def test_a_client_without_a_certificate():
    roots = cert("ca.crt")
    c, s = outcome("server", checking(), {"ca_certs": roots, "cert_reqs": REQUIRED})
    equal(s.errno, ussl.ERR_CERT_MISSING)
    assert s.args[1].startswith("CERT_MISSING: "), s
    equal(c.errno, ussl.ERR_CERT_REFUSED)
    assert "certificate_required" in c.args[1], c
    equal(outcome("server", checking(), {"ca_certs": roots, "cert_reqs": OPTIONAL}), [None, None])
    equal(outcome("server", checking(), {"ca_certs": roots, "cert_reqs": NONE}), [None, None])


def test_a_client_that_only_writes_hears_of_the_refusal():
    # TLS 1.3: for the client the handshake is over before the server has looked at its certificate.
    a, b = pipe()
    client = ussl.wrap_socket(a, do_handshake=False)
    server = ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), ca_certs=cert("ca.crt"),
                              do_handshake=False)
    while not step(client):
        step(server)
    equal(client.write(b"a"), 1)
    raises(OSError, server.do_handshake, code=ussl.ERR_CERT_MISSING)
    server.close()
    a.broken = True
    raises(OSError, client.write, b"b", code=ussl.ERR_CERT_REFUSED, text="certificate_required")


def test_a_server_that_does_not_ask():
    # A certificate that the client has is not sent.
    c, s, a, b = cert_pair(client=client_with("client-other"))
    equal(s.getpeercert(True), None)
    equal(s.getpeercert(), None)


def test_getpeercert_of_the_client():
    c, s, a, b = cert_pair(client=client_with("client"), server={"ca_certs": cert("ca.crt")})
    equal(s.getpeercert(True), cert_bytes("client.der"))
    equal(s.getpeercert(binary_form=True), cert_bytes("client.der"))
    info = s.getpeercert()
    assert (("commonName", "client one"),) in info["subject"], info
    assert "subjectAltName" not in info, info


def test_getpeercert_of_the_server():
    c, s, a, b = cert_pair(client=checking())
    equal(c.getpeercert(True), cert_bytes("server.der"))
    info = c.getpeercert()
    equal(info["subject"], ((("organizationName", "ussl tests"),), (("commonName", "localhost"),)))
    equal(info["issuer"], ((("organizationName", "ussl tests"),), (("commonName", "ussl test root"),)))
    equal(info["notBefore"], "Jan  1 00:00:00 2020 GMT")
    equal(info["notAfter"], "Dec 31 23:59:59 2099 GMT")
    equal(info["version"], 3)
    equal(info["subjectAltName"], (("DNS", "localhost"), ("IP Address", "127.0.0.1"),
                                   ("IP Address", "0:0:0:0:0:0:0:1")))
    # Its top bit is set: DER has a zero byte before it, which is not part of the number.
    equal(info["serialNumber"], "A1B2C3D4E5F60718293A4B5C6D7E8F90")
    # The caller's own, to change as it likes.
    info.clear()
    assert c.getpeercert()


def test_getpeercert_of_an_unverified_server():
    c, s, a, b = cert_pair()
    equal(c.getpeercert(), {})
    equal(c.getpeercert(True), cert_bytes("server.der"))
    c.close()
    equal(c.getpeercert(True), None)


def test_getpeercert_before_the_handshake():
    a, b = pipe()
    c = ussl.wrap_socket(a, do_handshake=False)
    equal(c.getpeercert(), None)
    equal(c.getpeercert(True), None)


def test_weak_keys_of_ones_own_are_ones_own_business():
    for name in ("server-weak", "server-sha1"):
        c, s = outcome(name)
        assert (c, s) == (None, None), (name, c, s)


def test_a_server_that_asks_everyone():
    # A blocking wrap_socket has the same results, and raises.
    a, b = pipe()
    server = ussl.wrap_socket(b, True, cert("server-expired.key"), cert("server-expired.crt"), do_handshake=False)
    failed = []

    def pump():
        try:
            step(server)
        except OSError as e:
            failed.append(e)

    a.pump = pump
    raises(OSError, ussl.wrap_socket, a, ca_certs=cert("ca.crt"), server_hostname="localhost",
           code=ussl.ERR_CERT_EXPIRED, text=("CERT_EXPIRED: ", ", clock 20"))
    equal(a.closed, 0)
    raises(OSError, server.read, 1, code=ussl.ERR_CERT_REFUSED, text="certificate_expired")


run(globals())
