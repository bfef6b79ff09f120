# The sockets of the programs of this folder, on MicroPython, on 127.0.0.1.

import socket


def address_of(port):
    return socket.getaddrinfo("127.0.0.1", port)[0][-1]


def connected(port):
    sock = socket.socket()
    sock.connect(address_of(port))
    return sock


def listening(port):
    """A listener; prints "listening"."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address_of(port))
    listener.listen(5)
    print("listening")
    return listener


def connections(job):
    """The sockets for a job's role and port, one after the other, `times` times."""
    listener = listening(job["port"]) if job["role"] == "server" else None
    for _ in range(job.get("times", 1)):
        yield listener.accept()[0] if listener else connected(job["port"])
