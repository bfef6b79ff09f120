# An echo server for any number of clients at once, with asyncio: what they send comes back.
#
# On a computer:
#
#     micropython asyncio_echo_server.py HOST PORT CERT_FILE KEY_FILE
#
# On a board: edit the values below and `import asyncio_echo_server as s; s.asyncio.run(s.main())`.
# https_server.py says how to make a key and a certificate.

import asyncio
import sys

import ussl

HOST = "0.0.0.0"
PORT = 8888
CERT = "cert.pem"
KEY = "key.pem"


async def echo(reader, writer):
    # The handshake happens with the first read; a client that is slow with it keeps nobody waiting.
    try:
        while True:
            data = await reader.read(1024)  # at most: readline() would keep a line of any length
            if not data:
                break  # the client said goodbye
            writer.write(data)
            await writer.drain()
    except OSError as e:
        print("refused:", *e.args)
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
