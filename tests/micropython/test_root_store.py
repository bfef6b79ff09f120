# Root stores (docs/guide/root-stores.md) in place of certificates: as files and as contents.

import gc
import os

import ussl
from ussltest import *


def test_a_root_store():
    store, server = cert_bytes("roots.bin"), server_context()
    for load in (
        lambda context: context.load_verify_locations(cert("roots.bin")),
        lambda context: context.load_verify_locations(cafile=cert("roots.bin")),
        lambda context: context.load_verify_locations(store),
        lambda context: context.load_verify_locations(cadata=bytearray(store)),
        lambda context: context.load_verify_locations(memoryview(b"xx" + store)[2:]),
    ):
        client = client_context(None)
        load(client)
        gc.collect()
        equal(client.cert_store_stats(), {"x509": 2, "x509_ca": 2, "crl": 0, "unsupported": 0})
        connected(client, server)
        connected(client, server_context("server-rsa"))
        refused(client, server_context("server-other"), "CERT_UNKNOWN_ISSUER")
    connected(ussl.create_default_context(cafile=cert("roots.bin")), server)
    connected(ussl.create_default_context(cadata=store), server)
    refused(ussl.create_default_context(cafile=cert("roots-other.bin")), server, "CERT_UNKNOWN_ISSUER")


def test_a_root_store_is_a_copy_of_a_buffer_that_can_change():
    content = bytearray(cert_bytes("roots.bin"))
    client = client_context(None)
    client.load_verify_locations(content)
    content[:] = b""
    gc.collect()
    connected(client, server_context())


def test_a_root_store_is_combined_with_certificates():
    # ca.crt and ca-rsa.crt, and ca-other.crt from each source.
    store = cert("roots.bin")
    for other in ("roots-other.bin", "ca-other.crt"):
        for files in ((store, cert(other)), (cert(other), store)):
            client = client_context(None)
            for file in files:
                client.load_verify_locations(file)
            equal(client.cert_store_stats()["x509"], 3)
            for name in ("server", "server-rsa", "server-other"):
                connected(client, server_context(name))
    client = client_context(None)
    client.load_verify_locations(store)
    client.load_verify_locations(store)
    equal(client.cert_store_stats()["x509"], 2)
    client.load_verify_locations(cert("ca.crl"))
    equal(client.verify_flags, ussl.VERIFY_CRL_CHECK_LEAF)
    connected(client, server_context())
    refused(client, server_context("server-revoked"), "CERT_REVOKED")


def test_a_context_has_three_root_stores():
    client = client_context(None)
    for _ in range(3):
        client.load_verify_locations(cert("roots.bin"))
    raises(ValueError, client.load_verify_locations, cafile=cert("roots.bin"),
           text="cafile: a context has at most 3 root stores; tools/make_roots combines several")
    connected(client, server_context())


def test_a_root_store_with_a_callback_and_a_pin():
    seen = []
    client = client_context(None)
    client.load_verify_locations(cert("roots.bin"))
    client.verify_callback = lambda certificate, depth: seen.append(depth) or 0
    connected(client, server_context())
    equal(seen, [0])
    client.pins = [b"x" * 32]
    refused(client, server_context(), "CERT_PIN")


def test_a_root_store_for_clients():
    server = server_context()
    server.verify_mode = ussl.CERT_REQUIRED
    server.load_verify_locations(cert("roots.bin"))
    client = client_context()
    client.load_cert_chain(cert("client.crt"), cert("client.key"))
    connected(client, server)


def test_a_damaged_root_store():
    store = cert_bytes("roots.bin")
    client = client_context(None)
    client.load_verify_locations(cert("roots-other.bin"))
    for content, text in (
        (store[:-1], "byte 670: truncated root store"), (store[:8], "byte 8: truncated root store"),
        (store + b"x", "byte 671: damaged root store: there is more behind its end"),
        (store[:-1] + b"x", "damaged root store: its SHA-256 is wrong"),
        (store[:9] + b"\2" + store[10:], "byte 8: unsupported format of a root store"),
    ):
        separator = ", " if text.startswith("byte") else ": "
        path = os.getenv("USSL_TMP") + "/damaged.bin"
        with open(path, "wb") as file:
            file.write(content)
        text = separator + text
        in_file = "'" + path + "'" + text
        equal(str(raises(ValueError, client.load_verify_locations, cafile=path)), "cafile " + in_file)
        equal(str(raises(ValueError, client.load_verify_locations, cadata=content)), "cadata" + text)
        equal(str(raises(ValueError, ussl.create_default_context, cafile=path)), "cafile " + in_file)
        raises(ValueError, ussl.wrap_socket, pipe()[0], ca_certs=path, server_hostname="x", text="ca_certs " + in_file)
    equal(client.cert_store_stats()["x509"], 1)
    # Other arguments take no store.
    raises(ValueError, ussl.SSLContext(SERVER).load_cert_chain, cert("roots.bin"), cert("server.key"), text="invalid cert")


def test_wrap_socket_with_a_root_store():
    for trusted in ({"ca_certs": cert("roots.bin")}, {"ca_certs": cert_bytes("roots.bin")},
                    {"cadata": memoryview(cert_bytes("roots.bin"))}):
        for _ in range(2):
            trusted["server_hostname"] = "localhost"
            cert_pair(client=trusted)
            gc.collect()
    other = {"ca_certs": cert("roots-other.bin"), "server_hostname": "localhost"}
    raises(OSError, cert_pair, client=other, code=ussl.ERR_CERT_UNKNOWN_ISSUER)


run(globals())
