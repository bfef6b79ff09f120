"""The system's store, which this replaces by one with the tests' roots, in a mount namespace. Without the right to make
a namespace, the tests are skipped. OpenSSL looks names up in a folder that has all certificates of the file."""

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
from ussltest import *
import ussl

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

    def runs(self):
        environment = {name: value for name, value in os.environ.items() if name not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
        command = f'mount --bind "{self.folder}" {FOLDER} || exit 77; exec "$0" "$@"'
        ran = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", command, MICROPYTHON, "-c", PROGRAM],
                             env={**environment, "MICROPYPATH": f"{HERE}:{HERE.parent}"}, capture_output=True, text=True)
        if ran.returncode == 77 or "unshare" in ran.stderr:
            self.skipTest("no right to make a mount namespace")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""), ran.stdout)

    def test_with_a_file(self):
        self.runs()

    def test_with_a_folder_of_hashes(self):
        for path in self.hashed.iterdir():
            shutil.move(path, self.folder / path.name)
        self.runs()

    def test_with_a_folder_that_lacks_a_certificate(self):
        for path in self.hashed.iterdir():
            if path.name.startswith(("ca.", subject_hash())):
                shutil.move(path, self.folder / path.name)
        self.runs()


def subject_hash():
    return subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", CERTS / "ca.crt"], check=True,
                          capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
