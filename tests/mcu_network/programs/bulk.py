# Sends SIZE bytes to a server, reads as many, and prints the checksums: bulk.py HOST PORT CA SIZE
import binascii
import hashlib
import socket
import sys

import ussl

host, port, ca, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
block = bytes(i * 7 + (i >> 8) & 255 for i in range(4096))

sock = socket.socket()
sock.settimeout(60)
sock.connect(socket.getaddrinfo(host, port)[0][-1])
s = ussl.wrap_socket(sock, ca_certs=ca, server_hostname=host)
for _ in range(size // 4096):
    sent = 0
    while sent < 4096:
        sent += s.write(memoryview(block)[sent:])
received = 0
digest = hashlib.sha256()
buf = bytearray(2048)
while received < size:
    n = s.readinto(buf)
    assert n, n
    digest.update(memoryview(buf)[:n])
    received += n
print(s.version(), received, binascii.hexlify(digest.digest()).decode())
s.close()
