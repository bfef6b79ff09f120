"""Every example of docs/reference, run as the page shows it.

An example is the python block of an entry. In it, `print(...)  # TEXT` states the output; `…` means any text. The names that
an example does not define are those of tests/reference/scenes.py: `tcp`, `conn`, `sock`, `ctx`, `server`, `connect`, `key`.
A comment in the line above the block selects another peer: `**Example** <!-- psk -->`.

Substitution: host names under example.com become `localhost`.
"""

import ast
import builtins
import pathlib
import re
import shutil
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
from harness import *  # noqa: E402, F403

PAGES = ROOT / "docs" / "reference"
SCENES = pathlib.Path(__file__).with_name("scenes.py")
# The files of an example's folder, and the certificate of tests/certs that each is.
FILES = {
    "ca.pem": "ca.crt", "ca.crl": "ca.crl", "server.pem": "server.crt", "server.key": "server.key", "device.pem": "client.crt",
    "device.key": "client.key", "other.pem": "server-name.crt", "other.key": "server-name.key", "expired.pem": "server-expired.crt",
    "expired.key": "server-expired.key",
}
SCENE = {"ussl", "key", "connect", "tcp", "conn", "ctx", "server", "sock"}
EXAMPLE = re.compile(r"^\*\*Example\*\*(?: <!-- (\w[\w-]*) -->)?\n\n```python\n(.*?)^```$", re.M | re.S)
HEADING = re.compile(r"^#+ (.+)$", re.M)


class Example:
    """`words`: the peer, and the names that the example uses without defining them."""

    def __init__(self, peer, code):
        self.code = re.sub(r"\b[\w-]+\.example\.com\b", "localhost", code)
        self.words = [peer or "", *sorted(self.free_names())]
        self.output = [match[1].strip() for match in re.finditer(r"^\s*print\(.*\)  # (.*)$", self.code, re.M)]
        if len(self.output) != len(re.findall(r"\bprint\(", self.code)):
            raise AssertionError(f"an example must state the output of each print(…):\n{code}")

    def free_names(self):
        nodes = list(ast.walk(ast.parse(self.code)))
        loaded = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        stored |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
        stored |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler)}
        stored |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        stored |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        free = loaded - stored - set(dir(builtins))
        if free - SCENE:
            raise AssertionError(f"unknown names in an example: {sorted(free - SCENE)}\n{self.code}")
        return free

    def run(self):
        with tempfile.TemporaryDirectory(prefix="ussl-reference-") as folder:
            for name, source in FILES.items():
                shutil.copy(CERTS / source, pathlib.Path(folder, name))
            pathlib.Path(folder, "example.py").write_text(self.code)
            done = subprocess.run([MICROPYTHON, str(SCENES), "example.py", *self.words], cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, text=True)
        lines = done.stdout.splitlines()
        expected = [re.escape(line).replace("…", ".*") for line in self.output]
        if done.returncode or len(lines) != len(expected) or not all(map(re.fullmatch, expected, lines)):
            raise AssertionError(f"exit status {done.returncode}\n{self.code}\nexpected output:\n" + "\n".join(self.output) +
                                 f"\noutput:\n{done.stdout}")


class Reference(unittest.TestCase):
    def test_every_example_is_run(self):
        for page in PAGES.glob("*.md"):
            text = page.read_text()
            if page.name != "README.md":
                self.assertEqual(len(EXAMPLE.findall(text)), text.count("\n**Example**"), page.name)

    def test_an_example_with_another_output_fails(self):
        with self.assertRaises(AssertionError):
            Example("", "print(1 + 1)  # 3\n").run()

    def test_an_example_that_raises_fails(self):
        with self.assertRaises(AssertionError):
            Example("", "1 / 0\n").run()

    def test_an_example_with_an_unknown_name_fails(self):
        with self.assertRaises(AssertionError):
            Example("", "tpc.read()\n")


def add_test(entry, peer, code):
    setattr(Reference, "test_" + re.sub(r"\W+", "_", entry).strip("_"), lambda self: Example(peer, code).run())


for page in sorted(PAGES.glob("*.md")):
    text = page.read_text()
    for match in EXAMPLE.finditer(text):
        add_test(f"{page.stem} {HEADING.findall(text[: match.start()])[-1]}", match[1], match[2])

if __name__ == "__main__":
    main()
