#!/usr/bin/env python3
"""tools/site: the site of the manual has all pages, no dead link, and a search; faulty pages get a clear message."""

import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def site(*arguments, root=ROOT):
    return subprocess.run([root / "tools" / "site", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)


class Page(html.parser.HTMLParser):
    """The links of a page, its anchors and its text outside of the menu."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.text = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src", "action"):
                self.links.append((tag, value))
            elif name == "id":
                self.anchors.add(value)

    def handle_data(self, data):
        self.text.append(data)


class Site(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ussl-test-site-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.to = pathlib.Path(cls.folder.name) / "site"
        built = site("--to", cls.to)
        if built.returncode:
            raise AssertionError(built.stdout)
        cls.pages = {path: Page(path.read_text()) for path in cls.to.rglob("*.html")}

    def test_every_page_is_built(self):
        sources = [ROOT / name for name in TOP] + sorted((ROOT / "docs").rglob("*.md"))
        self.assertGreater(len(sources), 20)
        for source in sources:
            name = source.relative_to(ROOT).with_suffix(".html")
            self.assertIn(self.to / (name.with_name("index.html") if source.name == "README.md" else name), self.pages)

    def test_links_and_anchors_exist(self):
        count, dead = 0, []
        for path, page in self.pages.items():
            for tag, link in page.links:
                url = urllib.parse.urlsplit(link)
                if url.scheme in ("http", "https", "data", "mailto"):
                    self.assertFalse(url.scheme.startswith("http") and tag != "a", f"{path}: {link} is loaded from elsewhere")
                    continue
                self.assertFalse(url.path.startswith("/") and path.name != "404.html", f"{path}: {link} is not relative")
                count += 1
                base = self.to if path.name == "404.html" else path.parent
                to = (base / urllib.parse.unquote(url.path).lstrip("/")).resolve() if url.path else path
                to = to / "index.html" if to.is_dir() else to
                if not to.exists() or url.fragment and urllib.parse.unquote(url.fragment) not in self.pages[to].anchors:
                    dead.append(f"{path.relative_to(self.to)}: {link}")
        self.assertGreater(count, 1000)
        self.assertEqual(dead, [])

    def test_markdown_is_converted(self):
        for path, page in self.pages.items():
            if re.search(r"\.(py|cpp|txt)\.html$", path.name):
                continue  # the content of a file
            text = re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", path.read_text(), flags=re.S)
            for mark in ("```", "](", "\n| ", "\n- ", "\n## "):
                self.assertNotIn(mark, text, path)

    def test_search_knows_the_names(self):
        index = json.loads((self.to / "search" / "search_index.json").read_text())
        found = {entry["location"].partition("#")[0] for entry in index["docs"] if "wrap_socket" in entry["text"]}
        self.assertTrue(any(name.startswith("docs/reference") for name in found), found)
        self.assertTrue(any(name.startswith("docs/guide") for name in found), found)
        search = self.pages[self.to / "search.html"]
        self.assertLessEqual({"mkdocs-search-query", "mkdocs-search-results"}, search.anchors)
        self.assertIn(("script", "./search/main.js"), search.links)
        self.assertTrue((self.to / "search" / "main.js").exists())

    def test_an_earlier_site_is_replaced(self):
        old = self.to / "docs" / "removed.html"
        old.write_text("")
        self.assertEqual(site("--to", self.to).returncode, 0)
        self.assertFalse(old.exists())


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ussl-test-site-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "tree"
        for name in ("docs", "examples", "roots", "tests/micropython"):
            shutil.copytree(ROOT / name, self.root / name)
        (self.root / "tools").mkdir()
        shutil.copytree(ROOT / "tools" / "site-theme", self.root / "tools" / "site-theme")
        for name in (*TOP, "tools/site", "tools/deps"):
            shutil.copy(ROOT / name, self.root / name)

    def expect(self, message):
        built = site("--to", self.folder / "site", root=self.root)
        self.assertEqual(built.returncode, 1, built.stdout)
        self.assertIn(message, built.stdout)
        self.assertNotIn("Traceback", built.stdout)
        self.assertFalse((self.folder / "site").exists())

    def append(self, name, text):
        with (self.root / name).open("a") as file:
            file.write(text)

    def test_no_fault(self):
        self.assertEqual(site("--to", self.folder / "site", root=self.root).returncode, 0)

    def test_link_to_a_missing_file(self):
        self.append("docs/guide/asyncio.md", "\n[here](nowhere.md)\n")
        self.expect("docs/guide/asyncio.md: there is no file nowhere.md")

    def test_link_out_of_the_repository(self):
        (self.folder / "outside.md").write_text("# Outside\n")
        self.append("README.md", "\n[out](../outside.md)\n")
        self.expect("README.md: there is no file ../outside.md")

    def test_page_without_an_entry_in_the_index(self):
        (self.root / "docs" / "explanation" / "new.md").write_text("# New\n")
        self.expect("docs/explanation/new.md is not in the manual's index")

    def test_missing_page(self):
        (self.root / "SECURITY.md").unlink()
        self.expect("there is no SECURITY.md")

    def test_folder_with_other_files(self):
        (self.folder / "notes.txt").write_text("")
        built = site("--to", self.folder, root=self.root)
        self.assertEqual(built.returncode, 1)
        self.assertIn("name a new or empty folder", built.stdout)
        self.assertTrue((self.folder / "notes.txt").exists())

    def test_unknown_argument(self):
        built = site("somewhere", root=self.root)
        self.assertEqual(built.returncode, 2)
        self.assertIn("unrecognized arguments: somewhere", built.stdout)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
