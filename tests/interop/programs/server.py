# Echoes what clients send; says of each how it went. Runs on MicroPython.
#
# port            to listen on, at 127.0.0.1
# options         of wrap_socket
# connections     how many to serve before it ends
# greeting        sent first, if there is one
# last            bytes after which the server says goodbye first, if there is such a number

import socket

import ussl
from common import config, digest, error, facts, options, report

TIMEOUT = 15  # seconds that any one step may take


def serve(sock, options, greeting, last):
    step, known, data = "handshake", {}, []
    received = 0
    stream = sock
    try:
        sock.settimeout(TIMEOUT)
        stream = ussl.wrap_socket(sock, server_side=True, **options)
        known = facts(stream)
        step = "data"
        stream.write(greeting.encode())
        while last is None or received < last:
            piece = stream.recv(30000)
            if not piece:
                break
            data.append(piece)
            received += len(piece)
            sent = stream.write(piece)
            if sent != len(piece):
                raise ValueError("write took %r of %d" % (sent, len(piece)))
        report(error=None, received=received, digest=digest(b"".join(data)), **known)
    except OSError as e:
        report(error=error(e), step=step, received=received, **known)
    finally:
        stream.close()


def main(port, options, connections=1, greeting="", last=None):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    listener.listen(10)
    for _ in range(connections):
        serve(listener.accept()[0], options, greeting, last)


if __name__ == "__main__":
    given = config()
    given["options"] = options(given["options"])
    main(**given)
