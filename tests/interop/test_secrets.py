"""The copies of secrets in the memory of the interpreter after a connection is closed.

All memory that the interpreter can write to is read through /proc, which the parent of a process may do without any
privilege. A core dump would have the same content. The peer is the
openssl program, whose key log tells the secrets of the connection."""

import base64

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from harness import *

PIECE = 8  # a piece of a secret that is long enough not to be there by chance


def memory(pid):
    """All that the process can write to."""
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            places, flags = line.split()[:2]
            if flags.startswith("rw"):
                begin, end = (int(place, 16) for place in places.split("-"))
                mem.seek(begin)
                yield line, begin, mem.read(end - begin)


def pieces(secret):
    """A block of memory that was freed is partly overwritten, so each piece counts."""
    return [secret[at:at + PIECE] for at in range(0, len(secret) - PIECE + 1, PIECE)]


def found(pid, secrets):
    """The names of those secrets of which a piece is in memory, and where."""
    wanted = {piece: name for name, values in secrets.items() for value in values for piece in pieces(value)}
    pattern = re.compile(b"|".join(re.escape(piece) for piece in wanted))
    hits = {}
    for line, begin, content in memory(pid):
        for match in pattern.finditer(content):
            hits.setdefault(wanted[match[0]], set()).add(f"{begin + match.start():x} in {line}")
    return {name: sorted(places) for name, places in hits.items()}


def private_numbers(pem):
    """The secret parts of a key, as bytes, and as the words of a little-endian machine."""
    key = serialization.load_pem_private_key(pem, None)
    numbers = key.private_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        values = [numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    else:
        values = [numbers.private_value]
    raw = [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in values]
    return raw + [value[::-1] for value in raw]


def text_of(pem, certificate):
    """The lines of a key's file, without the common beginning of all keys, and without the public key, which the
    certificate may have in the same form."""
    lines = [line for line in pem.split(b"\n") if line and b"-----" not in line]
    assert base64.b64decode(b"".join(lines))
    secret = [piece for line in (lines[0][-16:], *lines[1:-1]) for piece in pieces(line)]
    return [piece for piece in secret if piece not in certificate]


def expand(secret, label, size):
    """RFC 8446 §7.1, HKDF-Expand-Label without a context."""
    hash = {32: hashes.SHA256(), 48: hashes.SHA384()}[len(secret)]
    label = b"tls13 " + label
    return HKDFExpand(hash, size, size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0").derive(secret)


def prf(secret, seed, size):
    """RFC 5246 §5, with SHA-256."""
    def mac(data):
        h = hmac.HMAC(secret, hashes.SHA256())
        h.update(data)
        return h.finalize()

    a, out = seed, b""
    while len(out) < size:
        a = mac(a)
        out += mac(a + seed)
    return out[:size]


def server_random(messages):
    """Out of openssl's -msg: the ServerHello, from its 6th byte."""
    dump = re.search(r"ServerHello\n((?:    [0-9a-f ]+\n)+)", messages)[1]
    return bytes.fromhex(dump)[6:38]


def connection_secrets(keylog, messages):
    """The secrets of a connection by the peer's key log (with AES-128-GCM and SHA-256), and the keys made of them."""
    secrets = {}
    for line in keylog.splitlines():
        if line.startswith("#"):
            continue
        label, client_random, value = line.split()
        value = bytes.fromhex(value)
        secrets[label.lower()] = [value]
        if label == "CLIENT_RANDOM":
            seed = b"key expansion" + server_random(messages) + bytes.fromhex(client_random)
            block = prf(value, seed, 32)
            secrets["keys"] = [block[:16], block[16:]]
        elif label.endswith("TRAFFIC_SECRET_0"):
            secrets.setdefault("keys", []).append(expand(value, b"key", 16))
    return secrets


class Secrets(Case):
    def look(self, version, role, options=(), secrets=(), known=(), peer=(), context=None):
        """A connection. Returns its secrets that are in memory while it is open, and afterwards."""
        said, heard = (os.urandom(48).hex().encode() + b"\n" for _ in range(2))
        port = free_port()
        job = dict(role=role, port=port, said=len(said), heard=len(heard), options=dict(options), context=context, wrong=cert("client-other.crt"),
                   secrets=[(name, len(value)) for name, value in secrets])
        log, messages = self.folder / "keylog", self.folder / "messages"
        for path in (log, messages):
            path.unlink(missing_ok=True)
        suite = ("-ciphersuites", "TLS_AES_128_GCM_SHA256") if version == "TLSv1.3" else (
            "-cipher", "PSK-AES128-GCM-SHA256" if "-psk" in peer else "ECDHE+AES128")
        flags = ("-quiet", "-keylogfile", log, "-msg", "-msgfile", messages, *suite,
                 "-tls1_2" if version == "TLSv1.2" else "-tls1_3", *peer)
        if role == "client":
            other = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-naccept", "1", *flags)
            self.await_port(port, other)
        ours = self.run_program("secrets.py", **job)
        for _, value in secrets:
            ours.send(value)
        ours.send(said)
        if role == "server":
            ours.wait_for("listening")
            other = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *flags)
        other.wait_until(lambda: said in other.output, "what we said")
        other.send(heard)
        ours.wait_for("open")
        wanted = {**dict(known), **connection_secrets(log.read_text(), messages.read_text()),
                  "said": [said[:-1]], "heard": [heard[:-1]]}
        pid = ours.process.pid
        while_open = found(pid, wanted)
        ours.send(b"\n")
        ours.wait_for("closed")
        closed = found(pid, wanted)
        if where := os.environ.get("USSL_SHOW"):
            print(version, role, "open", sorted(while_open), "closed", json.dumps(closed, indent=1), file=sys.stderr)
            if where == "stop":
                input(f"{pid} ")
        ours.send(b"\n")
        self.assertEqual(ours.wait(), 0)
        # Of a file that a context was loaded from, nothing but the key itself is kept.
        if context:
            self.assertNotIn("text", while_open)
        # The search finds existing secrets, ...
        used = {"said", "heard", "keys", *dict(known)}
        used |= {"client_random"} if version == "TLSv1.2" else {"client_traffic_secret_0", "server_traffic_secret_0"}
        self.assertLessEqual(used, set(while_open) | {"text"})
        # ... and there is nothing any more.
        self.assertEqual(closed, {})

    def each(self):
        for version in VERSIONS:
            for role in ("client", "server"):
                yield version, role

    def test_a_pre_shared_key(self):
        for version, role in self.each():
            with self.subTest(version=version, role=role):
                key = os.urandom(32)
                peer = ("-psk", key.hex(), "-psk_identity", "me")
                if role == "client":
                    self.look(version, role, {"psk_ident": "me"}, [("psk_key", key)], {"psk": [key]}, ("-nocert", *peer))
                else:
                    self.look(version, role, {}, [("psk_keys", key)], {"psk": [key]}, peer)

    def certificate(self, version, role, name, options, secrets):
        pem, shown = ((CERTS / (name + end)).read_bytes() for end in (".key", ".crt"))
        if role == "client":
            peer = ("-cert", cert("server.crt"), "-key", cert("server.key"), "-Verify", "1", "-CAfile", cert("ca-all.crt"))
            options = {**options, "cert_reqs": CERT_NONE}
        else:
            peer = ()
        self.look(version, role, {"certfile": cert(f"{name}.crt"), **options}, secrets,
                  {"private": private_numbers(pem), "text": text_of(pem, shown)}, peer)

    def test_a_private_key_in_a_file(self):
        for version, role in self.each():
            for kind in ("", "-rsa"):
                with self.subTest(version=version, role=role, kind=kind):
                    name = role + kind
                    self.certificate(version, role, name, {"keyfile": cert(f"{name}.key")}, [])

    def test_a_private_key_in_bytes(self):
        for version, role in self.each():
            for kind in ("", "-rsa"):
                with self.subTest(version=version, role=role, kind=kind):
                    name = role + kind
                    self.certificate(version, role, name, {}, [("keyfile", (CERTS / f"{name}.key").read_bytes())])

    def test_a_private_key_that_a_context_has_loaded(self):
        for version, role in self.each():
            for kind, in_one in (("", False), ("-rsa", True)):
                with self.subTest(version=version, role=role, kind=kind):
                    name = role + kind
                    files = [cert(f"{name}.crt"), cert(f"{name}.key")]
                    if in_one:
                        files = [str(self.folder / "both.pem")]
                        pathlib.Path(files[0]).write_bytes(b"".join((CERTS / (name + end)).read_bytes() for end in (".crt", ".key")))
                    pem, shown = ((CERTS / (name + end)).read_bytes() for end in (".key", ".crt"))
                    peer = () if role == "server" else (
                        "-cert", cert("server.crt"), "-key", cert("server.key"), "-Verify", "1", "-CAfile", cert("ca-all.crt"))
                    self.look(version, role, {}, [], {"private": private_numbers(pem), "text": text_of(pem, shown)}, peer,
                              files)


if __name__ == "__main__":
    main()
