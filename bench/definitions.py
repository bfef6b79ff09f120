"""The questions that bench/run asks, the tables that they fill, and who answers them."""

import dataclasses

from harness import CPYTHON, GO, NODE, OWN, PLAIN, PLAIN_MBEDTLS, USSL, USSL_MBEDTLS

OURS = (USSL, USSL_MBEDTLS)
ALL = (PLAIN, USSL, CPYTHON, NODE, GO, PLAIN_MBEDTLS, USSL_MBEDTLS, OWN)


@dataclasses.dataclass
class Question:
    title: str
    ask: str
    size: int = 1
    keys: str = ""  # the folder of certificates
    seconds: float = 1.0  # times as long as the others

    @property
    def kind(self):
        return self.ask.partition("-")[2]


@dataclasses.dataclass
class Part:
    """A table and a picture."""

    file: str
    title: str
    unit: str
    divisor: float
    questions: list
    names: tuple = ALL
    base: str = PLAIN
    notes: str = ""


HANDSHAKES = [("P-256 certificate", "", ""), ("RSA certificate, 2048 bits", "", "rsa"),
              ("P-256 certificates on both sides", "-mutual", ""), ("pre-shared key", "-psk", "")]  # fmt: skip
PARTS = [
    Part("send", "Sending", "MB/s", 1e6,
         [Question("16 KB messages", "write", 16384), Question("1 KB messages", "write", 1024),
          Question("64 B messages", "write", 64)],
         notes="Each message is a call of write (MicroPython), send (CPython) or a similar method, and one record. "
         "Node is different: it gathers data that it cannot send at once. MicroPython's own `tls` makes four records "
         "of 16 KB."),
    Part("receive", "Receiving", "MB/s", 1e6,
         [Question("16 KB messages", "read", 16384), Question("1 KB messages", "read", 1024),
          Question("64 B messages", "read", 64)],
         notes="Records of that size are sent as fast as they are read. Each is read by one call into the same "
         "buffer; Node returns its own buffers. The plain programs and CPython make two system calls for each record. "
         "ussl and Go read many records at once."),
    Part("bounce", "Round trips", "/s", 1,
         [Question("64 B there and back", "bounce", 64), Question("1 KB there and back", "bounce", 1024)],
         notes="One message is sent at a time. Most of the time is spent on waking up the other end."),
    Part("connect", "Full handshakes, client", "/s", 1,
         [Question(title, "connect" + kind, 1, keys) for title, kind, keys in HANDSHAKES],
         notes="Includes the TCP connection and close_notify. Clients verify chain and host name. No tickets."),
    Part("accept", "Full handshakes, server", "/s", 1,
         [Question(title, "accept" + kind, 1, keys) for title, kind, keys in HANDSHAKES],
         notes="The client is the counterpart, which does not verify. No tickets, except from Node, which always sends "
         "them."),
]  # fmt: skip
SERVERS = Part(
    "asyncio", "asyncio server", "round trips/s", 1,
    [Question("1 connection", "serve", 1, seconds=2), Question("100 connections", "serve", 100, seconds=4),
     Question("1,000 connections", "serve", 1000, seconds=4),
     Question("1 active of 1,000 connections", "serve-one", 1000, seconds=4)],
    (USSL, CPYTHON, NODE, GO, USSL_MBEDTLS, OWN), CPYTHON,
    "`asyncio.start_server` in Python, and the corresponding servers in Node and Go. Each connection receives 64 B "
    "and sends them back, repeatedly, over all connections at once. In the last question, one connection is active "
    "and the others are idle. Handshakes are not counted. The processor time is the server's. MicroPython's own `tls` "
    "takes a minute for 1,000 handshakes, and is measured once.")  # fmt: skip
FLOODS = Part(
    "flood", "An honest client beside a flood", "connections/s", 1,
    [Question("beside an idle connection", "serve-idle", 1, seconds=4),
     Question("beside a flood of KeyUpdate", "serve-flood", 1, seconds=4)],
    (USSL, CPYTHON, NODE, GO), CPYTHON,
    "The same servers. An honest client repeatedly connects, receives an echo of 64 B, and closes. Meanwhile another "
    "connection is idle, or sends KeyUpdate messages (TLS 1.3) as fast as the server reads them. A call of ussl "
    "processes at most 32 of them before it returns to the event loop. Mbed TLS does not support the message, so that "
    "its connection ends with the first one.")  # fmt: skip
MEMORY = Part(
    "memory", "Memory", "KB", 1e3,
    [Question("an idle connection", "memory-idle", 200), Question("an active connection", "memory-active", 200),
     Question("a context", "memory-context", 100)],
    notes="The growth of the process with each of 200 clients' connections, or 100 contexts. It is measured as "
    "resident memory after `malloc_trim`, and for MicroPython as the used part of its heap. Idle: one byte has been "
    "received. Active: a message of 16 KB has been received, and one byte of it read. A context: with one root, after "
    "one connection that is closed. Less is better.")  # fmt: skip

# Connecting again to the same server: who, with which program, and how.
RECONNECTS = [
    ("CPython `ssl`, default", CPYTHON, "reconnect-anew"),
    ("CPython `ssl`, with explicit `session=`", CPYTHON, "reconnect"),
    ("ussl, OpenSSL, `resumption=False`", USSL, "reconnect-anew"),
    ("ussl, OpenSSL, default", USSL, "reconnect"),
    ("ussl, Mbed TLS, `resumption=False`", USSL_MBEDTLS, "reconnect-anew"),
    ("ussl, Mbed TLS, default", USSL_MBEDTLS, "reconnect"),
]
RECONNECT_TITLE = "Connecting again"

# The same bundle of roots, with every call.
BUNDLE, CALLS = 140, 100
BUNDLES = [("CPython, a context for each call", CPYTHON), (USSL, USSL), (USSL_MBEDTLS, USSL_MBEDTLS)]
BUNDLE_TITLE = "A large bundle of roots"
INSTRUCTIONS_TITLE = "Instructions"

def slow(name, question):
    """A minute for each thousand handshakes: once is enough, and not in a hurry."""
    return question.ask.startswith("serve") and question.size == 1000 and name == OWN
