"""One connection with secrets from a pipe, in buffers that are wiped here: copies that are found in memory later were
made by other code. Stops at "open" and at "closed", so that the test can read the memory."""

import gc
import json
import socket
import sys

import ssl as tls

with open(sys.argv[1]) as file:
    job = json.load(file)


def secret(size):
    """From the pipe, straight into a buffer of our own."""
    buffer = bytearray(size)
    at = 0
    while at < size:
        at += sys.stdin.buffer.readinto(memoryview(buffer)[at:])
    return buffer


def wipe(buffer):
    for i in range(len(buffer)):
        buffer[i] = 0


def stop(where):
    print(where)
    secret(1)


class Keys:
    def __init__(self, key):
        self.key = key

    def get(self, identity):
        return self.key if identity == b"me" else None


def conversation(options, text):
    """On a stack frame of its own, which does not exist any more when the collector runs."""
    sock = socket.socket()
    address = socket.getaddrinfo("127.0.0.1", job["port"])[0][-1]
    if job["role"] == "server":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1)
        print("listening")
        listener = sock
        sock = listener.accept()[0]
        listener.close()
    else:
        sock.connect(address)
    if job["context"]:
        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER if job["role"] == "server" else tls.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, tls.CERT_NONE
        context.load_cert_chain(*job["context"])
        try:  # a failed call also wipes the content of the files
            context.load_cert_chain(job["wrong"], job["context"][-1])
        except ValueError:
            pass
        context.maximum_version = context.maximum_version  # the engine's context is made anew, from the stored content
        conn = context.wrap_socket(sock)
    else:
        conn = tls.wrap_socket(sock, server_side=job["role"] == "server", **options)
    conn.write(text)
    heard = bytearray(job["heard"])
    at = 0
    while at < len(heard):
        at += conn.readinto(memoryview(heard)[at:])
    stop("open")
    wipe(heard)
    conn.close()


options = job["options"]
own = []
for name, size in job["secrets"]:
    own.append(secret(size))
    if name == "psk_keys":
        # A dictionary's keys and values are bytes, which cannot be wiped; an object in place of a dictionary can wipe them.
        options["psk_keys"] = Keys(own[-1])
    else:
        options[name] = own[-1]
own.append(secret(job["said"]))
conversation(options, own[-1])
options.clear()
for buffer in own:
    wipe(buffer)
own.clear()
gc.collect()
gc.collect()
stop("closed")
