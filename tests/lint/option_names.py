#!/usr/bin/python3
"""Each name between backquotes in the library's reasons (ConfigError) is a member of Options or Connection::Settings.

A binding replaces these names by its own (option_names in bindings/micropython/errors.cpp): a misspelled one would reach users.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINDING = "bindings/micropython/errors.cpp"
LITERALS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')  # adjacent literals are one


def members():
    context = (ROOT / "include/ussl/context.hpp").read_text()
    options = re.search(r"#define USSL_OPTIONS.*?\n// clang-format on", context, re.S).group()
    connection = (ROOT / "include/ussl/connection.hpp").read_text()
    settings = re.search(r"struct Settings \{.*?\n    \};", connection, re.S).group()
    return (set(re.findall(r"(?:FIRST|NEXT)\((\w+)\)", options)) |
            set(re.findall(r"^        [\w:]+ (\w+)(?: =|\{)", settings, re.M)))


def without_comments(text):
    return re.sub(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*', lambda found: found.group(1) or "", text)


def main():
    known = members()
    assert {"verify", "record_size_limit", "server_hostname", "session"} <= known, known
    names = 0
    faults = []
    for path in sorted(ROOT.glob("src/**/*.[ch]pp")):
        text = without_comments(path.read_text())
        for found in LITERALS.finditer(text):
            quoted = found.group().split("`")
            place = f"{path.relative_to(ROOT)}: {found.group()}"
            if len(quoted) % 2 == 0:
                faults.append(f"{place}: a backquote without its partner")
                continue
            names += len(quoted) // 2
            faults += [f"{place}: `{name}` is not an option" for name in quoted[1::2] if name not in known]
    table = re.search(r"option_names\[\] = \{(.*?)\n\};", (ROOT / BINDING).read_text(), re.S).group(1)
    for name in re.findall(r'^    (?:NAME\(|\{)"(\w+)"', table, re.M):
        names += 1
        if name not in known:
            faults.append(f"{BINDING}: {name} is not an option")
    print("\n".join(faults) if faults else f"{names} names of options, all known")
    return 1 if faults or names < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
