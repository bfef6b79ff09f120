#!/usr/bin/python3
"""Dates of certificates on a chip that counts from 2000, or from 1970, by a clock that is set or not.

    clock.py [FIRMWARE EPOCH]
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from run_tests import ROOT, whole

PROGRAM = """# certs: ca.crt server.crt server.key server-expired.crt server-expired.key server-future.crt server-future.key
import sys
import time

def error_of(name, verify_time=None):
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=CERTS["ca.crt"])
    context.verify_time = verify_time
    a, b = pipe()
    c = context.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    s = ussl.wrap_socket(b, server_side=True, do_handshake=False, **shown(name))
    for _ in range(50):
        for sock in (s, c):
            result = step(sock)
        if result is not None:
            return result if result is True else result.args[1].split(":")[0]

print("epoch", 1970 if abs(time.time() - int(sys.argv[1])) < 600 else 2000)
for name in ("server", "server-expired", "server-future"):
    print(name, error_of(name), error_of(name, 1700000000), error_of(name, 1500000000))
"""


def outcome(clock, firmware):
    with tempfile.TemporaryDirectory(prefix="ussl-mcu-") as folder:
        program = pathlib.Path(folder) / "clock.py"
        program.write_text(PROGRAM)
        program.write_text(whole(program))
        # run_tests.py gives the chip 300 seconds as well.
        done = subprocess.run([ROOT / "run", "--mcu", program, str(clock or int(time.time()))], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                              env=os.environ | {"USSL_MCU_NETWORK": "off"}
                              | ({"USSL_MCU_CLOCK": str(clock)} if clock else {})
                              | ({"USSL_MCU_FIRMWARE": firmware} if firmware else {}))
    return done.stdout.replace("\r\n", "\n")


def expected(epoch, server, future):
    # With verify_time in 2023 and in 2017, which the clock does not change.
    return (f"epoch {epoch}\n"
            f"server {server} True CERT_NOT_YET_VALID\n"
            f"server-expired {'CERT_EXPIRED' if future == 'CERT_NOT_YET_VALID' else server} CERT_EXPIRED CERT_NOT_YET_VALID\n"
            f"server-future {future} CERT_NOT_YET_VALID CERT_NOT_YET_VALID\n")


def main(firmware=None, epoch="2000"):
    failed = 0
    for name, clock, wanted in (
            ("the host's time", None, expected(epoch, "True", "CERT_NOT_YET_VALID")),
            ("five seconds after 2000", 946684805, expected(epoch, "CERT_CLOCK", "CERT_CLOCK")),
            ("before the build date, and the certificate is valid", 1735689600,  # 2025
             expected(epoch, "True", "CERT_CLOCK").replace("server-expired True", "server-expired CERT_EXPIRED"))):
        got = outcome(clock, firmware)
        failed += got != wanted
        print(name + ":", "good" if got == wanted else f"\n{got}instead of\n{wanted}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
