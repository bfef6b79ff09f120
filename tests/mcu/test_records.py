# chip only
# The memory of a record: the length in a header is not allocated, and a read without memory can be repeated.


class Tape(End):
    """An end that allocates nothing large."""

    def __init__(self, size=6000):
        super().__init__()
        self.room = memoryview(bytearray(size))
        self.begin = self.end = 0

    def readinto(self, buf):
        n = min(len(buf), self.end - self.begin)
        if n == 0:
            return None
        buf[:n] = self.room[self.begin:self.begin + n]
        self.begin += n
        return n

    def add(self, data):
        if self.begin == self.end:
            self.begin = self.end = 0
        self.room[self.end:self.end + len(data)] = data
        self.end += len(data)

    def write(self, buf):
        self.peer.add(buf)
        return len(buf)

    def ioctl(self, request, argument):
        return argument & (5 if self.begin != self.end else 4) if request == 3 else 0


def connected():
    """The server's end of the stream, the client and the server."""
    a, b = Tape(), Tape()
    a.peer, b.peer = b, a
    c = ussl.wrap_socket(a, do_handshake=False, **psk_client())
    s = ussl.wrap_socket(b, server_side=True, do_handshake=False, **psk_server())
    results = [None, None]
    for _ in range(50):
        for i, sock in enumerate((c, s)):
            if results[i] is None:
                results[i] = step(sock)
    assert results == [True, True], results
    assert c.read(1) is None and s.read(1) is None
    return b, c, s


def close(*sockets):
    """Releases their memory at once: the collector may see forgotten ones on the stack."""
    for sock in sockets:
        sock.close()


def free():
    gc.collect()
    gc.collect()
    return gc.mem_free()


def contiguous():
    """About how large the largest free piece of memory is."""
    gc.collect()
    size = gc.mem_free()
    while size > 512:
        try:
            bytearray(size)
            return size
        except MemoryError:
            size = size * 7 // 8
    return 0


def fragmented(largest):
    """Allocates memory until no free piece is larger. Returns the allocated objects."""
    ballast = [None] * 300  # it cannot grow later
    count = 0
    size = contiguous()
    while size > largest:
        ballast[count] = bytearray(max(size - largest, 600))
        count += 1
        size = contiguous()
    return ballast


close(*connected()[1:])  # objects that exist once are there

for body in (0, 1, 100):
    # Four clients that the server does not know announce 16 KB each.
    ends = []
    for _ in range(4):
        end = Tape(200)
        end.peer = Tape(200)
        stranger = ussl.wrap_socket(end, server_side=True, do_handshake=False, **psk_server())
        assert step(stranger) is None
        ends.append((end, stranger))
    header = b"\x16\x03\x01\x40\x00" + bytes(body)
    before = free()
    for end, stranger in ends:
        end.add(header)
        assert step(stranger) is None
    grown = before - free()
    assert grown < 4 * 1400, (body, grown)
    close(*connected()[1:])
    for end, stranger in ends:
        close(stranger)
print("strangers")

end, c, s = connected()
before = free()
end.add(b"\x17\x03\x03\x40\x00" + bytes(100))
assert s.read(1) is None
grown = before - free()
assert grown < 1400, grown
close(c, s)
print("peers")

record = bytes(i & 255 for i in range(4096))
into = bytearray(4096)
for largest in (4000, 3000, 2000, 1500, 1200, 1000, 800):
    end, c, s = connected()
    assert c.write(record) == len(record)
    ballast = fragmented(largest)
    raised = None
    try:
        s.readinto(into, 100)
    except OSError as e:
        raised = e.args[0] if e.args else 12  # there may be no memory for them
    except MemoryError:  # no memory for the array of a stream in Python
        raised = 12
    for i in range(len(ballast)):  # the collector may still see the list on the stack
        ballast[i] = None
    assert raised == 12, (largest, raised)
    got = 0
    while got < len(record):
        got += s.readinto(memoryview(into)[got:])
    assert into == record
    talk(c, s)
    close(c, s)
print("repeated")
print("done")
