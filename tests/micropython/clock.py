"""The errors of certificates while the clock is earlier than the interpreter's build date."""

import datetime
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from suite import main  # noqa: E402

MICROPYTHON = os.environ["USSL_MICROPYTHON"]

PROGRAM = f"""
import sys
sys.path[0] = {str(HERE)!r}
import ussl
from ussltest import *

def error_of(name, verify_time=None):
    client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cert("ca.crt"))
    client.verify_time = verify_time
    server = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert(name + ".crt"), cert(name + ".key"))
    a, b = pipe()
    c = client.wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False)
    s = server.wrap_socket(b, server_side=True, do_handshake_on_connect=False)
    try:
        shake(c, s)
    except OSError as e:
        return e
"""


def run(program, day):
    done = subprocess.run(["faketime", f"{day:%Y-%m-%d} 12:00:00", MICROPYTHON, "-c", PROGRAM + program],
                          capture_output=True, text=True, timeout=60, env=os.environ | {"TZ": "UTC"})
    return done.stdout + done.stderr


def build_date():
    version = subprocess.run([MICROPYTHON, "-c", "import sys; print(sys.version)"], check=True, capture_output=True,
                             text=True, timeout=60).stdout
    return datetime.date.fromisoformat(version.split()[-1])


class Clock(unittest.TestCase):
    def test_before_the_build_date_it_is_not_set(self):
        text = run("""
error = error_of("server")
assert error.errno == ussl.ERR_CERT_CLOCK, error
print(error)
""", datetime.date(2019, 1, 1))
        self.assertIn("ntptime", text)
        self.assertIn("verify_time", text)

    def test_a_certificate_that_is_valid_is_accepted_before_the_build_date(self):
        self.assertEqual(run("print(error_of('server'))", datetime.date(2025, 1, 1)), "None\n")

    def test_the_day_of_the_build_and_the_day_before(self):
        program = "print(error_of('server-future').args[1].split(':')[0])"
        self.assertEqual(run(program, build_date()), "CERT_NOT_YET_VALID\n")
        self.assertEqual(run(program, build_date() - datetime.timedelta(1)), "CERT_CLOCK\n")

    def test_verify_time_is_no_clock(self):
        self.assertEqual(run("""
print(error_of("server", 1700000000))
print(error_of("server", 1500000000).args[1].split(":")[0])
""", datetime.date(2019, 1, 1)), "None\nCERT_NOT_YET_VALID\n")


if __name__ == "__main__":
    main(verbosity=2)
