"""The system's store, which this replaces by one with the tests' roots, in a mount namespace. Without the right to make
a namespace, the tests are skipped. Names are looked up in a folder that has all certificates of the file."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from suite import certs, main  # noqa: E402

CERTS = certs()
MICROPYTHON = os.environ["USSL_MICROPYTHON"]
FOLDER = pathlib.Path("/etc/ssl/certs")

PROGRAM = """
import binascii
from ussltest import *
import ussl

def der(name):
    lines = cert_bytes(name).decode().split("\\n")
    return binascii.a2b_base64("".join(line for line in lines if not line.startswith("-----")))

def context(*more):
    made = ussl.SSLContext(CLIENT)
    made.load_default_certs()
    for name in more:
        made.load_verify_locations(cert(name))
    return made

def count(context, wanted):
    equal(context.cert_store_stats()["x509"], wanted)

client = context()
count(client, 2)
for _ in range(2):
    connected(client, server_context())
    connected(client, server_context("server-rsa"))
    refused(client, server_context("server-other"), "CERT_UNKNOWN_ISSUER")
count(client, 2)
connected(ussl.create_default_context(), server_context())
# With others, one of which has the name of one of the system's.
for more, number in ((("ca-other.crt",), 3), (("roots-other.bin",), 3), (("ca-twin.crt", "ca-other.crt"), 4),
                     (("ca.crt", "ca-other.crt"), 3), (("roots.bin", "ca-other.crt"), None)):
    client = context(*more)
    connected(client, server_context())
    connected(client, server_context("server-other"))
    connected(client, server_context("server-rsa"))
    if number:
        count(client, number)
# An error row, a pin and verify_callback see the same certificates as with ca_certs.
client = context()
judged = []
def judge(certificate, depth):
    judged.append((depth, certificate))
    return 0
client.verify_callback = judge
connected(client, server_context())
equal(judged, [(1, der("ca.crt")), (0, der("server.crt"))])
refused(context(), server_context("server-expired"), "CERT_EXPIRED")
refused(context(), server_context("server-selfsigned"), "CERT_SELF_SIGNED")
# CRLs of the system's roots.
client = context("ca.crl")
client.verify_flags = ussl.VERIFY_CRL_CHECK_LEAF
connected(client, server_context())
refused(client, server_context("server-revoked"), "CERT_REVOKED")
# A server: its clients are verified with the system's store.
server = server_context()
server.load_default_certs()
server.verify_mode = ussl.CERT_REQUIRED
for name, expected in (("client", None), ("client-other", "CERT_UNKNOWN_ISSUER")):
    client = context()
    client.load_cert_chain(cert(name + ".crt"), cert(name + ".key"))
    c, s, result = outcome(client, server)
    equal(result[1] and result[1].errno, expected and getattr(ussl, "ERR_" + expected))
"""

# A trusted certificate that is the server's own, and two of one name.
OTHERS = """
from ussltest import *
import ussl

def context():
    made = ussl.SSLContext(CLIENT)
    made.load_default_certs()
    return made

connected(context(), server_context())
connected(context(), server_context("server-selfsigned"))
refused(context(), server_context("server-other"), "CERT_UNKNOWN_ISSUER")
equal(context().cert_store_stats()["x509"], 3)
"""

# A session is only resumed with the same store.
SESSIONS = """
from ussltest import *
import ussl

server = server_context()

def connect(session=None):
    client = ussl.SSLContext(CLIENT)
    client.load_default_certs()
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname="localhost", session=session, do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    equal(shake_out(c, s), [None, None])
    s.write(b"ticket")
    c.read(6)
    return c

session = connect().session
equal(connect(session).session_reused, True)
session = connect().session
with open("/etc/ssl/certs/new.pem", "w") as f:
    f.write("new")
raises(ValueError, connect, session, text="session")
"""


class SystemStore(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ussl-store-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        roots = ["ca.crt", "ca-rsa.crt"]
        (self.folder / "ca-certificates.crt").write_text("".join((CERTS / name).read_text() for name in roots))
        self.hashed = self.folder / "hashed"
        self.hashed.mkdir()
        for name in roots:
            shutil.copy(CERTS / name, self.hashed / f"{name.removesuffix('.crt')}.pem")
        subprocess.run(["openssl", "rehash", self.hashed], check=True)

    def runs(self, program=PROGRAM):
        environment = {name: value for name, value in os.environ.items() if name not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
        command = f'mount --bind "{self.folder}" {FOLDER} || exit 77; exec "$0" "$@"'
        ran = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", command, MICROPYTHON, "-c", program],
                             env={**environment, "MICROPYPATH": f"{HERE}:{HERE.parent}"}, capture_output=True, text=True)
        if ran.returncode == 77 or "unshare" in ran.stderr:
            self.skipTest("no right to make a mount namespace")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""), ran.stdout)

    def test_with_a_file(self):
        self.runs()

    def replace_file(self):
        for path in self.hashed.iterdir():
            shutil.move(path, self.folder / path.name)

    def test_with_a_folder_of_hashes(self):
        self.replace_file()
        self.runs()

    def test_that_only_the_folder_is_read(self):
        self.replace_file()
        file = self.folder / "ca-certificates.crt"
        file.write_text(file.read_text().replace("MII", "AAA"))
        self.runs("""
from ussltest import *
import ussl
client = ussl.SSLContext(CLIENT)
client.load_default_certs()
connected(client, server_context())
""")

    def test_two_roots_of_one_name_and_a_certificate_of_a_server(self):
        for order in (["ca.crt", "ca-twin.crt"], ["ca-twin.crt", "ca.crt"]):
            for path in self.folder.iterdir():
                if path != self.hashed:
                    path.unlink()
            names = [*order, "server-selfsigned.crt"]
            (self.folder / "ca-certificates.crt").write_text("".join((CERTS / name).read_text() for name in names))
            with self.subTest(order=order, folder=False):
                self.runs(OTHERS)
            for number, name in enumerate(order):
                shutil.copy(CERTS / name, self.folder / f"{subject_hash('ca.crt')}.{number}")
            shutil.copy(CERTS / names[2], self.folder / f"{subject_hash(names[2])}.0")
            with self.subTest(order=order, folder=True):
                self.runs(OTHERS)

    def test_sessions_of_another_store(self):
        self.replace_file()
        self.runs(SESSIONS)

    def test_with_a_folder_that_lacks_a_certificate(self):
        for path in self.hashed.iterdir():
            if path.name.startswith(("ca.", subject_hash("ca.crt"))):
                shutil.move(path, self.folder / path.name)
        self.runs()


def subject_hash(name):
    return subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", CERTS / name], check=True,
                          capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
