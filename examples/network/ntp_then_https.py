# Sets the clock by NTP, and then fetches a page over HTTPS: for a board, whose clock is not set after power-on.
#
# Certificates have dates. While the clock is earlier than the firmware's build date, a certificate that is not valid
# yet by it raises an OSError with the number ussl.ERR_CERT_CLOCK.
#
# Connect the board to a network, copy this file and https_client.py to it, and:
#
#     import ntp_then_https; ntp_then_https.main("https://example.org/")
#
# NTP is not authenticated: an attacker in the network can choose the time, and with it make the board accept a
# certificate that has expired. A board that must exclude this sets `verify_time` of an SSLContext from a source that
# it trusts, or verifies a pinned key (`pins`).

import sys
import time

import https_client
import ntptime


def set_clock(attempts=5):
    """Asks the NTP server `ntptime.host`; UDP loses messages."""
    for attempt in range(attempts):
        try:
            ntptime.settime()
            return
        except OSError:
            if attempt == attempts - 1:
                raise
            time.sleep(1)


def main(url, ca_file=None):
    set_clock()
    https_client.main(url, ca_file)


if __name__ == "__main__":
    main(*sys.argv[1:])
