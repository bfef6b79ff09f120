#!/usr/bin/python3
"""On firmware whose Mbed TLS has a fixed number of places for keys: unreferenced connections are collected when no
place is free. If that does not help, an error that names the limit is raised."""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

PROGRAM = """
for i in range(40):
    c, s, results = connect(psk_client(), psk_server())
    assert results == [True, True], (i, results)
    c = s = None
print("forgotten")
kept = []
error = None
while error is None and len(kept) < 40:
    c, s, results = connect(psk_client(), psk_server())
    kept.append((c, s))
    error = next((result for result in results if result is not True), None)
assert len(kept) > 3, len(kept)  # two connections each
assert error.errno == ussl.ERR_KEY_SLOTS and "MBEDTLS_PSA_KEY_SLOT_COUNT" in error.args[1], error
kept = c = s = results = None
c, s, results = connect(psk_client(), psk_server())
assert results == [True, True], results
talk(c, s)
print("done")
"""


def main():
    firmware = subprocess.run(
        [ROOT / "tools" / "micropython", "mcu", f"USSL_MBEDTLS_USER_CONFIG={HERE / 'static_keys.h'}"],
        check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="ussl-mcu-") as folder:
        program = pathlib.Path(folder) / "key_slots.py"
        program.write_text((HERE / "common.py").read_text() + PROGRAM)
        command = ["env", f"USSL_MCU_FIRMWARE={firmware}", ROOT / "run", "--mcu", program]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=300)
    print(done.stdout, end="")
    return 0 if done.returncode == 0 and done.stdout.endswith("done\n") else 1


if __name__ == "__main__":
    sys.exit(main())
