# A client for an echo server, with asyncio: sends lines, and checks the answers.
#
# On a computer:
#
#     micropython asyncio_echo_client.py HOST PORT CA_FILE
#
# CA_FILE holds the root certificate that signed the server's, or the server's own if it is
# self-signed. On a board: edit the values below and
# `import asyncio_echo_client as c; c.asyncio.run(c.main())`.

import asyncio
import sys

import ussl

HOST = "192.168.1.10"
PORT = 8888
CA = "cert.pem"

LINES = (b"hello\n", b"x" * 1000 + b"\n", b"y" * 10000 + b"\n")


async def main(host=HOST, port=PORT, ca=CA):
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=ca)
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname=host
    )
    try:
        for line in LINES:
            writer.write(line)
            await writer.drain()
            if await reader.readline() != line:
                raise OSError("this is not what was sent")
            print("%d bytes came back" % len(line))
    finally:
        writer.close()
        await writer.wait_closed()


def run(args):
    if len(args) not in (0, 3):
        print("usage: asyncio_echo_client.py HOST PORT CA_FILE", file=sys.stderr)
        return 2
    try:
        asyncio.run(main(*args))
        return 0
    except OSError as e:
        print("failed:", *e.args, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
