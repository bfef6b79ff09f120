"""The C++ library as its users have it: installed, found, linked, and with real peers.

run_tests.py ENGINE BUILD: BUILD is a build of the library alone, which is installed into a temporary folder.
"""

import getpass
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from harness import *  # noqa: E402, F403

ENGINE, BUILD = sys.argv.pop(1), sys.argv.pop(1)
EXAMPLES = ROOT / "examples" / "cpp"
OWN = ROOT / "tests" / "cpp"
WARNINGS = ("-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Wnon-virtual-dtor", "-Werror")
COMPILERS = ("g++", "clang++-19")
ASIO = pathlib.Path("/usr/include/asio.hpp").exists()
# curl's exit status
PEER_FAILED_VERIFICATION = 60


def call(*command, **options):
    """Runs to its end; its output. Shows the output if it fails."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


def build(source, name):
    """With find_package; the folder of the programs, and CMake's output."""
    folder = pathlib.Path(scratch.name) / name
    said = call("cmake", "-S", source, "-B", folder, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={PREFIX}",
                f"-DCMAKE_CXX_FLAGS={' '.join(WARNINGS[1:])}")
    call("cmake", "--build", folder)
    return folder, said


def setUpModule():
    global scratch, PREFIX, PROGRAMS, TESTS, configured
    scratch = tempfile.TemporaryDirectory(prefix="ussl-")
    unittest.addModuleCleanup(scratch.cleanup)
    PREFIX = pathlib.Path(scratch.name) / "prefix"
    call("cmake", "--install", BUILD, "--prefix", PREFIX)
    PROGRAMS, _ = build(EXAMPLES, "examples")
    TESTS, configured = build(OWN, "tests")


def pkg_config(*arguments):
    pc = next(PREFIX.rglob("ussl.pc")).parent
    return call("pkg-config", *arguments, "ussl", env={**os.environ, "PKG_CONFIG_PATH": str(pc)}).split()


class Installed(Case):
    def test_nothing_internal_is_installed(self):
        files = {str(path.relative_to(PREFIX)) for path in PREFIX.rglob("*") if path.is_file()}
        headers = {path for path in files if path.startswith("include/")}
        self.assertEqual(headers, {f"include/ussl/{path.name}" for path in (ROOT / "include" / "ussl").iterdir()})

    def test_headers_compile_with_all_warnings_and_exceptions(self):
        for compiler in filter(shutil.which, COMPILERS):
            for header in sorted((PREFIX / "include" / "ussl").glob("*.hpp")):
                with self.subTest(compiler=compiler, header=header.name):
                    call(compiler, *WARNINGS, "-fsyntax-only", f"-I{PREFIX}/include", "-include", header, "-x", "c++",
                         "/dev/null")
            with self.subTest(compiler=compiler):
                call(compiler, *WARNINGS, "-fsyntax-only", f"-I{PREFIX}/include", OWN / "headers.cpp")

    def test_a_callback_that_may_throw_does_not_compile(self):
        for compiler in filter(shutil.which, COMPILERS):
            with self.subTest(compiler=compiler), self.assertRaisesRegex(AssertionError, "exception specification"):
                call(compiler, *WARNINGS, "-DMAY_THROW", "-fsyntax-only", f"-I{PREFIX}/include", OWN / "headers.cpp")

    def test_find_package_knows_the_engine(self):
        self.assertIn(f"the engine is {ENGINE}\n", configured)
        self.assertEqual(pkg_config("--variable=engine"), [ENGINE])

    def test_linking_has_no_side_effects(self):
        if ENGINE != "openssl":
            self.skipTest("Mbed TLS has no allocator to replace")
        call(TESTS / "linking")

    def test_pkg_config(self):
        program = self.folder / "client"
        for compiler in filter(shutil.which, COMPILERS):
            with self.subTest(compiler=compiler):
                call(compiler, "-std=c++23", EXAMPLES / "client.cpp", "-o", program, *pkg_config("--cflags", "--libs"))
                self.assertEqual(subprocess.run([program], capture_output=True).returncode, 2)

    def test_the_programs_of_the_guide_compile(self):
        blocks = re.findall(r"^```cpp\n(.*?)^```", (ROOT / "docs" / "guide" / "cpp.md").read_text(), re.M | re.S)
        programs = [block for block in blocks if "int main" in block]
        self.assertEqual(len(programs), 2)
        for number, program in enumerate(programs):
            with self.subTest(number=number):
                source = self.folder / "program.cpp"
                source.write_text(program)
                call("g++", *WARNINGS, source, "-o", self.folder / "program", *pkg_config("--cflags", "--libs"))

    def test_as_a_subproject_without_tests(self):
        (self.folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(program CXX)\n"
            f"set(BUILD_TESTING ON)\nadd_subdirectory({ROOT} ussl)\n"
            f"add_executable(headers {OWN}/headers.cpp)\ntarget_link_libraries(headers PRIVATE ussl::ussl)\n")
        call("cmake", "-S", self.folder, "-B", self.folder / "build", "-G", "Ninja", f"-DUSSL_ENGINE={ENGINE}")
        call("ninja", "-C", self.folder / "build", "-n", "headers")
        self.assertNotIn("contract", call("ninja", "-C", self.folder / "build", "-t", "targets", "all"))

    def test_sockets(self):
        print(call(TESTS / "sockets"))


class Programs(Case):
    def s_server(self, *arguments):
        port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{port}", *arguments)
        self.await_port(port, server)
        return port

    def of_certificate(self, name="server"):
        return "-cert", cert(name + ".crt"), "-key", cert(name + ".key")

    def example_server(self, name="server"):
        server = self.start(PROGRAMS / "server", 0, cert(name + ".crt"), cert(name + ".key"))
        server.wait_for("\n")
        return server, int(server.output.split()[1])

    def run_to_end(self, *command, given=b""):
        program = self.start(*command)
        with contextlib.suppress(BrokenPipeError):  # it has failed, and reads no input
            program.send(given)
        program.end_input()
        return program.wait(), program

    def assert_fails(self, text, *command):
        status, program = self.run_to_end(*command)
        self.assertEqual(status, 1)
        self.assertTrue(program.errors.decode().startswith(text), program.errors)
        self.assertEqual(bytes(program.output), b"")


class Client(Programs):
    def test_a_page_of_openssl(self):
        for flag in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=flag):
                port = self.s_server("-www", flag, *self.of_certificate())
                status, program = self.run_to_end(PROGRAMS / "client", "localhost", port, cert("ca.crt"))
                self.assertEqual(status, 0, program.story())
                self.assertIn(b"HTTP/1.0 200 ok", program.output)

    def test_rejects_what_does_not_verify(self):
        for name, root, error in (
            ("server-name", "ca.crt", "CERT_HOSTNAME"),
            ("server", "ca-other.crt", "CERT_UNKNOWN_ISSUER"),
            ("server-expired", "ca.crt", "CERT_EXPIRED"),
        ):
            with self.subTest(error=error):
                port = self.s_server("-www", *self.of_certificate(name))
                self.assert_fails(error + ": ", PROGRAMS / "client", "localhost", port, cert(root))

    def test_verifies_with_the_system_store_by_default(self):
        with self.subTest():
            port = self.s_server("-www", *self.of_certificate())
            self.assert_fails("CERT_UNKNOWN_ISSUER: ", PROGRAMS / "client", "localhost", port)

    def test_a_server_that_does_not_speak_tls(self):
        with socket.create_server(("127.0.0.1", 0)) as server, self.subTest():
            threading.Thread(target=lambda: server.accept()[0].sendall(b"HTTP/1.0 400 Bad\r\n\r\n"), daemon=True).start()
            self.assert_fails("NOT_TLS: ", PROGRAMS / "client", "localhost", server.getsockname()[1], cert("ca.crt"))

    def test_nothing_listens(self):
        with self.subTest():
            self.assert_fails("Connection refused", PROGRAMS / "client", "localhost", free_port(), cert("ca.crt"))


class Server(Programs):
    def test_our_client_and_curl(self):
        with self.subTest():
            server, port = self.example_server()
            for _ in range(2):
                status, program = self.run_to_end(PROGRAMS / "client", "localhost", port, cert("ca.crt"))
                self.assertEqual(status, 0, program.story())
                self.assertTrue(program.output.endswith(b"\r\n\r\nhello from ussl\n"))
            # A client that rejects the certificate does not stop the server.
            self.assertEqual(self.curl(port, "ca-other.crt")[0], PEER_FAILED_VERIFICATION)
            server.wait_for("CERT_REFUSED")
            self.assertEqual(self.curl(port, "ca.crt"), (0, b"hello from ussl\n"))

    def curl(self, port, root):
        status, program = self.run_to_end(
            "curl", "-sS", "--noproxy", "*", "--max-time", "20", "--resolve", f"localhost:{port}:127.0.0.1",
            "--cacert", cert(root), f"https://localhost:{port}/")
        return status, bytes(program.output)


class PskClient(Programs):
    def test_with_openssl(self):
        for flag in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=flag):
                port = self.s_server(flag, "-nocert", "-psk", KEY, "-psk_identity", "me", "-rev")
                status, program = self.run_to_end(PROGRAMS / "psk_client", "localhost", port, "me", KEY,
                                                  given=b"hello\n")
                self.assertEqual(status, 0, program.story())
                self.assertEqual(bytes(program.output), b"olleh\n")

    def test_a_wrong_key_fails(self):
        with self.subTest():
            port = self.s_server("-nocert", "-psk", KEY, "-psk_identity", "me", "-rev")
            status, program = self.run_to_end(PROGRAMS / "psk_client", "localhost", port, "me", WRONG_KEY,
                                              given=b"hello\n")
            self.assertEqual(status, 1)
            self.assertRegex(program.errors.decode(), "^PSK_")


    def test_with_mosquitto(self):
        broker = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if not broker:
            self.skipTest("mosquitto is not installed")
        with self.subTest():
            port = free_port()
            (self.folder / "psk").write_text(f"me:{KEY}\n")
            (self.folder / "conf").write_text(
                f"user {getpass.getuser()}\nlog_type all\nlistener {port} 127.0.0.1\npsk_hint broker\npsk_file {self.folder}/psk\n"
                "use_identity_as_username true\n")
            self.start(broker, "-c", self.folder / "conf").wait_for(" running")
            connect = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02us"
            status, program = self.run_to_end(PROGRAMS / "psk_client", "localhost", port, "me", KEY, given=connect)
            self.assertEqual(status, 0, program.story())
            self.assertEqual(bytes(program.output), b"\x20\x02\x00\x00")  # accepted


@unittest.skipUnless(ASIO, "libasio-dev is not installed")
class Asio(Programs):
    def echo_server(self):
        server = self.start(PROGRAMS / "asio", "server", 0, cert("server.crt"), cert("server.key"))
        server.wait_for("\n")
        return server, int(server.output.split()[1])

    def test_client_with_openssl(self):
        for flag in ("-tls1_2", "-tls1_3"):
            with self.subTest(version=flag):
                port = self.s_server(flag, "-rev", *self.of_certificate())
                status, program = self.run_to_end(PROGRAMS / "asio", "client", "localhost", port, cert("ca.crt"))
                self.assertEqual(status, 0, program.story())
                self.assertEqual(bytes(program.output), b"oisA morf olleh\n")

    def test_client_rejects_what_does_not_verify(self):
        with self.subTest():
            port = self.s_server("-rev", *self.of_certificate("server-name"))
            self.assert_fails("handshake: CERT_HOSTNAME: ", PROGRAMS / "asio", "client", "localhost", port,
                              cert("ca.crt"))

    def test_both_roles(self):
        with self.subTest():
            _, port = self.echo_server()
            status, program = self.run_to_end(PROGRAMS / "asio", "client", "localhost", port, cert("ca.crt"))
            self.assertEqual(status, 0, program.story())
            self.assertEqual(bytes(program.output), b"hello from Asio\n")

    def test_server_echoes_to_several_clients_at_once(self):
        with self.subTest():
            server, port = self.echo_server()
            context = ssl.create_default_context(cafile=cert("ca.crt"))
            clients = [context.wrap_socket(socket.create_connection(("127.0.0.1", port), TIMEOUT),
                                           server_hostname="localhost") for _ in range(3)]
            data = some_data()
            got = [hashlib.sha256() for _ in clients]
            # In one thread: two threads must not use an SSLSocket of CPython 3.11 at once.
            for at in range(0, len(data), 65536):
                chunk = data[at : at + 65536]
                for client in clients:
                    client.sendall(chunk)
                for client, digest in zip(clients, got):
                    left = len(chunk)
                    while left and (echo := client.recv(left)):
                        digest.update(echo)
                        left -= len(echo)
            self.assertEqual([digest.hexdigest() for digest in got], [checksum(data)] * len(clients))
            for client in clients:
                client.unwrap().close()  # the server's close_notify arrives, too


if __name__ == "__main__":
    main()
