"""What the interop suites share: ports, processes that are always ended, and our own end."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = ROOT / "tests" / "interop" / "programs" / "peer.py"
MICROPYTHON = os.environ["USSL_MICROPYTHON"]
CERTS = pathlib.Path(os.environ["USSL_CERTS"])
TIMEOUT = 30  # seconds that any one conversation may take

KEY = "000102030405060708090a0b0c0d0e0f"
WRONG_KEY = "ff0102030405060708090a0b0c0d0e0f"


def cert(name):
    path = CERTS / name
    if not path.exists():
        raise FileNotFoundError(path)
    return str(path)


def errors():
    """The rows of the error table, by name, as ussl raises them."""
    import re

    table = (ROOT / "src" / "errors.def").read_text()
    return {name: -int(number) for name, number in re.findall(r"^USSL_ERROR\((\w+),\s*(\d+)", table, re.M)}


ERR = errors()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A program whose output is gathered while it runs."""

    def __init__(self, *command, **options):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        )
        self.output = b""
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._gather, daemon=True)
        self.reader.start()

    def _gather(self):
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            with self.changed:
                self.output += chunk
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def text(self):
        return self.output.decode(errors="replace")

    def wait_for(self, words, seconds=TIMEOUT):
        """Until the output has these words; fails if the program ends or time runs out before."""
        with self.changed:
            found = self.changed.wait_for(
                lambda: words in self.text() or not self.reader.is_alive(), seconds
            )
        if not found or words not in self.text():
            raise AssertionError(f"no {words!r} from {self.command}:\n{self.text()}")

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def wait(self, seconds=TIMEOUT):
        """Until it ends by itself; its exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} does not end:\n{self.text()}") from None
        self.reader.join(seconds)
        return status

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(5)
        self.end_input()
        self.process.stdout.close()


class Case(unittest.TestCase):
    """A test whose processes end with it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ussl-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *command, **options):
        process = Process(*command, **options)
        self.addCleanup(process.stop)
        return process

    def await_port(self, port, process=None):
        """Until something listens there. It sees a connection that says nothing."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
                return
            if process and process.process.poll() is not None:
                break
            time.sleep(0.02)
        self.fail(f"nothing listens on {port}: {process.text() if process else ''}")

    def start_peer(self, job):
        # Not as an argument: MicroPython's are no longer than 255 bytes.
        return self.start(MICROPYTHON, PEER, env={**os.environ, "USSL_JOB": json.dumps(job)})

    def ussl_server(self, talk="echo", times=1, **options):
        """Our server; its process and port."""
        port = free_port()
        job = {"role": "server", "port": port, "talk": talk, "times": times, "options": options}
        server = self.start_peer(job)
        server.wait_for("listening")
        return server, port

    def ussl_client(self, port, talk="echo", lines=3, size=100, **options):
        """Runs our client; what it has to tell."""
        job = {"role": "client", "port": port, "talk": talk, "lines": lines, "size": size, "options": options}
        client = self.start_peer(job)
        status = client.wait()
        return self.told(client, status)

    def told(self, process, status=None):
        """What our end has told of its one conversation."""
        if status is None:
            status = process.wait()
        self.assertEqual(status, 0, process.text())
        return json.loads(process.text().strip().split("\n")[-1])

    def assert_done(self, told, version=None):
        self.assertTrue(told.get("done"), told)
        if version:
            self.assertEqual(told["version"], version)

    def assert_error(self, told, *names):
        self.assertIn(told.get("errno"), [ERR[name] for name in names], told)
        self.assertNotIn("done", told)


# wrap_socket's arguments that most tests want
def server_cert(name="server", **more):
    return {"certfile": cert(name + ".crt"), "keyfile": cert(name + ".key"), **more}


def trusting(root="ca.crt", **more):
    return {"ca_certs": cert(root), "server_hostname": "localhost", **more}


def psk_client(identity="me", key=KEY):
    return {"psk_ident": identity, "psk_key_hex": key}


def psk_server(**keys):
    return {"psk_keys": keys or {"me": KEY}}


VERSIONS = ("TLSv1.2", "TLSv1.3")
# certificate of the server, and the root that signed it
KINDS = (("server", "ca.crt"), ("server-rsa", "ca-rsa.crt"))
