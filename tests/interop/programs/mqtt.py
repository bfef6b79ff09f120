# Packets of MQTT 3.1.1, on MicroPython.


def packet(kind, body):
    length, head = len(body), bytes((kind,))
    while length > 127:
        head += bytes((length & 127 | 128,))
        length >>= 7
    return head + bytes((length,)) + body


def read_packet(s):
    """Its kind and body."""
    kind = s.read(1)
    if not kind:
        raise ValueError("an end instead of an MQTT packet")
    length = shift = 0
    while True:
        byte = s.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind[0], s.read(length)
