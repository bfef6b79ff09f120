#!/usr/bin/env python3
"""Looks for sentences that are hard to read in the documentation, comments, docstrings and error texts of the project.

    writing.py [--count] [FILE...]

Without files: every page, comment, docstring and error text of the repository. Prints `file:line: rule: sentence` and fails if there is
one that EXCEPTIONS does not list. --count prints the number of sentences and findings of
each kind instead, of all files.
"""
import argparse
import ast
import inspect
import io
import pathlib
import re
import subprocess
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Parts of sentences that are right as they are.
EXCEPTIONS = ROOT / "tests" / "lint" / "writing_exceptions.txt"

MAX_WORDS = 30
MAX_CELL = 200

# A relative clause in place of a noun. Questions and indirect questions of other verbs are found, too: name the thing.
RELATIVE = re.compile(r"\b(?:what|whatever|whoever|whichever|that which|those (?:that|who|which)|who(?=ever\b))\b", re.I)
# Words of everyday life that do not name what happens, and terms with a better known name.
WORDS = re.compile(
    r"\b(?:goodbyes?|mend(?:s|ed|ing)?|vouch(?:es|ed|ing)?|says?|said|saying|hears?|heard|hearing|speaks?|spoke|spoken|"
    r"stands?|stood|standing|comes?|came|coming|goes|went|gone|going|leaves|left alone|lets? go|lets? in|takes? in|"
    r"taken in|let in|verdicts?|mercy|curious|odd|nobody else'?s?|(?<!there )(?:is|are) (?-i:none)|that is no|has a say|have a say|"
    r"at rest|made up of nothing|nothing now|wants?|cares?|knows? nothing)\b", re.I)
ABBREVIATIONS = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|No|approx|incl)\.$")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+(?=[\"'(\[*_`]*(?:[A-Z0-9`]|(?:ussl|asyncio|epoll|curl)\b))")


def git_files():
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True,
                           text=True).stdout.split()
    return [ROOT / name for name in names]


def plain(text):
    """The words of Markdown or of a comment: code and addresses become one word."""
    text = re.sub(r"``.+?``|`[^`]*`", "CODE", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^ >]+>|https?://\S+", "CODE", text)
    text = re.sub(r"\"[^\"]*\"", "QUOTE", text)
    return re.sub(r"[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}", "", text)


def sentences(paragraph):
    for item in plain(" ".join(paragraph.split())).split(" · "):  # a row of links
        for part in SENTENCE_END.split(item):
            if part.strip():
                yield part.strip()


def markdown(lines):
    """Yields (line number, kind, text) for each paragraph, item and table cell."""
    paragraph, begin, fenced = [], 0, False

    def flush():
        nonlocal paragraph
        if paragraph:
            yield begin, "text", " ".join(paragraph)
        paragraph = []

    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            yield from flush()
            continue
        if fenced:
            continue
        stripped = line.strip()
        is_code = line.startswith("    ") and not paragraph
        if is_code or not stripped or stripped.startswith(("#", "<!--", "---", "<")):
            yield from flush()
            continue
        if stripped.startswith("|"):
            yield from flush()
            if not re.fullmatch(r"[|\s:-]+", stripped):
                for cell in re.split(r"(?<!\\)\|", stripped.strip("|")):
                    yield number, "cell", cell.strip()
            continue
        item = re.match(r"(?:[-*+]|\d+\.)\s+", stripped)
        if item:
            yield from flush()
            stripped = stripped[item.end():]
        if not paragraph:
            begin = number
        paragraph.append(stripped)
    yield from flush()


def comments(lines, mark):
    """Yields (line number, kind, text) for each paragraph of comments; a change between //, //: and //> begins another."""
    paragraph, begin, marker = [], 0, ""
    pattern = re.compile(rf"^\s*(?:.*?\s)??({mark}[/!<:>]*)\s?(.*)$" if mark == "//" else rf"^\s*({mark})\s?(.*)$")
    for number, line in enumerate(lines, 1):
        found = pattern.match(line) if mark in line else None
        if mark == "//" and found and re.search(r"\"[^\"]*//", line):
            found = None
        text = found.group(2).strip() if found else ""
        own_line = line.lstrip().startswith(mark)
        # A row of a list of commands or options: indented, with its explanation in a second column.
        is_row = found and re.match(r"\s{2,}\S.*?\S\s{2,}\S", found.group(2))
        is_other = found and found.group(1) != marker or is_row
        if paragraph and (not text or not own_line or is_other or re.match(r"(?:-{2,}|- |\* )", text)):
            yield begin, "text", " ".join(paragraph)
            paragraph = []
        if text and not re.match(r"(?:NOLINT|clang-format|!/|-\*-|noqa|type:|pylint|shellcheck)", text):
            if not paragraph:
                begin, marker = number, found.group(1)
            paragraph.append(re.sub(r"^-{2,}\s*", "", text))
            if not own_line:
                yield begin, "text", " ".join(paragraph)
                paragraph = []
    if paragraph:
        yield begin, "text", " ".join(paragraph)


def error_texts(lines):
    for number, line in enumerate(lines, 1):
        for text in re.findall(r"\"((?:[^\"\\]|\\.)*)\"", line):
            yield number, "text", text


def docstrings(source):
    """Yields (line number, kind, text) for each paragraph of the strings that are statements of their own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for number, kind, text in markdown(inspect.cleandoc(node.value.value).splitlines()):
                yield node.lineno + number - 1, kind, text


def end_of_line_comments(source):
    """Yields (line number, kind, text) for each comment behind a statement of Python."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line[:token.start[1]].strip():
            text = re.sub(r"^noqa\b\S*(?: [A-Z]\d+)?|^type:.*", "", token.string.lstrip("# "))
            if text:
                yield token.start[0], "text", text


def texts(path):
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return
    name = path.name
    if name.endswith(".md"):
        yield from markdown(lines)
    elif name == "errors.def":
        yield from error_texts(lines)
        yield from comments(lines, "//")
    elif name.endswith((".cpp", ".hpp", ".c", ".h", ".def", ".js")):
        yield from comments(lines, "//")
    elif name.endswith((".py", ".pyi", ".mk", ".cmake", ".sh", ".yml")) or name in ("CMakeLists.txt", "Makefile") or (
            lines and lines[0].startswith("#!")):
        yield from comments(lines, "#")
        if name.endswith((".py", ".pyi")) or lines and re.match("#!.*python", lines[0]):
            yield from docstrings("\n".join(lines))
            yield from end_of_line_comments("\n".join([*lines, ""]))


def findings(path):
    """Yields (line, rule, sentence); rule None for a sentence without a finding."""
    for line, kind, text in texts(path):
        if kind == "cell" and len(text) > MAX_CELL:
            yield line, f"table cell of {len(text)} characters", text
        for sentence in sentences(text):
            words = len(sentence.split())
            if words > MAX_WORDS:
                yield line, f"sentence of {words} words", sentence
            elif sentence.endswith("?"):
                yield line, None, sentence
            elif found := next((found for pattern in (RELATIVE, WORDS) for found in pattern.finditer(sentence)
                                if not found.group(0).isupper()), None):  # WHAT is the name of an argument
                yield line, f"'{found.group(0)}'", sentence
            else:
                yield line, None, sentence


def read_list(path):
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    exceptions = [line.split("\t")[0] for line in read_list(EXCEPTIONS)]
    total, bad, counts = 0, 0, {}
    left = {}
    for path in [file.resolve() for file in options.files] or git_files():
        name = str(path.relative_to(ROOT))
        if name in ("tests/lint/writing.py", "LICENSE"):
            continue
        found = []
        for line, rule, sentence in findings(path):
            total += 1
            if rule and not any(part in sentence for part in exceptions):
                found.append((line, rule, sentence))
                counts[re.sub(r"\d+", "N", rule)] = counts.get(re.sub(r"\d+", "N", rule), 0) + 1
        if found:
            left[name] = len(found)
        bad += len(found)
        if not options.count:
            for line, rule, sentence in found:
                print(f"{name}:{line}: {rule}: {sentence[:160]}")
    if options.count:
        for rule, count in sorted(counts.items(), key=lambda item: -item[1])[:40]:
            print(f"{count:6} {rule}")
        for name, count in sorted(left.items(), key=lambda item: -item[1])[:40]:
            print(f"{count:6} {name}")
    print(f"{total} sentences, {bad} findings ({100 * bad / max(total, 1):.1f} %)")
    if bad and not options.count:
        sys.exit(1)


if __name__ == "__main__":
    main()
