# Connects again and again, and looks at the heap: reconnect.py HOST PORT CA ROUNDS
import gc
import socket
import sys

import ussl

host, port, ca, rounds = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(ca)
address = socket.getaddrinfo(host, port)[0][-1]
resumed = 0
used = []
for i in range(rounds):
    sock = socket.socket()
    sock.settimeout(30)
    sock.connect(address)
    s = context.wrap_socket(sock, server_hostname=host)
    resumed += s.session_reused
    s.write(b"%d\n" % i)
    line = s.readline()
    assert line == b"%d\n" % i, line
    s.close()
    if i % 50 == 49:
        sock = s = line = None
        gc.collect()
        used.append(gc.mem_alloc())
print("resumed", resumed)
# The collector may take a number for a pointer, now and then; 500 connections that stayed would be 500 KB.
print("heap", "flat" if max(used) - min(used) < 2048 else "not flat", used)
