# An asyncio client that sends and receives at once: both_ways.py HOST PORT CA SIZE; the peer sends all data back.
import asyncio
import binascii
import hashlib
import sys

import ussl

host, port, ca, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
block = bytes(i * 7 + (i >> 8) & 255 for i in range(4096))


async def send(writer):
    for _ in range(size // 4096):
        writer.write(block)
        await writer.drain()


async def receive(reader):
    received = 0
    digest = hashlib.sha256()
    while received < size:
        data = await reader.read(1500)
        assert data, received
        received += len(data)
        digest.update(data)
    return received, binascii.hexlify(digest.digest()).decode()


async def main():
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    sender = asyncio.create_task(send(writer))
    print(*await receive(reader))
    await sender
    writer.close()
    await writer.wait_closed()


asyncio.run(main())
