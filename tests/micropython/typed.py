# The results of a type checker for programs with ussl: tests/lint/types checks this file with mypy; it is never run.
# Every mistake has a comment with mypy's code for it; a comment that is not needed is an error, too.

import array
import io
import socket
from typing import Any

import ussl


class Stream(io.IOBase):
    def readinto(self, buf: bytearray) -> int | None:
        return None

    def write(self, buf: bytes) -> int | None:
        return len(buf)

    def ioctl(self, request: int, arg: int) -> int:
        return 0


class Keys:
    def get(self, name: bytes) -> bytes | None:
        return None


def streams(sock: socket.socket) -> None:
    ussl.wrap_socket(Stream())
    ussl.wrap_socket(ussl.wrap_socket(sock), True, "key.pem", b"certificate", ussl.CERT_NONE, None, "host", False)
    ussl.wrap_socket("host")  # type: ignore[arg-type]
    ussl.wrap_socket(open("a_file"))  # type: ignore[arg-type]
    ussl.wrap_socket(None)  # type: ignore[arg-type]


def keys(sock: socket.socket) -> None:
    ussl.wrap_socket(sock, psk_ident="sensor", psk_key=b"key", record_size_limit=1024, resumption=False)
    ussl.wrap_socket(sock, server_side=True, psk_keys={b"sensor": b"key"}, psk_hint=b"hint")
    ussl.wrap_socket(sock, server_side=True, psk_keys=Keys())
    ussl.wrap_socket(sock, psk_ident="sensor", psk_key="key")  # type: ignore[arg-type]
    ussl.wrap_socket(sock, psk_identity="sensor")  # type: ignore[call-arg]


def contexts(sock: socket.socket) -> ussl.SSLSocket:
    context = ussl.create_default_context(cafile="root.pem")
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(b"content")
    context.load_verify_locations(cafile="root.pem")
    context.load_verify_locations(None, "root.pem")
    context.load_cert_chain("cert.pem", "key.pem", password="password")
    context.load_default_certs(ussl.Purpose.SERVER_AUTH)
    context.minimum_version = ussl.TLSVersion.TLSv1_2
    context.pins = [bytes(32)]
    context.verify_time = None
    context.set_ciphers(context.get_ciphers())
    context.set_ciphers("A:B")
    context.set_ciphers(suites="A:B")  # type: ignore[call-arg]
    context.set_alpn_protocols(["mqtt", b"http/1.1"])
    context.groups = ["x25519", "secp256r1"]
    context.set_groups("x25519:secp256r1")
    context.set_ecdh_curve("prime256v1")
    context.verify_mode = None  # type: ignore[assignment]
    context.ciphers = []  # type: ignore[attr-defined]
    return context.wrap_socket(sock, server_hostname="host", session=ussl.SSLSession(b""))


def client_key(hint: str | None) -> tuple[str, bytes]:
    return "sensor", b"key"


def hinted_key(hint: str) -> tuple[str, bytes]:
    return hint, b"key"


def no_identity(hint: str | None) -> tuple[str | None, bytes]:
    return None, b"key"


def server_key(identity: str | bytes) -> bytes | None:
    return None


def judge(certificate: memoryview, depth: int) -> int:
    return 0


def choose(sock: ussl.SSLSocket, name: str | None, context: ussl.SSLContext) -> int | None:
    sock.context = context
    return None


def callbacks(client: ussl.SSLContext, server: ussl.SSLContext) -> None:
    client.set_psk_client_callback(client_key)
    client.set_psk_client_callback(lambda hint: (b"sensor", bytearray(16)))
    client.set_psk_client_callback(None)
    client.set_psk_client_callback(hinted_key)  # type: ignore[arg-type]
    client.set_psk_client_callback(no_identity)  # type: ignore[arg-type]
    server.set_psk_server_callback(server_key, "hint")
    server.set_psk_server_callback(None)
    server.set_psk_server_callback(server_key, identity_hint="hint")  # type: ignore[call-arg]
    client.verify_callback = judge
    client.verify_callback = lambda certificate: 0  # type: ignore[assignment, misc]
    server.sni_callback = choose
    client.sign_callback = lambda algorithm, digest: digest


def sockets(sock: ussl.SSLSocket) -> None:
    buffer = bytearray(10)
    taken: int | None = sock.write("text")
    taken = sock.write(buffer, 1, 2)
    taken = sock.sendall(b"bytes")
    taken = sock.sendall(memoryview(buffer), 2)
    taken = sock.sendall(array.array("B", b"123"), 0, 2)
    taken = sock.send(b"bytes")
    sock.sendall(b"bytes", 0, 2, 3)  # type: ignore[call-overload]
    sock.sendall(1)  # type: ignore[call-overload]
    sock.sendall(data=b"bytes")  # type: ignore[call-overload]
    read: bytes | None = sock.read()
    read = sock.read(10) or sock.readline() or sock.recv(10)
    read = sock.read(n=10)  # type: ignore[call-arg]
    count: int | None = sock.readinto(buffer) or sock.readinto(buffer, 2) or sock.recv_into(memoryview(buffer))
    sock.readinto("text")  # type: ignore[arg-type]
    der: bytes | None = sock.getpeercert(True)
    parts: dict[str, Any] | None = sock.getpeercert()
    der = sock.getpeercert()  # type: ignore[assignment]
    cipher = sock.cipher()
    bits: int = cipher[2] if cipher else 0
    cipher[2]  # type: ignore[index]
    sock.setblocking(False)
    sock.settimeout(None)
    sock.session_reused = True  # type: ignore[misc]
    with sock as same:
        same.flush()
    print(taken, read, count, der, parts, bits, ussl.flush_closed(2.5), ussl.cert_info("cert.pem")["subject"])


def errors(e: OSError) -> bool:
    key, certificate = ussl.self_signed(["device"], valid_until=4102444800)
    name: str = key  # type: ignore[assignment]
    print(name, certificate)
    return e.errno in (ussl.ERR_CERT_EXPIRED, ussl.ERR_PSK_KEY)
