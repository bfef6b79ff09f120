# Fetches a page over HTTPS, and verifies the server's certificate.
#
# On a computer:
#
#     micropython https_client.py URL [CA_FILE]
#
# CA_FILE holds the root certificates to trust (PEM or DER, or a root store). Without it, the system's
# are used (unix), or the common roots in the firmware (boards). On a board: copy this file to it, set
# the clock (certificates have dates: `import ntptime; ntptime.settime()`), and
# `import https_client; https_client.main("https://example.org/")`.

import socket
import sys

import ussl

TIMEOUT = 10  # seconds that any one step may take


class HTTPError(Exception):
    pass


def split_url(url):
    """("example.org:443", "example.org", 443, "/path") of an https URL."""
    scheme, _, rest = url.partition("://")
    if scheme != "https" or not rest:
        raise ValueError("not an https URL: " + url)
    authority, slash, path = rest.partition("/")
    host, port = authority, 443
    if host[:1] == "[":  # an IPv6 address
        host, _, tail = host[1:].partition("]")
        if tail:
            port = int(tail[1:])
    elif ":" in host:
        host, _, tail = host.partition(":")
        port = int(tail)
    return authority, host, port, slash + path or "/"


def connect(host, port, ca_file=None):
    """A TLS connection to the server of that name, and to no other."""
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(found[0])  # IPv4 or IPv6
    try:
        sock.settimeout(TIMEOUT)
        sock.connect(found[-1])
        return ussl.wrap_socket(
            sock, cert_reqs=ussl.CERT_REQUIRED, ca_certs=ca_file, server_hostname=host
        )
    except Exception:
        sock.close()
        raise


def read_head(stream):
    """The status line, the headers, and the length of the body: -1 is up to the end of the stream."""
    status = stream.readline()
    if not status.startswith(b"HTTP/"):
        raise HTTPError("this is no HTTP server: %r" % status)
    try:
        headers = {}
        while True:
            line = stream.readline().decode().strip()
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return status.decode().strip(), headers, int(headers.get("content-length", -1))
    except ValueError as e:
        raise HTTPError("the server's headers cannot be read: %s" % e)


def get(url, ca_file=None):
    """Fetches a page; returns its status line, its headers (lower-case names) and its body."""
    authority, host, port, path = split_url(url)
    stream = connect(host, port, ca_file)
    try:
        # HTTP/1.0: the body is not encoded, and the server closes after it.
        stream.write("GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, authority))
        status, headers, length = read_head(stream)
        body = stream.read(length)
        # An attacker can end the stream early, but cannot make up a length.
        if len(body) < length:
            raise HTTPError("the page is cut off after %d bytes" % len(body))
        name, version, _ = stream.cipher()
        print("%s, %s" % (version, name))
        return status, headers, body
    finally:
        stream.close()


def main(url, ca_file=None):
    status, headers, body = get(url, ca_file)
    print(status)
    for name in ("server", "content-type", "content-length"):
        if name in headers:
            print("%s: %s" % (name, headers[name]))
    print()
    sys.stdout.buffer.write(body)  # as it is: it may be an image


def run(args):
    if len(args) not in (1, 2):
        print("usage: https_client.py URL [CA_FILE]", file=sys.stderr)
        return 2
    try:
        main(*args)
        return 0
    except HTTPError as e:
        print("HTTP:", e, file=sys.stderr)
    except OSError as e:
        # ussl's errors carry a negative code and a text; other codes are the network's own.
        what = "TLS" if len(e.args) == 2 and e.args[0] < 0 else "network"
        print("%s:" % what, *e.args, file=sys.stderr)
    except ValueError as e:  # a URL, or a CA file, that cannot be read
        print("wrong argument:", e, file=sys.stderr)
        return 2
    return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
