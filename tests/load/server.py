# The server of the load tests: asyncio over ussl, on several ports in one interpreter.
#
#     micropython server.py JOB.json
#
# A client sends requests of 9 bytes: the kind (E echo, U upload, D download), the number of bytes, and their offset in
# the shared data. It sends any number of requests, and then close_notify. A connection to the control port gets a
# line of JSON with the memory, descriptors and tasks of this process.

import asyncio
import ffi
import gc
import hashlib
import json
import os
import struct
import sys

import ussl

malloc_trim = ffi.open("libc.so.6").func("i", "malloc_trim", "P")
PIECE = 16384
REQUEST = ">1sII"

with open(sys.argv[1]) as f:
    job = json.load(f)
with open(job["data"], "rb") as f:
    data = memoryview(f.read())  # twice the same, so that no piece has to go around the end
size = len(data) // 2

ERRORS = {getattr(ussl, name): name[4:] for name in dir(ussl) if name.startswith("ERR_")}
counts = {"opened": 0, "closed": 0, "requests": 0, "bytes": 0, "resumed": 0, "handshakes": 0}
ends = {}  # how connections ended, and how many


async def bounded(reading, seconds):
    if seconds is None:
        return await reading
    return await asyncio.wait_for(reading, seconds)


async def answer(reader, writer, kind, count, at, seconds):
    if kind == b"D":
        at %= size
        while count:
            n = min(count, PIECE)
            writer.write(data[at : at + n])
            await bounded(writer.drain(), seconds)
            counts["bytes"] += n
            count -= n
            at = (at + n) % size
        return
    if kind not in (b"E", b"U"):
        raise ValueError("not a request")
    hashed = hashlib.sha256()
    while count:
        got = await bounded(reader.read(min(count, PIECE)), seconds)
        if not got:
            raise EOFError
        counts["bytes"] += len(got)
        count -= len(got)
        if kind == b"E":
            writer.write(got)
            await bounded(writer.drain(), seconds)
            counts["bytes"] += len(got)
        else:
            hashed.update(got)
    if kind == b"U":
        writer.write(hashed.digest())
        await bounded(writer.drain(), seconds)


async def talk(reader, writer, first, later):
    """first: how long the handshake and a request may take; later: any other step."""
    request = await bounded(reader.read(9), first)
    counts["handshakes"] += 1
    counts["resumed"] += bool(reader.s.session_reused)
    while request:
        if len(request) < 9:
            request += await bounded(reader.readexactly(9 - len(request)), later)
        kind, count, at = struct.unpack(REQUEST, request)
        await answer(reader, writer, kind, count, at, later)
        counts["requests"] += 1
        request = await bounded(reader.read(9), later)
    return "goodbye"


async def serve(reader, writer, first, later):
    counts["opened"] += 1
    try:
        end = await talk(reader, writer, first, later)
    except asyncio.TimeoutError:
        end = "time-out"
    except EOFError:
        end = "short"
    except OSError as e:
        end = ERRORS.get(e.errno) or "errno %d" % e.errno
    finally:
        writer.close()
        await writer.wait_closed()
        counts["closed"] += 1
    ends[end] = ends.get(end, 0) + 1


def status(field):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(field):
                return int(line.split()[1]) * 1024


async def control(reader, writer):
    await reader.readline()
    gc.collect()
    malloc_trim(0)  # free memory is returned to the system; the rest is in use, or shares a page with memory in use
    told = {
        "heap": gc.mem_alloc(),
        "rss": status("VmRSS"),
        "fds": sum(1 for _ in os.ilistdir("/proc/self/fd")),
        "live": counts["opened"] - counts["closed"],
        "waiting": len(asyncio.core._io_queue.map),
    }
    told.update(counts)
    told["ends"] = ends
    writer.write(json.dumps(told) + "\n")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def context(kind):
    made = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    if kind == "psk":
        made.server_psk_keys = {b"load": b"0123456789abcdef"}
        return made
    made.load_cert_chain(job["certs"] + "/server.crt", job["certs"] + "/server.key")
    if kind == "mutual":
        made.load_verify_locations(cafile=job["certs"] + "/ca.crt")
        made.verify_mode = ussl.CERT_REQUIRED
    return made


def touch_heap():
    """Afterwards, the memory of the process does not depend on the used part of the heap."""
    pieces = []
    try:
        while True:
            pieces.append(bytearray(1 << 16))
    except MemoryError:
        pass


async def main():
    touch_heap()
    for port in job["ports"]:
        first, later = port["first"], port.get("later")

        def handle(reader, writer, first=first, later=later):
            return serve(reader, writer, first, later)

        await asyncio.start_server(handle, "127.0.0.1", port["port"], 1000, ssl=context(port["kind"]))
    server = await asyncio.start_server(control, "127.0.0.1", job["control"])
    print("listening", ussl.ENGINE)
    await server.wait_closed()


asyncio.run(main())
