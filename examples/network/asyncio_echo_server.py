# An echo server for any number of clients at once, with asyncio: it sends all data back.
#
# On a computer:
#
#     micropython asyncio_echo_server.py HOST PORT CERT_FILE KEY_FILE
#
# On a board: edit the values below and `import asyncio_echo_server as s; s.asyncio.run(s.main())`.
# https_server.py explains how to make a key and a certificate.

import asyncio
import sys

import ussl

HOST = "0.0.0.0"
PORT = 8888
CERT = "cert.pem"
KEY = "key.pem"
PATIENCE = 30  # seconds that a client has for the handshake and its first bytes


async def echo(reader, writer):
    # The handshake happens with the first read. A client that is slow with it keeps nobody waiting, but one that
    # never does it would stay for ever.
    try:
        # 1024 at most: readline() would keep a line of any length
        data = await asyncio.wait_for(reader.read(1024), PATIENCE)
        while data:
            writer.write(data)
            await writer.drain()
            data = await reader.read(1024)  # b"": the client sent close_notify
    except asyncio.TimeoutError:
        print("rejected: no data")
    except OSError as e:
        print("rejected:", *e.args)
    finally:
        writer.close()
        await writer.wait_closed()


async def main(host=HOST, port=PORT, cert=CERT, key=KEY):
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = await asyncio.start_server(echo, host, int(port), ssl=context)
    print("listening on %s:%s" % (host, port))
    await server.wait_closed()


if __name__ == "__main__":
    if len(sys.argv) not in (1, 5):
        print("usage: asyncio_echo_server.py HOST PORT CERT_FILE KEY_FILE", file=sys.stderr)
        sys.exit(2)
    asyncio.run(main(*sys.argv[1:]))
