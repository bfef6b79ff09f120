"""A wire between two emulated chips, which the test controls. QEMU sends and receives each Ethernet frame as a datagram,
and a thread here passes them from one to the other, later, twice, or not at all."""

import heapq
import select
import socket
import struct
import threading
import time

A, B = "10.9.0.1", "10.9.0.2"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum_of(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Segment:
    """A TCP segment in its frame."""

    def __init__(self, frame):
        self.head = frame[:14]
        ip = frame[14:]
        length = struct.unpack_from(">H", ip, 2)[0]
        self.ip, tcp = ip[:20], ip[20:length]
        self.source, self.target, self.seq, self.ack, offset, self.flags, self.window = struct.unpack_from(">HHIIBBH", tcp)
        self.options, self.data = tcp[20:(offset >> 4) * 4], tcp[(offset >> 4) * 4:]

    @classmethod
    def of(cls, frame):
        """None: it is something else."""
        if len(frame) >= 54 and frame[12:14] == b"\x08\0" and frame[14] == 0x45 and frame[23] == 6:
            return cls(frame)
        return None

    @property
    def end(self):
        """The sequence number behind it."""
        return (self.seq + len(self.data) + bool(self.flags & SYN) + bool(self.flags & FIN)) & 0xFFFFFFFF

    def frame(self):
        tcp = struct.pack(">HHIIBBHHH", self.source, self.target, self.seq, self.ack, (20 + len(self.options)) // 4 << 4,
                          self.flags, self.window, 0, 0) + self.options + self.data
        ip = bytearray(self.ip)
        struct.pack_into(">H", ip, 2, 20 + len(tcp))
        struct.pack_into(">H", ip, 10, 0)
        struct.pack_into(">H", ip, 10, checksum_of(bytes(ip)))
        pseudo = bytes(ip[12:20]) + struct.pack(">HH", 6, len(tcp))
        tcp = tcp[:16] + struct.pack(">H", checksum_of(pseudo + tcp)) + tcp[18:]
        return self.head + bytes(ip) + tcp


class Wire:
    """`rule(frame, segment, to_b)` returns the frames that arrive, as pairs of a delay in seconds and a frame;
    segment is None for other protocols than TCP. Every frame that was sent is in `sent`, as (to_b, segment), if it is TCP."""

    def __init__(self, rule=None):
        self.rule = rule or (lambda frame, segment, to_b: [(0, frame)])
        # Ours, one to each chip, and the chips' own ports.
        self.ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        self.chips = []
        for end in self.ends:
            end.bind(("127.0.0.1", 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", 0))
                self.chips.append(free.getsockname())
        self.sent = []
        self.expected = [0, 0]  # by to_b: the sequence number behind the delivered data
        self.later = []
        self.count = 0
        self.wake, self.woken = socket.socketpair()
        self.lock = threading.Lock()
        self.open = True
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def network(self, which):
        """USSL_MCU_NETWORK of chip 0 (A) or 1 (B)."""
        return (f"{(A, B)[which]} -nic socket,model=lan9118,mac=52:54:00:00:00:0{which + 1},"
                f"udp=127.0.0.1:{self.ends[which].getsockname()[1]},localaddr=127.0.0.1:{self.chips[which][1]}")

    def deliver(self, frame, to_b, delay=0):
        segment = Segment.of(frame)
        if segment and not segment.flags & RST:
            if segment.flags & SYN or (segment.end - self.expected[to_b]) & 0xFFFFFFFF < 0x80000000:
                self.expected[to_b] = segment.end
        with self.lock:
            self.count += 1
            heapq.heappush(self.later, (time.monotonic() + delay, self.count, frame, to_b))
        self.wake.send(b"x")

    def last(self, to_b):
        """The last segment that one of them sent."""
        return next(segment for direction, segment in reversed(self.sent) if direction == to_b)

    def inject(self, to_b, flags):
        """A segment without data, as if from the other end, at the place where the receiver expects the next one."""
        answered = self.last(not to_b)
        segment = Segment(answered.frame())
        segment.head = answered.head[6:12] + answered.head[:6] + answered.head[12:]
        segment.ip = answered.ip[:12] + answered.ip[16:] + answered.ip[12:16]
        segment.source, segment.target = answered.target, answered.source
        segment.seq, segment.ack, segment.flags = self.expected[to_b], answered.end, flags
        segment.data = segment.options = b""
        self.deliver(segment.frame(), to_b)

    def close(self):
        self.open = False
        self.wake.send(b"x")
        self.thread.join(10)
        for end in (*self.ends, self.wake, self.woken):
            end.close()

    def _carry(self):
        while self.open:
            with self.lock:
                timeout = max(0, self.later[0][0] - time.monotonic()) if self.later else None
            ready, _, _ = select.select([*self.ends, self.woken], [], [], timeout)
            for source in ready:
                if source is self.woken:
                    source.recv(1000)
                    continue
                to_b = source is self.ends[0]
                frame = source.recv(2000)
                segment = Segment.of(frame)
                if segment:
                    self.sent.append((to_b, segment))
                for delay, arriving in self.rule(frame, segment, to_b):
                    self.deliver(arriving, to_b, delay)
            while True:
                with self.lock:
                    if not self.later or self.later[0][0] > time.monotonic():
                        break
                    _, _, frame, to_b = heapq.heappop(self.later)
                try:
                    self.ends[to_b].sendto(frame, self.chips[to_b])
                except OSError:
                    pass  # nobody is there yet, or any more
