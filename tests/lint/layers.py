#!/usr/bin/python3
"""Dependencies point down only (docs/explanation/design.md), and the tree names no machine's paths."""

import os
import re
import subprocess
import sys

# the rules for includes: the files that may include a pattern
RULES = [
    (r"openssl/(?!tickets\.hpp).*", r"src/openssl/|tests/(cpp|faults|fuzz|load)/|tests/contract/(key\.hpp|(plain_client|system_store|tickets)_test)|bench/",
     "OpenSSL is the engine's business"),
    (r"(mbedtls|psa)/(?!error\.hpp).*", r"src/mbedtls/|tests/(hostile|cmake_port)/|bench/client_mbedtls|patches/",
     "Mbed TLS is the engine's business"),
    (r"(py|extmod|shared)/.*", r"bindings/micropython/(micropython_api\.h$|qemu/|unix/)|bench/mcu_|tests/cmake_port/",
     "MicroPython's internals come through micropython_api.h"),
    (r"(\.\./)*mbedtls/error\.hpp", r"src/mbedtls/|tests/contract/mbedtls_error_test", "the engine's own"),
    (r"(\.\./)*openssl/tickets\.hpp", r"src/openssl/|tests/contract/tickets_test", "the engine's own"),
    (r"(\.\./)*openssl/openssl\.hpp|openssl\.hpp", r"src/openssl/", "no one looks into an engine"),
    (r"(\.\./)*(src/)?(callbacks|canonical_name|context_internals|context_settings|engine|engine_crypto|entropy|record_transport|(pem/)?(pem|der|reader|formats)|policy/\w+|root_store|hostname|sessions|system_store)\.hpp", r"src/|tests/(contract|faults|fuzz|hostile|toy_engine)/|tests/engines\.hpp", "these are the library's own"),
    (r"ussl/connection\.hpp", r"src/posix/|(?!src/\w+/)", "an engine knows nothing of connections"),
    (r"(\.\./)*engines\.hpp", r"tests/", "only a build chooses engines"),
    (r"iostream|fstream|sstream|string|vector|map|functional", r"tests/|bench/|examples/", "not in the library"),
]

# Files that the first file must not include, not even indirectly: dependencies of the seam point down.
NOT_BELOW = {"src/engine.hpp": {"include/ussl/connection.hpp", "include/ussl/context.hpp"}}


def included_by(path, seen):
    """The files of this project that a header includes, directly or not, each with the one that names it."""
    with open(path, encoding="utf-8") as f:
        names = re.findall(r'^\s*#\s*include\s+"([^"]+)"', f.read(), re.MULTILINE)
    for name in names:
        for folder in (os.path.dirname(path), "include", "src"):
            found = os.path.normpath(os.path.join(folder, name))
            if os.path.exists(found):
                if found not in seen:
                    seen[found] = path
                    included_by(found, seen)
                break
    return seen


def main():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout.split("\n")
    faults = []
    includes = 0
    for path in filter(None, listed):
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if path != "tests/lint/layers.py" and re.search(r"(?<![\w.])/(work|root|home)/\w", line):
                faults.append(f"{path}:{number}: a path of one machine: {line.strip()}")
            if re.match(r"(<{7}|>{7}) ", line):
                faults.append(f"{path}:{number}: a mark of a merge: {line.strip()}")
            found = re.match(r'\s*#\s*include\s+("([^"]+)"|<[^>]+>)', line)
            if not found:
                continue
            includes += 1
            name = found.group(1).strip('<>"')
            for what, allowed, why in RULES:
                if re.fullmatch(what, name) and not re.match(allowed, path):
                    faults.append(f"{path}:{number}: includes {name}: {why}")
    for path, above in NOT_BELOW.items():
        seen = included_by(path, {})
        assert "include/ussl/types.hpp" in seen, "included_by() finds nothing"
        faults += [f"{seen[name]}: includes {name}: {path} is below it" for name in sorted(above & seen.keys())]
    print("\n".join(faults) if faults else f"{includes} includes, all in their place")
    return 1 if faults or not includes else 0


if __name__ == "__main__":
    sys.exit(main())
