# SSLContext: MicroPython's attributes and methods, and CPython's.

import ussl
from ussltest import *


def test_defaults():
    ctx = ussl.SSLContext(CLIENT)
    equal(ctx.verify_mode, ussl.CERT_REQUIRED)
    equal(ctx.check_hostname, True)
    equal(ctx.minimum_version, ussl.TLSv1_2)
    equal(ctx.maximum_version, ussl.TLSv1_3)
    for name in ("verify_callback", "verify_time", "pins", "psk_identity", "psk_key", "server_psk_keys",
                 "handshake_timeout", "record_size_limit"):
        equal(getattr(ctx, name), None)
    equal(ctx.gather_writes, False)
    ctx = ussl.SSLContext(SERVER)
    equal(ctx.verify_mode, ussl.CERT_NONE)
    equal(ctx.check_hostname, False)


def test_attributes_that_are_not_there():
    ctx = ussl.SSLContext(CLIENT)
    for name in ("verify_mod", "session", "made"):
        raises(AttributeError, setattr, ctx, name, 1)
        raises(AttributeError, getattr, ctx, name)
    raises(AttributeError, delattr, ctx, "verify_mode")


def test_values_that_do_not_fit():
    ctx = ussl.SSLContext(CLIENT)
    for name, value, error in (
        ("verify_mode", 3, ValueError), ("verify_mode", "x", TypeError), ("verify_callback", 1, TypeError),
        ("verify_time", "now", TypeError), ("minimum_version", 0x0302, ValueError),
        ("maximum_version", None, TypeError), ("psk_identity", 5, TypeError), ("psk_key", "text", TypeError),
        ("server_psk_keys", 5, TypeError), ("server_psk_keys", {b"a": "b"}, TypeError),
        ("pins", b"x" * 32, TypeError), ("pins", [], ValueError), ("pins", [b"x"], ValueError),
        ("pins", ["x" * 32], TypeError), ("handshake_timeout", 0, ValueError), ("handshake_timeout", "1", TypeError),
        ("handshake_timeout", -1, ValueError), ("record_size_limit", 1, ValueError),
    ):
        before = getattr(ctx, name)
        raises(error, setattr, ctx, name, value)
        equal(getattr(ctx, name), before)


def test_errors_name_what_was_written():
    ctx, server = ussl.SSLContext(CLIENT), ussl.SSLContext(SERVER)
    for one, name, value, error in (
        (ctx, "verify_mode", "x", TypeError), (ctx, "verify_mode", 3, ValueError), (ctx, "verify_flags", "x", TypeError),
        (ctx, "verify_flags", 1, ValueError), (ctx, "verify_callback", 1, TypeError), (ctx, "verify_time", "x", TypeError),
        (ctx, "minimum_version", None, TypeError), (ctx, "maximum_version", 1, ValueError),
        (ctx, "psk_identity", 5, TypeError), (ctx, "psk_key", "text", TypeError), (ctx, "server_psk_keys", 5, TypeError),
        (ctx, "server_psk_keys", {b"a": "b"}, TypeError), (ctx, "server_psk_keys", {b"": b"b"}, ValueError),
        (ctx, "pins", 5, TypeError), (ctx, "pins", [5], TypeError), (ctx, "pins", [b"x"], ValueError),
        (ctx, "handshake_timeout", "1", TypeError), (ctx, "handshake_timeout", 0, ValueError),
        (ctx, "linger", None, TypeError), (ctx, "linger", -1, ValueError), (ctx, "record_size_limit", "1", TypeError),
        (ctx, "record_size_limit", 1, ValueError), (ctx, "keylog_filename", 5, TypeError),
        (server, "sni_callback", 5, TypeError), (ctx, "sni_callback", print, ValueError),
        (ctx, "sign_callback", 5, TypeError), (ctx, "ecdsa_sign_callback", 5, TypeError),
        (server, "num_tickets", "1", TypeError), (server, "num_tickets", 17, ValueError),
        (ctx, "session_lifetime", None, TypeError), (ctx, "session_lifetime", 0, ValueError),
        (ctx, "session_lifetime", 604801, ValueError),
    ):
        raises(error, setattr, one, name, value, text=name)
    for call, argument, error, text in (
        (ctx.set_ciphers, 5, TypeError, "set_ciphers"), (ctx.set_ciphers, [5], TypeError, "set_ciphers"),
        (ctx.set_alpn_protocols, 5, TypeError, "set_alpn_protocols"),
        (ctx.set_alpn_protocols, [5], TypeError, "set_alpn_protocols"),
        (ctx.set_alpn_protocols, [""], ValueError, "set_alpn_protocols"),
        (ctx.load_verify_locations, 5, TypeError, "cadata"), (ctx.load_cert_chain, 5, TypeError, "certfile"),
        (ussl.SSLContext, "x", TypeError, "protocol"), (ussl.SSLContext, 7, ValueError, "protocol"),
    ):
        raises(error, call, argument, text=text)
    raises(TypeError, ctx.load_verify_locations, cafile=5, text="cafile")
    raises(TypeError, ctx.load_cert_chain, cert_bytes("server.crt"), 5, text="keyfile")
    raises(TypeError, ctx.wrap_socket, End(), server_hostname=5, text="server_hostname")
    for call, argument in ((ctx.load_verify_locations, "cafile"), (ctx.load_cert_chain, "certfile")):
        raises(OSError, call, **{argument: "no/such.pem"}, code=errno.ENOENT, text=(argument, "'no/such.pem'"))
    ctx.verify_mode = ussl.CERT_NONE
    raises(ValueError, server.wrap_socket, End(), server_side=True, text=("load_cert_chain", "server_psk_keys"))
    ctx.server_psk_keys = {}
    raises(ValueError, ctx.wrap_socket, End(), text=("server_psk_keys is only valid for a server", "psk_identity"))


# --- names and versions


def test_check_hostname():
    client, server = client_context(), server_context("server-name")
    refused(client, server, "CERT_HOSTNAME")
    client.check_hostname = False
    for name in ("localhost", None):
        c, s = connected(client, server, name)
        assert c.getpeercert()
    # Other faults are detected.
    refused(client, server_context("server-expired-name"), "CERT_EXPIRED")
    # A name alone is no use: as in CPython, asking for it asks for the rest.
    client.verify_mode = ussl.CERT_NONE
    client.check_hostname = True
    equal(client.verify_mode, ussl.CERT_REQUIRED)
    raises(ValueError, client.wrap_socket, pipe()[0], text="server_hostname")


def test_versions():
    for low, high, expected in ((ussl.TLSv1_2, ussl.TLSv1_2, "TLSv1.2"), (ussl.TLSv1_3, ussl.TLSv1_3, "TLSv1.3"),
                                (ussl.TLSv1_2, ussl.TLSv1_3, "TLSv1.3")):
        for bound in (0, 1):
            client, server = client_context(), server_context()
            ctx = (client, server)[bound]
            ctx.minimum_version, ctx.maximum_version = low, high
            c, s = connected(client, server)
            equal((c.version(), s.version()), (expected, expected))
    client.minimum_version = ussl.TLSVersion.TLSv1_3
    server.minimum_version = ussl.TLSVersion.MINIMUM_SUPPORTED
    server.maximum_version = ussl.TLSVersion.TLSv1_2
    refused(client, server, "NO_SHARED_VERSION")
    raises(ValueError, setattr, client, "maximum_version", ussl.TLSv1_2,
           text="minimum_version must not be above maximum_version")
    raises(ValueError, setattr, server, "minimum_version", ussl.TLSv1_3, text="minimum_version must not be above")
    equal((client.minimum_version, client.maximum_version), (ussl.TLSv1_3, ussl.TLSv1_3))
    equal((server.minimum_version, server.maximum_version), (ussl.TLSv1_2, ussl.TLSv1_2))


# --- cipher suites


def test_ciphers_in_everybodys_spelling():
    for given in (["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"], ("TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256",),
                  ["ECDHE-ECDSA-AES128-SHA256"]):
        client, server = client_context(), server_context()
        for ctx in (client, server):
            ctx.set_ciphers(given)
        c, s = connected(client, server)
        equal(c.cipher(), ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "TLSv1.2", 128))
        equal(s.cipher(), c.cipher())


def rsa_contexts():
    """In TLS 1.2 the groups limit the curves of certificates: an RSA key has none."""
    return client_context("ca-rsa.crt"), server_context("server-rsa")


def test_groups_have_anybodys_names():
    ctx = ussl.SSLContext(CLIENT)
    by_default = ctx.groups
    for name in ("x25519", "secp256r1", "secp384r1", "secp521r1"):
        assert name in by_default, by_default
    for given, expected in (
        (["secp384r1", "x25519"], ["secp384r1", "x25519"]), (("P-384", "X25519"), ["secp384r1", "x25519"]),
        ("prime256v1:p-521", ["secp256r1", "secp521r1"]), ("SECP256R1", ["secp256r1"]), (by_default, by_default),
    ):
        for set_groups in (lambda value: setattr(ctx, "groups", value), ctx.set_groups):
            set_groups(given)
            equal(ctx.groups, expected)
    ctx.set_ecdh_curve("prime256v1")
    equal(ctx.groups, ["secp256r1"])
    ctx.groups = None
    equal(ctx.groups, by_default)


def test_groups_that_are_refused():
    ctx = ussl.SSLContext(CLIENT)
    ctx.groups = ["x25519"]
    for given, error, text in (
        (["x25519", "nonsense"], ValueError, ("groups", "nonsense")), ("x25519:nonsense", ValueError, "nonsense"),
        ("x25519:", ValueError, "groups: unknown group ''"), ("", ValueError, "groups: unknown group ''"),
        ([""], ValueError, "groups: unknown group ''"), ("x" * 1000, ValueError, "x" * 64), ("x25519,P-256", ValueError, "P-256"),
        ([], ValueError, "groups must not be empty"), (["P-256", "prime256v1"], ValueError, "the same group twice: secp256r1"),
        ("ffdhe2048:FFDHE2048", ValueError, "the same group twice: ffdhe2048"),
        (5, TypeError, "groups must be a list of str"), ([5], TypeError, "groups must be a list of str"),
        ([b"x25519"], TypeError, "groups must be a list of str"),
    ):
        raises(error, setattr, ctx, "groups", given, text=text)
        raises(error, ctx.set_groups, given, text=text)
        equal(ctx.groups, ["x25519"])


def test_groups_that_the_engine_lacks_are_refused_with_their_name():
    ctx = ussl.SSLContext(CLIENT)
    lacking = 0
    for name in ("x448", "X25519MLKEM768", "SecP256r1MLKEM768"):
        try:
            ctx.groups = [name]
            equal(ctx.groups, [name])
        except ValueError as e:
            equal(str(e), "groups: this build's TLS library has no such group: " + name)
            lacking += 1
    if "Mbed TLS" in ussl.ENGINE:
        equal(lacking, 3)


def test_a_connection_uses_a_group_of_both_contexts():
    for version in (ussl.TLSv1_2, ussl.TLSv1_3):
        client, server = rsa_contexts()
        client.maximum_version = version
        client.groups = ["x25519", "secp521r1", "secp384r1"]
        server.groups = ["secp384r1"]
        a, b = pipe()
        c = client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
        s = server.wrap_socket(b, do_handshake_on_connect=False)
        equal((c.group(), s.group()), (None, None))
        shake(c, s)
        equal((c.group(), s.group()), ("secp384r1", "secp384r1"))
        c.close()
        equal(c.group(), None)
        client.groups = ["x25519", "secp521r1"]
        refused(client, server, "HANDSHAKE_FAILED")


def test_a_plain_pre_shared_key_has_no_group():
    client, server = ussl.SSLContext(CLIENT), ussl.SSLContext(SERVER)
    client.psk_identity, client.psk_key = b"me", b"0123456789abcdef"
    server.server_psk_keys = {b"me": b"0123456789abcdef"}
    c, s = connected(client, server)
    assert c.group() and c.group() == s.group()
    client.set_ciphers(["TLS_PSK_WITH_AES_128_GCM_SHA256"])
    c, s = connected(client, server)
    equal((c.version(), c.group(), s.group()), ("TLSv1.2", None, None))


def test_a_list_of_ciphers_is_all_there_is():
    client, server = client_context(), server_context()
    client.set_ciphers(["TLS_CHACHA20_POLY1305_SHA256"])
    c, s = connected(client, server)
    equal(c.cipher()[0], "TLS_CHACHA20_POLY1305_SHA256")
    server.maximum_version = ussl.TLSv1_2
    refused(client, server, "NO_SHARED_VERSION")


def test_a_str_of_ciphers_leaves_those_of_TLS_1_3():
    client, server = client_context(), server_context()
    client.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")
    c, s = connected(client, server)
    equal(c.cipher()[0], "TLS_AES_128_GCM_SHA256")
    client.maximum_version = ussl.TLSv1_2
    c, s = connected(client, server)
    equal(c.cipher()[0], "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")


def test_ciphers_that_can_be_named():
    ctx = ussl.SSLContext(CLIENT)
    names = ctx.get_ciphers()
    equal(names[0], "TLS1-3-AES-128-GCM-SHA256")
    assert "TLS-PSK-WITH-AES-128-CBC-SHA256" in names and "TLS-RSA-WITH-AES-128-GCM-SHA256" in names, names
    for name in names:
        ctx.set_ciphers([name])
    ctx.set_ciphers(names)
    ctx.set_ciphers(":".join(names))


def test_ciphers_that_are_none():
    ctx = ussl.SSLContext(CLIENT)
    for given, error, text in (
        (["BAR"], ValueError, "BAR"), ("BAR", ValueError, "BAR"), ("HIGH:!aNULL", ValueError, "HIGH"),
        ([], ValueError, "1 to 64"), ("", ValueError, ""), (["x"] * 65, ValueError, "1 to 64"),
        ([1], TypeError, ""), (5, TypeError, ""), (["TLS_AES_128_GCM_SHA256", None], TypeError, ""),
        (["A" * 1000], ValueError, "AAAA"),
    ):
        raises(error, ctx.set_ciphers, given, text=text)
    # Known, but of no use here.
    ctx.set_ciphers(["TLS_PSK_WITH_AES_128_GCM_SHA256"])
    raises(ValueError, ctx.wrap_socket, pipe()[0], server_hostname="x", text="set_ciphers")


# --- pre-shared keys


def psk_contexts():
    client, server = ussl.SSLContext(CLIENT), ussl.SSLContext(SERVER)
    client.psk_identity, client.psk_key = IDENTITY, KEY
    server.server_psk_keys = {IDENTITY: KEY}
    return client, server


def test_psk():
    client, server = psk_contexts()
    c, s = connected(client, server, None)
    c.write(b"ping")
    equal(s.read(4), b"ping")
    client.psk_key = b"another"
    c, s, result = outcome(client, server, None)
    equal(result[1].errno, ussl.ERR_PSK_KEY)
    client.psk_key = None
    raises(ValueError, client.wrap_socket, pipe()[0], text="psk_identity requires psk_key")


def test_lengths_of_psk_are_checked_when_both_are_set():
    for first, second in (("psk_identity", "psk_key"), ("psk_key", "psk_identity")):
        for bad in ({first: b"x" * 129}, {second: b"x" * 129}, {second: b""}):
            ctx = ussl.SSLContext(CLIENT)
            setattr(ctx, first, bad.get(first, b"good"))
            e = raises(OSError, setattr, ctx, second, bad.get(second, b"good"), code=ussl.ERR_PSK_INVALID)
            assert e.args[1].startswith("PSK_INVALID: "), e
            equal((getattr(ctx, first), getattr(ctx, second)), (bad.get(first, b"good"), None))
        # An empty value is always wrong.
        ctx = ussl.SSLContext(CLIENT)
        raises(OSError, setattr, ctx, first, b"", code=ussl.ERR_PSK_INVALID)
        equal(getattr(ctx, first), None)
    ctx = ussl.SSLContext(CLIENT)
    ctx.psk_identity, ctx.psk_key = "i" * 128, b"k" * 48


def test_a_bad_key_from_server_psk_keys():
    class Keys:
        def get(self, identity):
            return self.key

    client, server = psk_contexts()
    server.server_psk_keys = keys = Keys()
    for key in (12345, "text", b"", b"k" * 49):
        keys.key = key
        c, s, result = outcome(client, server, None)
        equal(result[1].errno, ussl.ERR_PSK_INVALID)
        assert type(result[0]) is OSError, result


def test_psk_together_with_certificates_uses_only_psk():
    client, server = psk_contexts()
    client.load_verify_locations(cafile=cert("ca.crt"))
    client.load_verify_locations(cafile=cert("ca.crl"))
    client.load_cert_chain(cert("client.crt"), cert("client.key"))
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    c, s = connected(client, server)
    equal((c.getpeercert(True), s.getpeercert(True)), (None, None))
    # No falling back, on either side, to certificates that would be good.
    for one, other in ((client, server_context()), (client_context(), server)):
        c, s, result = outcome(one, other)
        assert type(result[0]) is OSError and type(result[1]) is OSError, result
    # The callback of a client, too.
    client.psk_identity = client.psk_key = None
    client.set_psk_client_callback(lambda hint: (IDENTITY, KEY))
    c, s = connected(client, server)
    equal(c.getpeercert(True), None)
    # Without pre-shared keys, both are as before.
    client.set_psk_client_callback(None)
    server.server_psk_keys = None
    client.verify_flags = ussl.VERIFY_DEFAULT
    c, s = connected(client, server)
    assert c.getpeercert(True)


def test_psk_callbacks():
    asked = []

    def client_key(hint):
        asked.append(hint)
        return "tester", KEY

    def server_key(identity):
        asked.append(identity)
        return KEY if identity == "tester" else b""

    client, server = ussl.SSLContext(CLIENT), ussl.SSLContext(SERVER)
    client.set_psk_client_callback(client_key)
    server.set_psk_server_callback(server_key, "a hint")
    c, s = connected(client, server, None)
    equal(asked, [None, "tester"])
    client.set_psk_client_callback(lambda hint: ("somebody", KEY))
    c, s, result = outcome(client, server, None)
    equal(result[1].errno, ussl.ERR_PSK_IDENTITY)
    equal(result[0].errno, ussl.ERR_PSK_REFUSED)
    # Bytes that are not text are passed as bytes.
    client.set_psk_client_callback(lambda hint: (b"\xff\xfe", KEY))
    outcome(client, server, None)
    equal(asked[-1], b"\xff\xfe")


def test_psk_callbacks_that_go_wrong():
    client, server = psk_contexts()
    for answer, error in ((None, TypeError), (("a",), ValueError), (("a", "b"), TypeError), ((None, KEY), ValueError),
                          ((None, None), ValueError), (("a", b""), ValueError)):
        client.set_psk_client_callback(lambda hint: answer)
        raises(error, client.wrap_socket, pipe()[0])
    client.set_psk_client_callback(None)

    def fails(identity):
        raise KeyError("no such table")

    server.set_psk_server_callback(fails)
    c, s, result = outcome(client, server, None)
    assert type(result[1]) is KeyError, result
    for key in (5, "text", b"k" * 49):
        server.set_psk_server_callback(lambda identity: key)
        c, s, result = outcome(client, server, None)
        equal(result[1].errno, ussl.ERR_PSK_INVALID)
    raises(TypeError, server.set_psk_server_callback, 5)
    raises(ValueError, server.set_psk_client_callback, client_callback)
    raises(ValueError, client.set_psk_server_callback, client_callback)


def client_callback(hint):
    return IDENTITY, KEY


# --- certificates


def test_verify_callback_sees_the_chain():
    seen = []

    def look(certificate, depth):
        seen.append((depth, bytes(certificate)))
        return 0

    client, server = client_context(), server_context()
    client.verify_callback = look
    c, s = connected(client, server)
    equal(seen, [(1, cert_bytes("ca.der")), (0, cert_bytes("server.der"))])
    equal(client.verify_callback, look)
    client.verify_callback = None
    connected(client, server)
    equal(len(seen), 2)


def test_verify_callback_can_refuse():
    client, server = client_context(), server_context()
    client.verify_callback = lambda certificate, depth: 1 - depth
    c, s = refused(client, server, "CERT_REJECTED")
    equal(s.errno, ussl.ERR_CERT_REFUSED)
    # It cannot let anybody in.
    client.verify_callback = lambda certificate, depth: 0
    refused(client, server_context("server-other"), "CERT_UNKNOWN_ISSUER")


def test_verify_callback_that_goes_wrong():
    def fails(certificate, depth):
        raise RuntimeError("on purpose")

    answers = "verify_callback must return an int"
    for callback, error, text in ((fails, RuntimeError, "on purpose"), (lambda c, d: None, TypeError, answers),
                                  (lambda c: 0, TypeError, ""), (lambda c, d: "0", TypeError, answers),
                                  (lambda c, d: True, TypeError, answers), (lambda c, d: False, TypeError, answers),
                                  (lambda c, d: 0.0, TypeError, answers)):
        client, server = client_context(), server_context()
        client.verify_callback = callback
        c, s, result = outcome(client, server)
        assert type(result[0]) is error and text in str(result[0]), result
        c.close()


def test_a_large_int_of_verify_callback_refuses():
    client, server = client_context(), server_context()
    client.verify_callback = lambda certificate, depth: 1 << 70
    refused(client, server, "CERT_REJECTED")


def test_what_only_counts_in_verification():
    def with_callback(ctx):
        ctx.verify_callback = lambda certificate, depth: 0

    def with_flags(ctx):
        ctx.verify_flags = ussl.VERIFY_CRL_CHECK_CHAIN

    def with_crls(ctx):
        ctx.load_verify_locations(cert_bytes("ca.crl"))

    for change, text in ((with_callback, "verify_callback requires verification (verify_mode)"),
                         (with_flags, "verify_flags) require verification (verify_mode)"),
                         (with_crls, "CRLs (load_verify_locations(), verify_flags) require")):
        client, server = client_context(), server_context()
        server.load_verify_locations(cert_bytes("ca.crt"))
        client.verify_mode = ussl.CERT_NONE
        for ctx in (client, server):
            change(ctx)
            options = {"server_side": True} if ctx is server else {"server_hostname": "localhost"}
            raises(ValueError, ctx.wrap_socket, End(), do_handshake_on_connect=False, text=text, **options)
            ctx.verify_mode = ussl.CERT_REQUIRED
            ctx.wrap_socket(pipe()[0], do_handshake_on_connect=False, **options)


def test_a_server_does_not_verify_clients_with_public_authorities():
    server = server_context()
    for mode in (ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED):
        server.verify_mode = mode
        raises(ValueError, server.wrap_socket, End(), server_side=True, do_handshake_on_connect=False,
               text="verify_mode of a server requires load_verify_locations() or load_default_certs()")
    server.load_default_certs()
    server.wrap_socket(pipe()[0], server_side=True, do_handshake_on_connect=False)


def test_a_key_log_is_for_its_owner_only():
    path = os.getenv("USSL_TMP") + "/keys-of-one"
    client, server = client_context(), server_context()
    client.keylog_filename = path
    connected(client, server)
    equal(os.system('test "$(stat -c %a ' + path + ')" = 600'), 0)
    # One that is there keeps its mode.
    os.system("chmod 640 " + path)
    connected(client, server)
    equal(os.system('test "$(stat -c %a ' + path + ')" = 640'), 0)
    os.remove(path)
    # Files that the program creates afterwards have their usual mode.
    with open(path, "w") as f:
        f.write("")
    equal(os.system('test "$(stat -c %a ' + path + ')" != 600'), 0)
    os.remove(path)


def test_verify_callback_that_uses_its_connection():
    client, server = client_context(), server_context()
    results = []

    def meddle(certificate, depth):
        for method in (c.do_handshake, c.read, lambda: c.write(b"x")):
            raises(OSError, method, code=ussl.ERR_BAD_USE)
        results.append(depth)
        return 0

    client.verify_callback = meddle
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    equal(shake_out(c, s), [None, None])
    equal(results, [1, 0])

    def close(certificate, depth):
        c.close()
        return 0

    client.verify_callback = close
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    result = shake_out(c, s)
    assert isinstance(result[0], OSError), result


def test_a_context_that_changes_does_not_change_its_connections():
    client, server = client_context(), server_context()
    seen = []
    client.verify_callback = lambda certificate, depth: seen.append(depth) or 0
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    client.verify_callback = None
    client.verify_mode = ussl.CERT_NONE
    client.pins = [b"x" * 32]
    server.load_cert_chain(cert("server-other.crt"), cert("server-other.key"))
    equal(shake_out(c, s), [None, None])
    equal(seen, [1, 0])
    assert c.getpeercert()


def test_verify_time():
    client = client_context()
    expired, future, now = server_context("server-expired"), server_context("server-future"), server_context()
    client.verify_time = 1600000000  # 2020
    connected(client, expired)
    connected(client, now)
    refused(client, future, "CERT_NOT_YET_VALID")
    client.verify_time = 3800000000  # 2090
    connected(client, future)
    refused(client, expired, "CERT_EXPIRED")
    client.verify_time = None
    refused(client, expired, "CERT_EXPIRED")
    client.verify_time = 0
    refused(client, now, "CERT_NOT_YET_VALID")


def test_pins():
    import hashlib

    certificate = hashlib.sha256(cert_bytes("server.der")).digest()
    key = hashlib.sha256(cert_bytes("server-public.der")).digest()
    other = hashlib.sha256(b"other").digest()
    client, server = client_context(), server_context()
    for mode in (ussl.CERT_REQUIRED, ussl.CERT_NONE):
        client.verify_mode = mode
        for pins in ([certificate], (other, key), [bytearray(certificate), other]):
            client.pins = pins
            connected(client, server)
            equal(client.pins, [bytes(pin) for pin in pins])
        client.pins = [other]
        refused(client, server, "CERT_PIN")
    client.pins = None
    connected(client, server)


def test_the_system_store():
    client, server = client_context(None), server_context()
    client.load_default_certs()
    refused(client, server, "CERT_UNKNOWN_ISSUER")
    client.load_default_certs(ussl.Purpose.SERVER_AUTH)
    client.load_verify_locations(cert_bytes("ca.crt"))
    connected(client, server)


def test_create_default_context():
    client = ussl.create_default_context()
    equal((client.verify_mode, client.check_hostname), (ussl.CERT_REQUIRED, True))
    client = ussl.create_default_context(cafile=cert("ca.crt"))
    server = ussl.create_default_context(ussl.Purpose.CLIENT_AUTH)
    equal(server.verify_mode, ussl.CERT_NONE)
    server.load_cert_chain(cert("server.crt"), cert("server.key"))
    connected(client, server)
    client = ussl.create_default_context(ussl.Purpose.SERVER_AUTH, cadata=cert_bytes("ca-other.crt"))
    refused(client, server, "CERT_UNKNOWN_ISSUER")
    raises(ValueError, ussl.create_default_context, 5)
    raises(TypeError, ussl.create_default_context, cafile="a", cadata=b"b")


# --- ALPN


def test_alpn():
    for ours, theirs, expected in ((["h2", "http/1.1"], ["http/1.1"], "http/1.1"), ([b"mqtt"], ("mqtt",), "mqtt"),
                                   (["mqtt"], None, None), (None, ["mqtt"], None)):
        client, server = client_context(), server_context()
        if ours:
            client.set_alpn_protocols(ours)
        if theirs:
            server.set_alpn_protocols(theirs)
        c, s = connected(client, server)
        equal((c.selected_alpn_protocol(), s.selected_alpn_protocol()), (expected, expected))
    equal(ussl.HAS_ALPN, True)


def test_alpn_with_nothing_in_common():
    client, server = client_context(), server_context()
    client.set_alpn_protocols(["h2"])
    server.set_alpn_protocols(["mqtt"])
    c, s = refused(client, server, "NO_SHARED_PROTOCOL")
    equal(s.errno, ussl.ERR_NO_SHARED_PROTOCOL)
    server.set_alpn_protocols([])
    connected(client, server)


def test_alpn_out_of_bounds():
    ctx = ussl.SSLContext(CLIENT)
    for bad, error in (([""], ValueError), (["x" * 256], ValueError), (["a\0b"], ValueError), ([5], TypeError),
                       (["x" * 255] * 257, ValueError), (5, TypeError)):
        raises(error, ctx.set_alpn_protocols, bad)
    ctx.set_alpn_protocols(["x" * 255])


# --- a server with several names


def test_sni_callback():
    asked = []
    other = server_context("server-wildcard")
    server = server_context()

    def choose(sock, name, context):
        asked.append((type(sock), name, context is server))
        if name == "a.example.test":
            sock.context = other

    server.sni_callback = choose
    client = client_context()
    c, s = connected(client, server, "localhost")
    assert s.context is server
    c, s = connected(client, server, "a.example.test")
    assert s.context is other
    c, s = connected(client, server, "127.0.0.1")
    equal(asked, [(ussl.SSLSocket, "localhost", True), (ussl.SSLSocket, "a.example.test", True),
                  (ussl.SSLSocket, None, True)])
    raises(AttributeError, setattr, s, "context", other)
    server.sni_callback = None
    refused(client, server, "CERT_HOSTNAME", "a.example.test")


def test_sni_callback_that_asks_for_certificates():
    other = server_context()
    other.load_verify_locations(cert_bytes("ca.crt"))
    other.verify_mode = ussl.CERT_REQUIRED
    seen = []
    other.verify_callback = lambda certificate, depth: seen.append(depth) or 0
    server = server_context()
    server.sni_callback = lambda sock, name, context: setattr(sock, "context", other)
    client = client_context()
    c, s, result = outcome(client, server)
    equal(result[1].errno, ussl.ERR_CERT_MISSING)
    client.load_cert_chain(cert("client.crt"), cert("client.key"))
    c, s = connected(client, server)
    equal(s.getpeercert(True), cert_bytes("client.der"))
    equal(seen, [1, 0])


def test_sni_callback_that_refuses():
    client, server = client_context(), server_context()
    server.sni_callback = lambda sock, name, context: 112
    c, s = refused(client, server, "UNKNOWN_NAME")
    equal(s.errno, ussl.ERR_UNKNOWN_NAME)
    assert "unrecognized_name" in c.args[1], c


def test_sni_callback_that_goes_wrong():
    def fails(sock, name, context):
        raise KeyError(name)

    def closes(sock, name, context):
        sock.close()

    client = client_context()
    for callback, error in ((fails, KeyError), (lambda s, n, c: "x", TypeError), (lambda s, n, c: 256, ValueError),
                            (lambda s, n: None, TypeError), (lambda s, n, c: setattr(s, "context", 5), TypeError),
                            (lambda s, n, c: setattr(s, "context", client), ValueError),
                            (lambda s, n, c: setattr(s, "context", ussl.SSLContext(SERVER)), ValueError),
                            (lambda s, n, c: s.read(1) and None, OSError), (closes, OSError)):
        server = server_context()
        server.sni_callback = callback
        c, s, result = outcome(client, server)
        assert type(result[1]) is error, (result, error)
        c.close()
        s.close()
    raises(ValueError, setattr, client, "sni_callback", fails)
    client.sni_callback = None
    raises(TypeError, setattr, server, "sni_callback", 5)
    assert server.sni_callback is closes


def test_sni_callback_that_chooses_keys():
    by_keys = ussl.SSLContext(SERVER)
    by_keys.server_psk_keys = {b"me": b"key"}
    by_callback = ussl.SSLContext(SERVER)
    by_callback.set_psk_server_callback(lambda identity: b"key")
    for other in (by_keys, by_callback):
        server = server_context()
        server.sni_callback = lambda sock, name, context: setattr(sock, "context", other)
        raised = outcome(client_context(), server)[2][1]
        assert type(raised) is ValueError and "server context with a certificate" in str(raised), raised


def test_sni_callback_cannot_replace_keys():
    server = ussl.SSLContext(SERVER)
    server.server_psk_keys = {b"me": b"key"}
    client = ussl.SSLContext(CLIENT)
    client.psk_identity, client.psk_key = b"me", b"key"
    other = server_context()
    server.sni_callback = lambda sock, name, context: setattr(sock, "context", other)
    c, s, result = outcome(client, server)
    assert type(result[1]) is ValueError and "server context with a certificate" in str(result[1]), result
    assert "internal_error" in result[0].args[1], result


def test_sni_that_is_no_text():
    def raised_by(sock):
        try:
            step(sock)
        except Exception as e:
            return e

    asked = []
    server = server_context()
    server.sni_callback = lambda sock, name, context: asked.append(name)
    for name in (b"\xff\xfe\xfd.test.", b"local\0hos", b"b\xc3\xbc.test."):
        a, b = pipe()
        client = client_context().wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
        s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
        step(client)
        at = bytes(b.inbox).find(b"localhost")
        b.inbox[at : at + 9] = name
        raised = raised_by(s)
        if name[:1] == b"b":
            equal(asked, ["b\xfc.test."])
            continue
        assert type(raised) is OSError and raised.errno == ussl.ERR_PROTOCOL, raised
        assert "unrecognized_name" in raised.args[1], raised
        equal(asked, [])
        equal(raised_by(client).errno, ussl.ERR_UNKNOWN_NAME)


def test_sni_callback_cannot_take_the_context_away():
    def deletes(sock, name, context):
        del sock.context

    server = server_context()
    server.sni_callback = deletes
    equal(type(outcome(client_context(), server)[2][1]), AttributeError)


def test_attributes_are_taken_back():
    ctx = client_context()
    ctx.verify_time = 5
    ctx.verify_time = None
    equal(ctx.verify_time, None)
    ctx.resumption = False
    ctx.resumption = True
    equal(ctx.resumption, True)
    ctx.check_hostname = False
    ctx.check_hostname = True
    equal((ctx.check_hostname, ctx.verify_mode), (True, ussl.CERT_REQUIRED))
    connected(ctx, server_context())
    server = ussl.SSLContext(SERVER)
    server.server_psk_keys = {b"me": b"key"}
    server.server_psk_keys = None
    raises(ValueError, server.wrap_socket, End(), server_side=True, text="a server requires")
    raises(TypeError, setattr, ctx, "pins", [5], text="pins must be")
    raises(ValueError, setattr, ctx, "handshake_timeout", 1e9, text="must be")


# --- secrets, for packet analysis


def test_keylog():
    import os

    name = "keylog-%d.txt" % (int.from_bytes(os.urandom(4), "big"))
    try:
        for version, labels in ((ussl.TLSv1_2, {"CLIENT_RANDOM"}),
                                (ussl.TLSv1_3, {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                                                "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"})):
            logs = []
            for end in (0, 1):  # both write the same
                client, server = client_context(), server_context()
                client.maximum_version = version
                equal(client.keylog_filename, None)
                for ctx in ((client,), (client, server))[end]:
                    ctx.keylog_filename = name
                connected(client, server)
                with open(name) as file:
                    logs.append([line.split() for line in file])
                os.remove(name)
            one, both = logs
            found = {line[0] for line in one}
            assert labels <= found and {line[0] for line in both} == found, (labels, found)
            equal(len(both), 2 * len(one))
            for label, random, secret in both:
                equal(len(random), 64)
                assert len(secret) >= 64 and int(secret, 16), secret
                equal(len([line for line in both if line == [label, random, secret]]), 2)
    finally:
        try:
            os.remove(name)
        except OSError:
            pass


def test_keylog_that_cannot_be_written():
    client, server = client_context(), server_context()
    raises(TypeError, setattr, client, "keylog_filename", 5)
    client.keylog_filename = "/no/such/folder/keys.txt"
    c, s, result = outcome(client, server)
    assert type(result[0]) is OSError and result[0].errno == errno.ENOENT, result
    client.keylog_filename = None
    connected(client, server)


# --- time


def test_handshake_timeout():
    import time

    a, b = tcp_pair()
    ctx = ussl.SSLContext(CLIENT)
    ctx.verify_mode = ussl.CERT_NONE
    ctx.handshake_timeout = 0.2
    start = time.ticks_ms()
    raises(OSError, ctx.wrap_socket, a, code=errno.ETIMEDOUT)
    took = time.ticks_diff(time.ticks_ms(), start)
    assert 150 <= took, took
    # The stream is as open as before.
    a.write(b"x")
    a.close()
    b.close()


def test_servers_have_a_handshake_timeout():
    equal(ussl.SSLContext(SERVER).handshake_timeout, 30)
    equal(ussl.SSLContext(CLIENT).handshake_timeout, None)
    ctx = ussl.SSLContext(SERVER)
    ctx.handshake_timeout = None
    equal(ctx.handshake_timeout, None)


def test_handshake_timeout_of_a_deferred_handshake():
    import select
    import time

    for blocking in (False, True):
        a, b = tcp_pair()
        a.setblocking(blocking)
        ctx = server_context()
        ctx.handshake_timeout = 0.2
        start = time.ticks_ms()
        sock = ctx.wrap_socket(a, server_side=True, do_handshake_on_connect=False)
        if not blocking:
            equal(sock.read(1), None)
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            equal(len(poll.poll(2000)), 1)
        for call in (lambda: sock.read(1), sock.do_handshake, lambda: sock.write(b"x")):
            raises(OSError, call, code=errno.ETIMEDOUT)
        took = time.ticks_diff(time.ticks_ms(), start)
        assert 150 <= took < 1500, took
        equal(sock.ioctl(IOCTL_POLL, POLL_RD), POLL_NVAL)
        sock.close()
        b.close()


def test_handshake_timeout_ends_with_the_handshake():
    import time

    a, b = pipe()
    ctx = server_context()
    ctx.handshake_timeout = 0.2 if not SLOW else 5
    server = ctx.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    client = client_context().wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    equal(shake_out(client, server), [None, None])
    time.sleep(ctx.handshake_timeout + 0.05)
    client.write(b"later")
    equal(server.read(5), b"later")


def test_asyncio_disconnects_a_silent_client():
    import asyncio
    import socket
    import time

    ended = []

    async def serve(reader, writer):
        try:
            await reader.read(1)
        except OSError as e:
            ended.append(e.errno)
        writer.close()
        await writer.wait_closed()

    async def main():
        ctx = server_context()
        ctx.handshake_timeout = 0.2
        listener, address = listen()
        listener.close()
        port = bytes(address)[2] << 8 | bytes(address)[3]
        server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=ctx)
        client = socket.socket()
        client.connect(address)
        for _ in range(100):
            await asyncio.sleep_ms(20)
            if ended:
                break
        equal(client.recv(10), b"")
        client.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    asyncio.new_event_loop()
    equal(ended, [errno.ETIMEDOUT])


def test_a_handshake_within_its_time():
    a, b = pipe()
    ctx = client_context()
    ctx.handshake_timeout = 60
    server = server_context().wrap_socket(b, server_side=True, do_handshake_on_connect=False)

    class Answers(End):
        # The server continues whenever the client checks for data.
        def ioctl(self, request, arg):
            if request == IOCTL_POLL and b.inbox:
                step(server)
            return End.ioctl(self, request, arg)

    c = Answers()
    c.peer, b.peer = b, c
    sock = ctx.wrap_socket(c, server_hostname="localhost")
    step(server)
    server.write(b"in time")
    equal(sock.read(7), b"in time")


def test_a_peer_that_trickles_is_out_of_time():
    import time

    a, b = pipe()
    a.pump = lambda: a.inbox.extend(b"\x16\x03\x03\x40\x00" if not a.log_seen else b"\0") or seen()

    def seen():
        a.log_seen = True
        time.sleep_ms(20)

    a.log_seen = False
    ctx = ussl.SSLContext(CLIENT)
    ctx.verify_mode = ussl.CERT_NONE
    ctx.handshake_timeout = 0.3
    raises(OSError, ctx.wrap_socket, a, code=errno.ETIMEDOUT)


def test_settimeout_holds_for_the_whole_handshake():
    import time

    a, b = tcp_pair()
    c = ussl.wrap_socket(a, do_handshake=False)
    c.settimeout(0.2)
    start = time.ticks_ms()
    raises(OSError, c.do_handshake, code=errno.ETIMEDOUT)
    assert time.ticks_diff(time.ticks_ms(), start) >= 150
    # It can go on.
    s = ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), do_handshake=False)
    s.setblocking(False)
    c.setblocking(False)
    shake(c, s)
    c.close()
    s.close()


run(globals())
