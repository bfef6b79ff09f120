#!/usr/bin/python3
"""A chip whose source of entropy fails, is stuck or repeats itself makes no connection."""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

PROGRAM = """
def attempt():
    _, _, results = connect(psk_client(), psk_server())
    return results

for _ in range(3):
    results = attempt()
    assert isinstance(results[0], OSError) and results[0].errno == ussl.ERR_ENGINE, results
print("done")
"""


def main():
    failed = 0
    for name, content in (("missing", None), ("empty", b""), ("zeros", bytes(4096)), ("stuck", b"\xa5" * 4096),
                          ("repeating", bytes(range(60)) * 64)):
        with tempfile.TemporaryDirectory(prefix="ussl-mcu-") as folder:
            source = pathlib.Path(folder) / "source"
            if content is not None:
                source.write_bytes(content)
            program = pathlib.Path(folder) / "entropy.py"
            program.write_text((HERE / "common.py").read_text() + PROGRAM)
            done = subprocess.run([ROOT / "run", "--mcu", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=300,
                                  env=os.environ | {"USSL_MCU_ENTROPY": str(source), "USSL_MCU_NETWORK": "off"})
        good = done.returncode == 0 and done.stdout.endswith("done\n")
        failed += not good
        print(name + ":", "good" if good else done.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
