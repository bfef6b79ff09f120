# MQTT over TLS with a pre-shared key (PSK): no certificates, only an identity and a key that the
# device and the broker both know. Each proves to the other that it has the key.
#
# On a computer:
#
#     micropython mqtt_psk.py HOST PORT IDENTITY KEY      (KEY in hex)
#
# On a board: edit the four values below, connect to the network as always, copy this file to the
# board and `import mqtt_psk; mqtt_psk.main()`.
#
# The broker, e.g. mosquitto, needs in its configuration
#
#     listener 8883
#     psk_hint some-name
#     psk_file /path/of/psk_file        (lines of IDENTITY:KEY; tools/psk_new.py makes them)
#     use_identity_as_username true

import binascii
import socket
import struct
import sys
import time

import ussl

HOST = "192.168.1.10"
PORT = 8883
IDENTITY = "sensor-1"
KEY = "00112233445566778899aabbccddeeff"  # make your own: tools/psk_new.py

TOPIC = "ussl/demo"
TIMEOUT = 10  # seconds that any one step may take

# MQTT 3.1.1 packet types (section 2.2.1), in the upper half of a packet's first byte.
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x30, 0x40, 0x80, 0x90
DISCONNECT = 0xE0

# CONNACK return codes (section 3.2.2.3).
REFUSED = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the broker does not like the client identifier",
    3: "the broker's MQTT service is unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


class MQTTError(Exception):
    pass


def _string(text):
    data = text.encode()
    return struct.pack(">H", len(data)) + data


class MQTTClient:
    """As much of MQTT 3.1.1 as a device needs, over any stream: QoS 0 and 1, no stored session."""

    def __init__(self, stream):
        self.stream = stream
        self.packet_id = 0
        self.inbox = []  # messages that arrived while something else was awaited

    def connect(self, client_id, keepalive=60):
        # Protocol name, level 4 (3.1.1), flags: a clean session.
        body = _string("MQTT") + bytes((4, 0x02)) + struct.pack(">H", keepalive) + _string(client_id)
        self._send(CONNECT, body)
        answer = self._await(CONNACK)
        if len(answer) != 2:
            raise MQTTError("CONNACK of a wrong length")
        if answer[1]:
            raise MQTTError("connection refused: " + REFUSED.get(answer[1], "code %d" % answer[1]))

    def subscribe(self, topic, qos=1):
        packet_id = self._next_id()
        # SUBSCRIBE is the one packet here whose flags the standard fixes: 0010.
        self._send(SUBSCRIBE | 2, packet_id + _string(topic) + bytes((qos,)))
        answer = self._await(SUBACK)
        if answer[:2] != packet_id or len(answer) != 3:
            raise MQTTError("SUBACK does not answer our SUBSCRIBE")
        if answer[2] > qos:
            raise MQTTError("subscription to %s rejected" % topic)

    def publish(self, topic, message, qos=1):
        packet_id = self._next_id() if qos else b""
        self._send(PUBLISH | qos << 1, _string(topic) + packet_id + message)
        if qos and self._await(PUBACK) != packet_id:
            raise MQTTError("PUBACK does not answer our PUBLISH")

    def receive(self):
        """Waits for the next message; returns its topic (str) and content (bytes)."""
        while not self.inbox:
            self._dispatch(*self._packet())
        return self.inbox.pop(0)

    def disconnect(self):
        self._send(DISCONNECT, b"")
        self.stream.close()

    def _next_id(self):
        self.packet_id = self.packet_id % 65535 + 1
        return struct.pack(">H", self.packet_id)

    def _send(self, first, body):
        header = bytearray((first,))
        size = len(body)
        while True:  # the length, seven bits a byte, the lowest first (section 2.2.3)
            header.append(size & 0x7F | (0x80 if size > 0x7F else 0))
            size >>= 7
            if not size:
                break
        data = bytes(header) + body
        while data:  # a stream may take less than it is given
            taken = self.stream.write(data)
            if not taken:
                raise MQTTError("timed out while sending")
            data = data[taken:]

    def _read(self, size):
        data = b""
        while len(data) < size:  # a stream may give less than it is asked for
            more = self.stream.read(size - len(data))
            if more is None:
                raise MQTTError("timed out while waiting for the broker")
            if not more:
                raise MQTTError("the broker closed the connection")
            data += more
        return data

    def _packet(self):
        first = self._read(1)[0]
        size = shift = 0
        while True:
            byte = self._read(1)[0]
            size |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return first, self._read(size)
            shift += 7
            if shift > 21:
                raise MQTTError("malformed packet: its length has more than four bytes")

    def _await(self, kind):
        while True:
            first, body = self._packet()
            if first & 0xF0 == kind:
                return body
            self._dispatch(first, body)

    def _dispatch(self, first, body):
        if first & 0xF0 != PUBLISH:
            raise MQTTError("unexpected packet 0x%02x" % first)
        qos = first >> 1 & 3
        end = 2 + (struct.unpack_from(">H", body)[0] if len(body) > 1 else 0)
        start = end + 2 if qos else end  # QoS 1 has a packet identifier after the topic
        if end < 3 or start > len(body) or qos > 1:
            raise MQTTError("malformed PUBLISH")
        if qos:
            self._send(PUBACK, body[end:start])
        self.inbox.append((body[2:end].decode(), body[start:]))


def open_psk(host, port, identity, key):
    """A TLS connection on which both ends have proved to know the key."""
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(found[0])  # IPv4 or IPv6
    try:
        sock.settimeout(TIMEOUT)
        sock.connect(found[-1])
        return ussl.wrap_socket(sock, psk_ident=identity, psk_key=key)
    except Exception:
        sock.close()
        raise


def main(host=HOST, port=PORT, identity=IDENTITY, key=KEY):
    started = time.ticks_ms()
    stream = open_psk(host, int(port), identity, binascii.unhexlify(key))
    try:
        name, _, bits = stream.cipher()
        print("identity      ", identity)
        print("TLS version   ", stream.version())
        print("cipher suite  ", name, "(%d bits)" % bits)
        print("handshake     ", time.ticks_diff(time.ticks_ms(), started), "ms")

        client = MQTTClient(stream)
        client.connect(identity)
        client.subscribe(TOPIC)
        sent = "hello from %s" % identity
        client.publish(TOPIC, sent.encode())
        topic, message = client.receive()
        print("message       ", message.decode(), "(on %s)" % topic)
        if (topic, message) != (TOPIC, sent.encode()):
            raise MQTTError("this is not the message that was sent")
        client.disconnect()
        print("total         ", time.ticks_diff(time.ticks_ms(), started), "ms")
    finally:
        stream.close()


def run(args):
    if len(args) not in (0, 4):
        print("usage: mqtt_psk.py HOST PORT IDENTITY KEY", file=sys.stderr)
        return 2
    try:
        main(*args)
        return 0
    except MQTTError as e:
        print("MQTT:", e, file=sys.stderr)
    except OSError as e:
        # ussl's errors have a negative code and a text; all others are errors of the network.
        if len(e.args) == 2 and e.args[0] < 0:
            print("TLS: %d %s" % e.args, file=sys.stderr)
        else:
            print("network:", e, file=sys.stderr)
    except ValueError as e:  # e.g. a key that is not hex, or that is too long
        print("wrong argument:", e, file=sys.stderr)
        return 2
    return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
