# One end of a conversation, on MicroPython. The environment variable USSL_JOB is a JSON object:
#
#     role     "client" or "server"; a server prints "listening" once it is
#     port     on 127.0.0.1
#     options  arguments of ussl.wrap_socket; names that end in _hex are bytes
#     talk     "echo": a server sends back every line; a client sends `lines` lines of `size` bytes
#              and checks what comes back. "hello": each sends a line and reads one.
#     times    how many connections a server takes, one after the other (default 1)
#
# Prints one JSON object per connection: what was agreed on, or the error.

import hashlib
import json
import os
import socket

import ussl

job = json.loads(os.getenv("USSL_JOB"))
options = {}
for name, value in job["options"].items():
    if name.endswith("_hex"):
        name, value = name[:-4], bytes.fromhex(value)
    if name == "psk_keys":
        value = {identity.encode(): bytes.fromhex(key) for identity, key in value.items()}
    options[name] = value


def line_of(number, size):
    seed = str(number).encode()
    data = b""
    while len(data) < size:
        seed = hashlib.sha256(seed).digest()
        data += seed.hex().encode()
    return data[: size - 1] + b"\n"


def echo_client(s):
    for number in range(job.get("lines", 3)):
        sent = line_of(number, job.get("size", 100))
        s.write(sent)
        if s.read(len(sent)) != sent:
            raise ValueError("line %d came back changed" % number)


def echo_server(s):
    while True:
        line = s.readline()
        if not line:
            break
        s.write(line)


def hello(s):
    s.write(b"hello from ussl\n")
    told["heard"] = s.readline().decode()


def converse(sock):
    server = job["role"] == "server"
    s = sock
    try:
        sock.settimeout(20)
        s = ussl.wrap_socket(sock, server_side=server, **options)
        told["version"] = s.version()
        told["cipher"] = s.cipher()[0]
        certificate = s.getpeercert(True)
        told["certificate"] = len(certificate) if certificate else 0
        told["subject"] = s.getpeercert().get("subject") if certificate else None
        if job.get("talk", "echo") == "hello":
            hello(s)
        else:
            (echo_server if server else echo_client)(s)
        told["done"] = True
    except OSError as e:
        told["errno"] = e.errno
        told["text"] = str(e)
    finally:
        s.close()


address = socket.getaddrinfo("127.0.0.1", job["port"])[0][-1]
if job["role"] == "server":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(5)
    print("listening")
for _ in range(job.get("times", 1)):
    told = {}
    if job["role"] == "server":
        sock = listener.accept()[0]
    else:
        sock = socket.socket()
        sock.connect(address)
    converse(sock)
    print(json.dumps(told))
