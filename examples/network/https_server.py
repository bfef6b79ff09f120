# A small HTTPS server. One page, one connection at a time, and nothing that a client does stops it.
# (One that is slow on purpose can make others wait: asyncio_echo_server.py serves many at once.)
#
# On a computer:
#
#     micropython https_server.py HOST PORT CERT_FILE KEY_FILE
#
# and then, for example, curl --cacert CERT_FILE https://HOST:PORT/. On a board: copy this file, the key and
# the certificate to it, edit the values below, and `import https_server; https_server.main()`.
#
# A key and a self-signed certificate, for a name and an address of your own:
#
#     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem \
#         -out cert.pem -days 3650 -subj /CN=device -addext "subjectAltName=DNS:device,IP:192.168.1.20"

import socket
import sys
import time

import ussl

HOST = "0.0.0.0"
PORT = 8443
CERT = "cert.pem"
KEY = "key.pem"

TIMEOUT = 5  # seconds without a word from the client
MAX_LINE, MAX_HEADERS = 1024, 64  # of a request: a client must not fill the memory

PAGE = """<!DOCTYPE html>
<title>ussl</title>
<h1>It works</h1>
<p>This page came over %s with %s.
<p>Up for %d seconds.
"""

started = time.time()


def read_line(stream):
    line = stream.readline(MAX_LINE)
    if len(line) == MAX_LINE:
        raise OSError("a line of the request is too long")
    return line.strip()


def respond(stream):
    """Reads a request and answers it."""
    request = read_line(stream).split()
    for _ in range(MAX_HEADERS):
        if not read_line(stream):  # of the headers, none matters here
            break
    else:
        raise OSError("the request has too many headers")
    if len(request) != 3 or request[0] not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", "only GET and HEAD\n"
    elif request[1] != b"/":
        status, body = "404 Not Found", "there is only one page: /\n"
    else:
        name, version, _ = stream.cipher()
        status, body = "200 OK", PAGE % (version, name, time.time() - started)
    head = "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (
        status,
        "text/html" if body[0] == "<" else "text/plain",
        len(body),
    )
    stream.write(head if request[:1] == [b"HEAD"] else head + body)
    return status


def serve(sock, address, cert, key):
    """One connection, from the handshake to close_notify."""
    stream = sock
    try:
        sock.settimeout(TIMEOUT)
        stream = ussl.wrap_socket(sock, server_side=True, certfile=cert, keyfile=key)
        print(stream.version(), respond(stream))
    except OSError as e:
        # The client does not trust this server, does not use TLS, or has closed: serve the next one.
        print("rejected:", *e.args)
    finally:
        stream.close()


def main(host=HOST, port=PORT, cert=CERT, key=KEY):
    found = socket.getaddrinfo(host, int(port), 0, socket.SOCK_STREAM)[0]
    listener = socket.socket(found[0])  # IPv4 or IPv6
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(found[-1])
    listener.listen(5)
    print("listening on %s:%s" % (host, port))
    while True:
        sock, address = listener.accept()
        serve(sock, address, cert, key)


if __name__ == "__main__":
    if len(sys.argv) not in (1, 5):
        print("usage: https_server.py HOST PORT CERT_FILE KEY_FILE", file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
