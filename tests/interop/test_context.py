"""Features of contexts, with real peers: an external private key, a certificate that was made here."""

import re

from harness import *

FLAG = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
HASH = {32: "sha256", 48: "sha384", 64: "sha512"}
PADDING = {
    "ecdsa": (),
    "rsa_pkcs1": ("-pkeyopt", "rsa_padding_mode:pkcs1"),
    "rsa_pss": ("-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"),
}

class Signer(threading.Thread):
    """Has a key, as a secure element would, and lets openssl sign with it."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.key = cert(name + ".key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock, sock.makefile("rwb") as stream:
                asked = json.loads(stream.readline())
                digest = bytes.fromhex(asked["digest"])
                signed = subprocess.run(
                    ["openssl", "pkeyutl", "-sign", "-inkey", self.key, "-pkeyopt", f"digest:{HASH[len(digest)]}",
                     *PADDING[asked["algorithm"]]], input=digest, capture_output=True, check=True)
                stream.write(signed.stdout.hex().encode() + b"\n")

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

class Context(Case):
    def signer(self, name):
        signer = Signer(name)
        self.addCleanup(signer.stop)
        return signer.port

    def serve(self, **job):
        port = free_port()
        server = self.run_program("context.py", role="server", port=port, **job)
        server.wait_for("listening")
        return server, port

    def s_client(self, port, *arguments):
        client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", "-verify_return_error",
                            *arguments)
        client.wait_for("hello from ussl\n")
        client.send(b"hello to ussl\n")
        return client

    def assert_signed(self, told, name, version):
        ((algorithm, _),) = told["signed"]
        if name.endswith("rsa"):
            self.assertIn(algorithm, ("rsa_pss",) if version == "TLSv1.3" else ("rsa_pss", "rsa_pkcs1"))
        else:
            self.assertEqual(algorithm, "ecdsa")

    def test_a_server_whose_key_is_somewhere_else(self):
        for version in VERSIONS:
            for name, root in KINDS:
                with self.subTest(version=version, name=name):
                    server, port = self.serve(certificate=cert(name + ".crt"), signer=self.signer(name))
                    self.s_client(port, FLAG[version], "-CAfile", cert(root))
                    told = self.told(server)
                    self.assertEqual(told["heard"], "hello to ussl\n")
                    self.assert_signed(told, name, version)

    def test_a_client_whose_key_is_somewhere_else(self):
        for version in VERSIONS:
            for name in ("client", "client-rsa"):
                with self.subTest(version=version, name=name):
                    port = free_port()
                    server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-rev", FLAG[version],
                                        "-cert", cert("server.crt"), "-key", cert("server.key"), "-Verify", "2",
                                        "-verify_return_error", "-CAfile", cert("ca-all.crt"))
                    self.await_port(port, server)
                    told = self.told(self.run_program("context.py", role="client", port=port, trusted=[cert("ca.crt")],
                                                      certificate=cert(name + ".crt"), signer=self.signer(name)))
                    self.assertEqual(told["heard"], "lssu morf olleh\n")
                    self.assert_signed(told, name, version)

    def test_a_certificate_that_was_made_here(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                made, pem = self.folder / "made.der", self.folder / "made.pem"
                server, port = self.serve(self_signed=["device.local", "127.0.0.1"], file=str(made))
                subprocess.run(["openssl", "x509", "-inform", "DER", "-in", made, "-out", pem], check=True)
                self.s_client(port, FLAG[version], "-CAfile", pem, "-verify_hostname", "device.local", "-x509_strict")
                self.assertEqual(self.told(server)["heard"], "hello to ussl\n")
                # Another TLS library reads it the same way.
                said = subprocess.run(["certtool", "--inder", "-i", "--infile", made], capture_output=True, text=True,
                                      check=True).stdout
                for line in ("Version: 3", "DNSname: device.local", "IPAddress: 127.0.0.1", "TLS WWW Server",
                             "Digital signature", "CN=device.local", "9999"):
                    self.assertIn(line, said)

    def test_names_of_the_authorities_that_a_server_accepts(self):
        """Sent if all trust anchors are certificates in ca_certs; a client without a certificate of theirs may send none."""
        for version in VERSIONS:
            for job, names in (({"trusted": [cert("ca.crt")]}, 1),
                               ({"trusted": [cert("ca.crt"), cert("ca-rsa.crt")]}, 2),
                               ({"trusted": [cert("roots.bin")]}, 0),
                               ({"trusted": [cert("ca.crt"), cert("roots-other.bin")]}, 0),
                               ({"system": True}, 0),
                               ({"trusted": [cert("ca.crt")], "system": True}, 0),
                               ({"trusted": [cert("ca.crt"), cert("ca-rsa.crt")], "chosen": cert("ca-other.crt")}, 2),
                               ({"trusted": [cert("ca.crt"), cert("ca-rsa.crt")], "chosen": cert("roots-other.bin")}, 2),
                               ({"system": True, "chosen": cert("ca-other.crt")}, 0)):
                with self.subTest(version=version, **job):
                    server, port = self.serve(self_signed=["device.local"], file=str(self.folder / "made.der"), **job)
                    client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", FLAG[version],
                                        "-servername", "device.local")
                    client.send(b"hello to ussl\n")
                    client.wait()
                    self.assertEqual(self.told(server)["heard"], "hello to ussl\n")
                    sent = re.search(r"^(No client certificate CA names sent|Acceptable client certificate CA names\n(?:.*CN.*\n)+)",
                                     client.text(), re.M)[1]
                    expected = 0 if version == "TLSv1.3" and lacks("authorities_tls1_3") else names
                    self.assertEqual(sent.count("CN"), expected, sent)


if __name__ == "__main__":
    main(verbosity=2)
