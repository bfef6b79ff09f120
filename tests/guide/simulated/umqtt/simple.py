# Simulates the part of micropython-lib's umqtt.simple that the guides use, where micropython-lib is absent: its calls of
# socket and SSLContext, and the MQTT of the examples.

import socket
import sys

sys.path.append("examples/network")
import mqtt_psk


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None):
        self.client_id, self.server, self.port, self.keepalive, self.ssl = client_id, server, port, keepalive, ssl

    def set_callback(self, callback):
        self.callback = callback

    def connect(self, clean_session=True, timeout=None):
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        self.sock.connect(socket.getaddrinfo(self.server, self.port)[0][-1])
        self.sock = self.ssl.wrap_socket(self.sock, server_hostname=self.server)
        self.client = mqtt_psk.MQTTClient(self.sock)
        self.client.connect(self.client_id, self.keepalive)

    def subscribe(self, topic, qos=0):
        self.client.subscribe(topic, qos)

    def publish(self, topic, message, retain=False, qos=0):
        self.client.publish(topic, message.encode(), qos)

    def wait_msg(self):
        topic, message = self.client.receive()
        self.callback(topic.encode(), message)

    def disconnect(self):
        self.client.disconnect()
