"""The emulated chip in qemu's own network. Every example of examples/network, typical clients and servers, and
the effects of lwIP on timeouts, closing and many connections. test_frames.py looks at its segments."""

import pty
import pwd
import shutil
import struct

from chip import *

SIZE = 1 << 18


class Network(ChipCase):
    def test_large_transfers(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                received = []

                def swap(connection):
                    data = b""
                    while len(data) < SIZE and (more := connection.recv(65536)):
                        data += more
                    received.append(data)
                    connection.sendall(some_data(SIZE))
                    connection.recv(1)

                port = self.serve(swap, self.context(version=version))
                output = self.ended(self.chip("bulk.py", HOST, port, cert("ca.crt"), SIZE))
                self.assertEqual(output, f"{version.replace('_', '.')} {SIZE} {checksum(some_data(SIZE))}\n")
                self.assertEqual(checksum(received[0]), checksum(pattern(SIZE)))

    def test_both_ways_at_once(self):
        with self.subTest():
            port = self.serve(echo, self.context())
            output = self.ended(self.chip("both_ways.py", HOST, port, cert("ca.crt"), SIZE))
            self.assertEqual(output, f"{SIZE} {checksum(pattern(SIZE))}\n")

    def test_five_hundred_connections(self):
        with self.subTest():
            # A resumed handshake takes a sixtieth of a full one.
            port = self.serve(echo, self.context(version="TLSv1.2"))
            output = self.ended(self.chip("reconnect.py", HOST, port, cert("ca.crt"), 500))
            self.assertIn("resumed 499\nheap flat", output)

    def test_timeouts_poll_and_connections_that_do_not_block(self):
        with self.subTest():
            silent = self.serve(lambda connection: connection.recv(1 << 20) and time.sleep(30))
            chip = self.chip("waits.py", HOST, silent, self.serve(echo, self.context()), free_port(), cert("ca.crt"))
            self.assertEqual(self.ended(chip), "the handshake times out\na read times out\npoll is right\n"
                             "nothing blocks\nrefused\n")

    def test_ctrl_c(self):
        with self.subTest():
            program = self.folder / "read.py"
            program.write_text("import socket, sys\ns = socket.socket()\ns.connect(('10.0.2.2', int(sys.argv[1])))\n"
                               "try:\n    print('reading')\n    s.read(1)\nfinally:\n    print('finally')\n")
            port = self.serve(lambda connection: connection.recv(1))
            terminal, inside = pty.openpty()
            self.addCleanup(os.close, terminal)
            chip = subprocess.Popen([ROOT / "run", "--mcu", program, str(port)], stdin=inside, stdout=inside,
                                    env={**os.environ, "USSL_MCU_FIRMWARE": FIRMWARE})
            os.close(inside)
            self.addCleanup(chip.kill)
            output = b""
            with contextlib.suppress(OSError):  # the other end has closed
                while more := os.read(terminal, 1000):
                    if b"reading" not in output and b"reading" in output + more:
                        os.write(terminal, b"\x03")
                    output += more
            self.assertEqual(chip.wait(CHIP_TIMEOUT), 1, output)
            self.assertIn(b"finally", output)
            self.assertIn(b"KeyboardInterrupt", output)

    def test_soft_resets_with_open_connections(self):
        with self.subTest():
            micropython = subprocess.run([ROOT / "tools" / "deps", "source", "micropython"], check=True,
                                         capture_output=True, text=True).stdout.strip()
            sys.path.append(f"{micropython}/tools")
            import pyboard

            port = self.serve(echo, self.context())
            program = ("import gc, socket, ussl\n"
                       "a, b = socket.socket(), socket.socket()\n"
                       f"a.connect(('{HOST}', {port}))\n"
                       f"s = ussl.wrap_socket(a, ca_certs={cert('ca.crt')!r}, server_hostname='{HOST}')\n"
                       "s.write(b'hello\\n')\n"
                       "assert s.readline() == b'hello\\n'\n"
                       "b.bind(('0.0.0.0', 8000))\n"
                       "b.listen(2)\n"
                       "gc.collect()\nprint(gc.mem_free())\n")
            os.environ["USSL_MCU_FIRMWARE"] = FIRMWARE
            chip = pyboard.Pyboard(f"exec:{ROOT}/tools/mcu")
            qemu = chip.serial.subp
            self.addCleanup(qemu.__exit__, None, None, None)  # waits, and closes its pipes
            self.addCleanup(chip.close)
            free = []
            for _ in range(12):  # lwIP has five connections
                chip.enter_raw_repl(soft_reset=True)
                output, error = chip.exec_raw(program, timeout=CHIP_TIMEOUT)
                chip.exit_raw_repl()
                self.assertEqual(error, b"")
                free.append(int(output))
            self.assertLess(max(free) - min(free), 2048, free)

    def test_exit_statuses_and_arguments(self):
        for code, status, expected in (
            ("sys.exit(7)", 7, ""), ("sys.exit()", 0, ""), ("sys.exit('no')", 1, "no\n"), ("pass", 0, ""),
            ("print(sys.argv[1:])", 0, "['a b', ',%', '']\n"), ("1 / 0", 1, "ZeroDivisionError"),
            ("print(open(sys.argv[0]).read(6), open(sys.argv[0], 'rb').seek(-1, 2) > 10)", 0, "import True\n"),
        ):
            with self.subTest(code=code):
                program = self.folder / "program.py"
                program.write_text("import sys\n" + code)
                self.assertIn(expected, self.ended(self.chip(program, "a b", ",%", ""), status))


class Clients(ChipCase):
    def broker(self, *lines):
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.assertTrue(program, "mosquitto is not installed")
        port = free_port()
        (self.folder / "psk").write_text(f"me:{KEY}\n")
        (self.folder / "conf").write_text("\n".join([
            f"user {pwd.getpwuid(os.getuid()).pw_name}", "log_type all", f"listener {port} 127.0.0.1", *lines, ""]))
        broker = self.start(program, "-c", self.folder / "conf")
        broker.wait_for(" running")
        return broker, port

    def test_mqtt_psk(self):
        for key, status in ((KEY, 0), (WRONG_KEY, 1)):
            with self.subTest(key=key):
                broker, port = self.broker("psk_hint broker", f"psk_file {self.folder}/psk", "use_identity_as_username true")
                output = self.ended(self.chip("mqtt_psk.py", HOST, port, "me", key), status)
                if status:
                    self.assertIn(f"TLS: {ERR['PSK_REFUSED']} PSK_REFUSED", output)
                    self.assertNotIn("New client", broker.text())
                else:
                    self.assertIn("hello from me", output)
                    broker.wait_for("u'me'")
                    broker.wait_for("disconnected.")

    def test_a_client_like_umqtt(self):
        with self.subTest():
            broker, port = self.broker("allow_anonymous true", f"certfile {self.cert}", f"keyfile {self.key}")
            output = self.ended(self.chip("clients.py", "mqtt", HOST, port, cert("ca.crt")))
            self.assertEqual(output, "came back: 1\ncame back: 200\ncame back: 10000\n")
            broker.wait_for("Received DISCONNECT")

    def test_a_client_like_requests(self):
        with self.subTest():
            output = self.ended(self.chip("clients.py", "get", HOST, self.pages(20000), cert("ca.crt")))
            self.assertEqual(output, "200 20000 True\n")

    def test_https_client(self):
        for root, status, expected in (("ca.crt", 0, "200 OK"), ("ca-other.crt", 1, "CERT_UNKNOWN_ISSUER")):
            with self.subTest(root=root):
                output = self.ended(self.chip("https_client.py", f"https://{HOST}:{self.pages(8000)}/page", cert(root)), status)
                self.assertIn(expected, output)
                self.assertEqual("0123456789abcdef" * 500 in output, not status)

    def test_mutual_tls_client(self):
        with self.subTest():
            port = free_port()
            server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "1", "-verify_return_error",
                                "-CAfile", cert("ca.crt"), "-cert", self.cert, "-key", self.key)
            self.await_port(port, server)
            chip = self.chip("mutual_tls_client.py", HOST, port, cert("ca.crt"), cert("client.crt"), cert("client.key"))
            server.wait_for("client one", CHIP_TIMEOUT)
            server.send(b"hello from openssl\n")
            self.assertEqual(self.ended(chip), "hello from openssl\n")

    def test_asyncio_echo_client(self):
        with self.subTest():
            output = self.ended(self.chip("asyncio_echo_client.py", HOST, self.serve(echo, self.context()), cert("ca.crt")))
            self.assertIn("10001 bytes came back", output)


class Roots(ChipCase):
    """Root stores (docs/guide/root-stores.md). The usual firmware has the common roots, another one the tests' CAs."""

    def setUp(self):
        super().setUp()
        self.with_test_roots = firmware_with(f"USSL_ROOTS={cert('roots.bin')}")

    def test_the_first_program_of_the_readme(self):
        program = re.search(r"## A first program\n\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
        for old, new in (('"example.org"', repr(HOST)), ("443", str(self.pages(100)))):
            self.assertIn(old, program)
            program = program.replace(old, new)
        path = self.folder / "first.py"
        path.write_text(program)
        for firmware, status, expected in ((self.with_test_roots, 0, "TLSv1.3 b'HTTP/1.0 200 OK\\r\\n'\n"),
                                           (FIRMWARE, 1, "CERT_UNKNOWN_ISSUER")):
            with self.subTest(status=status):
                self.assertIn(expected, self.ended(self.chip(path, firmware=firmware), status))

    def test_https_client_without_a_ca_file(self):
        for firmware, status, expected in ((self.with_test_roots, 0, "200 OK"), (FIRMWARE, 1, "CERT_UNKNOWN_ISSUER")):
            with self.subTest(status=status):
                chip = self.chip("https_client.py", f"https://{HOST}:{self.pages(8000)}/page", firmware=firmware)
                self.assertIn(expected, self.ended(chip, status))

    def test_each_source_of_a_root_store(self):
        with self.subTest():
            page = "b'HTTP/1.0 200 OK\\r\\n'\n"
            damaged = "'/flash/roots.bin': damaged root store: its SHA-256 is wrong\n"
            chip = self.chip("roots.py", HOST, self.pages(100), cert("roots.bin"), firmware=self.with_test_roots)
            self.assertEqual(self.ended(chip), (
                f"0\nCERT_REQUIRED {page}2\nload_default_certs {page}create_default_context {page}asyncio {page}"
                "verify_mode of a server requires load_verify_locations() or load_default_certs()\n"
                f"a file {page}True\nbytes {page}False\nmemoryview {page}False\nromfs {page}False\n"
                f"cafile {damaged}ca_certs {damaged}"))


class Servers(ChipCase):
    def curl(self, chip, port, *arguments):
        client = self.start("curl", "-sS", "--noproxy", "*", "--max-time", CHIP_TIMEOUT, "--cacert", cert("ca.crt"), "--resolve",
                            f"localhost:{chip.ports[port]}:127.0.0.1", *arguments, f"https://localhost:{chip.ports[port]}/")
        client.end_input()
        client.wait(CHIP_TIMEOUT)
        return client

    def test_https_server(self):
        with self.subTest():
            chip = self.chip("https_server.py", "0.0.0.0", 8443, self.cert, self.key, forward=[8443])
            chip.wait_for("listening", CHIP_TIMEOUT)
            for only, version in ((["--tls-max", "1.2"], "TLSv1.2"), (["--tlsv1.3"], "TLSv1.3")):
                page = self.curl(chip, 8443, *only).text()
                self.assertIn("It works", page)
                self.assertIn(version, page)
            self.assertEqual(self.curl(chip, 8443, "--cacert", cert("ca-other.crt")).process.returncode, 60)
            # curl closes with an alert and with unread data: the chip receives the alert, or the RST.
            chip.wait_for("rejected:", CHIP_TIMEOUT)
            self.assertIn("It works", self.curl(chip, 8443).text())

    def test_mutual_tls_server(self):
        with self.subTest():
            chip = self.chip("mutual_tls_server.py", "0.0.0.0", 8884, self.cert, self.key, cert("ca.crt"), forward=[8884])
            chip.wait_for("listening", CHIP_TIMEOUT)
            for version in ("-tls1_2", "-tls1_3"):
                client = self.start("openssl", "s_client", "-connect", f"127.0.0.1:{chip.ports[8884]}", "-quiet", version,
                                    "-cert", cert("client.crt"), "-key", cert("client.key"))
                client.wait_for("hello, client one", CHIP_TIMEOUT)
                client.stop()
            self.start("openssl", "s_client", "-connect", f"127.0.0.1:{chip.ports[8884]}").wait(CHIP_TIMEOUT)
            chip.wait_for("CERT_MISSING", CHIP_TIMEOUT)

    def test_asyncio_echo_server(self):
        with self.subTest():
            chip = self.chip("asyncio_echo_server.py", "0.0.0.0", 8888, self.cert, self.key, forward=[8888])
            chip.wait_for("listening", CHIP_TIMEOUT)
            # One that is silent keeps nobody waiting.
            with self.connect(chip, 8888):
                for version in VERSIONS:
                    connection = self.connect(chip, 8888, self.context(False, version))
                    connection.sendall(some_data(5000))
                    self.assertEqual(self.receive(connection, 5000), some_data(5000))
                    connection.close()

    def receive(self, connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            self.assertTrue(more, f"an end after {len(data)} of {size} bytes")
            data += more
        return data

    def test_an_asyncio_server_under_churn(self):
        with self.subTest():
            chip = self.chip("churn.py", 8888, self.cert, self.key, EXAMPLES, 8889, forward=[8888, 8889])
            chip.wait_for("listening", CHIP_TIMEOUT)
            chance = random.Random(17)
            context = self.context(False)

            def served():
                connection = self.connect(chip, 8888, context)
                data = some_data(chance.randrange(1, 3000))
                connection.sendall(data)
                self.assertEqual(self.receive(connection, len(data)), data)
                return connection

            def reset(connection):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

            def one(kind):
                if kind == "served":
                    served().close()
                elif kind == "served, and a reset":
                    connection = served()
                    reset(connection)
                    connection.close()
                else:
                    connection = self.connect(chip, 8888)
                    if kind == "no TLS":
                        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        with contextlib.suppress(OSError):
                            connection.recv(100)
                    elif kind == "half a hello":
                        connection.sendall(bytes.fromhex("16030100c8010000c40303"))
                    elif kind == "a reset":
                        reset(connection)
                    connection.close()

            kinds = ["served", "served, and a reset", "no TLS", "half a hello", "nothing", "a reset"]
            used = []
            for _ in range(3):
                with contextlib.ExitStack() as stack:
                    for kind in chance.sample(kinds * 2, len(kinds) * 2):
                        one(kind)
                deadline = time.monotonic() + 30
                while True:  # until the server has seen the ends of them all
                    with self.connect(chip, 8889) as connection:
                        heap = int(read_all(connection))
                    if not used or heap < used[0] + 1500 or time.monotonic() > deadline:
                        break
                    time.sleep(0.5)
                used.append(heap)
            self.assertLess(max(used) - used[0], 1500, used)
            served().close()


if __name__ == "__main__":
    main(verbosity=2)
