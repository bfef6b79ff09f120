# One end of a conversation, on MicroPython: peer.py JOB, a JSON file:
#
#     role     "client" or "server"; a server prints "listening" once it is
#     port     on 127.0.0.1
#     options  arguments of ussl.wrap_socket; names that end in _hex are bytes
#     talk     "echo":  a server sends back every line; a client sends lines, `size` bytes together,
#                       each after the previous one was returned
#              "bulk":  sends `size` bytes, then reads `size` bytes
#              "hello": sends a line and reads one
#              "read":  reads one byte
#              "mqtt":  a client publishes `size` bytes to itself
#              "hear":  reads one MQTT packet
#     times    the number of connections that a server accepts, one after the other (default 1)
#
# Prints one JSON object per connection: the negotiated values, the checksums, or the error and the
# stage ("handshake" or "talk") that it ended.

import binascii
import hashlib
import json
import sys

import ussl
from mqtt import packet, read_packet
from sockets import connections

with open(sys.argv[1]) as f:
    job = json.load(f)
size = job.get("size", 1000)
options = {}
for name, value in job["options"].items():
    if name.endswith("_hex"):
        name, value = name[:-4], bytes.fromhex(value)
    if name == "psk_keys":
        value = {identity.encode(): bytes.fromhex(key) for identity, key in value.items()}
    options[name] = value


class Checked:
    """A stream that keeps checksums of both directions."""

    def __init__(self, stream):
        self.stream = stream
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.sent_size = self.received_size = 0

    def write(self, data):
        n = self.stream.write(data)
        if n != len(data):
            raise ValueError("write took %r of %d" % (n, len(data)))
        self.sent.update(data)
        self.sent_size += n

    def got(self, data):
        self.received.update(data)
        self.received_size += len(data)
        return data

    def read(self, n):
        return self.got(self.stream.read(n))

    def readline(self):
        return self.got(self.stream.readline())

    def tell(self):
        told["sent"] = binascii.hexlify(self.sent.digest()).decode()
        told["received"] = binascii.hexlify(self.received.digest()).decode()
        told["sent_size"], told["received_size"] = self.sent_size, self.received_size


def lines(size):
    """Lines, `size` bytes together, of all lengths up to 5000."""
    seed = b"ussl"
    block = b""
    for _ in range(160):
        seed = hashlib.sha256(seed).digest()
        block += seed.hex().encode()
    n = 0
    while size > 0:
        n = min(n * 3 % 4999 + 2, size)
        yield block[n % 97 :][: n - 1] + b"\n"
        size -= n


def echo(s):
    if job["role"] == "client":
        for line in lines(size):
            s.write(line)
            if s.read(len(line)) != line:
                raise ValueError("a line came back changed")
        return
    while True:
        line = s.readline()
        if not line:
            break
        s.write(line)


def bulk(s):
    for line in lines(size):
        s.write(line)
    left = size
    while left:
        data = s.read(min(left, 5000))
        if not data:
            break
        left -= len(data)


def hello(s):
    s.write(b"hello from ussl\n")
    told["heard"] = s.readline().decode()


def read(s):
    told["heard"] = s.read(1).decode()


def expect(heard, kind, body):
    if heard != (kind, body):
        raise ValueError("an MQTT packet that was not expected: %r" % ((heard[0], heard[1][:40]),))


def mqtt(s):
    topic = b"\0\4loop"
    s.write(packet(0x10, b"\0\4MQTT\4\2\0\x3c\0\4peer"))  # a clean session
    expect(read_packet(s), 0x20, b"\0\0")
    s.write(packet(0x82, b"\0\1" + topic + b"\0"))
    expect(read_packet(s), 0x90, b"\0\1\0")
    message = packet(0x30, topic + b"".join(lines(size)))
    s.write(message)
    if s.read(len(message)) != message:
        raise ValueError("the message came back changed")
    s.write(packet(0xE0, b""))


def hear(s):
    told["heard"] = binascii.hexlify(read_packet(s)[1]).decode()


def converse(sock):
    s = sock
    told["stage"] = "handshake"
    try:
        sock.settimeout(20)
        s = ussl.wrap_socket(sock, server_side=job["role"] == "server", **options)
        told["stage"] = "talk"
        told["version"] = s.version()
        told["cipher"] = s.cipher()[0]
        told["group"] = s.group()
        certificate = s.getpeercert(True)
        told["certificate"] = len(certificate) if certificate else 0
        told["subject"] = s.getpeercert().get("subject") if certificate else None
        checked = Checked(s)
        {"echo": echo, "bulk": bulk, "hello": hello, "read": read, "mqtt": mqtt, "hear": hear}[job["talk"]](checked)
        checked.tell()
        told["done"] = True
    except OSError as e:
        told["errno"] = e.errno
        told["text"] = e.args[1] if len(e.args) > 1 else ""
    finally:
        s.close()


for sock in connections(job):
    told = {}
    converse(sock)
    print(json.dumps(told))
