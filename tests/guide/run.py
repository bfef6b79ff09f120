"""Every program and command of docs/guide, run as the pages show them, in a temporary folder and against real peers.

A fenced block is one of these, by the first word after the fence:

    python   a program; its first line is `# NAME.py`, the file that it is written to
    conf     a configuration file; its first line is `# NAME`
    sh       commands for bash, run at once. More words: `server` (runs in the background until the page or the next
             `restart`; the runner waits until it listens), `restart` (ends all servers of the page before), `fails`
             (exit status not 0), `chip` (with USSL_GUIDE_CHIP=1, `micropython` is the emulated chip here, and its
             programs connect to the host), `board` (with simulated modules of a board, of the folder simulated), `umqtt`
             (with umqtt.simple of micropython-lib, in MICROPYTHON_LIB_DIR or MICROPY_DIR; if absent, a simulated one),
             `tshark` (needs it, and the right to record), `faketime`. A block that needs a missing program is skipped,
             and its output with it
    text     the output of the sh block before it; `…` means any text within a line, `~100` a number
             that differs by 20 % or less. All lines of the output must be there.
             For a server, the lines must appear in this order among others. A second word, `openssl` or `mbedtls`:
             compared with this engine only

Substitutions: host names under example.com become `localhost`, the address 192.168.1.20 becomes 127.0.0.1, and each port
of PORTS a free port, the same one on the whole page. `tools` and `examples` are those of the repository; `micropython`
is the interpreter under test. A page without a run program, or a program that no command runs, is an error.
"""

import pathlib
import shutil
import signal
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from harness import *  # noqa: E402, F403

SIMULATED = pathlib.Path(__file__).with_name("simulated")
GUIDE = ROOT / "docs" / "guide"
OTHER = ("README.md", "cpp.md", "root-stores.md")  # the index; tests/cpp runs cpp.md; a page about a tool
PORTS = ("443", "4433", "4434", "8080", "8443", "8444", "8883", "8884", "8888")
COMMAND_TIMEOUT = 120  # seconds
CHIP = bool(os.environ.get("USSL_GUIDE_CHIP"))
# Built here, not by the pages' commands: they have another HOME, and with it an empty cache of sources.
FIRMWARE = CHIP and subprocess.run([ROOT / "tools" / "micropython", "mcu"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
HOST_OF_CHIP = "10.0.2.2"  # this machine, in the network of the emulator
FENCE = re.compile(r"^```(\w+)((?: [\w-]+)*)\n(.*?)^```$", re.M | re.S)
LIBRARIES = [pathlib.Path(p) for p in (os.environ.get("MICROPYTHON_LIB_DIR"),
                                       os.environ.get("MICROPY_DIR") and os.environ["MICROPY_DIR"] + "/lib/micropython-lib") if p]


def engine():
    return "mbedtls" if ENGINE.startswith("Mbed") else "openssl"


def umqtt():
    """The folder of umqtt.simple. MicroPython's own source tree does not always contain it; otherwise it is simulated."""
    for library in LIBRARIES:
        folder = library / "micropython" / "umqtt.simple"
        if (folder / "umqtt" / "simple.py").exists():
            return folder
    return SIMULATED


@functools.cache
def can_record():
    """Whether tshark is installed and this user may record the traffic of this machine."""
    return bool(shutil.which("tshark")) and not subprocess.run(
        ["tshark", "-q", "-i", "lo", "-a", "duration:1", "-w", os.devnull], capture_output=True, timeout=COMMAND_TIMEOUT).returncode


def fits(expected, line):
    """Whether a line of output is the expected one; `…` is any text, `~100` a number that differs by 20 % or less."""
    parts = re.split(r"(…|~\d+)", expected.rstrip())
    pattern = "".join(".*" if part == "…" else r"(\d+)" if re.fullmatch(r"~\d+", part) else re.escape(part) for part in parts)
    found = re.fullmatch(pattern + r"\s*", line)
    about = [int(part[1:]) for part in parts if re.fullmatch(r"~\d+", part)]
    return bool(found) and all(abs(int(number) - wanted) <= 0.2 * wanted for number, wanted in zip(found.groups(), about))


def matches_exactly(expected, output):
    """None, or a description of the first difference."""
    wanted, lines = expected.rstrip("\n").split("\n"), output.rstrip("\n").split("\n")
    for number, line in enumerate(wanted):
        if number >= len(lines) or not fits(line, lines[number]):
            return f"line {number + 1} of the output should be {line!r}"
    return None if len(lines) == len(wanted) else f"unexpected output: {lines[len(wanted)]!r}"


def contains_in_order(expected, output):
    """None, or the first line that is missing."""
    rest = iter(output.split("\n"))
    for line in expected.rstrip("\n").split("\n"):
        if not any(fits(line, candidate) for candidate in rest):
            return f"missing in the output of a server: {line!r}"
    return None


class Page:
    """One page's blocks, run in order in a folder."""

    def __init__(self, text, folder):
        self.blocks = [(kind, words.split(), body) for kind, words, body in FENCE.findall(text)]
        if text.count("```") != 2 * len(self.blocks):
            raise AssertionError("a fenced block without a kind, or an indented fence")
        self.folder = folder
        self.ports = {}
        self.servers = []
        self.programs = {}
        self.skipped = []
        (folder / "bin").mkdir()
        (folder / "bin" / "micropython").symlink_to(MICROPYTHON)
        for name in ("tools", "examples"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "chip").mkdir()
        (folder / "chip" / "micropython").write_text(f'#!/bin/sh\nexec {ROOT}/tools/mcu "$@"\n')
        (folder / "chip" / "micropython").chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1"} | ({"USSL_MCU_FIRMWARE": FIRMWARE} if CHIP else {})

    def substituted(self, text):
        def port(match):
            if match[0] not in self.ports:
                self.ports[match[0]] = str(free_port())
            return self.ports[match[0]]

        text = re.sub(r"\b[\w-]+\.example\.com\b", "localhost", text).replace("192.168.1.20", "127.0.0.1")
        return re.sub(rf"(?<![\w.-])(?:{'|'.join(PORTS)})(?![\w.-])", port, text)

    def save(self, body):
        name = re.match(r"# ([\w.-]+)\n", body)
        if not name:
            raise AssertionError(f"a file without a name in its first line: {body[:60]!r}")
        text = self.substituted(body)
        if "\nlistener " in text and os.getuid() == 0:
            text += "user root\n"  # started by root, mosquitto would become a user who cannot read this folder
        (self.folder / name[1]).write_text(text)
        return name[1]

    @contextlib.contextmanager
    def on_the_chip(self, environment):
        """The environment of a command whose `micropython` is the chip; the programs in the folder are changed meanwhile."""
        originals = {path: path.read_text() for path in self.folder.glob("*.py")}
        for path, text in originals.items():
            text = re.sub(r"getaddrinfo\([^,]+,", f'getaddrinfo("{HOST_OF_CHIP}",', text)
            path.write_text(text.replace('"127.0.0.1"', f'"{HOST_OF_CHIP}"'))
        try:
            yield environment | {"PATH": f"{self.folder}/chip:{environment['PATH']}"}
        finally:
            for path, text in originals.items():
                path.write_text(text)

    def start_server(self, command, environment):
        before = listened_ports()
        server = Process("bash", "-euc", command, cwd=self.folder, env=environment, start_new_session=True)
        self.servers.append([server, None])
        wanted = {int(port) for port in self.ports.values()}
        end = time.monotonic() + TIMEOUT
        while not (listened_ports() - before) & wanted:
            if server.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the server does not listen: {server.story()}")
            time.sleep(0.02)

    def stop_servers(self):
        for server, _ in self.servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGTERM)
            server.stop()
        self.servers.clear()

    def check_servers(self):
        for server, expected in self.servers:
            if expected is None:
                continue
            end = time.monotonic() + 5
            while (difference := contains_in_order(expected, server.text())) and time.monotonic() < end:
                time.sleep(0.05)
            if difference:
                raise AssertionError(f"{difference}\n{server.story()}")

    def missing(self, words):
        needed = [word for word in words if word not in ("server", "restart", "fails", "board", "chip", "umqtt")]
        for word in needed:
            found = {"tshark": can_record}.get(word, lambda: shutil.which(word))()
            if not found:
                return word
        return None

    def run(self):
        ran, output = 0, None
        commands = ""
        for kind, words, body in self.blocks:
            if kind in ("python", "conf"):
                name = self.save(body)
                if kind == "python":
                    self.programs[name] = body
            elif kind == "sh":
                commands += body
                if "restart" in words:
                    self.check_servers()
                    self.stop_servers()
                missing = self.missing(words)
                if missing:
                    self.skipped.append(f"the commands of a guide that need {missing}")
                    output = None
                    continue
                environment = self.environment
                if "umqtt" in words:
                    environment = environment | {"MICROPYPATH": f":.frozen:{umqtt()}"}
                if "board" in words:
                    environment = environment | {"MICROPYPATH": f":.frozen:{SIMULATED}"}
                command = self.substituted(body)
                if "server" in words:
                    self.start_server(command, environment)
                    output = "server"
                else:
                    with self.on_the_chip(environment) if CHIP and "chip" in words else contextlib.nullcontext(environment) as where:
                        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=self.folder, env=where, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_TIMEOUT)
                    output = done.stdout.decode(errors="replace").replace("\r\n", "\n")
                    if (done.returncode != 0) != ("fails" in words):
                        raise AssertionError(f"exit status {done.returncode} of:\n{command}\n{output}")
                ran += 1
            elif kind == "text":
                if words and words != [engine()] or output is None:
                    continue
                expected = self.substituted(body)
                if output == "server":
                    self.servers[-1][1] = expected
                elif difference := matches_exactly(expected, output):
                    raise AssertionError(f"{difference}\nthe page has:\n{expected}\nthe output is:\n{output}")
            else:
                raise AssertionError(f"a block of an unknown kind: {kind}")
        self.check_servers()
        for name in self.programs:
            module = name.removesuffix(".py")
            if name not in commands and not any(re.search(rf"\bimport {module}\b", other) for other in self.programs.values()):
                raise AssertionError(f"no command of the page runs {name}")
        if not self.programs or not ran:
            raise AssertionError("no program of this page was run")


def run_page(test, text):
    with tempfile.TemporaryDirectory(prefix="ussl-guide-") as folder:
        page = Page(text, pathlib.Path(folder))
        try:
            page.run()
        except AssertionError as e:
            for server, _ in page.servers:
                e.add_note(server.story())
            raise
        finally:
            page.stop_servers()
    for reason in page.skipped:
        print("\nskipped:", reason, flush=True)


class Guide(unittest.TestCase):
    def test_every_page_is_in_the_index(self):
        linked = re.findall(r"\]\(([\w-]+\.md)\)", (GUIDE / "README.md").read_text())
        self.assertEqual(sorted(linked), sorted(page.name for page in GUIDE.glob("*.md") if page.name != "README.md"))

    def test_every_error_has_a_cause_and_a_cure(self):
        text = (GUIDE / "when-it-fails.md").read_text()
        self.assertEqual([name for name in ERR if not re.search(rf"\b{name}\b", text)], [])


class Runner(unittest.TestCase):
    """The runner reports a page with a fault."""

    def expect(self, text, message):
        with self.assertRaisesRegex(AssertionError, message):
            run_page(self, text)

    def test_right(self):
        run_page(self, '```python\n# a.py\nprint(1 + 1)\n```\n```sh\nmicropython a.py\n```\n```text\n2\n```\n')

    def test_wrong_output(self):
        self.expect('```python\n# a.py\nprint(1)\n```\n```sh\nmicropython a.py\n```\n```text\n2\n```\n', "should be '2'")

    def test_numbers(self):
        page = '```python\n# a.py\nprint(100, "bytes")\n```\n```sh\nmicropython a.py\n```\n```text\n%s\n```\n'
        run_page(self, page % "~110 b…s")
        self.expect(page % "~150 bytes", "should be '~150 bytes'")

    def test_program_that_fails(self):
        self.expect('```python\n# a.py\n1 / 0\n```\n```sh\nmicropython a.py\n```\n', "exit status 1")

    def test_program_that_should_fail(self):
        self.expect('```python\n# a.py\n1\n```\n```sh fails\nmicropython a.py\n```\n', "exit status 0")

    def test_program_that_is_not_run(self):
        self.expect('```python\n# a.py\n1\n```\n```sh\ntrue\n```\n', "no command of the page runs a.py")

    def test_page_without_a_program(self):
        self.expect("# A page\n", "no program")

    def test_server_that_does_not_print(self):
        program = "import socket\ns = socket.socket()\ns.bind(socket.getaddrinfo('127.0.0.1', 8443)[0][-1])\ns.listen(1)\nprint('a')\ns.accept()\n"
        page = f"```python\n# a.py\n{program}```\n```sh server\nmicropython a.py\n```\n```text\n%s\n```\n"
        run_page(self, page % "a")
        self.expect(page % "b", "missing in the output of a server: 'b'")


def add_test(path):
    def test(self):
        run_page(self, path.read_text())
    setattr(Guide, "test_" + path.stem.replace("-", "_"), test)


for path in sorted(GUIDE.glob("*.md")):
    if path.name not in OTHER and (not CHIP or "```sh chip" in path.read_text()):
        add_test(path)

if __name__ == "__main__":
    main(verbosity=2)
