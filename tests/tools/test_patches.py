"""tools/deps patches a copy of Mbed TLS, or names the patch that does not apply."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from suite import main  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATCHES = sorted(ROOT.glob("patches/mbedtls-*.patch"))
LONGEST = 40  # lines


def deps(root, *arguments, **environment):
    done = subprocess.run([root / "tools/deps", *arguments], env=os.environ | environment, capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), done.stderr


class Header(unittest.TestCase):
    def test_every_patch_says_why_and_is_short(self):
        self.assertTrue(PATCHES)
        for patch in PATCHES:
            with self.subTest(patch=patch.name):
                header, _, diff = patch.read_text().partition("\n--- ")
                self.assertRegex(header, r"^[A-Z].*\n\n\w(.|\n)*\.\n$")
                changed = re.findall(r"^[-+](?!--|\+\+)", diff, re.M)
                self.assertTrue(0 < len(changed) <= LONGEST, len(changed))


class Copy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ussl-patches-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        original = pathlib.Path(deps(ROOT, "source", "mbedtls-unpatched")[1])
        self.tree = self.folder / "tree"
        for part in ("include", "library"):
            shutil.copytree(original / part, self.tree / part)
        # A tree of ussl's, of which the patches can be changed.
        self.root = self.folder / "ussl"
        for part in ("tools", "patches"):
            shutil.copytree(ROOT / part, self.root / part)

    def patched(self, tree=None):
        return deps(self.root, "source", "mbedtls", MBEDTLS_DIR=str(tree or self.tree), USSL_CACHE=str(self.folder / "cache"))

    def path(self, tree=None):
        status, path, errors = self.patched(tree)
        self.assertEqual((status, errors), (0, ""))
        return pathlib.Path(path)

    def append(self, file, text):
        with open(file, "a") as f:
            f.write(text)

    def test_your_own_tree_is_only_read(self):
        def contents(tree):
            return {file.relative_to(tree): file.read_bytes() for file in tree.rglob("*") if file.is_file()}

        before = contents(self.tree)
        path = self.path()
        self.assertEqual(contents(self.tree), before)
        self.assertIn("USSL_PATCHED_MBEDTLS", (path / "include/mbedtls/build_info.h").read_text())
        self.assertNotIn("USSL_PATCHED_MBEDTLS", (self.tree / "include/mbedtls/build_info.h").read_text())
        self.assertEqual(self.path(), path)

    def test_a_change_of_a_patch_or_of_the_tree_is_another_copy(self):
        first = self.path()
        self.append(self.tree / "library/version.c", "/* mine */\n")
        second = self.path()
        (self.root / "patches/mbedtls-key-wipe.patch").unlink()
        third = self.path()
        self.assertEqual(len({first, second, third}), 3)
        self.assertIn("/* mine */", (second / "library/version.c").read_text())
        self.assertNotEqual((second / "library/pk_wrap.c").read_bytes(), (third / "library/pk_wrap.c").read_bytes())

    def test_a_patch_that_does_not_apply_is_named(self):
        file = self.tree / "library/pk_wrap.c"
        file.write_text(file.read_text().replace("cleanup:\n    mbedtls_free(buf);", "cleanup:\n    free(buf);"))
        status, path, errors = self.patched()
        self.assertEqual((status, path), (1, ""))
        self.assertIn("patches/mbedtls-key-wipe.patch does not apply to " + str(self.tree), errors)
        self.assertEqual(list((self.folder / "cache").glob("*")), [])

    def test_a_copy_is_not_patched_again(self):
        path = self.path()
        self.assertEqual(self.path(path), path)
        self.append(self.root / "patches/mbedtls-key-wipe.patch", "\n")
        status, _, errors = self.patched(path)
        self.assertEqual(status, 1)
        self.assertIn("is a copy of Mbed TLS with other patches", errors)


if __name__ == "__main__":
    main()
