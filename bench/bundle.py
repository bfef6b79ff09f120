# Measures the cost of a bundle of roots in every call: bundle.py FILE CALLS, for MicroPython and CPython.
import io
import sys
import time

if sys.implementation.name == "micropython":
    import ussl

    class Stream(io.IOBase):
        def readinto(self, buf):
            return None

        def write(self, buf):
            return None

        def ioctl(self, request, arg):
            return 0

    def wrap(roots):
        return ussl.wrap_socket(Stream(), ca_certs=roots, server_hostname="localhost", do_handshake=False)

    def now():
        return time.ticks_us() / 1e6

else:
    import ssl

    def wrap(roots):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=roots.decode())
        return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")

    now = time.perf_counter

with open(sys.argv[1], "rb") as f:
    roots = f.read()
times = []
for _ in range(int(sys.argv[2])):
    began = now()
    wrap(roots)
    times.append(now() - began)
print('{"first": %.9f, "others": %.9f}' % (times[0], sum(times[1:]) / (len(times) - 1)))
