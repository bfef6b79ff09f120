# A server that accepts only clients with a certificate of its own CA, and identifies them by name.
#
# On a computer:
#
#     micropython mutual_tls_server.py HOST PORT CERT_FILE KEY_FILE CA_FILE
#
# CA_FILE is the root that issues the clients' certificates: every client with such a certificate is
# accepted. On a board: edit the values below and `import mutual_tls_server; mutual_tls_server.main()`.

import socket
import sys

import ussl

HOST = "0.0.0.0"
PORT = 8884
CERT = "cert.pem"
KEY = "key.pem"
CA = "clients-ca.pem"

TIMEOUT = 5  # seconds that a client may keep everybody waiting


def common_name(certificate):
    for rdn in certificate["subject"]:
        for name, value in rdn:
            if name == "commonName":
                return value
    return "somebody without a name"


def serve(sock, cert, key, ca):
    stream = sock
    try:
        sock.settimeout(TIMEOUT)
        stream = ussl.wrap_socket(
            sock,
            server_side=True,
            certfile=cert,
            keyfile=key,
            cert_reqs=ussl.CERT_REQUIRED,
            ca_certs=ca,
        )
        client = common_name(stream.getpeercert())
        print("accepted:", client)
        stream.write("hello, %s\n" % client)
    except OSError as e:
        print("rejected:", *e.args)
    finally:
        stream.close()


def main(host=HOST, port=PORT, cert=CERT, key=KEY, ca=CA):
    found = socket.getaddrinfo(host, int(port), 0, socket.SOCK_STREAM)[0]
    listener = socket.socket(found[0])  # IPv4 or IPv6
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(found[-1])
    listener.listen(5)
    print("listening on %s:%s" % (host, port))
    while True:
        serve(listener.accept()[0], cert, key, ca)


if __name__ == "__main__":
    if len(sys.argv) not in (1, 6):
        print("usage: mutual_tls_server.py HOST PORT CERT_FILE KEY_FILE CA_FILE", file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
