#!/usr/bin/env python3
"""Makes a new random pre-shared key for an identity. Runs on MicroPython and on CPython alike."""

import binascii
import os
import sys

# The shortest key worth making (128 bits), and the longest that every TLS engine of ussl takes.
KEY_MIN, KEY_MAX = 16, 48
IDENTITY_MAX = 128


def why_not(identity):
    """The reason why an identity is not possible in a psk_file or in TLS, in words; None if it is possible."""
    try:
        size = len(identity.encode())
        identity.encode().decode()
    except UnicodeError:
        return "is not valid UTF-8"
    if not size:
        return "is empty"
    if size > IDENTITY_MAX:
        return "is longer than %d bytes: it has %d" % (IDENTITY_MAX, size)
    if ":" in identity:
        return "has a ':', which ends the identity in a psk_file"
    if identity[0] == "#":
        return "begins with '#', which makes the line of a psk_file a comment"
    if any(ord(c) < 32 or ord(c) == 127 for c in identity):
        return "has a line break or another control character, which a psk_file cannot hold"
    if identity[0] == " " or identity[-1] == " ":
        return "begins or ends with a space, which the broker would drop"
    return None


def new_key(size=32):
    """A random key as bytes, from the system's source of randomness."""
    return os.urandom(size)


def quoted(text):
    """text as a Python literal in plain ASCII (repr differs between Pythons)."""
    out = '"'
    for c in text:
        code = ord(c)
        if c in '"\\':
            out += "\\" + c
        elif code < 127:
            out += c
        else:
            out += ("\\u%04x" if code < 0x10000 else "\\U%08x") % code
    return out + '"'


def fail(text):
    print("psk_new.py: " + text, file=sys.stderr)
    sys.exit(2)


def main(args):
    identity, size, line_only, options = None, 32, False, True
    args = list(args)
    while args:
        arg = args.pop(0)
        if options and arg in ("-h", "--help"):
            print(USAGE)
            return
        elif options and arg == "--":
            options = False  # the rest are identities, even if one begins with '-'
        elif options and arg == "--line":
            line_only = True
        elif options and (arg == "--bytes" or arg.startswith("--bytes=")):
            value = arg[8:] if arg != "--bytes" else args.pop(0) if args else ""
            # isdigit() alone would accept digits that int() of one of the two Pythons rejects.
            size = int(value) if value and all(c in "0123456789" for c in value) else 0
            if not KEY_MIN <= size <= KEY_MAX:
                fail("--bytes takes a number from %d to %d" % (KEY_MIN, KEY_MAX))
        elif options and arg.startswith("--"):
            fail("unknown option " + arg)
        elif identity is None:
            identity = arg
        else:
            fail("one identity at a time, please (quote an identity with spaces)")
    if identity is None:
        fail("which identity? Usage: psk_new.py IDENTITY [--bytes N] [--line]")
    problem = why_not(identity)
    if problem:
        fail("this identity " + problem)

    key = binascii.hexlify(new_key(size)).decode()
    line = identity + ":" + key
    if line_only:
        print(line)
        return
    print("# for the broker's psk_file:")
    print(line)
    print("# for ussl.wrap_socket:")
    print('psk_ident=%s, psk_key=binascii.unhexlify("%s")' % (quoted(identity), key))


USAGE = """psk_new.py IDENTITY [--bytes N] [--line]

Makes a new random pre-shared key for an identity, and prints the line for a broker's psk_file
and the arguments for ussl.wrap_socket. What it prints is secret: whoever knows the key can pass
for the device, and for the broker.

  --bytes N   length of the key, 16 to 48 bytes; 32 if not given
  --line      print the line for the psk_file and nothing else"""

if __name__ == "__main__":
    main(sys.argv[1:])
