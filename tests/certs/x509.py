"""Certificates written byte by byte, so that anything can be wrong with them. A library (python3-cryptography)
does the arithmetic of keys and signatures.

Keys and signatures are the same in every run, so that a test fails everywhere or nowhere: random numbers are
derived from a label. Only the salt of RSA-PSS, which the library draws, differs."""

import base64
import dataclasses
import hashlib
import itertools
import math

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

# --- DER (X.690)

BIT_STRING, UTF8, PRINTABLE, T61, IA5, UNIVERSAL, BMP = 3, 12, 19, 20, 22, 28, 30
NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def seq(*parts):
    return tlv(0x30, *parts)


def octets(*parts):
    return tlv(4, *parts)


def context(number, *parts, constructed=True):
    return tlv((0xA0 if constructed else 0x80) | number, *parts)


def integer(value):
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(2, value.to_bytes(size, "big", signed=True))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = b""
    for number in (40 * first + second, *rest):
        part = bytes([number & 127])
        while number := number >> 7:
            part = bytes([0x80 | number & 127]) + part
        out += part
    return tlv(6, out)


def bit_string(data):
    return tlv(3, b"\0", data)


def bits(*numbers):
    """A BIT STRING of named bits: no zeros at the end (X.690 §11.2.2)."""
    if not numbers:
        return tlv(3, b"\0")
    size = max(numbers) + 1
    value = sum(1 << (size - 1 - n) for n in numbers)
    unused = -size % 8
    return tlv(3, bytes([unused]), (value << unused).to_bytes((size + unused) // 8, "big"))


def utc(text):
    return tlv(23, text.encode())


def general(text):
    return tlv(24, text.encode())


def pem(label, der):
    lines = b"\n".join(base64.b64encode(der[at:at + 48]) for at in range(0, len(der), 48))
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label.encode(), lines, label.encode())


# --- names

CN, O, DC = "2.5.4.3", "2.5.4.10", "0.9.2342.19200300.100.1.25"


def attribute(kind, value, string=UTF8):
    encoded = value if isinstance(value, bytes) else value.encode("utf-16-be" if string == BMP else "utf-8")
    return tlv(0x31, seq(oid(kind), tlv(string, encoded)))


def name(common, string=UTF8):
    return seq(attribute(O, "ussl tests"), attribute(CN, common, string))


# --- extensions (RFC 5280 §4.2)

SAN, EKU, SERVER_AUTH, CLIENT_AUTH = "2.5.29.17", "2.5.29.37", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
ANY_PURPOSE, CODE_SIGNING = "2.5.29.37.0", "1.3.6.1.5.5.7.3.3"
DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_ENCIPHERMENT, KEY_AGREEMENT, CERT_SIGN, CRL_SIGN = 0, 1, 2, 4, 5, 6


def extension(kind, value, critical=False):
    return seq(oid(kind), TRUE if critical else b"", octets(value))


def basic_constraints(ca=True, path=None, critical=True):
    return extension("2.5.29.19", seq(TRUE if ca else b"", b"" if path is None else integer(path)), critical)


def key_usage(*numbers):
    return extension("2.5.29.15", bits(*numbers), True)


def purposes(*oids, critical=False):
    return extension(EKU, seq(*map(oid, oids)), critical)


def dns(text):
    return context(2, text if isinstance(text, bytes) else text.encode(), constructed=False)


def address(data):
    return context(7, data, constructed=False)


def mail(text):
    return context(1, text.encode(), constructed=False)


def uri(text):
    return context(6, text.encode(), constructed=False)


def directory(named):
    return context(4, named)


def alternatives(*names, critical=False):
    return extension(SAN, seq(*names), critical)


def constraints(permitted=(), excluded=(), critical=True):
    lists = [context(n, *map(seq, names)) for n, names in enumerate((permitted, excluded)) if names]
    return extension("2.5.29.30", seq(*lists), critical)


def subject_key(identifier):
    return extension("2.5.29.14", octets(identifier))


def authority_key(identifier=None, issuer=None, serial=None, more=b""):
    """`more`: further names of the issuer."""
    return extension("2.5.29.35", seq(
        context(0, identifier, constructed=False) if identifier else b"",
        context(1, directory(issuer), more) if issuer else b"",
        context(2, serial, constructed=False) if serial else b""))


# --- keys

RSA_OID, EC_OID = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
CURVES = {"P-192": (ec.SECP192R1, "1.2.840.10045.3.1.1"), "P-224": (ec.SECP224R1, "1.3.132.0.33"),
          "P-256": (ec.SECP256R1, "1.2.840.10045.3.1.7"), "P-384": (ec.SECP384R1, "1.3.132.0.34"),
          "P-521": (ec.SECP521R1, "1.3.132.0.35"), "secp256k1": (ec.SECP256K1, "1.3.132.0.10")}
ORDERS = {
    "secp192r1": 0xFFFFFFFFFFFFFFFFFFFFFFFF99DEF836146BC9B1B4D22831,
    "secp224r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    "secp521r1": 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    "secp256k1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
}


def drawn(size, *labels):
    """So many bytes that look random, the same for the same labels."""
    return hashlib.shake_256(repr(("ussl tests", *labels)).encode()).digest(size)


def drawn_below(most, *labels):
    """A number from 1 to `most` - 1."""
    return int.from_bytes(drawn(most.bit_length() // 8 + 16, *labels), "big") % (most - 1) + 1


SMALL_PRIMES = math.prod(n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))


def prime(bits, exponent, *labels):
    """Of so many bits, the upper two of them set; no factor of `exponent` divides it less one."""
    first = drawn_below(1 << bits, bits, *labels) | 3 << (bits - 2) | 1
    for number in itertools.count(first, 2):
        # Fermat's test, to one base: a number that it accepts here, it would accept in every run.
        if math.gcd(number, SMALL_PRIMES) == math.gcd(number - 1, exponent) == 1 == pow(2, number - 1, number):
            return number


class Key:
    """A private key of the library, and its SubjectPublicKeyInfo, which may be another's or nonsense."""

    def __init__(self, private, public=None):
        self.private = private
        self.public = public or private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def pkcs8(self):
        return self.private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption())

    def is_ec(self):
        return isinstance(self.private, ec.EllipticCurvePrivateKey)

    def is_rsa(self):
        return isinstance(self.private, (rsa.RSAPrivateKey, OwnRsa))

    def point(self):
        return self.private.public_key().public_bytes(serialization.Encoding.X962,
                                                      serialization.PublicFormat.UncompressedPoint)


def ec_key(curve="P-256", label=""):
    kind = CURVES[curve][0]()
    return Key(ec.derive_private_key(drawn_below(ORDERS[kind.name], curve, label), kind))


def ec_public(point, parameters=oid(CURVES["P-256"][1])):
    return seq(seq(oid(EC_OID), parameters), bit_string(point))


def explicit_p256():
    """The parameters of P-256 spelled out (RFC 3279 §2.3.5) instead of named."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    g = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return seq(integer(1), seq(oid("1.2.840.10045.1.1"), integer(p)),
               seq(octets((p - 3).to_bytes(32, "big")), octets(b.to_bytes(32, "big"))), octets(g), integer(order),
               integer(1))


def rsa_key(size, exponent=65537, label=""):
    p, q = prime((size + 1) // 2, exponent, label, "p"), prime(size // 2, exponent, label, "q")
    d = pow(exponent, -1, math.lcm(p - 1, q - 1))
    return Key(rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p),
                                     rsa.RSAPublicNumbers(exponent, p * q)).private_key())


def rsa_public(modulus, exponent):
    return seq(seq(oid(RSA_OID), NULL), bit_string(seq(integer(modulus), integer(exponent))))


class OwnRsa:
    """A private key that the library does not make: signs the encoded content."""


class LargeRsa(OwnRsa):
    """Made of the primes of smaller ones: it would take long to find larger primes."""

    def __init__(self, *keys):
        numbers = [key.private.private_numbers() for key in keys]
        self.primes = list(itertools.chain.from_iterable((n.p, n.q) for n in numbers))
        self.modulus = math.prod(self.primes)

    def sign(self, encoded):
        d = pow(65537, -1, math.prod(p - 1 for p in self.primes))
        value = int.from_bytes(encoded, "big")
        signed = 0
        for p in self.primes:
            rest = self.modulus // p
            signed += pow(value, d % (p - 1), p) * rest * pow(rest, -1, p)
        return (signed % self.modulus).to_bytes(len(encoded), "big")


class ForgedRsa(OwnRsa):
    """With an exponent of 1, the encoded content is its own signature, and anybody can make one."""

    def __init__(self, key):
        self.modulus = key.private.private_numbers().public_numbers.n

    def sign(self, encoded):
        return encoded


def forged_rsa_key(key):
    private = ForgedRsa(key)
    return Key(private, rsa_public(private.modulus, 1))


def large_rsa_key(*keys):
    private = LargeRsa(*keys)
    return Key(private, rsa_public(private.modulus, 65537))


def ed25519_key(label=""):
    return Key(ed25519.Ed25519PrivateKey.from_private_bytes(drawn(32, "Ed25519", label)))


def ed448_key(label=""):
    return Key(ed448.Ed448PrivateKey.from_private_bytes(drawn(57, "Ed448", label)))


# --- signatures

HASHES = {"md5": (hashes.MD5, "1.2.840.113549.2.5"), "sha1": (hashes.SHA1, "1.3.14.3.2.26"),
          "sha224": (hashes.SHA224, "2.16.840.1.101.3.4.2.4"), "sha256": (hashes.SHA256, "2.16.840.1.101.3.4.2.1"),
          "sha384": (hashes.SHA384, "2.16.840.1.101.3.4.2.2"), "sha512": (hashes.SHA512, "2.16.840.1.101.3.4.2.3")}
OF_RSA = {"md5": 4, "sha1": 5, "sha224": 14, "sha256": 11, "sha384": 12, "sha512": 13}
OF_ECDSA = {"sha1": "1", "sha224": "3.1", "sha256": "3.2", "sha384": "3.3", "sha512": "3.4"}


@dataclasses.dataclass(frozen=True)
class Signing:
    """How a certificate is signed; `salt`: RSA-PSS, with so many bytes of it."""
    hash: str = "sha256"
    salt: int = None
    mask: str = None  # the hash of PSS's MGF1, if it is another one

    def algorithm(self, key):
        if isinstance(key.private, ed25519.Ed25519PrivateKey):
            return seq(oid("1.3.101.112"))
        if not key.is_rsa():
            return seq(oid(f"1.2.840.10045.4.{OF_ECDSA[self.hash]}"))
        if self.salt is None:
            return seq(oid(f"1.2.840.113549.1.1.{OF_RSA[self.hash]}"), NULL)
        digest, mask = (seq(oid(HASHES[h][1]), NULL) for h in (self.hash, self.mask or self.hash))
        return seq(oid("1.2.840.113549.1.1.10"), seq(
            context(0, digest), context(1, seq(oid("1.2.840.113549.1.1.8"), mask)), context(2, integer(self.salt))))

    def sign(self, key, data):
        digest = HASHES[self.hash][0]()
        if isinstance(key.private, ed25519.Ed25519PrivateKey):
            return key.private.sign(data)
        if isinstance(key.private, OwnRsa):
            return key.private.sign(self.encode(data, (key.private.modulus.bit_length() + 7) // 8))
        if not key.is_rsa():
            return self.sign_ecdsa(key.private, data)
        if self.salt is None:
            return key.private.sign(data, padding.PKCS1v15(), digest)
        mask = HASHES[self.mask or self.hash][0]()
        return key.private.sign(data, padding.PSS(padding.MGF1(mask), self.salt), digest)

    def sign_ecdsa(self, private, data):
        """As FIPS 186-4 §6.4, with a number that is derived instead of drawn (the idea of RFC 6979)."""
        order = ORDERS[private.curve.name]
        digest = int.from_bytes(hashlib.new(self.hash, data).digest(), "big")
        digest >>= max(0, hashlib.new(self.hash).digest_size * 8 - order.bit_length())
        secret = private.private_numbers().private_value
        once = drawn_below(order, "signature", secret, data)
        r = ec.derive_private_key(once, private.curve).public_key().public_numbers().x % order
        return seq(integer(r), integer(pow(once, -1, order) * (digest + r * secret) % order))

    def encode(self, data, size):
        """EMSA-PKCS1-v1_5 (RFC 8017 §9.2)."""
        digest = hashes.Hash(HASHES[self.hash][0]())
        digest.update(data)
        info = seq(seq(oid(HASHES[self.hash][1]), NULL), octets(digest.finalize()))
        return b"\0\x01" + b"\xff" * (size - len(info) - 3) + b"\0" + info


# --- certificates

@dataclasses.dataclass(frozen=True)
class Certificate:
    der: bytes
    name: bytes
    key: Key

    def pem(self):
        return pem("CERTIFICATE", self.der)


serials = itertools.count(0x1000)


def certificate(subject, key, by=None, *, extensions, issuer=None, version=2, serial=None, signing=Signing(),
                algorithm=None, outer=None, dates=(utc("200101000000Z"), general("20991231235959Z")), ids=b"",
                change=lambda tbs: tbs, rewrite=lambda signature: signature, tail=b"", signature=None):
    """`by`: the issuer's Certificate; None: self-signed. `issuer`: another name of it. `extensions` may be the raw
    bytes of the field. `algorithm`, `outer`: the signature algorithm inside and outside of the signed part. `change` is applied
    after signing, `rewrite` to the signature. `signature` replaces it, and `tail` follows it."""
    signer = by.key if by else key
    issuer = issuer or (by.name if by else subject)
    algorithm = algorithm or signing.algorithm(signer)
    if isinstance(extensions, list):
        extensions = context(3, seq(*extensions)) if extensions else b""
    tbs = seq(context(0, integer(version)) if version else b"",
              serial if isinstance(serial, bytes) else integer(serial if serial is not None else next(serials)),
              algorithm, issuer, seq(*dates), subject, key.public, ids, extensions)
    signed = signature or bit_string(rewrite(signing.sign(signer, tbs)))
    return Certificate(seq(change(tbs), outer or algorithm, signed, tail), subject, key)
