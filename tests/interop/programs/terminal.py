# A client over a terminal, which is a descriptor but no socket: terminal.py JOB, a JSON file with `path`, `size` and
# `options` of ussl.wrap_socket. One thread writes `size` bytes, while another one reads them back.

import _thread
import hashlib
import json
import sys
import time

import ussl

with open(sys.argv[1]) as f:
    job = json.load(f)
options = {name[:-4]: bytes.fromhex(value) for name, value in job["options"].items() if name.endswith("_hex")}
options.update((name, value) for name, value in job["options"].items() if not name.endswith("_hex"))
tls = ussl.wrap_socket(open(job["path"], "r+b"), **options)
data = bytes(i * 7 & 255 for i in range(10000))
pieces = job["size"] // len(data)
got = hashlib.sha256()
ended = []


def read():
    try:
        for _ in range(pieces):
            got.update(tls.read(len(data)))
        ended.append(None)
    except Exception as e:
        ended.append(repr(e))


_thread.start_new_thread(read, ())
time.sleep_ms(200)  # it waits for the first byte
sent = hashlib.sha256()
for _ in range(pieces):
    tls.write(data)
    sent.update(data)
begin = time.ticks_ms()
while not ended and time.ticks_diff(time.ticks_ms(), begin) < 30000:
    time.sleep_ms(5)
told = {"version": tls.version(), "ended": ended, "same": sent.digest() == got.digest()}
tls.close()
print(json.dumps(told))
