# A TLS 1.2 client whose stream accepts no data when the server requests a renegotiation, which is rejected with an
# alert. Prints "ready", and after the request: the results of reads, the number of bytes that two later writes
# accepted, and the number of sent records with data.
#
#     stuck.py PORT

import io
import select
import socket
import sys

import ussl


class Stream(io.IOBase):
    def __init__(self, sock):
        self.sock = sock
        self.stuck = False
        self.log = b""

    def readinto(self, buf):
        return self.sock.readinto(buf)

    def write(self, buf):
        if self.stuck:
            return None
        self.log += buf
        return self.sock.write(buf)

    def ioctl(self, request, argument):
        return 0 if self.stuck else argument & 4  # MP_STREAM_POLL


sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
stream = Stream(sock)
tls = ussl.wrap_socket(stream)
print("ready")
poll = select.poll()
poll.register(sock, select.POLLIN)
assert poll.poll(20000), "the server does not ask"
sock.setblocking(False)
stream.stuck, stream.log = True, b""
asked = [tls.read(1) for _ in range(3)]
stream.stuck = False
taken = [tls.write(b"AAAA"), tls.write(b"BBBB")]
tls.flush()
types = []
while stream.log:
    types.append(stream.log[0])
    stream.log = stream.log[5 + (stream.log[3] << 8 | stream.log[4]) :]
print(asked, taken, types.count(23))
