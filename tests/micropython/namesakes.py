# A chain of many certificates with the name of one issuer, which an unauthenticated peer can send. The number of verified
# signatures is limited, also over an Mbed TLS without ussl's patches.

import os

import ussl
from ussltest import *

CORPUS = os.getenv("USSL_CORPUS")


def files_of(case):
    with open(CORPUS + "/index") as index:
        for line in index:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == case:
                return [open(CORPUS + "/" + name, "rb").read() for name in fields[2:5]], fields[5]
    raise ValueError(case)


def certificates_in(file):
    """Each has its length in three bytes before it."""
    found = []
    while file:
        size = int.from_bytes(file[:3], "big")
        found.append(file[3:3 + size])
        file = file[3 + size:]
    return found


def verdict(namesakes):
    (chain, roots, key), host = files_of("chain-namesakes-many")
    chain = certificates_in(chain)
    shown = chain[:1 + namesakes] + chain[-1:]
    a, b = pipe()
    client = ussl.wrap_socket(a, do_handshake=False, ca_certs=roots, server_hostname=host)
    server = ussl.wrap_socket(b, server_side=True, do_handshake=False, certfile=b"".join(shown), keyfile=key)
    result = shake_out(client, server)
    return result[0].errno if result[0] else None


def test_a_few_are_verified():
    equal(verdict(3), None)


def test_many_are_not():
    equal(verdict(40), ussl.ERR_CERT_INVALID)


run(globals())
