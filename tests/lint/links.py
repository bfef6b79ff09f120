#!/usr/bin/env python3
"""Every link from one page of the repository to another leads to a file, and to a heading of it."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"^```.*?^```|^(?: {4,}|\t)[^\n]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(page):
    """The names that a page's headings get: as GitHub makes them."""
    names = set()
    for heading in re.findall(r"^#+ +(.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name if not number else f"{name}-{number}") in names:
            number += 1
        names.add(name if not number else f"{name}-{number}")
    return names


def main():
    pages = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    broken = []
    count = 0
    for page in (ROOT / name for name in pages if (ROOT / name).exists()):
        for target in LINK.findall(CODE.sub("", page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            to = (page.parent / path).resolve() if path else page
            if not to.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}: no such file")
            elif anchor and (to.suffix != ".md" or anchor not in anchors(to)):
                broken.append(f"{page.relative_to(ROOT)}: {target}: no such heading")
    for line in broken:
        print(line)
    if count == 0:
        sys.exit("no links found")
    print(f"{count} links")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
