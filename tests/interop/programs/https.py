# A small HTTPS server that reports the result of each connection: https.py JOB, a JSON file:
#
#     port, options, times   as for peer.py
#
# GET returns `size` bytes (the number after the slash); POST returns the checksum of its body.
# Prints one JSON object per connection.

import binascii
import hashlib
import json
import sys

import ussl
from sockets import listening

with open(sys.argv[1]) as f:
    job = json.load(f)
LINE = b"0123456789abcdef" * 8


def respond(s):
    request = s.readline().split()
    if not request:
        return False  # the peer has closed
    method, path, _ = request
    length = 0
    while True:
        header = s.readline().strip().lower()
        if not header:
            break
        if header.startswith(b"content-length:"):
            length = int(header[15:])
    if method == b"POST":
        digest = hashlib.sha256()
        while length:
            data = s.read(min(length, 8000))
            if not data:
                raise ValueError("the request ended early")
            digest.update(data)
            length -= len(data)
        body = [binascii.hexlify(digest.digest())]
    else:
        body = [LINE] * (int(path[1:]) // len(LINE))
    s.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % sum(len(b) for b in body))
    for piece in body:
        s.write(piece)
    return True


def serve(sock):
    told = {"stage": "handshake"}
    s = sock
    try:
        sock.settimeout(20)
        s = ussl.wrap_socket(sock, server_side=True, **job["options"])
        told["stage"] = "talk"
        told["version"], told["cipher"] = s.version(), s.cipher()[0]
        certificate = s.getpeercert()
        told["subject"] = certificate.get("subject") if certificate else None
        if respond(s):
            told["done"] = True
    except OSError as e:
        told["errno"], told["text"] = e.errno, e.args[1] if len(e.args) > 1 else ""
    finally:
        s.close()
    print(json.dumps(told))


listener = listening(job["port"])
for _ in range(job.get("times", 1)):
    serve(listener.accept()[0])
