#!/usr/bin/python3
"""`ssl` and `tls` are ussl where the firmware has a frozen ssl.py, as that of networked boards has.

The program of USSL_MICROPYTHON must have been built with frozen/manifest.py; tools/micropython builds `asan` with it.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = """
import ussl, ssl, tls
print(ssl is ussl, tls is ussl, ssl.SSLContext is ussl.SSLContext)
print(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).verify_mode == ssl.CERT_REQUIRED)
"""
EXPECTED = "True True True\nTrue\n"


def output_of(program, folder):
    return subprocess.run([program, "-c", PROGRAM], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60).stdout


def main():
    program = os.environ["USSL_MICROPYTHON"]
    failed = False
    frozen = pathlib.Path(program).with_name("frozen_content.c").read_text(errors="replace")
    for name in ("ssl.py", "tls.py"):
        if f'"{name}' not in frozen and name.replace(".", "_") not in frozen:
            print(f"{program} has no frozen {name}: this test would prove nothing")
            failed = True
    with tempfile.TemporaryDirectory(prefix="ussl-frozen-") as folder:
        files = pathlib.Path(folder, "files")
        files.mkdir()
        for name in ("ssl.py", "tls.py"):
            (files / name).write_text("class SSLContext:\n    pass\n")
        # The file system is first in sys.path, and then the frozen modules.
        for where, path in (("frozen", folder), ("files", files)):
            output = output_of(program, path)
            print(f"{where}  {'ok' if output == EXPECTED else 'FAILED: ' + output}")
            failed |= output != EXPECTED
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
