# certs: ca.crt ca.crl server.crt server.key server-revoked.crt server-revoked.key
def ends(client, server, name):
    a, b = pipe()
    return (client.wrap_socket(a, server_hostname=name, do_handshake_on_connect=False),
            server.wrap_socket(b, server_side=True, do_handshake_on_connect=False))


def outcome(client, server, name="localhost"):
    c, s = ends(client, server, name)
    results = [None, None]
    for _ in range(50):
        for i, sock in enumerate((c, s)):
            if results[i] is None:
                results[i] = step(sock)
    if results == [True, True]:
        talk(c, s)
    c.close()
    s.close()
    gc.collect()
    return results


def client(*trusted):
    ctx = ussl.SSLContext(ussl.PROTOCOL_TLS_CLIENT)
    for content in trusted:
        ctx.load_verify_locations(content)
    return ctx


def server(certificate, key):
    ctx = ussl.SSLContext(ussl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(certificate, key)
    return ctx


key, certificate = ussl.self_signed(["device.local", "192.168.4.1"])
info = ussl.cert_info(certificate)
print({name: info[name] for name in ("subject", "subjectAltName", "notBefore", "notAfter")})
print(outcome(client(certificate), server(certificate, key), "192.168.4.1"))

for name in ("server", "server-revoked"):
    print(name, outcome(client(CERTS["ca.crt"], CERTS["ca.crl"]), server(CERTS[name + ".crt"], CERTS[name + ".key"])))

asked = []
signing = server(CERTS["server.crt"], CERTS["server.key"])
signing.ecdsa_sign_callback = lambda key, digest: asked.append(len(key))
print(outcome(client(CERTS["ca.crt"]), signing), asked)
signing.sign_callback = lambda algorithm, digest: 1 / 0
try:
    print(outcome(client(CERTS["ca.crt"]), signing))
except ZeroDivisionError as e:
    print(repr(e))
print("done")
