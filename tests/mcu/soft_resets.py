#!/usr/bin/python3
"""Resets the chip softly, again and again, with connections, contexts, hashes and ciphers left as they are, and checks
that the next program's memory stays as the program wrote it.

    soft_resets.py [--firmware FILE]
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))
import suite  # noqa: E402

RESETS = 100
SECONDS = 60

# A program's own memory: objects of many sizes, each filled with its own pattern.
MEMORY = """
import gc
import hashlib
import cryptolib

def fill(leave):
    memory = []
    size = 16
    while gc.mem_free() > leave:
        memory.append((len(memory) & 255, bytearray(bytes([len(memory) & 255]) * size)))
        size = size * 7 % 601 + 16
    return memory

def check(memory):
    for pattern, content in memory:
        if content != bytes([pattern]) * len(content):
            raise Exception("the program's memory was changed")

def known_answers():
    assert hashlib.sha1(b"abc").digest()[:4] == b"\\xa9\\x99\\x3e\\x36"
    assert hashlib.md5(b"abc").digest()[:4] == b"\\x90\\x01\\x50\\x98"
    cipher = cryptolib.aes(bytes(16), 1)
    assert cipher.encrypt(bytes(16))[:4] == b"\\x66\\xe9\\x4b\\xd4"
"""

# After the reset, before anything of this program has used TLS.
WITHOUT_IMPORT = MEMORY + """
memory = fill(30000)
for _ in range(20):
    known_answers()
check(memory)
memory = None
"""

# The names "client" and "server" are arguments of wrap_socket(); `left` has the objects that the reset finds.
CONNECT = """
import ussl

def contexts():
    client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(CERTS["ca.crt"])
    server = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTS["server.crt"], CERTS["server.key"])
    return client, server

def begun(rounds, client, server):
    a, b = pipe()
    ends = (ussl.wrap_socket(a, do_handshake=False, **client),
            ussl.wrap_socket(b, server_side=True, do_handshake=False, **server))
    for i in range(rounds):
        error = step(ends[i & 1])
        assert error is None or error is True, error
    return ends

left = globals().setdefault("left", [])
memory = fill(90000)
"""
PIECES = {
    "in the middle of a handshake": """
left.append(begun({number} % 9, psk_client(), psk_server()))
""",
    "in the middle of a handshake with certificates": """
left.append(begun({number} % 7, trusting(), shown("server")))
""",
    "open connections": """
left.append(connect(psk_client(), psk_server()))
assert left[-1][2] == [True, True], left[-1]
talk(left[-1][0], left[-1][1], 600)
left[-1][0].write(b"unread")
""",
    "kept contexts": """
left.append(contexts())
a, b = pipe()
ends = (left[-1][0].wrap_socket(a, server_hostname="localhost", do_handshake_on_connect=False),
        left[-1][1].wrap_socket(b, server_side=True, do_handshake_on_connect=False))
for i in range(20):
    error = step(ends[i & 1])
    assert error is None or error is True, error
for end in ends:
    end.close()
""",
    "a shared context that nobody uses": """
for end in connect({}, shown("server"))[:2]:
    end.close()
gc.collect()
""",
    "hashes and ciphers": """
left.append(hashlib.sha1(b"begun"))
left.append(hashlib.md5(b"begun"))
left.append(cryptolib.aes(bytes(32), 2, bytes(16)))
left[-1].encrypt(bytes(32))
known_answers()
""",
    "closed connections that are not delivered yet": """
connection = connect(psk_client(), psk_server())
write, End.write = End.write, lambda self, buf: None
assert connection[0].write(b"unsent") == 6
connection[0].close()
connection = None
undelivered = ussl.flush_closed(0)
End.write = write
assert undelivered != 0
""",
}
AFTER = """
check(memory)
known_answers()
memory = None
gc.collect()
print("good")
"""


def firmware():
    if sys.argv[1:2] == ["--firmware"]:
        return sys.argv[2]
    built = subprocess.run([ROOT / "tools" / "micropython", "mcu"], check=True, stdout=subprocess.PIPE, text=True)
    return built.stdout.strip()


def programs():
    certs = {name: (suite.certs() / name).read_text() for name in ("ca.crt", "server.crt", "server.key")}
    common = (HERE / "common.py").read_text() + f"CERTS = {certs!r}\n"
    names = list(PIECES)
    for number in range(RESETS):
        # Two kinds at a time, so that each pair of them is met.
        chosen = (names[number % len(names)], names[number // len(names) % len(names)])
        # Half of the programs use hashes and ciphers alone before they import ussl, every fourth does nothing else.
        text = WITHOUT_IMPORT if number % 2 else MEMORY
        what = "without import of ussl"
        if number % 4 != 3:
            text += common + CONNECT
            for name in dict.fromkeys(chosen):
                text += PIECES[name].replace("{number}", str(number))
            what = ", ".join(dict.fromkeys(chosen))
        else:
            text += "memory = []\n" + PIECES["hashes and ciphers"].replace("left.append", "left = []; left.append", 1)
        yield what, text + AFTER


def main():
    source = subprocess.run([ROOT / "tools" / "deps", "source", "micropython"], check=True, stdout=subprocess.PIPE,
                            text=True).stdout.strip()
    sys.path.append(str(pathlib.Path(source) / "tools"))
    import pyboard

    chip = pyboard.Pyboard("exec:qemu-system-arm -machine mps2-an385 -nographic -monitor null -semihosting "
                           f"-serial stdio -kernel {firmware()}")
    failed = 0
    before = "nothing"
    try:
        for number, (what, program) in enumerate(programs()):
            try:
                chip.enter_raw_repl(soft_reset=True)
                out, error = chip.exec_raw(program, timeout=SECONDS)
                chip.exit_raw_repl()
            except pyboard.PyboardError as e:
                out, error = b"", f"the chip does not answer: {e}".encode()
            if out.strip() != b"good" or error:
                failed += 1
                print(f"reset {number}: after {before}; {what}: {out.decode()}{error.decode()}", flush=True)
                if not out and b"does not answer" in error:
                    break
            before = what
    finally:
        chip.close()
    print(f"{number + 1} resets, {failed} failed")
    return 1 if failed or number + 1 != RESETS else 0


if __name__ == "__main__":
    sys.exit(main())
