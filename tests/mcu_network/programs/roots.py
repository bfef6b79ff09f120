# Root stores on the chip: the firmware's own, and files:
#
#     roots.py HOST PORT STORE
#
# STORE is a copy of the firmware's store.
import asyncio
import gc
import socket
import sys

import ssl
import uctypes
import vfs

host, port, store = sys.argv[1], int(sys.argv[2]), sys.argv[3]
REQUEST = b"GET /page HTTP/1.0\r\n\r\n"


def get(name, context):
    sock = socket.socket()
    sock.connect(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1])
    s = context.wrap_socket(sock, server_hostname=host)
    s.write(REQUEST)
    print(name, s.readline())
    s.close()


def loaded(trusted):
    """A context, and whether it has a copy of the store."""
    gc.collect()
    before = gc.mem_alloc()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trusted)
    gc.collect()
    return context, gc.mem_alloc() - before >= SIZE


def uint(number):
    """As in MicroPython's romfs: 7 bits in a byte, the most significant first."""
    encoded = bytes([number & 127])
    while number >= 128:
        number >>= 7
        encoded = bytes([128 | number & 127]) + encoded
    return encoded


def record(kind, payload):
    return uint(kind) + uint(len(payload)) + payload


def romfs(name, content):
    return record(0x14A6B1, record(5, uint(len(name)) + name + record(2, content)))


with open(store, "rb") as file:
    content = file.read()
SIZE = len(content)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
print(context.cert_store_stats()["x509"])
get("CERT_REQUIRED", context)
context.load_default_certs()
print(context.cert_store_stats()["x509"])
get("load_default_certs", context)
get("create_default_context", ssl.create_default_context())


async def main():
    reader, writer = await asyncio.open_connection(host, port, ssl=True)
    writer.write(REQUEST)
    await writer.drain()
    print("asyncio", await reader.readline())
    writer.close()
    await writer.wait_closed()


asyncio.run(main())

server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
key, certificate = ssl.self_signed("localhost")
server.load_cert_chain(certificate, key)
server.verify_mode = ssl.CERT_REQUIRED
try:
    server.wrap_socket(socket.socket())
except ValueError as e:
    print(e)

context, copied = loaded(store)
get("a file", context)
print(copied)
del context
for name, trusted in (("bytes", content), ("memoryview", memoryview(content))):
    context, copied = loaded(trusted)
    get(name, context)
    print(copied)
    del context

# In memory outside of the heap, as flash is.
image = romfs(b"roots.bin", content)
place = uctypes.bytearray_at((id([]) & ~0xFFFFF) + 0x200000, len(image))
place[:] = image
vfs.mount(vfs.VfsRom(place), "/flash")
context, copied = loaded("/flash/roots.bin")
get("romfs", context)
print(copied)
place[-1] ^= 1
for call in (lambda: ssl.create_default_context(cafile="/flash/roots.bin"),
             lambda: ssl.wrap_socket(socket.socket(), ca_certs="/flash/roots.bin", server_hostname=host)):
    try:
        call()
    except ValueError as e:
        print(e)
