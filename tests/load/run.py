"""Load and soak: a thousand connections at once on an asyncio server in MicroPython, good ones and others.

    run.py LOAD_PROGRAM      with USSL_MICROPYTHON and USSL_CERTS; USSL_LONG=1: hours of it in minutes

load.cpp is the driver, and says what goes wrong in the connections; server.py is the server. Waves of connections
follow each other in one process of the server. After each, all is as it was: no task, no descriptor, no memory.
"""

import json
import os
import pathlib
import random
import socket
import sys
import time
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from harness import CERTS, ENGINE, MICROPYTHON, Case, free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
LONG = os.environ.get("USSL_LONG") == "1"
DRIVER = None
KINDS = ("cert", "mutual", "psk")
PATIENCE = 600  # seconds that anything may take: the machine may be slow
HEAP = "64m"


class Server:
    def __init__(self, case):
        data = random.Random(1).randbytes(1 << 20)
        (case.folder / "data").write_bytes(data * 2)
        self.data = case.folder / "data"
        # Hasty: for connections that the server has to give up.
        self.ports = {("hasty_" if hasty else "") + kind: free_port() for hasty in (0, 1) for kind in KINDS}
        self.control = free_port()
        ports = [
            {"port": port, "kind": name.split("_")[-1], "first": 3, "later": 3}
            if name.startswith("hasty") else {"port": port, "kind": name, "first": PATIENCE}
            for name, port in self.ports.items()
        ]
        job = case.folder / "job.json"
        job.write_text(json.dumps({"data": str(self.data), "certs": str(CERTS), "ports": ports,
                                   "control": self.control}))
        self.process = case.start(MICROPYTHON, "-X", f"heapsize={HEAP}", HERE / "server.py", job)
        self.process.wait_for("listening")

    def told(self):
        with socket.create_connection(("127.0.0.1", self.control), timeout=PATIENCE) as s:
            s.sendall(b"?\n")
            line = b""
            while not line.endswith(b"\n"):
                got = s.recv(65536)
                if not got:
                    raise AssertionError("the server says nothing")
                line += got
        return json.loads(line)

    def told_when(self, condition, what):
        end = time.monotonic() + PATIENCE
        while True:
            told = self.told()
            if condition(told):
                return told
            if time.monotonic() > end:
                raise AssertionError(f"never {what}: {told}")
            time.sleep(0.2)

    def wave(self, case, **options):
        """Runs the driver; what it counted, and what the server said while all were there, and afterwards."""
        before = self.told()
        driver = case.start(DRIVER, f"certs={CERTS}", f"data={self.data}",
                            *(f"{name}={port}" for name, port in self.ports.items()),
                            *(f"{name}={value}" for name, value in options.items()))
        during = None
        if options.get("gather"):
            driver.wait_for("gathered", PATIENCE)
            during = self.told()
            driver.send(b"\n")
        status = driver.wait(3600)
        if status != 0:
            raise AssertionError(driver.story())
        counted = json.loads(driver.output.decode().splitlines()[-1])
        after = self.told_when(lambda t: t["opened"] - before["opened"] == counted["connections"] and not t["live"],
                               "as quiet as before")
        return before, during, after, counted


class LoadTest(Case):
    def test_waves(self):
        with self.subTest():
            server = Server(self)
            start = time.monotonic()
            for wave in range(int(os.environ.get("WAVES", "3"))):
                n = int(os.environ.get("N", "50"))
                before, during, after, counted = server.wave(
                    self, gather=n, concurrent=n, total=n * 3, seed=wave + 1)
                print(f"{time.monotonic() - start:.1f} s", counted, "\n", during, "\n", after, flush=True)


if __name__ == "__main__":
    DRIVER = sys.argv.pop(1)
    print(ENGINE)
    unittest.main()
