# The program that `bench/mcu --https` runs on the chip: a request to an HTTPS server of the host, over the chip's
# network. Prints a line of JSON.
#
# bench/mcu puts mcu_counters.py before it, and these: OPTIONS (of wrap_socket), PORT.

import json
import select
import socket

import ussl

HOST = "10.0.2.2"  # this machine, in QEMU's network


class Measured:
    """Instructions of calls, without the time in which they wait for the network."""

    def __init__(self, sock):
        self.poller = select.poll()
        self.poller.register(sock, select.POLLIN)

    def __call__(self, call):
        """Calls until there is a result. Returns it and the instructions."""
        ticks = 0
        while True:
            begin = now()
            try:
                result = call()
            except OSError as e:
                if e.errno != 11:
                    raise
                result = None
            ticks += now() - begin
            if result is not None:
                return result, 40 * ticks
            self.poller.poll(10000)


def handshake(sock):
    sock.do_handshake()
    return True


def request():
    tcp = socket.socket()
    tcp.connect(socket.getaddrinfo(HOST, PORT)[0][-1])
    tcp.setblocking(False)
    measured = Measured(tcp)
    before = allocated()
    in_use = machine.mem32[IN_USE]
    machine.mem32[PEAK] = in_use
    sock, setup = measured(lambda: ussl.wrap_socket(tcp, do_handshake=False, server_hostname="localhost", **OPTIONS))
    _, shaken = measured(lambda: handshake(sock))
    peak = machine.mem32[PEAK] - in_use
    _, sent = measured(lambda: sock.write(b"GET / HTTP/1.0\r\n\r\n"))
    page = bytearray()
    part = None
    while part != b"":
        part, received = measured(lambda: sock.read(512))
        page += part
        sent += received
    size, end = len(page), bytes(page[:15])
    del page, part
    idle = allocated() - before
    objects = idle - (machine.mem32[IN_USE] - in_use)
    version, cipher = sock.version(), sock.cipher()[0]
    sock.close()
    assert end == b"HTTP/1.0 200 ok", end
    return {"version": version, "cipher": cipher, "page": size, "setup": setup, "handshake": shaken, "request": sent,
            "peak": peak + objects, "idle": idle}


OPTIONS["resumption"] = True
request()  # the module's own objects are there from now on
OPTIONS["resumption"] = False  # the second request has a context of its own
print(json.dumps(request()))
