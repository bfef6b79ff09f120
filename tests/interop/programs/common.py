# What client.py and server.py share. Runs on MicroPython.

import binascii
import hashlib
import json
import sys

import ussl


def config():
    """The program's one argument, as JSON."""
    return json.loads(sys.argv[1])


def options(given):
    """Arguments of wrap_socket from JSON, where keys are hex."""
    given = dict(given)
    if "psk_key" in given:
        given["psk_key"] = binascii.unhexlify(given["psk_key"])
    if "psk_keys" in given:
        given["psk_keys"] = {i.encode(): binascii.unhexlify(k) for i, k in given["psk_keys"].items()}
    return given


def facts(stream):
    """What a program can ask about its connection, as JSON takes it."""
    certificate = stream.getpeercert()
    return {
        "version": stream.version(),
        "cipher": stream.cipher(),
        "certificate": certificate,
        "fingerprint": digest(stream.getpeercert(True) or b""),
    }


def digest(data):
    return binascii.hexlify(hashlib.sha256(data).digest()).decode()


def error(e):
    return {"errno": e.args[0], "text": e.args[1] if len(e.args) > 1 else ""}


def report(**what):
    """One line per connection (or step); the last thing that is printed."""
    print(json.dumps(what))
