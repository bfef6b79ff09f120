"""CPython's ssl as a peer of the interop matrix; peers.py explains the arguments and the output."""

import socket
import ssl
import sys

role, port, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
given = dict(argument.split("=", 1) for argument in sys.argv[4:])
server = role == "server"

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
if "cert" in given:
    context.load_cert_chain(given["cert"], given["key"])
if "ca" in given:
    context.load_verify_locations(given["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
if "alpn" in given:
    context.set_alpn_protocols([given["alpn"]])


def tell(stream):
    told = f"version={stream.version()} alpn={stream.selected_alpn_protocol() or '-'} "
    told += f"reused={'yes' if stream.session_reused else 'no'}"
    if server:
        subject = dict(pair[0] for pair in (stream.getpeercert() or {}).get("subject", ()))
        told += f" peer={subject.get('commonName', '-')}"
    print(told, flush=True)


def read_line(stream):
    line = b""
    while not line.endswith(b"\n"):
        more = stream.recv(10000)
        if not more:
            sys.exit("an end instead of a line")
        line += more
    return line


if server:
    listener = socket.create_server(("127.0.0.1", port))
    print("listening", flush=True)
session = None
for _ in range(times):
    sock = listener.accept()[0] if server else socket.create_connection(("127.0.0.1", port))
    sock.settimeout(20)
    with context.wrap_socket(sock, server_side=server, server_hostname=None if server else "localhost",
                             session=session, suppress_ragged_eofs=False) as stream:
        if server:
            stream.sendall(read_line(stream))
        else:
            line = given["line"].encode() + b"\n"
            stream.sendall(line)
            if read_line(stream) != line:
                sys.exit("something else came back")
            session = stream.session
        tell(stream)
        try:
            stream.unwrap().close()
        except OSError:  # the peer that sends close_notify first may have closed already
            pass
