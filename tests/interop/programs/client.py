# Connects, sends a text in pieces and expects each back; says how it went. Runs on MicroPython.
#
# host, port      where to
# options         of wrap_socket
# sizes           of the pieces; each is sent by one write
# then            "close" (default), "unwrap" or "read": how it ends, "read" by the peer
#
# The text is lines of hex digits, which every peer leaves as they are.

import socket
import sys

import ussl
from common import config, digest, error, facts, options, report

TIMEOUT = 15  # seconds that any one step may take


def text(size, seed=1):
    """A text of so many bytes, in which no two lines are alike."""
    lines = []
    for i in range(size // 64 + 1):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        lines.append("%08x" % seed * 7 + "%07x" % i)
    return ("\n".join(lines)[: size - 1] + "\n").encode() if size else b""


def exchange(stream, sizes):
    """Sends and gets back; returns all that came back."""
    back = []
    for i, size in enumerate(sizes):
        data = text(size, i + 1)
        sent = stream.write(data)
        if sent != size:
            raise ValueError("write took %r of %d" % (sent, size))
        echo = stream.read(size)
        if echo != data:
            raise ValueError("piece %d: %d bytes came back for %d" % (i, len(echo), size))
        back.append(echo)
    return b"".join(back)


def main(host="127.0.0.1", port=0, options={}, sizes=(1, 5000), then="close"):
    step, known, received = "handshake", {}, 0
    stream = sock = socket.socket()
    try:
        sock.settimeout(TIMEOUT)
        sock.connect(socket.getaddrinfo(host, port)[0][-1])
        stream = ussl.wrap_socket(sock, **options)
        known = facts(stream)
        step = "data"
        data = exchange(stream, sizes)
        received = len(data)
        known["digest"] = digest(data)
        step = "end"
        if then == "read":
            known["end"] = len(stream.read())
        elif then == "unwrap":
            known["unwrapped"] = stream.unwrap() is sock
        report(error=None, received=received, **known)
    except OSError as e:
        report(error=error(e), step=step, received=received, **known)
    finally:
        stream.close()
        stream.close()  # any number of times


if __name__ == "__main__":
    given = config()
    given["options"] = options(given["options"])
    main(**given)
