# cryptolib.aes, hashlib.md5 and hashlib.sha1, which are the engine's where MicroPython's own TLS is not built.

import hashlib
from binascii import hexlify, unhexlify

import cryptolib
from ussltest import *

# NIST SP 800-38A, appendix F: the first two blocks of each example.
KEYS = {
    16: unhexlify("2b7e151628aed2a6abf7158809cf4f3c"),
    32: unhexlify("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
}
PLAIN = unhexlify("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
IV = bytes(range(16))
COUNTER = bytes(range(0xF0, 0x100))
EXAMPLES = (
    (16, cryptolib.MODE_ECB, None, "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"),
    (16, cryptolib.MODE_CBC, IV, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"),
    (16, cryptolib.MODE_CTR, COUNTER, "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"),
    (32, cryptolib.MODE_ECB, None, "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"),
    (32, cryptolib.MODE_CBC, IV, "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"),
    (32, cryptolib.MODE_CTR, COUNTER, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"),
)


def cipher(size, mode, iv):
    return cryptolib.aes(KEYS[size], mode, iv) if iv else cryptolib.aes(KEYS[size], mode)


def test_examples():
    for size, mode, iv, expected in EXAMPLES:
        expected = unhexlify(expected)
        equal(cipher(size, mode, iv).encrypt(PLAIN), expected)
        equal(cipher(size, mode, iv).decrypt(expected), PLAIN)
        # Block by block, and into a buffer of the program, which may be the input's.
        aes = cipher(size, mode, iv)
        equal(aes.encrypt(PLAIN[:16]) + aes.encrypt(PLAIN[16:]), expected)
        buffer = bytearray(PLAIN + b"beyond")
        assert cipher(size, mode, iv).encrypt(memoryview(buffer)[:32], buffer) is buffer
        equal(bytes(buffer), expected + b"beyond")


def test_a_stream_of_any_length():
    size, mode, iv, expected = EXAMPLES[2]
    aes = cipher(size, mode, iv)
    got = b"".join(aes.encrypt(PLAIN[i : i + 5]) for i in range(0, 32, 5))
    equal(hexlify(got), expected.encode())
    equal(aes.encrypt(b""), b"")


def test_bad_keys_modes_and_ivs():
    for size in (0, 15, 17, 24, 31, 33):
        raises(ValueError, cryptolib.aes, bytes(size), cryptolib.MODE_ECB)
    for mode in (0, 3, 4, 5, 7, -1, 1 << 20):
        raises(ValueError, cryptolib.aes, KEYS[16], mode, IV)
    for mode in (cryptolib.MODE_CBC, cryptolib.MODE_CTR):
        raises(ValueError, cryptolib.aes, KEYS[16], mode)
        raises(ValueError, cryptolib.aes, KEYS[16], mode, None)
        for size in (0, 15, 17):
            raises(ValueError, cryptolib.aes, KEYS[16], mode, bytes(size))
    raises(ValueError, cryptolib.aes, KEYS[16], cryptolib.MODE_ECB, bytes(15))
    raises(TypeError, cryptolib.aes, 16, cryptolib.MODE_ECB)
    raises(TypeError, cryptolib.aes, KEYS[16], "ECB")
    raises(TypeError, cryptolib.aes, KEYS[16])


def test_bad_data():
    for mode in (cryptolib.MODE_ECB, cryptolib.MODE_CBC):
        aes = cryptolib.aes(KEYS[16], mode, IV)
        raises(ValueError, aes.encrypt, bytes(15))
        raises(ValueError, aes.encrypt, bytes(17))
        raises(ValueError, aes.encrypt, bytes(32), bytearray(31))
        raises(TypeError, aes.encrypt, bytes(16), bytes(16))
        raises(TypeError, aes.encrypt, 16)
        equal(len(aes.encrypt(bytes(16))), 16)


def test_one_direction_for_each():
    for first, second in (("encrypt", "decrypt"), ("decrypt", "encrypt")):
        aes = cryptolib.aes(KEYS[16], cryptolib.MODE_CBC, IV)
        getattr(aes, first)(PLAIN)
        raises(ValueError, getattr(aes, second), PLAIN)
        getattr(aes, first)(PLAIN)


def test_what_was_deleted_has_no_key():
    # Not the key of zeros that is left of it.
    used = cryptolib.aes(KEYS[16], cryptolib.MODE_ECB)
    used.encrypt(PLAIN)
    for aes in (used, cryptolib.aes(KEYS[16], cryptolib.MODE_ECB)):
        for _ in range(2):
            aes.__del__()
            raises(ValueError, aes.encrypt, PLAIN)
            raises(ValueError, aes.decrypt, PLAIN)


def test_digests():
    # RFC 1321 appendix A.5, RFC 3174 section 7.3.
    for make, data, expected in (
        (hashlib.md5, b"", "d41d8cd98f00b204e9800998ecf8427e"),
        (hashlib.md5, b"abc", "900150983cd24fb0d6963f7d28e17f72"),
        (hashlib.sha1, b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        (hashlib.sha1, b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ):
        equal(hexlify(make(data).digest()), expected.encode())
        # In pieces, none of them at the beginning.
        digest = make()
        for i in range(len(data)):
            digest.update(data[i : i + 1])
        equal(hexlify(digest.digest()), expected.encode())
        raises(ValueError, digest.digest)
        raises(ValueError, digest.update, b"more")
        raises(TypeError, make, 5)
        raises(TypeError, make().update, 5)
        raises(TypeError, make, b"", b"")


run(globals())
