"""The common code of the interop suites: ports, processes that are always ended, and our own end of a conversation."""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
import lacks as table  # noqa: E402
from suite import certs, main  # noqa: E402

PROGRAMS = ROOT / "tests" / "interop" / "programs"
MICROPYTHON = os.environ.get("USSL_MICROPYTHON")  # none where only the emulated chip is tested
CERTS = certs()
TIMEOUT = 30  # seconds that any one conversation may take

KEY = "000102030405060708090a0b0c0d0e0f"
WRONG_KEY = "ff0102030405060708090a0b0c0d0e0f"

VERSIONS = ("TLSv1.2", "TLSv1.3")
# A server's certificate, and the root that signed it.
KINDS = (("server", "ca.crt"), ("server-rsa", "ca-rsa.crt"))
CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2
BULK = 400_000  # bytes of a conversation that is checked by checksum
# The kind of the server's certificate in the names of TLS 1.2's suites.
IN_SUITE = {"server": "_ECDSA_", "server-rsa": "_ECDHE_RSA_"}


def cert(name):
    path = CERTS / name
    if not path.exists():
        raise FileNotFoundError(path)
    return str(path)


def errors():
    """The rows of the error table, by name, as ussl raises them."""
    table = (ROOT / "include" / "ussl" / "errors.def").read_text()
    return {name: -int(number) for name, number in re.findall(r"^USSL_ERROR\((\w+),\s*(\d+)", table, re.M)}


ERR = errors()
ENGINE = MICROPYTHON and subprocess.run([MICROPYTHON, "-c", "import ussl; print(ussl.ENGINE)"], check=True,
                                        capture_output=True, text=True, timeout=TIMEOUT).stdout.strip()


def lacks(row):
    """Whether tests/engines.def has the row for the engine, which lacks the feature."""
    return table.lacks(str(ROOT / "tests"), ENGINE, row)


# --- wrap_socket's arguments for most tests; values of names that end in _hex become bytes


def server_cert(name="server", **more):
    return {"certfile": cert(name + ".crt"), "keyfile": cert(name + ".key"), **more}


def own_cert(name):
    return server_cert(name) if name else {}


def trusting(root="ca.crt", **more):
    return {"ca_certs": cert(root), "server_hostname": "localhost", **more}


def psk_client(identity="me", key=KEY):
    return {"psk_ident": identity, "psk_key_hex": key}


def psk_server(**keys):
    return {"psk_keys": keys or {"me": KEY}}


# --- data


def some_data(size=BULK):
    """Random lines of text, the same with each call."""
    lines = random.Random(size)
    data = b"".join(b"%064x\n" % lines.getrandbits(256) for _ in range(size // 65 + 1))
    return data[: size - 1] + b"\n"


def checksum(data):
    return hashlib.sha256(data).hexdigest()


# --- ports and processes

handed_out = []


def free_port():
    """One that no suite has handed out, this one or another at the same time, and that no outgoing connection gets."""
    while True:
        port = random.SystemRandom().randrange(10000, 21000)  # tests/micropython has those above
        # An abstract name, which the kernel frees when this process ends: until its server listens, the port is free.
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0ussl tests, port {port}")
        except OSError:
            name.close()
            continue
        handed_out.append(name)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def listened_ports():
    """Asks the kernel: a connection made to find out would be a strange client to the server."""
    ports = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


class Process:
    """A program whose output is gathered while it runs."""

    def __init__(self, *command, **options):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )
        self.output = bytearray()  # its standard output
        self.errors = bytearray()
        self.changed = threading.Condition()
        self.readers = [
            threading.Thread(target=self._gather, args=(pipe, kept), daemon=True)
            for pipe, kept in ((self.process.stdout, self.output), (self.process.stderr, self.errors))
        ]
        for reader in self.readers:
            reader.start()

    def _gather(self, pipe, kept):
        while chunk := os.read(pipe.fileno(), 65536):
            with self.changed:
                kept += chunk
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def text(self):
        return (self.errors + self.output).decode(errors="replace")

    def story(self):
        """For a failure message."""
        ends = f"exit status {self.process.returncode}" if self.process.poll() is not None else "running"
        text = self.text()
        return f"--- {' '.join(self.command)} ({ends}):\n{text if len(text) < 6000 else text[:6000] + '…'}"

    def wait_until(self, condition, what, seconds=TIMEOUT):
        """Fails if the program ends or time runs out before."""
        met = False

        def met_or_ended():
            nonlocal met
            met = condition()
            return met or not any(reader.is_alive() for reader in self.readers)

        with self.changed:
            self.changed.wait_for(met_or_ended, seconds)
            if not met:
                raise AssertionError(f"no {what} from {self.command}")

    def wait_for(self, words, seconds=TIMEOUT):
        """Until the output has these words."""
        raw = words.encode()
        self.wait_until(lambda: raw in self.output or raw in self.errors, repr(words), seconds)

    def wait_for_output(self, size, seconds=TIMEOUT):
        """Until there are that many bytes of output."""
        self.wait_until(lambda: len(self.output) >= size, f"{size} bytes", seconds)

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
            raise AssertionError(f"{self.command} does not end") from None
        for reader in self.readers:
            reader.join(seconds)
        return status

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self.readers:
            reader.join(5)
        self.end_input()
        self.process.stdout.close()
        self.process.stderr.close()


@functools.cache
def mosquitto_has_psk(program, user, version):
    """Whether this mosquitto has pre-shared keys in a version: 2.0.21 has them in TLS 1.2 only."""
    with tempfile.TemporaryDirectory(prefix="ussl-") as folder:
        folder = pathlib.Path(folder)
        port = free_port()
        (folder / "psk").write_text(f"me:{KEY}\n")
        (folder / "conf").write_text(f"user {user}\nlistener {port} 127.0.0.1\nuse_identity_as_username true\n"
                                     f"psk_hint broker\npsk_file {folder}/psk\n")
        broker = Process(program, "-c", folder / "conf")
        try:
            broker.wait_for(" running")
            return subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-psk", KEY, "-psk_identity", "me",
                 {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}[version]],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT).returncode == 0
        finally:
            broker.stop()


class Case(unittest.TestCase):
    """Tests hold their conversations in subTests: these end the started processes, and show their output if they fail."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ussl-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.started = []
        self.jobs = 0
        self.addCleanup(self.stop_all)

    def stop_all(self):
        for process in reversed(self.started):
            process.stop()
        self.started.clear()

    @contextlib.contextmanager
    def subTest(self, **parameters):
        with super().subTest(**parameters):
            try:
                yield
            except unittest.SkipTest:
                raise
            except Exception as e:
                time.sleep(0.2)  # for the last words
                for process in self.started:
                    e.add_note(process.story())
                raise
            finally:
                self.stop_all()

    def start(self, *command, **options):
        process = Process(*command, **options)
        self.started.append(process)
        return process

    def need_mosquitto_psk(self, program, user, version):
        if not mosquitto_has_psk(program, user, version):
            self.skipTest(f"this mosquitto has no pre-shared keys in {version}")

    def await_port(self, port, process):
        """Until something listens there."""
        end = time.monotonic() + TIMEOUT
        while port not in listened_ports():
            if process.process.poll() is not None or time.monotonic() > end:
                self.fail(f"nothing listens on {port}")
            time.sleep(0.01)

    def await_file(self, path):
        """Until there is something in it."""
        end = time.monotonic() + TIMEOUT
        while not path.exists() or path.stat().st_size == 0:
            if time.monotonic() > end:
                self.fail(f"nothing in {path}")
            time.sleep(0.01)

    # --- our end

    def run_program(self, name, **job):
        """Starts programs/NAME. The job is passed in a file: MicroPython 1.25 dies of an argument beyond 255 bytes."""
        self.jobs += 1
        path = self.folder / f"job-{self.jobs}.json"
        path.write_text(json.dumps(job))
        return self.start(MICROPYTHON, PROGRAMS / name, path)

    def ussl_server(self, talk="echo", times=1, program="peer.py", size=1000, **options):
        """Our server; its process and port."""
        port = free_port()
        server = self.run_program(program, role="server", port=port, talk=talk, times=times, size=size,
                                  options=options)
        server.wait_for("listening")
        return server, port

    def start_ussl_client(self, port, talk="echo", size=1000, **options):
        return self.run_program("peer.py", role="client", port=port, talk=talk, size=size, options=options)

    def ussl_client(self, port, talk="echo", size=1000, **options):
        """Runs our client. Returns its report."""
        return self.told(self.start_ussl_client(port, talk, size, **options))

    def told_all(self, process):
        """Our end's report of each conversation."""
        self.assertEqual(process.wait(), 0)
        return [json.loads(line) for line in process.output.decode().splitlines() if line.startswith("{")]

    def told(self, process):
        """Our end's report of its only conversation."""
        (told,) = self.told_all(process)
        return told

    def assert_done(self, told, version=None):
        self.assertTrue(told.get("done"), told)
        if version:
            self.assertEqual(told["version"], version)

    def assert_error(self, told, name, stage="handshake"):
        """Checks the exact error, and the progress of the conversation."""
        self.assertEqual(told.get("errno"), ERR[name], told)
        self.assertTrue(told["text"].startswith(name + ": "), told)
        self.assertEqual(told["stage"], stage, told)
        self.assertNotIn("done", told)

    def assert_refused_certificate(self, told, version):
        """The error of our client if a server rejects its certificate, or the lack of one."""
        self.assert_error(told, "CERT_REFUSED", "handshake" if version == "TLSv1.2" else "talk")
