"""tools/check_reference finds an entry with a fault, and a name without an entry."""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = "docs/reference"
STUBS = "bindings/micropython/ussl.pyi"


def load():
    loader = importlib.machinery.SourceFileLoader("check_reference", str(ROOT / "tools" / "check_reference"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_reference", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


class CheckReference(unittest.TestCase):
    def messages(self, path="", before="", after=""):
        """The result if the file had `after` in place of `before`."""
        module = load()
        original = module.read

        def read(name):
            text = original(name)
            if name != path:
                return text
            self.assertIn(before, text)
            return text.replace(before, after, 1)

        module.read = read
        sys.argv = ["check_reference"]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                module.main()
        except SystemExit as e:
            return str(e.code)
        return ""

    def test_the_pages_as_they_are(self):
        self.assertEqual(self.messages(), "")

    def test_faults(self):
        for path, before, after, message in (
            (f"{PAGES}/sslsocket.md", "## `SSLSocket.read`", "## Reading", "SSLSocket.read has no entry"),
            (f"{PAGES}/sslsocket.md", "## `SSLSocket.read`", "## `SSLSocket.raed`", "there is no SSLSocket.raed"),
            (f"{PAGES}/sslsocket.md", "## `SSLSocket.readinto`", "## `SSLSocket.read`", "SSLSocket.read has two entries"),
            (f"{PAGES}/sslsocket.md", "\n**Returns** ", "\n", "the parts should be"),
            (f"{PAGES}/sslsocket.md", "**Returns** None.", "**Returns**", "the part Returns is empty"),
            (f"{PAGES}/sslsocket.md", "    read(n=-1, /)\n", "", "the signature is missing"),
            (f"{PAGES}/functions.md", "server_side=False", "server_side=True", "the signatures should be"),
            (f"{PAGES}/functions.md", "- `server_side` (", "- `side` (", "the described parameters are"),
            (f"{PAGES}/functions.md", "- `server_side` (bool, default False): ", "- `server_side`: ", "the described parameters are"),
            (f"{PAGES}/constants.md", "CERT_REQUIRED = 2", "CERT_REQUIRED = 3", "the signature should be CERT_REQUIRED = 2"),
            (f"{PAGES}/constants.md", "    ENGINE: str", "    ENGINE", "the signature should be ENGINE: TYPE"),
            (f"{PAGES}/sslcontext-attributes.md", "    pins: ", "    pin: ", "the signature should be pins: TYPE"),
            (f"{PAGES}/README.md", "| [`wrap_socket`]", "| [`wrap`]", "the index is out of date"),
            (STUBS, "Reads a line, including", "Reads one line, including", "is not that of the stubs"),
            (STUBS, '    """Reads a line, including its newline."""', "    ...", "the stubs have no docstring"),
            (STUBS, "    pins: ", "    pin: ", "ussl.pyi, SSLContext: pins is missing"),
            ("bindings/micropython/modussl.c", "MP_QSTR_unwrap)", "MP_QSTR_wrap)", "ussl.pyi, SSLSocket: there is no unwrap"),
        ):
            with self.subTest(before=before, after=after):
                self.assertIn(message, self.messages(path, before, after))


if __name__ == "__main__":
    unittest.main()
