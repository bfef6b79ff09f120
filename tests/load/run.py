"""Load and soak: a thousand connections at once on an asyncio server in MicroPython, good ones and others.

    run.py LOAD_PROGRAM [HANDSHAKES GIGABYTES]      with USSL_MICROPYTHON and USSL_CERTS

load.cpp is the driver, and selects the faults of the connections; server.py is the server. Waves of connections follow
each other in one process of the server, until there have been that many handshakes and bytes (plaintext, in and out).
The default is a few thousand handshakes, with USSL_FULL=1 100,000 and 10 GB. After each wave, memory and descriptors
are as before.
"""

import json
import os
import pathlib
import random
import resource
import socket
import sys
import time
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from harness import CERTS, ENGINE, MICROPYTHON, Case, free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FULL = os.environ.get("USSL_FULL") == "1"
KINDS = ("cert", "mutual", "psk")
PATIENCE = 600  # seconds that anything may take: the machine may be slow
AT_ONCE = 1000
# The allowed growth since the first wave. The collector is conservative: it may take a number for a pointer, and then
# keeps even the longest buffer. Python's objects of each unreleased connection would be 1 KB and more.
HEAP_SLACK = 1 << 20
# Memory of the process: one connection takes 20 KB and more with OpenSSL, and 3 KB with Mbed TLS. Not all
# freed memory is returned by malloc, and the amount depends on how connections overlap by chance.
RSS_SLACK = 8 << 20


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
        self.process = case.start(MICROPYTHON, "-X", "heapsize=64m", HERE / "server.py", job)
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
        """Runs the driver. Returns its counts, and the server's reports with all connections open, and afterwards."""
        before = self.told()
        driver = case.start(DRIVER, f"certs={CERTS}", f"data={self.data}", f"patience={PATIENCE}",
                            *(f"{name}={port}" for name, port in self.ports.items()),
                            *(f"{name}={value}" for name, value in options.items()))
        during = None
        if options.get("gather"):
            driver.wait_for("gathered", PATIENCE)
            during = self.told()
            driver.send(b"\n")
        if driver.wait(3600) != 0:
            raise AssertionError("the driver found faults, see there")
        counted = json.loads(driver.output.decode().splitlines()[-1])
        after = self.told_when(lambda t: t["opened"] - before["opened"] == counted["connections"] and not t["live"],
                               "as quiet as before")
        return before, during, after, counted


class LoadTest(Case):
    def test_waves(self):
        with self.subTest():
            server = Server(self)
            begin = time.monotonic()
            first = server.told()
            flat = None  # after the first wave: caches are full, malloc has enough memory
            waves = handshakes = moved = resumed = 0
            while waves < 3 or handshakes < HANDSHAKES or moved < GIGABYTES * 1e9:
                waves += 1
                before, during, after, counted = server.wave(
                    self, gather=AT_ONCE, concurrent=AT_ONCE, total=5 * AT_ONCE if FULL else AT_ONCE + 500, seed=waves)
                handshakes += counted["handshakes"]
                resumed += counted.get("resumed_12", 0) + counted.get("resumed_13", 0)
                moved += counted["bytes"]
                print(f"wave {waves}, {time.monotonic() - begin:.0f} s: {handshakes} handshakes ({resumed} resumed), "
                      f"{moved / 1e9:.2f} GB; heap {after['heap']}, RSS {after['rss']}, fds {after['fds']}",
                      flush=True)
                self.check(first, before, during, after, counted)
                flat = flat or after
                self.assertLess(after["heap"], flat["heap"] + HEAP_SLACK)
                self.assertLess(after["rss"], flat["rss"] + RSS_SLACK)
            # It still serves as it should.
            *_, counted = server.wave(self, concurrent=2, total=20, faulty=0, seed=0)
            self.assertEqual(counted["good"], 20)
            self.assertEqual(bytes(server.process.errors), b"")
            self.assertEqual(len(server.process.output.splitlines()), 1, server.process.text())
            print("ends, as the server saw them:", json.dumps(after["ends"]))

    def check(self, first, before, during, after, counted):
        self.assertEqual(during["live"], AT_ONCE)
        self.assertEqual(during["fds"], first["fds"] + AT_ONCE)
        for what in ("fds", "live", "waiting"):
            self.assertEqual(after[what], first[what], what)
        # Every one of them has ended once.
        self.assertEqual(counted["good"] + counted["faulty"], counted["connections"])
        self.assertEqual(sum(after["ends"].values()), after["opened"])
        # And successfully, if it sent close_notify and waited for the server's.
        self.assertGreaterEqual(after["ends"]["goodbye"] - before["ends"].get("goodbye", 0),
                                counted["good_goodbye"] + counted["good_fin"])


if __name__ == "__main__":
    DRIVER, *amount = sys.argv[1:]
    HANDSHAKES, GIGABYTES = map(float, amount or ((100_000, 10) if FULL else (0, 0)))
    # A thousand sockets on each side.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print(ENGINE)
    unittest.main(argv=sys.argv[:1])
