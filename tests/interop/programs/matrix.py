# Our end of a cell of the interop matrix, on MicroPython: matrix.py JOB, a JSON file:
#
#     role     "client" or "server"; a server prints "listening" once it is
#     port     on 127.0.0.1
#     version  "TLSv1.2" or "TLSv1.3": the only one
#     times    how many connections, one after the other, over one context
#     own      files: [certificate, key]; or None
#     root     a file: who must have signed the peer's certificate; or None
#     psk      [identity, key in hexadecimal]; or None
#     alpn     a protocol; or None
#     talk     the messages of both; `line` is a line of text:
#              "echo":     the client sends the line, the server sends it back
#              "reversed": the server sends it back reversed
#              "http":     the client sends a request, with the line in the path if it can; the server answers
#              "mqtt":     a client publishes the line to itself; a server reads two packets and answers the first
#     ends     whether the client waits for the server's close_notify, and accepts no other end
#
# Prints one JSON object per connection: the negotiated values, the received data, or the error and the stage.

import json
import sys

import ussl
from mqtt import packet, read_packet
from sockets import connections

with open(sys.argv[1]) as f:
    job = json.load(f)
server = job["role"] == "server"
line = job["line"].encode() + b"\n"


def context():
    made = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER if server else ussl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = made.maximum_version = ussl.TLSv1_3 if job["version"] == "TLSv1.3" else ussl.TLSv1_2
    if job["psk"]:
        identity, key = job["psk"][0].encode(), bytes.fromhex(job["psk"][1])
        if server:
            made.server_psk_keys = {identity: key}
        else:
            made.psk_identity, made.psk_key = identity, key
    if job["own"]:
        made.load_cert_chain(*job["own"])
    if job["root"]:
        made.load_verify_locations(cafile=job["root"])
        made.verify_mode = ussl.CERT_REQUIRED
    if job["alpn"]:
        made.set_alpn_protocols([job["alpn"]])
    return made


def same(heard, said):
    if heard != said:
        raise ValueError("heard %r instead of %r" % (heard, said))


def echo(s):
    if server:
        s.write(s.readline())
    else:
        s.write(line)
        same(s.read(len(line)), line)


def reversed_echo(s):
    s.write(line)
    same(s.read(len(line)), bytes(reversed(line[:-1])) + b"\n")


def http(s):
    if not server:
        s.write(b"GET /" + line[:-1] + b" HTTP/1.0\r\nHost: localhost\r\n\r\n")
        told["heard"] = s.read().decode()
        return
    told["heard"] = ""
    while told["heard"][-4:] != "\r\n\r\n" and told["heard"][-2:] != "\n\n":
        more = s.readline().decode()
        if not more:
            raise ValueError("an end instead of a request: %r" % told["heard"])
        told["heard"] += more
    s.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(line) + line)


def mqtt(s):
    if server:
        kind, body = read_packet(s)
        same((kind, body[:6]), (0x10, b"\0\4MQTT"))
        s.write(packet(0x20, b"\0\0"))
        told["heard"] = read_packet(s)[0]
        return
    message = b"\0\4loop" + line
    s.write(packet(0x10, b"\0\4MQTT\4\2\0\x3c\0\4cell"))
    same(read_packet(s), (0x20, b"\0\0"))
    s.write(packet(0x82, b"\0\1\0\4loop\0"))
    same(read_packet(s), (0x90, b"\0\1\0"))
    s.write(packet(0x30, message))
    same(read_packet(s), (0x30, message))
    s.write(packet(0xE0, b""))


def converse(sock):
    told["stage"] = "handshake"
    s = sock
    try:
        sock.settimeout(20)
        s = made.wrap_socket(sock, server_side=server, server_hostname=None if server or job["psk"] else "localhost",
                             suppress_ragged_eofs=not job["ends"])
        told["stage"] = "talk"
        told["version"], told["cipher"] = s.version(), s.cipher()[0]
        told["alpn"], told["reused"] = s.selected_alpn_protocol(), s.session_reused
        told["peer"] = dict(pair[0] for pair in (s.getpeercert() or {}).get("subject", ())).get("commonName")
        {"echo": echo, "reversed": reversed_echo, "http": http, "mqtt": mqtt}[job["talk"]](s)
        if job["ends"]:
            told["stage"] = "end"
            same(s.read(1), b"")
        told["done"] = True
    except OSError as e:
        told["errno"] = e.errno
        told["text"] = e.args[1] if len(e.args) > 1 else ""
    except ValueError as e:
        told["text"] = str(e)
    finally:
        s.close()


made = context()
for sock in connections(job):
    told = {}
    converse(sock)
    print(json.dumps(told))
