# A client that shows a certificate of its own, to a server whose certificate it checks.
#
# On a computer:
#
#     micropython mutual_tls_client.py HOST PORT CA_FILE CERT_FILE KEY_FILE
#
# On a board: edit the values below and `import mutual_tls_client; mutual_tls_client.main()`.

import socket
import sys

import ussl

HOST = "192.168.1.10"
PORT = 8884
CA = "server-ca.pem"
CERT = "client.pem"
KEY = "client-key.pem"

TIMEOUT = 10  # seconds that any one step may take


def main(host=HOST, port=PORT, ca=CA, cert=CERT, key=KEY):
    found = socket.getaddrinfo(host, int(port), 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(found[0])  # IPv4 or IPv6
    try:
        sock.settimeout(TIMEOUT)
        sock.connect(found[-1])
        stream = ussl.wrap_socket(
            sock, ca_certs=ca, server_hostname=host, certfile=cert, keyfile=key
        )
    except Exception:
        sock.close()
        raise
    try:
        # With TLS 1.3 the handshake is done before the server has verified our certificate: its
        # result arrives with the first read.
        print(stream.readline().decode().strip())
    finally:
        stream.close()


def run(args):
    if len(args) not in (0, 5):
        print("usage: mutual_tls_client.py HOST PORT CA_FILE CERT_FILE KEY_FILE", file=sys.stderr)
        return 2
    try:
        main(*args)
        return 0
    except OSError as e:
        print("failed:", *e.args, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
