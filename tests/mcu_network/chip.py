"""The common code of the suites of the chip's network: starting chips, certificates, and peers on the host."""

import functools
import ssl
import sys

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "interop"))
from harness import *  # noqa: E402, F403

HOST = "10.0.2.2"  # the host, to a chip in qemu's own network
EXAMPLES = ROOT / "examples" / "network"
PROGRAMS = HERE / "programs"
# An emulated chip takes its time, on a busy machine above all.
CHIP_TIMEOUT = 120
FIRMWARE = os.environ.get("USSL_MCU_FIRMWARE") or subprocess.run(
    [ROOT / "tools" / "micropython", "mcu"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@functools.cache
def firmware_with(*variables):
    """A firmware with more variables for make."""
    return subprocess.run([ROOT / "tools" / "micropython", "mcu", *variables], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


class ChipCase(Case):
    def setUp(self):
        super().setUp()
        self.cert, self.key = cert("server-chip.crt"), cert("server-chip.key")

    def chip(self, program, *arguments, forward=(), network=None, firmware=FIRMWARE):
        """Starts a program on a chip. `forward`: its ports; the chip's attribute `ports` has the host's, by these."""
        ports = {port: free_port() for port in forward}
        options = [word for port, host in ports.items() for word in ("--forward", f"{host}:{port}")]
        environment = {**os.environ, "USSL_MCU_FIRMWARE": firmware, "USSL_MCU_TIMEOUT": str(2 * CHIP_TIMEOUT)}
        if network:
            environment["USSL_MCU_NETWORK"] = network
        path = EXAMPLES / program if (EXAMPLES / program).exists() else PROGRAMS / program
        chip = self.start(ROOT / "run", "--mcu", *options, path, *arguments, env=environment)
        chip.ports = ports
        return chip

    def ended(self, chip, status=0, seconds=CHIP_TIMEOUT):
        """The output of a program that has ended as it should."""
        self.assertEqual(chip.wait(seconds), status, chip.story())
        return chip.output.decode().replace("\r\n", "\n")

    def context(self, server=True, version=None):
        """A context of CPython's ssl, of one version."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        if server:
            context.load_cert_chain(self.cert, self.key)
        else:
            context.load_verify_locations(cert("ca.crt"))
        if version:
            context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version.replace(".", "_"))
        return context

    def serve(self, handle, context=None):
        """A server on the host: handle(connection) in a thread for each connection; its port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def one(connection):
            with contextlib.suppress(OSError), connection:
                connection.settimeout(CHIP_TIMEOUT)
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    handle(connection)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    def pages(self, size):
        """A web server with one page; its port."""
        def page(connection):
            request = b""
            while b"\r\n\r\n" not in request and (more := connection.recv(1000)):
                request += more
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"0123456789abcdef" * (size // 16))
            connection.unwrap()

        return self.serve(page, self.context())

    def connect(self, chip, port, context=None):
        """A connection from the host to a server on a chip."""
        connection = socket.create_connection(("127.0.0.1", chip.ports[port]), CHIP_TIMEOUT)
        self.addCleanup(connection.close)
        if context:
            connection = context.wrap_socket(connection, server_hostname="localhost")
            self.addCleanup(connection.close)
        return connection


def echo(connection):
    while data := connection.recv(4096):
        connection.sendall(data)


def pattern(size):
    """The same data as in the programs of the chip."""
    return bytes(i * 7 + (i >> 8) & 255 for i in range(4096)) * (size // 4096) + bytes(size % 4096)


def read_all(connection):
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def last_number(text):
    return int(re.findall(r"\d+", text)[-1])
