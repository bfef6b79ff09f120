"""tools/make_roots converts bundles to root stores, and names the certificates that it cannot convert."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests/certs")]
import x509  # noqa: E402
from suite import main  # noqa: E402

TOOL = ROOT / "tools/make_roots"
MOZILLA = pathlib.Path("/usr/share/ca-certificates/mozilla")  # Debian's package ca-certificates
COMMON = ROOT / "roots/common.txt"
USUAL = [x509.basic_constraints(), x509.key_usage(x509.CERT_SIGN, x509.CRL_SIGN)]


def load():
    loader = importlib.machinery.SourceFileLoader("make_roots", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_roots", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


tool = load()


def authority(common, key="a", **more):
    more.setdefault("extensions", USUAL)
    return x509.certificate(x509.name(common), x509.ec_key(label=key), **more)


class Tool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, *certificates, text=None):
        path = self.folder / name
        path.write_bytes(text.encode() if text is not None else b"".join(c.der for c in certificates))
        return path

    def run_tool(self, *arguments):
        done = subprocess.run([TOOL, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def refused(self, *certificates):
        status, _, error = self.run_tool("-o", self.folder / "roots.bin", self.file("bundle", *certificates))
        self.assertEqual(status, 2)
        self.assertFalse((self.folder / "roots.bin").exists())
        return error


class Conversion(Tool):
    def test_a_store_has_what_the_certificates_have(self):
        plain = authority("Plain", serial=0x1234)
        rich = authority("Rich", extensions=[x509.basic_constraints(path=2), x509.key_usage(x509.CERT_SIGN),
                                             x509.subject_key(b"\x07" * 20),
                                             x509.alternatives(x509.dns("ca.test")),
                                             x509.extension("1.2.3.4", b"\x05\0", critical=True),
                                             x509.constraints(permitted=[x509.dns("test")])])
        bundle = self.file("bundle", plain, rich)
        self.assertEqual(self.run_tool("-o", self.folder / "roots.bin", bundle)[0], 0)
        roots = {root.name(): root for root in tool.read_store((self.folder / "roots.bin").read_bytes())}
        self.assertEqual(sorted(roots), ["Plain", "Rich"])
        self.assertEqual(roots["Plain"].subject, plain.name)
        self.assertEqual(roots["Plain"].key, plain.key.public)
        self.assertEqual(roots["Plain"].serial, bytes.fromhex("1234"))
        self.assertEqual(roots["Plain"].key_id, b"")
        self.assertEqual(roots["Plain"].extensions, b"".join(USUAL))
        self.assertEqual([tool.date(at) for at in (roots["Plain"].not_before, roots["Plain"].not_after)],
                         ["2020-01-01", "2099-12-31"])
        self.assertEqual(roots["Rich"].key_id, b"\x07" * 20)
        self.assertEqual(roots["Rich"].extensions, b"".join([
            x509.basic_constraints(path=2), x509.key_usage(x509.CERT_SIGN),
            x509.extension("1.2.3.4", b"\x05\0", critical=True), x509.constraints(permitted=[x509.dns("test")])]))

    def test_the_order_and_form_of_a_bundle_do_not_matter(self):
        one, two = authority("One"), authority("Two")
        self.run_tool("-o", self.folder / "a", self.file("der", one, two, one))
        self.run_tool("-o", self.folder / "b", self.file("pem", text=f"# Two\n{two.pem().decode()}\n{one.pem().decode()}"))
        self.assertEqual((self.folder / "a").read_bytes(), (self.folder / "b").read_bytes())

    def test_certificates_that_do_not_fit_are_refused_with_their_place(self):
        ca = authority("CA")
        for what, certificate, reason in (
                ("leaf", authority("Leaf", extensions=[]), "not a CA certificate"),
                ("cross", authority("Cross", key="b", by=ca), "another CA has issued it"),
                ("version 1", authority("Old", version=0, extensions=[]), "not a certificate of version 3"),
                ("date", authority("Date", dates=(x509.utc("2001010000Z"), x509.utc("300101000000Z"))), "malformed date"),
                ("twice", authority("Twice", extensions=USUAL + USUAL[:1]), "there twice")):
            with self.subTest(what):
                error = self.refused(ca, certificate)
                self.assertIn("certificate 2 (SHA-256", error)
                self.assertIn(reason, error)

    def test_bundles_without_certificates_are_refused(self):
        status, _, error = self.run_tool("-o", self.folder / "roots.bin", self.file("bundle"))
        self.assertEqual((status, "no certificate" in error), (2, True))

    def test_damaged_stores_are_not_read(self):
        store = tool.make_store([tool.read_certificate(authority("CA").der)])
        for at in range(len(store)):
            damaged = bytearray(store)
            damaged[at] ^= 1
            with self.assertRaises(ValueError):
                tool.read_store(bytes(damaged))
            with self.assertRaises(ValueError):
                tool.read_store(store[:at])


class Lists(Tool):
    def digest(self, certificate):
        return tool.read_certificate(certificate.der).sha256

    def test_a_list_chooses_roots(self):
        one, two = authority("One"), authority("Two")
        bundle = self.file("bundle", one, two)
        chosen = self.file("list", text=f"# roots\n{self.digest(two)} Two\n")
        self.run_tool("--common", chosen, "-o", self.folder / "roots.bin", bundle)
        self.assertEqual([root.name() for root in tool.read_store((self.folder / "roots.bin").read_bytes())], ["Two"])

    def test_a_root_of_the_list_that_the_bundle_lacks_is_named(self):
        chosen = self.file("list", text="0" * 64 + " Gone\n")
        status, _, error = self.run_tool("--common", chosen, "-o", self.folder / "roots.bin",
                                         self.file("bundle", authority("One")))
        self.assertEqual(status, 2)
        self.assertIn("Gone", error)

    def test_distrust_dates_come_from_a_list(self):
        ca = authority("CA")
        dates = self.file("list", text=f"{self.digest(ca)} 2024-11-30 CA\n")
        self.run_tool("--distrust", dates, "-o", self.folder / "roots.bin", self.file("bundle", ca))
        self.assertIn("distrusted after 2024-11-30: CA", self.run_tool("--list", self.folder / "roots.bin")[1])

    def test_check_says_what_a_newer_bundle_changes(self):
        stays, goes, ends = authority("Stays"), authority("Goes"), authority("Ends")
        earlier = authority("Ends", dates=(x509.utc("200101000000Z"), x509.utc("300101000000Z")))
        store = self.folder / "roots.bin"
        old = self.file("old", stays, goes, ends)
        self.run_tool("-o", store, old)
        self.assertEqual(self.run_tool("--check", store, old)[:2], (0, "no changes\n"))
        status, changes, _ = self.run_tool("--check", store, self.file("new", stays, earlier, authority("New")))
        self.assertEqual(status, 1)
        self.assertEqual([line.partition(" (")[0] for line in changes.splitlines()],
                         ["changed: Ends: not_after 2099-12-31 is 2030-01-01", "changed: Ends: serial number or extensions",
                          "new: New", "removed: Goes"])


class Committed(unittest.TestCase):
    def test_the_common_store_is_as_its_list_says(self):
        store = (ROOT / "roots/common.bin").read_bytes()
        self.assertLessEqual(len(store), 20_000)
        wanted = tool.read_list(str(COMMON))
        self.assertLessEqual(len(wanted), 40)
        self.assertEqual(len(tool.read_store(store)), len(wanted))


@unittest.skipUnless(MOZILLA.is_dir(), "Debian's ca-certificates is not installed")
class Debian(unittest.TestCase):
    def setUp(self):
        self.roots = tool.read_bundles([str(path) for path in sorted(MOZILLA.glob("*.crt"))])

    def test_all_roots_take_at_most_80_kb(self):
        self.assertGreater(len(self.roots), 100)
        self.assertLessEqual(len(tool.make_store(self.roots)), 80_000)

    def test_the_common_store_can_be_made_again(self):
        """From any version of the package that has its roots."""
        wanted = tool.read_list(str(COMMON))
        chosen = [root for root in self.roots if root.sha256 in wanted]
        if len(chosen) < len(wanted):
            self.skipTest("this ca-certificates lacks a root of roots/common.txt")
        self.assertEqual(tool.make_store(chosen), (ROOT / "roots/common.bin").read_bytes())


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main()
