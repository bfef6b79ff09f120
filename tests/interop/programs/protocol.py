# One end of a conversation that is looked at closely, on MicroPython. The environment variable USSL_JOB
# is a JSON object:
#
#     role     "client" or "server"; a server prints "listening" once it is
#     port     on 127.0.0.1
#     options  arguments of ussl.wrap_socket; names that end in _hex are bytes
#
# A client sends messages, each with one write, and checks the answers:
#
#     sizes    of the messages
#     reverse  each line is returned reversed, as by s_server -rev
#     end      "close"; "unwrap": both send close_notify; "read": reads on until the peer ends it
#
# A server sends received data back:
#
#     times    the number of connections that it accepts, one after the other
#     greeting the text that it sends first
#
# Prints one JSON object per connection: the negotiated values, the last stage (handshake, talk, end)
# and the error, if there was one.

import hashlib
import json
import os

import ussl
from sockets import connections

job = json.loads(os.getenv("USSL_JOB"))
options = {}
for name, value in job["options"].items():
    if name.endswith("_hex"):
        name, value = name[:-4], bytes.fromhex(value)
    elif name == "psk_keys":
        value = {identity.encode(): bytes.fromhex(key) for identity, key in value.items()}
    options[name] = value


def message(size):
    """Lines of text, all different, and the expected answer."""
    out, back, seed = bytearray(), bytearray(), size
    while len(out) < size:
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        line = (b"%08x" % seed * 7 + b"%07x" % len(out))[: size - len(out) - 1]
        out += line + b"\n"
        back += (bytes(reversed(line)) if job["reverse"] else line) + b"\n"
    return out, back


def client(told, sock, stream):
    for size in job["sizes"]:
        out, back = message(size)
        taken = stream.write(out)
        if taken != size:
            raise ValueError("%r of %d bytes were taken" % (taken, size))
        at = 0
        while at < size:
            more = stream.read(min(size - at, 20000))
            if not more or more != back[at : at + len(more)]:
                raise ValueError("something else came back at %d of %d" % (at, size))
            at += len(more)
    told["stage"] = "end"
    if job["end"] == "unwrap":
        told["unwrapped"] = stream.unwrap() is sock
    elif job["end"] == "read":
        told["rest"] = ""
        while more := stream.read():
            told["rest"] += more.decode()


def server(told, sock, stream):
    stream.write(job["greeting"])
    while data := stream.recv(20000):
        if stream.write(data) != len(data):
            raise ValueError("not all bytes were taken")
    told["stage"] = "end"


def converse(sock):
    told = {"stage": "handshake"}
    stream = sock
    try:
        sock.settimeout(20)
        stream = ussl.wrap_socket(sock, server_side=job["role"] == "server", **options)
        told["version"] = stream.version()
        told["cipher"] = stream.cipher()
        told["certificate"] = stream.getpeercert()
        told["fingerprint"] = hashlib.sha256(stream.getpeercert(True) or b"").digest().hex()
        told["stage"] = "talk"
        (server if job["role"] == "server" else client)(told, sock, stream)
        told["done"] = True
    except OSError as e:
        told["errno"] = e.args[0]
        told["text"] = e.args[1] if len(e.args) > 1 else ""
    finally:
        stream.close()
        stream.close()  # any number of times
    print(json.dumps(told))


for sock in connections(job):
    converse(sock)
