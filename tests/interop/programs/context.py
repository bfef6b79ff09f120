# One end of a conversation over an SSLContext, on MicroPython: context.py JOB, a JSON file:
#
#     role         "client" or "server"; a server prints "listening" once it is
#     port         on 127.0.0.1
#     certificate  a file, whose key is where `signer` listens: a line {"algorithm", "digest"} there, the
#                  digest in hexadecimal, is answered with a signature in a line; or
#     self_signed  the names of a certificate that is made here, and written to `file`
#     trusted      trusted certificates: a client's, or those of a server that verifies its clients
#     system       a server trusts the system's certificates, too
#     chosen       a server has these options in a context that its sni_callback selects; the first one trusts this file
#
# Sends a line, reads one, and prints one JSON object: the received line, and the signed digests.

import json
import sys

import ussl
from sockets import connected, connections

with open(sys.argv[1]) as f:
    job = json.load(f)
told = {"signed": []}


def sign(algorithm, digest):
    sock = connected(job["signer"])
    sock.write(json.dumps({"algorithm": algorithm, "digest": digest.hex()}).encode() + b"\n")
    signature = bytes.fromhex(sock.readline().decode().strip())
    sock.close()
    told["signed"].append([algorithm, len(digest)])
    return signature


server = job["role"] == "server"
ctx = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER if server else ussl.PROTOCOL_TLS_CLIENT)
if "self_signed" in job:
    key, certificate = ussl.self_signed(job["self_signed"])
    ctx.load_cert_chain(certificate, key)
    with open(job["file"], "wb") as f:
        f.write(certificate)
else:
    ctx.sign_callback = sign
    ctx.load_cert_chain(job["certificate"])
for file in job.get("trusted", ()):
    ctx.load_verify_locations(cafile=file)
if job.get("system"):
    ctx.load_default_certs()
if server and ("trusted" in job or "system" in job):
    ctx.verify_mode = ussl.CERT_OPTIONAL

if "chosen" in job:
    chosen = ctx
    ctx = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(certificate, key)
    ctx.load_verify_locations(cafile=job["chosen"])
    ctx.verify_mode = ussl.CERT_OPTIONAL

    def choose(sock, name, context):
        sock.context = chosen

    ctx.sni_callback = choose

(sock,) = connections(job)
sock.settimeout(20)
s = ctx.wrap_socket(sock, server_side=server, server_hostname=None if server else "localhost")
s.write(b"hello from ussl\n")
told["heard"] = s.readline().decode()
s.close()
print(json.dumps(told))
