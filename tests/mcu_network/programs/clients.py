# Clients in the style of umqtt.simple and of requests, as programs for MicroPython have them:
#
#     clients.py mqtt HOST PORT CA
#     clients.py get HOST PORT CA
import socket
import struct
import sys
import time

import ssl

kind, host, port, ca = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


class MQTT:
    """Headers are built in place and written in part; a wait for messages switches the socket to and fro."""

    def __init__(self, client_id, server, port, **options):
        self.client_id, self.address, self.options = client_id, (server, port), options
        self.sock = None

    def connect(self):
        sock = socket.socket()
        sock.connect(socket.getaddrinfo(*self.address)[0][-1])
        self.sock = ssl.wrap_socket(sock, **self.options)
        head = bytearray(b"\x10\0\0\0\0\0")
        body = bytearray(b"\x04MQTT\x04\x02\0\0")
        head[1] = 10 + 2 + len(self.client_id)
        self.sock.write(head, 2)
        self.sock.write(b"\0")
        self.sock.write(body)
        self.text(self.client_id)
        answer = self.sock.read(4)
        assert answer[0] == 0x20 and answer[3] == 0, answer

    def text(self, text):
        self.sock.write(struct.pack("!H", len(text)))
        self.sock.write(text)

    def publish(self, topic, message):
        head = bytearray(b"\x30\0\0\0")
        size, i = 2 + len(topic) + len(message), 1
        while size > 0x7F:
            head[i] = (size & 0x7F) | 0x80
            size >>= 7
            i += 1
        head[i] = size
        self.sock.write(head, i + 1)
        self.text(topic)
        self.sock.write(message)

    def subscribe(self, topic):
        self.sock.write(struct.pack("!BBH", 0x82, 5 + len(topic), 1))
        self.text(topic)
        self.sock.write(b"\0")
        while True:
            if self.wait_message() == 0x90:
                assert self.sock.read(4)[3] != 0x80
                return

    def wait_message(self):
        first = self.sock.read(1)
        self.sock.setblocking(True)
        if first is None:
            return None
        assert first, "the broker has closed"
        if first[0] & 0xF0 != 0x30:
            return first[0]
        size = shift = 0
        while True:
            b = self.sock.read(1)[0]
            size |= (b & 0x7F) << shift
            shift += 7
            if not b & 0x80:
                break
        length = struct.unpack("!H", self.sock.read(2))[0]
        self.topic = self.sock.read(length)
        self.message = self.sock.read(size - length - 2)
        return first[0]

    def check_message(self):
        self.sock.setblocking(False)
        return self.wait_message()

    def disconnect(self):
        self.sock.write(b"\xe0\0")
        self.sock.close()


def mqtt():
    client = MQTT(b"chip", host, port, cert_reqs=ssl.CERT_REQUIRED, ca_certs=ca, server_hostname=host)
    client.connect()
    client.subscribe(b"chip/topic")
    assert client.check_message() is None
    for size in (1, 200, 10000):
        message = bytes(i & 255 for i in range(size))
        client.publish(b"chip/topic", message)
        if size == 200:
            while client.check_message() is None:
                time.sleep_ms(5)
        else:
            client.wait_message()
        assert (client.topic, client.message) == (b"chip/topic", message), size
        print("came back:", size)
    client.disconnect()


def get():
    sock = socket.socket()
    sock.connect(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1])
    sock.settimeout(30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=ca)
    s = context.wrap_socket(sock, server_hostname=host)
    s.write(b"%s /%s HTTP/1.0\r\n" % (b"GET", b"page"))
    s.write(b"Host: %s\r\n" % host.encode())
    s.write(b"Connection: close\r\n\r\n")
    status = int(s.readline().split(None, 2)[1])
    while s.readline().strip():
        pass
    content = s.read()
    s.close()
    print(status, len(content), content == b"0123456789abcdef" * (len(content) // 16))


{"mqtt": mqtt, "get": get}[kind]()
