# Pre-shared keys, both ends in memory.

import ussl
from ussltest import *


def outcome(client=None, server=None):
    """The results of client and server: None or an exception each."""
    a, b = pipe()
    c = psk_client(a, do_handshake=False, **(client or {}))
    s = psk_server(b, do_handshake=False, **(server or {}))
    result = shake_out(c, s)
    if result == [None, None]:
        c.write(b"ping")
        equal(s.read(4), b"ping")
        s.write(b"pong")
        equal(c.read(4), b"pong")
    return result


def codes(client=None, server=None):
    return tuple(e and e.errno for e in outcome(client, server))


def test_right_key():
    equal(codes(), (None, None))
    client, server, a, b = psk_pair()
    equal(client.version(), "TLSv1.3")
    equal(client.cipher(), server.cipher())
    equal(client.getpeercert(), None)
    equal(client.getpeercert(True), None)


def test_lengths_of_keys():
    for size in (1, 2, 16, 31, 32, 33, 47, 48):
        key = pattern(size)
        equal(codes({"psk_key": key}, {"psk_keys": {IDENTITY: key}}), (None, None))


def test_lengths_and_bytes_of_identities():
    for identity in (b"a", b"x" * 127, b"x" * 128, b"\xff\xfe", b"with space and \n", "caf\xe9".encode()):
        equal(codes({"psk_ident": identity}, {"psk_keys": {identity: KEY}}), (None, None))


def test_identities_with_NUL():
    for identity in (b"\x00", b"a\x00b", b"a\x00", b"\x00" * 128):
        equal(codes({"psk_ident": identity}, {"psk_keys": {identity: KEY}}), (None, None))
    # And they are not cut off at it.
    equal(codes({"psk_ident": b"a\x00b"}, {"psk_keys": {b"a": KEY}}),
          (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_IDENTITY))
    equal(codes({"psk_ident": b"a"}, {"psk_keys": {b"a\x00b": KEY}}),
          (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_IDENTITY))


def test_str_identity_is_its_utf8():
    equal(codes({"psk_ident": "caf\xe9"}, {"psk_keys": {b"caf\xc3\xa9": KEY}}), (None, None))


def test_bytearrays_are_copied():
    identity, key = bytearray(IDENTITY), bytearray(KEY)
    a, b = pipe()
    client = psk_client(a, psk_ident=identity, psk_key=memoryview(key), do_handshake=False)
    for i in range(len(key)):
        key[i] = 0
    identity[0] = 0
    server = psk_server(b, do_handshake=False)
    shake(client, server)


def test_wrong_key():
    for key in (b"another key", KEY[:-1], KEY + b"\x00", bytes(48)):
        c, s = outcome({"psk_key": key})
        equal((c.errno, s.errno), (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_KEY))
        assert s.args[1].startswith("PSK_KEY: ") and "alert sent" in s.args[1], s
        assert c.args[1].startswith("PSK_REFUSED: ") and "alert received" in c.args[1], c


def test_unknown_identity():
    c, s = outcome({"psk_ident": b"nobody"})
    equal((c.errno, s.errno), (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_IDENTITY))
    assert s.args[1].startswith("PSK_IDENTITY: "), s


def test_on_the_wire_both_look_the_same():
    logs = []
    texts = []
    for client in ({"psk_ident": b"nobody"}, {"psk_key": b"another key"}):
        a, b = pipe()
        c = psk_client(a, do_handshake=False, **client)
        s = psk_server(b, do_handshake=False)
        texts.append(shake_out(c, s)[0].args)
        logs.append(bytes(b.log))
    equal(logs[0], logs[1])  # an alert and no more: nothing in it is random
    equal(texts[0], texts[1])


def test_an_object_with_get():
    asked = []

    class Keys:
        def get(self, identity):
            asked.append(identity)
            return bytearray(KEY) if identity == IDENTITY else None

    keys = Keys()
    equal(codes(None, {"psk_keys": keys}), (None, None))
    equal(asked, [IDENTITY])
    equal(codes({"psk_ident": b"nobody"}, {"psk_keys": keys}), (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_IDENTITY))
    equal(asked[1:], [b"nobody"])


def test_a_dict_may_change_later():
    keys = {}
    a, b = pipe()
    server = psk_server(b, psk_keys=keys, do_handshake=False)
    keys[IDENTITY] = KEY
    client = psk_client(a, do_handshake=False)
    shake(client, server)
    # And the same options made anew look into their own mapping.
    equal(codes(None, {"psk_keys": {b"other": KEY}}), (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_IDENTITY))
    # An invalid key that was added later is the server's own mistake, and no client is accepted.
    keys[IDENTITY] = b""
    c, s = outcome(None, {"psk_keys": Lazy(keys)})
    assert type(s) is ValueError, s


class Lazy:
    """Not a dict: nothing is checked at the call."""

    def __init__(self, keys):
        self.keys = keys

    def get(self, identity):
        return self.keys.get(identity)


class Gives:
    def __init__(self, what):
        self.what = what

    def get(self, identity):
        return self.what


def test_a_get_that_returns_nonsense():
    for what, kind in ((b"", ValueError), (bytes(49), ValueError), (bytes(1 << 16), ValueError),
                       ("a str is no key", TypeError), (5, TypeError), ([1, 2], TypeError), (True, TypeError)):
        c, s = outcome(None, {"psk_keys": Gives(what)})
        equal(type(s), kind)
        # The client receives an error without its reason.
        assert type(c) is OSError and c.errno < 0, c


def test_a_get_that_raises():
    class Mine(Exception):
        pass

    mine = Mine("from get")

    class Raises:
        def get(self, identity):
            raise mine

    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = psk_server(b, psk_keys=Raises(), do_handshake=False)
    step(client)
    assert raises(Mine, server.do_handshake) is mine
    # Once.
    for call in (lambda: server.do_handshake(), lambda: server.read(1), lambda: server.write(b"x")):
        raises(OSError, call, code=ussl.ERR_CALLBACK)
    server.close()
    raises(OSError, client.read, 1, text="internal_error")
    # The other way to call it.
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    step(client)
    assert raises(Mine, psk_server, b, psk_keys=Raises()) is mine


def test_a_get_that_uses_the_connection():
    seen = []

    class Uses:
        sock = None

        def get(self, identity):
            for call in (lambda: self.sock.read(1), lambda: self.sock.write(b"x"), lambda: self.sock.unwrap()):
                try:
                    call()
                except OSError as e:
                    seen.append(e.errno)
            return KEY

    keys = Uses()
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = keys.sock = psk_server(b, psk_keys=keys, do_handshake=False)
    shake(client, server)
    equal(seen, [ussl.ERR_BAD_USE] * 3)


def test_a_get_that_closes():
    class Closes:
        sock = None

        def get(self, identity):
            self.sock.close()
            return KEY

    keys = Closes()
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = keys.sock = psk_server(b, psk_keys=keys, do_handshake=False)
    step(client)
    try:
        server.do_handshake()
    except OSError:
        pass
    raises(OSError, server.read, 1, code=errno.EBADF)
    equal(b.closed, 1)


def test_a_get_that_makes_another_connection():
    # The engine's state for this thread is shared: a nested handshake must not disturb this one.
    class Nested:
        def get(self, identity):
            equal(codes({"psk_key": b"wrong"}), (ussl.ERR_PSK_REFUSED, ussl.ERR_PSK_KEY))
            equal(codes(), (None, None))
            return KEY

    equal(codes(None, {"psk_keys": Nested()}), (None, None))


def test_no_fallback_to_certificates():
    # A client with a key refuses a server that has a certificate only, and the reverse.
    a, b = pipe()
    client = psk_client(a, do_handshake=False)
    server = ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), do_handshake=False)
    c, s = shake_out(client, server)
    assert c and s, (c, s)
    assert c.errno < 0 and s.errno < 0, (c, s)
    a, b = pipe()
    client = ussl.wrap_socket(a, do_handshake=False)
    server = psk_server(b, do_handshake=False)
    c, s = shake_out(client, server)
    assert c and s, (c, s)
    equal(s.errno, ussl.ERR_NO_SHARED_CIPHER)


def test_psk_satisfies_every_cert_reqs():
    for mode in (ussl.CERT_NONE, ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED):
        equal(codes({"cert_reqs": mode}, {"cert_reqs": mode}), (None, None))


def test_server_hostname_goes_along():
    equal(codes({"server_hostname": "broker.example"}), (None, None))
    equal(codes({"server_hostname": "127.0.0.1"}), (None, None))


def test_hint():
    for hint in ("a hint", b"a hint", "x" * 128):
        equal(codes(None, {"psk_hint": hint}), (None, None))


def test_many_servers_with_keys_of_their_own():
    servers = []
    for i in range(20):
        a, b = pipe()
        identity, key = b"client %d" % i, pattern(16, i)
        servers.append((a, identity, key, psk_server(b, psk_keys={identity: key}, do_handshake=False)))
    for a, identity, key, server in servers:
        shake(psk_client(a, psk_ident=identity, psk_key=key, do_handshake=False), server)


run(globals())
