#!/usr/bin/python3
"""bindings/micropython/ussl.pyi has every name of the module, and no other."""

import ast
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUBS = ROOT / "bindings" / "micropython" / "ussl.pyi"

# On MicroPython: the existing names. dir() does not list computed attributes: the names of the stubs are tested.
LOOK = """
import io, json, ussl
asked = json.loads(ASKED)
class Stream(io.IOBase):
    def ioctl(self, request, argument):
        return 0
context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ussl.CERT_NONE
objects = {"SSLContext": context, "SSLSocket": context.wrap_socket(Stream(), do_handshake_on_connect=False),
           "SSLSession": ussl.SSLSession(b"x"), "TLSVersion": ussl.TLSVersion, "Purpose": ussl.Purpose}
found = {"": dir(ussl)}
for name, it in objects.items():
    found[name] = dir(it) + [a for a in asked[name] if a not in dir(it) and hasattr(it, a)]
print(json.dumps(found))
"""
# Optional names: an attribute of servers, and the name by which MicroPython's tests detect Mbed TLS.
SOMETIMES = {("SSLContext", "num_tickets"), ("", "MBEDTLS_VERSION")}
# Names that every object has, or that only types have.
ALWAYS = {"__name__", "__class__", "__init__", "__del__", "__buffer__", "__bases__", "__dict__"}


def names_of(body):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id


def main():
    tree = ast.parse(STUBS.read_text())
    stubs = {"": {name for name in names_of(tree.body) if not name.startswith("_")}}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            stubs[node.name] = set(names_of(node.body))
    asked = json.dumps({name: sorted(names) for name, names in stubs.items()})
    answer = subprocess.run([os.environ["USSL_MICROPYTHON"], "-c", f"ASKED = {asked!r}\n{LOOK}"],
                            check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    wrong = []
    count = 0
    for name, found in json.loads(answer).items():
        found = set(found) - ALWAYS
        wanted = stubs[name] - ALWAYS
        where = name or "the module"
        wrong += [f"{where} has {missing}, the stubs have not" for missing in sorted(found - wanted)]
        wrong += [f"the stubs have {missing}, {where} has not" for missing in sorted(wanted - found)
                  if (name, missing) not in SOMETIMES]
        count += len(wanted)
    for line in wrong:
        print(line)
    print(f"{count} names, {len(wrong)} wrong")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
