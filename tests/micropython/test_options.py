# The options that wrap_socket accepts and rejects, before any I/O.
# heap: 64m

import array
import errno
import gc
import os
import uctypes
import vfs

import ussl
from ussltest import *


def wrap(*positional, **options):
    """wrap_socket over a stream that must not be touched."""
    stream = End()
    try:
        options.setdefault("do_handshake", False)
        if "do_handshake_on_connect" in options or len(positional) > 6:
            del options["do_handshake"]
        return ussl.wrap_socket(stream, *positional, **options)
    finally:
        equal(stream.calls, 0)
        equal(stream.closed, 0)


def refused(kind, text, *positional, **options):
    return raises(kind, lambda: wrap(*positional, **options), text=text)


def scratch(name, content, more=b"", times=0):
    """A file of `content` and `times` times `more`: a large one takes little of the heap."""
    path = os.getenv("USSL_TMP") + "/" + name
    with open(path, "wb") as f:
        f.write(content)
        for _ in range(times):
            f.write(more)
    return path


def server_with(key, certificate, **options):
    """A server that has them shakes hands; returns the certificate that a client saw."""
    a, b = pipe()
    client = ussl.wrap_socket(a, do_handshake=False)
    server = ussl.wrap_socket(b, True, key, certificate, do_handshake=False, **options)
    shake(client, server)
    return client.getpeercert(True)


# --- the stream


def test_a_stream_is_needed():
    for wrong in (None, 5, "text", b"bytes", [], object()):
        raises(OSError, ussl.wrap_socket, wrong, do_handshake=False)
    raises(TypeError, ussl.wrap_socket)
    raises(TypeError, ussl.wrap_socket, sock=None, wrong=1)


def test_a_file_or_BytesIO_is_a_stream():
    sock = ussl.wrap_socket(io.BytesIO(), do_handshake=False)
    raises(OSError, sock.read, 1)
    sock.close()
    # The handshake finds the end of the stream.
    raises(OSError, ussl.wrap_socket, io.BytesIO())


# --- who is who


def test_a_server_needs_something_to_show():
    for text in ("keyfile", "certfile", "psk_keys"):
        refused(ValueError, text, True)
        refused(ValueError, text, server_side=True)
        refused(ValueError, text, server_side=1, ca_certs=cert("ca.crt"))


def test_key_and_certificate_go_together():
    for server in (False, True):
        refused(ValueError, ("keyfile", "certfile"), server, cert("server.key"))
        refused(ValueError, ("keyfile", "certfile"), server, None, cert("server.crt"))
        refused(ValueError, ("keyfile", "certfile"), server_side=server, keyfile=cert("server.key"))
        refused(ValueError, ("keyfile", "certfile"), server_side=server, certfile=cert("server.crt"))
        refused(ValueError, "key requires certfile", server_side=server, key=cert_bytes("server.key"))
        # The newer spelling of one with the older of the other is fine.
        wrap(server_side=server, key=cert("server.key"), certfile=cert("server.crt"))


def test_key_and_certificate_that_do_not_match():
    for key, certificate in (("server.key", "client.crt"), ("server-rsa.key", "server.crt"),
                             ("server.key", "server-rsa.crt"), ("client-rsa.key", "server-rsa.crt")):
        for server in (False, True):
            refused(ValueError, ("keyfile", "certfile", "match"), server, cert(key), cert(certificate))


def test_both_spellings_are_a_TypeError():
    for old, new, value in (("keyfile", "key", cert("server.key")), ("certfile", "cert", cert("server.crt")),
                            ("ca_certs", "cadata", cert("ca.crt")),
                            ("do_handshake", "do_handshake_on_connect", False)):
        options = {old: value, new: value}
        raises(TypeError, ussl.wrap_socket, End(), text=(old, new), **options)
    raises(TypeError, ussl.wrap_socket, End(), False, cert("server.key"), key=cert("server.key"), text="key")
    raises(TypeError, ussl.wrap_socket, End(), False, False, sock=End())


def test_positional_order():
    a, b = pipe()
    client = ussl.wrap_socket(a, False, cert("client.key"), cert("client.crt"), ussl.CERT_REQUIRED,
                              cert("ca.crt"), "localhost", False)
    server = ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), ussl.CERT_REQUIRED,
                              cert("ca.crt"), None, False)
    shake(client, server)
    equal(server.getpeercert(True), cert_bytes("client.der"))
    equal(client.server_hostname, "localhost")
    # No more than these.
    raises(TypeError, ussl.wrap_socket, End(), False, None, None, 0, None, None, False, b"psk")


def test_keywords():
    wrap(server_side=False, keyfile=None, certfile=None, cert_reqs=ussl.CERT_NONE, ca_certs=None,
         server_hostname=None, psk_ident=None, psk_key=None, psk_keys=None, psk_hint=None, key_password=None)
    wrap(record_size_limit=None)
    wrap(key=None, cert=None, cadata=None, do_handshake_on_connect=False)
    refused(TypeError, "", nonsense=1)
    raises(TypeError, ussl.wrap_socket, End(), False, server_side=False)


def test_record_size_limit():
    for wrong in (0, -1, 511, 16385, 1 << 20):
        refused(ValueError, "record_size_limit must be 512 to 16384", record_size_limit=wrong)
        context = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
        try:
            context.record_size_limit = wrong
            raise AssertionError("taken")
        except ValueError:
            equal(context.record_size_limit, None)
    refused(TypeError, "", record_size_limit="1024")
    context.record_size_limit = 1024
    equal(context.record_size_limit, 1024)
    context.record_size_limit = None
    equal(context.record_size_limit, None)
    for limit in (512, 1000, 1024, 16384):
        a, b = pipe()
        client = psk_client(a, do_handshake=False, record_size_limit=limit)
        server = psk_server(b, do_handshake=False)
        shake(client, server)
        data = pattern(40000)
        for sender, receiver, end in ((client, server, a), (server, client, b)):
            at = len(end.log)
            equal(sender.write(data), len(data))
            while at < len(end.log):
                size = end.log[at + 3] << 8 | end.log[at + 4]
                assert size <= limit + 40, size
                at += 5 + size
            equal(receiver.read(len(data)) == data, True)


# --- sources of keys and certificates


def test_a_path_or_the_content():
    wanted = cert_bytes("server.der")
    key, pem = cert_bytes("server.key"), cert_bytes("server.crt")
    for k, c in (
        (cert("server.key"), cert("server.crt")),
        (key, pem),
        (bytearray(key), bytearray(pem)),
        (memoryview(key), memoryview(pem)),
        (array.array("B", key), array.array("B", pem)),
        (key.decode(), pem.decode()),
        (cert("server-pkcs8.der"), cert("server.der")),
        (cert_bytes("server-pkcs8.der"), cert_bytes("server.der")),
        (memoryview(b"xx" + key)[2:], pem),
        (key, b"Text that openssl puts before it\n" + pem + b"and after it\n"),
        (key.replace(b"\n", b"\r\n"), pem.replace(b"\n", b"\r\n")),
    ):
        equal(server_with(k, c) == wanted, True)


def test_bytes_are_never_a_path():
    refused(ValueError, "invalid key", True, cert("server.key").encode(), cert("server.crt"))
    refused(ValueError, "invalid cert", True, cert("server.key"), cert("server.crt").encode())


def test_a_str_with_pem_is_content():
    wanted = cert_bytes("server.der")
    key, pem = cert_bytes("server.key").decode(), cert_bytes("server.crt").decode()
    ca = cert_bytes("ca.crt").decode()
    for before in ("\n", "\n\n    ", "\ufeff", "Bag Attributes\n    friendlyName: x\n"):
        equal(server_with(before + key, before + pem) == wanted, True)
        wrap(ca_certs=before + ca, server_hostname="x")
        ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT).load_verify_locations(before + ca)
    equal(ussl.cert_info("\n" + pem)["subject"][-1], (("commonName", "localhost"),))


def test_cadata_is_always_content():
    client = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    for call in (lambda data: wrap(cadata=data, server_hostname="x"),
                 lambda data: client.load_verify_locations(cadata=data),
                 lambda data: ussl.create_default_context(cadata=data)):
        call(cert_bytes("ca.crt").decode())
        call(cert_bytes("ca.der"))
        raises(ValueError, call, cert("ca.crt"), text="invalid cert")
    # As the first argument in CPython, which is called cafile there.
    client.load_verify_locations(cert("ca.crt"))
    raises(OSError, client.load_verify_locations, cert("not there"), code=errno.ENOENT)


def test_messages_name_the_argument_the_file_and_the_place():
    context = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    damaged = scratch("damaged.pem", cert_bytes("server.crt") + cert_bytes("truncated.crt"))
    line = cert_bytes("server.crt").count(b"\n") + 1
    place = "'%s', line %d: invalid cert: the PEM is malformed" % (damaged, line)
    equal(str(refused(ValueError, "", True, cert("server.key"), damaged)), "certfile " + place)
    equal(str(refused(ValueError, "", True, key=cert("server.key"), cert=damaged)), "cert " + place)
    equal(str(refused(ValueError, "", ca_certs=damaged, server_hostname="x")), "ca_certs " + place)
    equal(str(raises(ValueError, context.load_cert_chain, damaged, cert("server.key"))), "certfile " + place)
    equal(str(raises(ValueError, context.load_verify_locations, cafile=damaged)), "cafile " + place)
    equal(str(raises(ValueError, context.load_verify_locations, cadata=cert_bytes("truncated.crt"))),
          "cadata, line 1: invalid cert: the PEM is malformed")
    equal(str(refused(ValueError, "", True, cert("truncated.key"), cert("server.crt"))),
          "keyfile '%s', line 1: invalid key: the PEM is malformed" % cert("truncated.key"))
    # The key is in certfile.
    both = scratch("both.pem", cert_bytes("server.crt") + cert_bytes("truncated.key"))
    raises(ValueError, context.load_cert_chain, both, text="certfile '%s', line %d: invalid key" % (both, line))
    path = cert("other.p12")
    for error in (refused(ValueError, "", True, path, cert("server.crt")),
                  raises(ValueError, context.load_cert_chain, cert("server.crt"), path)):
        equal(str(error), "keyfile '%s': invalid key: this looks like PKCS#12; convert it with: "
              "openssl pkcs12 -nodes -in %s" % (path, path))
    refused(ValueError, ("keyfile", "are the two files swapped?"), True, cert("server.crt"), cert("server.key"))


def test_encryption_that_is_not_supported():
    path = cert("encrypted-md5-des.der")
    equal(str(refused(ValueError, "", True, path, cert("server.crt"), key_password="secret")),
          "keyfile '%s': unsupported key encryption: PBE-MD5-DES" % path)
    for name in ("encrypted-pkcs12.der", "encrypted-old-aes-128.pem", "encrypted-old-3des.pem"):
        assert server_with(cert(name), cert("server.crt"), key_password="secret")


def test_wrong_types():
    for wrong in (5, 1.5, [], {}, object(), True):
        refused(TypeError, "", True, wrong, cert("server.crt"))
        refused(TypeError, "", True, cert("server.key"), wrong)
        refused(TypeError, "", ca_certs=wrong, server_hostname="x")
        refused(TypeError, "", server_hostname=wrong)
        refused(TypeError, "psk_ident", psk_ident=wrong, psk_key=KEY)
        refused(TypeError, "psk_key", psk_ident=IDENTITY, psk_key=wrong)
        refused(TypeError, "psk_hint", server_side=True, psk_keys={}, psk_hint=wrong)
        refused(TypeError, "key_password", True, cert("server.key"), cert("server.crt"), key_password=wrong)
    for wrong in (5, 1.5, [], object(), True, "text", b"bytes"):
        refused(TypeError, "psk_keys", server_side=True, psk_keys=wrong)
    # A key is not text.
    refused(TypeError, "psk_key", psk_ident=IDENTITY, psk_key="text")


def test_every_format_of_a_key():
    formats = [n + s for n in ("server", "server-rsa") for s in (".key", "-pkcs8.der")]
    formats += ["server-ec.pem", "server-ec.der", "server-rsa-rsa.pem", "server-rsa-rsa.der"]
    if lacks("eddsa"):
        refused(ValueError, "unsupported key", True, cert("server-ed25519.key"), cert("server-ed25519.crt"))
    else:
        formats.append("server-ed25519.key")
    for name in formats:
        base = "server-ed25519" if "ed25519" in name else "server-rsa" if "server-rsa" in name else "server"
        for key in (cert(name), cert_bytes(name)):
            assert server_with(key, cert(base + ".crt")), name


def test_encrypted_keys():
    for base in ("server", "server-rsa"):
        for ending in (".pem", ".der"):
            name = base + "-encrypted" + ending
            for key in (cert(name), cert_bytes(name)):
                for password in ("secret", b"secret", bytearray(b"secret")):
                    assert server_with(key, cert(base + ".crt"), key_password=password)
                for password in (None, "wrong", b"", "secre", "x" * 5000):
                    refused(ValueError, ("invalid key", "key_password"), True, key, cert(base + ".crt"),
                            key_password=password)


def test_a_wrong_password_that_comes_to_good_padding():
    # As one of 256 does; the rest is nonsense.
    refused(ValueError, ("invalid key", "key_password"), True, cert("server-unlucky.der"), cert("server.crt"),
            key_password="unlucky")


def test_files_that_cannot_be_read():
    # Its size is 0, and reading it fails.
    raises(OSError, ussl.wrap_socket, End(), keyfile="/proc/self/mem", certfile=cert("server.crt"), code=errno.EIO)


def test_a_password_for_a_key_that_needs_none():
    assert server_with(cert("server.key"), cert("server.crt"), key_password="unused")
    refused(ValueError, "key_password", key_password="alone")


def test_a_chain():
    a, b = pipe()
    client = ussl.wrap_socket(a, ca_certs=cert("ca.crt"), server_hostname="localhost", do_handshake=False)
    server = ussl.wrap_socket(b, True, cert("server-intermediate.key"), cert("server-chain.crt"),
                              do_handshake=False)
    shake(client, server)


def test_many_roots():
    for roots in (cert("ca-all.crt"), cert_bytes("ca-all.crt"), cert("ca.der"), cert_bytes("ca.der")):
        a, b = pipe()
        client = ussl.wrap_socket(a, ca_certs=roots, server_hostname="localhost", do_handshake=False)
        server = ussl.wrap_socket(b, True, cert("server.key"), cert("server.crt"), do_handshake=False)
        shake(client, server)


def test_a_missing_file():
    missing = cert("no-such-file")
    for options in ({"keyfile": missing, "certfile": cert("server.crt")},
                    {"keyfile": cert("server.key"), "certfile": missing},
                    {"ca_certs": missing, "server_hostname": "x"}):
        raises(OSError, wrap, code=errno.ENOENT, **options)
    raises(OSError, wrap, code=errno.ENOENT, ca_certs="", server_hostname="x")


def test_errors_name_the_argument_and_the_file():
    key, certificate = cert("server.key"), cert("server.crt")
    for old, new, options in (("keyfile", "key", {"certfile": certificate}), ("certfile", "cert", {"keyfile": key}),
                              ("ca_certs", "cadata", {"server_hostname": "x"})):
        for name in (old, new):
            options[name] = "no/such.pem"
            if name == "cadata":  # never a path
                refused(ValueError, "invalid cert", **options)
            else:
                raises(OSError, wrap, code=errno.ENOENT, text=(name, "'no/such.pem'"), **options)
            options[name] = 5
            refused(TypeError, name, **options)
            del options[name]
    refused(ValueError, "key requires", key=key)
    refused(ValueError, "cert requires", cert=certificate)
    refused(ValueError, "cadata", psk_ident=IDENTITY, psk_key=KEY, cadata=cert_bytes("ca.crt"))
    refused(ValueError, "cert_reqs", cert_reqs=3)
    refused(TypeError, "cert_reqs", cert_reqs="x")
    refused(TypeError, "record_size_limit", record_size_limit="x")
    refused(TypeError, "server_hostname", server_hostname=5)
    refused(TypeError, "psk_ident", psk_ident=5, psk_key=KEY)
    refused(TypeError, "psk_key", psk_ident=IDENTITY, psk_key="x")
    refused(TypeError, "psk_keys", True, psk_keys=5)
    refused(TypeError, "psk_hint", True, psk_keys={}, psk_hint=5)
    refused(TypeError, "key_password", True, key, certificate, key_password=5)


def test_a_server_that_verifies_needs_ca_certs():
    for mode in (ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED):
        refused(ValueError, "cert_reqs of a server requires ca_certs", True, cert("server.key"), cert("server.crt"), mode)


def test_a_directory():
    folder = os.getenv("USSL_CERTS")
    for options in ({"keyfile": folder, "certfile": cert("server.crt")}, {"ca_certs": folder, "server_hostname": "x"}):
        raises(OSError, wrap, code=errno.EISDIR, **options)


def test_a_file_that_cannot_be_sought():
    # A pipe, as a shell's <(command) gives it.
    import _thread

    path = os.getenv("USSL_TMP") + "/pipe"
    equal(os.system("mkfifo " + path), 0)

    def write():
        with open(path, "wb") as f:
            f.write(cert_bytes("ca.crt"))

    _thread.start_new_thread(write, ())
    wrap(ca_certs=path, server_hostname="x")
    os.remove(path)


# --- files of a file system written in Python


class Vfs:
    """A file system whose every file is a result of make()."""

    def __init__(self, make):
        self.open = lambda path, mode: make()

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass


def with_file(file, call):
    """Calls with the path of that file."""
    vfs.mount(Vfs(lambda: file), "/odd")
    try:
        return call("/odd/file")
    finally:
        vfs.umount("/odd")


class ReadOnly:
    """Not a stream: it has the two methods that a program calls."""

    closed = 0

    def __init__(self, content):
        self.content = content

    def read(self):
        if isinstance(self.content, Exception):
            raise self.content
        return self.content

    def close(self):
        self.closed += 1


class Stream(io.IOBase):
    """A stream that cannot be sought; readinto() calls `answer` instead of reading."""

    closed = 0

    def __init__(self, content, answer=None, end=None):
        self.content = content
        self.at = 0
        self.answer = answer
        self.end = end or len(content)

    def readinto(self, buf):
        if self.answer:
            return self.answer(buf)
        n = min(len(buf), len(self.content) - self.at)
        buf[:n] = self.content[self.at : self.at + n]
        self.at += n
        return n

    def ioctl(self, request, arg):
        if request == IOCTL_CLOSE:
            self.closed += 1
            return 0
        return -errno.EINVAL


class ReadableStream(Stream):
    def read(self):
        return self.content


class SeekableStream(Stream):
    # MicroPython's ioctl passes the address of a structure. Offsets have 64 bits on 32-bit processors, too.
    LAYOUT = {"offset": uctypes.INT64 | 0, "whence": uctypes.INT32 | 8}

    def ioctl(self, request, arg):
        if request != IOCTL_SEEK:
            return super().ioctl(request, arg)
        seek = uctypes.struct(arg, self.LAYOUT)
        self.at = self.end if seek.whence == 2 else seek.offset
        seek.offset = self.at
        return 0


def key_from(file):
    """A server with the certificate whose key is in that file."""
    return with_file(file, lambda path: server_with(path, cert("server.crt")))


def test_odd_files_that_can_be_read():
    key = cert_bytes("server.key")
    before = bytes(bytearray(key))
    text = key.decode()
    for file in (ReadOnly(key), ReadOnly(bytearray(key)), ReadOnly(memoryview(key)), ReadOnly(text), ReadableStream(key),
                 SeekableStream(key)):
        assert key_from(file)
        equal(file.closed, 1)
        # A file may return an object that the program still uses: it is not wiped.
        equal(key, before)
        equal(text, before.decode())
        if isinstance(file, ReadOnly):
            equal(bytes(file.content) if file.content is not text else file.content.encode(), before)
    assert key_from(io.BytesIO(key))
    ca = ReadOnly(cert_bytes("ca.crt"))
    with_file(ca, lambda path: wrap(ca_certs=path, server_hostname="x"))
    with_file(ca, client_context(None).load_verify_locations)
    with_file(ca, ussl.cert_info)
    equal(ca.content, cert_bytes("ca.crt"))


def test_odd_files_that_cannot_be_read():
    key = cert_bytes("server.key")
    before = bytes(bytearray(key))

    def fails(buf):
        raise KeyError("of the file")

    class NoMethods:
        pass

    for kind, file in (
        (AttributeError, NoMethods()),  # no read()
        (AttributeError, None),
        (AttributeError, 7),
        (AttributeError, Stream(key)),  # neither seek nor read()
        (TypeError, ReadOnly(None)),
        (TypeError, ReadOnly(7)),
        (KeyError, ReadOnly(KeyError("of the file"))),
        (ValueError, ReadOnly(b"")),
        (ValueError, ReadOnly(b"no key")),
        (OSError, SeekableStream(key, lambda buf: None)),
        (OSError, SeekableStream(key, lambda buf: -errno.EIO)),
        (KeyError, SeekableStream(key, fails)),
        (ValueError, SeekableStream(key, lambda buf: 0)),
        (TypeError, SeekableStream(key, lambda buf: "1")),
        (MemoryError, SeekableStream(key, lambda buf: len(buf), 1 << 40)),
        (MemoryError, SeekableStream(key, lambda buf: len(buf), (1 << 32) - 1)),
    ):
        raises(kind, key_from, file)
        equal(key, before)
        if isinstance(file, (ReadOnly, Stream)):
            equal(file.closed, 1)


def test_a_file_that_reads_more_than_it_is_asked_for():
    content = cert_bytes("server.key")

    def all_of_it(buf):
        # Without room, a size would be below 0.
        for i in range(min(len(content), len(buf)) if len(buf) >= 0 else len(content)):
            buf[i] = content[i]
        return len(content)

    file = SeekableStream(content, all_of_it)
    raises(OSError, key_from, file)
    equal(file.closed, 1)


def test_files_that_are_something_else():
    before = open_files()
    for bad in (cert("garbage"), cert("truncated.key"), cert("server.crt"), cert("truncated.crt"), scratch("empty", b""),
                b"", b"!", b"-----BEGIN PRIVATE KEY-----\n", "-----BEGIN", cert_bytes("garbage"),
                cert_bytes("server-pkcs8.der")[:-1], cert_bytes("server-pkcs8.der") + b"more"):
        refused(ValueError, "invalid key", True, bad, cert("server.crt"))
    for bad in (cert("garbage"), cert("truncated.crt"), cert("server.key"), scratch("empty", b""), b"", b"!",
                "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", cert_bytes("garbage"),
                cert_bytes("server.der")[:-1], cert_bytes("server.der") + b"more", cert("ca-then-truncated.crt")):
        refused(ValueError, "invalid cert", True, cert("server.key"), bad)
        refused(ValueError, "invalid cert", ca_certs=bad, server_hostname="x")
    equal(open_files(), before)


def test_every_truncation():
    # Of a key and a certificate, PEM and DER: refused, and never a crash.
    pem, der = cert_bytes("server-ec.pem"), cert_bytes("server-ec.der")
    step = 9 if SLOW else 2
    for n in range(0, len(pem) - 30, step):
        refused(ValueError, "invalid key", True, pem[:n], cert("server.crt"))
    for n in range(0, len(der), step):
        refused(ValueError, "invalid key", True, der[:n], cert("server.crt"))
    pem, der = cert_bytes("server.crt"), cert_bytes("server.der")
    for n in range(0, len(pem) - 30, 3 * step):
        refused(ValueError, "invalid cert", ca_certs=pem[:n], server_hostname="x")
    for n in range(0, len(der), 3 * step):
        refused(ValueError, "invalid cert", ca_certs=der[:n], server_hostname="x")


def test_ten_megabytes_of_garbage():
    part = pattern(1 << 12)
    text = scratch("text", b"-----BEGIN CERTIFICATE-----\n", b"A" * (1 << 12), 2560)
    for path in (scratch("big", b"", part, 2560), text):
        for given in (path, content_of(path)):
            gc.collect()
            refused(ValueError, "invalid cert", ca_certs=given, server_hostname="x")
            gc.collect()
            refused(ValueError, "invalid key", True, given, cert("server.crt"))
        os.remove(path)


def test_a_heap_too_small_for_the_file():
    path = scratch("huge", b"", bytes(1 << 20), 80)
    before = open_files()
    raises(MemoryError, wrap, ca_certs=path, server_hostname="x")
    equal(open_files(), before)
    os.remove(path)


def open_files():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


# --- verification


def test_cert_reqs():
    for wrong in (-1, 3, 99):
        refused(ValueError, "cert_reqs", cert_reqs=wrong)
    for wrong in ("CERT_NONE", 1.5, [], None):
        refused(TypeError, "", cert_reqs=wrong)


def test_verification_needs_a_host_name():
    for mode in (ussl.CERT_OPTIONAL, ussl.CERT_REQUIRED):
        refused(ValueError, "server_hostname", cert_reqs=mode, ca_certs=cert("ca.crt"))
        refused(ValueError, "server_hostname", False, None, None, mode, cert("ca.crt"))
        refused(ValueError, "server_hostname", cert_reqs=mode)
        # Unix has a system store.
        wrap(cert_reqs=mode, server_hostname="localhost")
        # A server checks no names.
        wrap(True, cert("server.key"), cert("server.crt"), mode, cert("ca.crt"))
    # If roots are named, they are used.
    refused(ValueError, "server_hostname", ca_certs=cert("ca.crt"))
    refused(ValueError, "server_hostname", cadata=cert_bytes("ca.crt"))
    # If it is passed explicitly, it is used.
    wrap(ca_certs=cert("ca.crt"), cert_reqs=ussl.CERT_NONE)


def test_host_names():
    for name in ("localhost", "example.com", "a.b.c.example", "xn--bcher-kva.example", "127.0.0.1", "::1", "fe80::1",
                 "under_score.example", "EXAMPLE.com", "example.com.", "a" * 63 + ".example"):
        equal(wrap(server_hostname=name).server_hostname, name)
    for name in ("", " ", ".", "..", "a..b", ".example", "b\xfccher.example", "exa mple", "example.com\x00.evil.example",
                 "a" * 64 + ".example", "a." * 130 + "example", "[::1]", "example.com:443", "https://example.com",
                 "x" * 100000, "-\n", "*.example.com"):
        refused(ValueError, "server_hostname", server_hostname=name)


# --- pre-shared keys


def test_lengths_of_psk():
    for size in (0, 49, 64, 1 << 16):
        refused(ValueError, "psk_key", psk_ident=IDENTITY, psk_key=bytes(size))
        refused(ValueError, "key", server_side=True, psk_keys={IDENTITY: bytes(size)})
    for size in (0, 129, 1 << 16):
        refused(ValueError, "psk_ident", psk_ident=bytes(size), psk_key=KEY)
        refused(ValueError, "psk_ident", psk_ident="x" * size, psk_key=KEY)
        refused(ValueError, "psk_hint", server_side=True, psk_keys={}, psk_hint="x" * size)
        refused(ValueError, "identity", server_side=True, psk_keys={bytes(size): KEY})
    # 128 bytes, not characters.
    refused(ValueError, "psk_ident", psk_ident="\xe9" * 65, psk_key=KEY)
    wrap(psk_ident="\xe9" * 64, psk_key=KEY)
    for size in (1, 48):
        wrap(psk_ident=IDENTITY, psk_key=bytes(size))
    for size in (1, 128):
        wrap(psk_ident=b"x" * size, psk_key=KEY)
        wrap(server_side=True, psk_keys={IDENTITY: KEY}, psk_hint="x" * size)


def test_psk_ident_and_key_go_together():
    refused(ValueError, ("psk_ident", "psk_key"), psk_ident=IDENTITY)
    refused(ValueError, ("psk_ident", "psk_key"), psk_key=KEY)


def test_psk_for_the_wrong_side():
    refused(ValueError, "psk_keys", server_side=True, psk_ident=IDENTITY, psk_key=KEY)
    refused(ValueError, "psk_keys", server_side=True, psk_keys={}, psk_ident=IDENTITY, psk_key=KEY)
    refused(ValueError, "psk_keys", psk_keys={IDENTITY: KEY})
    refused(ValueError, "psk_hint", psk_ident=IDENTITY, psk_key=KEY, psk_hint="x")
    refused(ValueError, "psk_hint", psk_hint="x")
    refused(ValueError, "psk_hint", True, cert("server.key"), cert("server.crt"), psk_hint="x")


def test_psk_goes_without_certificates():
    files = {"keyfile": cert("server.key"), "certfile": cert("server.crt")}
    for extra in (files, {"keyfile": cert("server.key")}, {"certfile": cert("server.crt")}, {"ca_certs": cert("ca.crt")}):
        refused(ValueError, "psk", psk_ident=IDENTITY, psk_key=KEY, server_hostname="x", **extra)
        refused(ValueError, "psk", server_side=True, psk_keys={IDENTITY: KEY}, **extra)


def test_psk_keys():
    import collections

    wrap(server_side=True, psk_keys={})
    wrap(server_side=True, psk_keys=collections.OrderedDict())
    wrap(server_side=True, psk_keys={b"x": bytearray(KEY)})
    refused(TypeError, "psk_keys", server_side=True, psk_keys={"text": KEY})
    refused(TypeError, "psk_keys", server_side=True, psk_keys={IDENTITY: "text"})
    refused(TypeError, "psk_keys", server_side=True, psk_keys={IDENTITY: None})
    refused(ValueError, "psk_hint", server_side=True, psk_keys={}, psk_hint="with\x00NUL")

    class HasGet:
        def get(self, identity):
            raise AssertionError("not asked before a client comes")

    wrap(server_side=True, psk_keys=HasGet())


# --- nothing stays behind


def test_refusals_leave_nothing_open():
    before = open_files()
    for _ in range(50):
        try:
            wrap(True, cert("server.key"), cert("truncated.crt"))
        except ValueError:
            pass
    equal(open_files(), before)


run(globals())
