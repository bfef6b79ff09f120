# Timeouts, poll and connections that do not block: waits.py HOST SILENT ECHO CLOSED CA (ports)
import errno
import select
import socket
import sys
import time

import ussl

host, ca = sys.argv[1], sys.argv[5]
silent, echo, closed = (socket.getaddrinfo(host, int(port))[0][-1] for port in sys.argv[2:5])


def connected(address, timeout=30):
    sock = socket.socket()
    sock.settimeout(timeout)
    sock.connect(address)
    return sock


def wrapped(sock, **options):
    return ussl.wrap_socket(sock, ca_certs=ca, server_hostname=host, **options)


def times_out(call, low, high):
    begin = time.ticks_ms()
    try:
        result = call()
    except OSError as e:
        result = e.errno
    took = time.ticks_diff(time.ticks_ms(), begin)
    assert result == errno.ETIMEDOUT, result
    assert low <= took <= high, took


# A server that sends no data at all.
sock = connected(silent)
sock.settimeout(1)
times_out(lambda: wrapped(sock), 900, 5000)
sock.close()
print("the handshake times out")

# One that sends no data after the handshake; the connection remains usable.
s = wrapped(connected(echo))
s.settimeout(0.5)
times_out(lambda: s.read(1), 450, 4000)
s.settimeout(30)
s.write(b"hello\n")
line = s.readline()
assert line == b"hello\n", line
print("a read times out")

# poll: nothing, then something, then buffered plaintext.
poller = select.poll()
poller.register(s, select.POLLIN)
assert not poller.poll(0)
begin = time.ticks_ms()
assert not poller.poll(300)
assert time.ticks_diff(time.ticks_ms(), begin) >= 300
s.write(b"one\ntwo\n")
assert poller.poll(30000)[0][1] & select.POLLIN
assert s.readline() == b"one\n"
begin = time.ticks_ms()
assert poller.poll(30000)[0][1] & select.POLLIN  # "two" is buffered, or about to arrive
assert s.readline() == b"two\n"
assert not poller.poll(0)
poller.modify(s, select.POLLOUT)
assert poller.poll(30000)[0][1] & select.POLLOUT
s.close()
print("poll is right")

# From the connection on, nothing blocks.
sock = socket.socket()
sock.setblocking(False)
try:
    sock.connect(echo)  # qemu may answer at once; test_frames.py has a network that does not
except OSError as e:
    assert e.errno == errno.EINPROGRESS, e
poller = select.poll()
poller.register(sock, select.POLLOUT)
assert poller.poll(30000)[0][1] & select.POLLOUT
s = wrapped(sock, do_handshake=False)
poller = select.poll()
poller.register(s, select.POLLIN | select.POLLOUT)
waits = 0
while True:
    try:
        s.do_handshake()
        break
    except OSError as e:
        assert e.errno == errno.EAGAIN, e
    assert poller.poll(30000)
    waits += 1
assert waits
assert s.read(1) is None
data = memoryview(bytes(range(256)) * 80)  # more than lwIP takes at once
sent = got = nothing = 0
while got < len(data):
    poller.modify(s, select.POLLIN | (select.POLLOUT if sent < len(data) else 0))
    events = poller.poll(30000)
    assert events, (sent, got)
    if events[0][1] & select.POLLOUT:
        sent += s.write(data[sent:]) or 0
    if events[0][1] & select.POLLIN:
        more = s.read(1000)
        if more is None:
            nothing += 1
        else:
            assert more == data[got : got + len(more)]
            got += len(more)
assert nothing < 200, nothing  # poll does not report missing data again and again
s.close()
print("nothing blocks")

# Nobody listens there.
try:
    connected(closed)
    print("connected to nothing")
except OSError as e:
    assert e.errno in (errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED), e
print("refused")
