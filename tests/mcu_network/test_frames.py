"""Two emulated chips, and between them a wire on which frames are lost, delayed, duplicated and forged. lwIP talks to lwIP,
and the test sees all TCP segments. No -icount here, because both clocks must have the same speed."""

from chip import *
from frames import *

DELAY = 0.1  # seconds, each way


class Frames(ChipCase):
    def wire(self, rule=None):
        wire = Wire(rule)
        self.addCleanup(wire.close)
        return wire

    def server(self, wire, what, size=0):
        server = self.chip("wire.py", "server", what, size, self.cert, self.key, network=wire.network(1))
        server.wait_for("answering" if what == "dns" else "listening", CHIP_TIMEOUT)
        return server

    def client(self, wire, what, size=0):
        return self.chip("wire.py", "client", what, size, cert("ca.crt"), network=wire.network(0))

    def test_loss_delay_and_duplicates(self):
        with self.subTest():
            chance = random.Random(5)
            lost = twice = 0

            def rule(frame, segment, to_b):
                nonlocal lost, twice
                what = chance.random()
                if what < 0.05:
                    lost += 1
                    return []
                delay = DELAY * chance.uniform(0.9, 1.1)  # so that frames overtake each other
                if what < 0.08:
                    twice += 1
                    return [(delay, frame), (delay + 0.05, frame)]
                return [(delay, frame)]

            wire = self.wire(rule)
            server = self.server(wire, "echo")
            output = self.ended(self.client(wire, "echo", 32768))
            self.assertEqual(output, "shaken hands TLSv1.3\nreceived 32768\n")
            server.wait_for("served 32768", CHIP_TIMEOUT)
            self.assertGreater(lost, 3)
            self.assertGreater(twice, 1)

    def test_a_name_and_a_connection_that_does_not_block(self):
        for what in ("dns", "connect"):
            with self.subTest(what=what):
                wire = self.wire(lambda frame, segment, to_b: [(DELAY, frame)])
                self.server(wire, what)
                output = self.ended(self.client(wire, what, 4096))
                self.assertIn("received 4096\n", output)
                if what == "connect":
                    calls = int(re.search(r"calls (\d+)", output)[1])
                    # A flight or two of several segments each: more calls would be a busy wait.
                    self.assertTrue(1 < calls < 20, calls)

    def test_a_closed_window(self):
        with self.subTest():
            zero = updates = 0

            def rule(frame, segment, to_b):
                nonlocal zero, updates
                if segment and not to_b and segment.flags & ACK:
                    zero += segment.window == 0
                    if zero and segment.window and updates < 2:
                        updates += 1  # lost, so that A has to ask
                        return []
                return [(0, frame)]

            wire = self.wire(rule)
            server = self.server(wire, "slow", 24576)
            self.assertIn("read b'done'", self.ended(self.client(wire, "slow", 24576)))
            server.wait_for("served 24576", CHIP_TIMEOUT)
            self.assertTrue(zero)
            self.assertEqual(updates, 2)

    def test_a_reset_in_each_phase(self):
        with self.subTest():
            phase = None
            seen = 0

            def rule(frame, segment, to_b):
                nonlocal phase, seen
                if not segment or not phase:
                    return [(0, frame)]
                seen += not to_b and len(segment.data) > 400
                if not {"connecting": to_b and segment.flags & SYN, "handshake": not to_b and len(segment.data) > 100,
                        "transfer": seen == 8, "closing": to_b and segment.flags & FIN}[phase]:
                    return [(0, frame)]
                # In place of this segment, as of a middlebox.
                wire.inject(False, RST | ACK)
                if phase != "connecting":
                    wire.inject(True, RST | ACK)
                phase = None
                return []

            wire = self.wire(rule)
            server = self.server(wire, "echo")
            for phase, ends in (("connecting", "error 104"), ("handshake", "error 104"), ("transfer", "error 104"),
                                ("closing", "received 32768")):
                now, seen = phase, 0
                server.output.clear()
                output = self.ended(self.client(wire, "echo", 32768))
                self.assertIsNone(phase, now)
                self.assertIn(ends, output, now)
                if now != "connecting":
                    server.wait_until(lambda: b"error 104" in server.output or b"served 32768" in server.output, "end")
            # Idle, at both ends.
            server.output.clear()
            client = self.client(wire, "wait")
            client.wait_for("shaken hands", CHIP_TIMEOUT)
            server.wait_for("shaken hands", CHIP_TIMEOUT)
            time.sleep(1)
            wire.inject(False, RST | ACK)
            wire.inject(True, RST | ACK)
            self.assertIn("error 104", self.ended(client))
            server.wait_for("error 104", CHIP_TIMEOUT)
            # And then all is as before.
            self.assertIn("received 4096", self.ended(self.client(wire, "echo", 4096)))

    def test_a_peer_that_closes_one_direction(self):
        with self.subTest():
            end = None  # the sequence number of the FIN that B has not sent

            def rule(frame, segment, to_b):
                if segment and end is not None:
                    if to_b and segment.ack == end + 1:
                        segment.ack = end
                        return [(0, segment.frame())]
                    if not to_b:
                        segment.seq += 1
                        return [(0, segment.frame())]
                return [(0, frame)]

            wire = self.wire(rule)
            server = self.server(wire, "drain", 8192)
            client = self.client(wire, "drain", 8192)
            client.wait_for("shaken hands", CHIP_TIMEOUT)
            server.wait_for("shaken hands", CHIP_TIMEOUT)
            time.sleep(1)
            end = wire.expected[False]
            wire.inject(False, FIN | ACK)
            self.assertEqual(self.ended(client), "shaken hands TLSv1.3\nread b''\nsent 8192\n")
            server.wait_for("served 8192", CHIP_TIMEOUT)

    def test_an_upload_that_is_closed_at_once(self):
        """A closes while B's session tickets are unread; if A closed its socket at once, lwIP would send RST."""
        with self.subTest():
            wire = self.wire(lambda frame, segment, to_b: [(DELAY, frame)])
            server = self.server(wire, "upload", 16384)
            self.ended(self.client(wire, "upload", 16384))
            server.wait_until(lambda: b"served" in server.output or b"error" in server.output, "end", CHIP_TIMEOUT)
            self.assertIn("served 16384", server.text())

    def test_a_page_that_is_closed_at_once(self):
        """asyncio, to a client that does not read yet. A's window and B's buffer have room for 12,800 bytes. With the longer
        page, they contain a part of its last record when B closes."""
        for size in (6144, 14336):
            with self.subTest(size=size):
                wire = self.wire(lambda frame, segment, to_b: [(DELAY, frame)])
                self.server(wire, "page", size)
                output = self.ended(self.client(wire, "page"))
                self.assertIn(f"received {size}\n", output)


if __name__ == "__main__":
    main(verbosity=2)
