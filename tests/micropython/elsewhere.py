"""Servers on this machine in place of the internet servers that some of MicroPython's own tests use. HTTPS with a
certificate for every name that they request, HTTPS with a self-signed one, and plain HTTP."""

import datetime
import pathlib
import socket
import ssl
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("micropython.org", "www.github.com", "pypi.org", "api.pushbullet.com")
SELF_SIGNED = "test.mosquitto.org"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
# The names under which the releases of MicroPython look for the root certificate.
ROOTS = ("isrgrootx1.der", "isrg.der", "mpycert.der")

# In place of MicroPython's module: a name leads to a server of ours.
SOCKET = """
import usocket
from usocket import *

PORTS = {ports!r}

def getaddrinfo(host, port, *more):
    return usocket.getaddrinfo("127.0.0.1", PORTS[host, port], *more)
"""


def certificate(names, issuer=None):
    """A key, and a certificate of it: of the (key, certificate) `issuer`, or of its own, and then a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder()
               .subject_name(subject).issuer_name(issuer[1].subject if issuer else subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number() >> 32)
               .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
               .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), True)
               .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False))
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())


class Elsewhere:
    def __init__(self):
        self.listeners = []
        self.root = certificate(["ussl test root"])
        trusted = self.listen(self.context(certificate(NAMES, self.root)))
        plain = self.listen(None)
        self.ports = {(name, port): trusted if port == 443 else plain for name in NAMES for port in (80, 443)}
        self.ports[SELF_SIGNED, 8883] = self.listen(self.context(certificate([SELF_SIGNED])))

    def context(self, credentials):
        key, cert = credentials
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(prefix="ussl-upstream-") as folder:
            path = pathlib.Path(folder, "both.pem")
            path.write_bytes(cert.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
            context.load_cert_chain(path)
        return context

    def listen(self, context):
        listener = socket.create_server(("127.0.0.1", 0))
        self.listeners.append(listener)
        threading.Thread(target=self.serve, args=(listener, context), daemon=True).start()
        return listener.getsockname()[1]

    def serve(self, listener, context):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return  # stop()
            threading.Thread(target=self.answer, args=(connection, context), daemon=True).start()

    @staticmethod
    def answer(connection, context):
        connection.settimeout(20)
        try:
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            request = connection.recv(4096)
            connection.sendall(ANSWER if request.startswith(b"GET ") else b"HTTP/1.1 400 Bad Request\r\n\r\n")
            if context:
                connection = connection.unwrap()
        except OSError:
            pass  # the test's own business
        connection.close()

    def files(self):
        """The files in a test's folder."""
        root = self.root[1]
        files = dict.fromkeys(ROOTS, root.public_bytes(serialization.Encoding.DER))
        files["isrgrootx1.pem"] = root.public_bytes(serialization.Encoding.PEM)
        files["socket.py"] = SOCKET.format(ports=self.ports).encode()
        return files

    def stop(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
