# certs: ca.crt ca-other.crt server.crt server.key server-expired.crt server-expired.key server-future.crt server-future.key server-selfsigned.crt server-selfsigned.key server-clientauth.crt server-clientauth.key server-flipped.crt server-flipped.key
for name, root, host in (
    ("server", "ca.crt", "localhost"),
    ("server", "ca.crt", "other.example"),
    ("server", "ca-other.crt", "localhost"),
    ("server-expired", "ca.crt", "localhost"),
    ("server-expired", "ca-other.crt", "other.example"),
    ("server-future", "ca.crt", "localhost"),
    ("server-selfsigned", "ca.crt", "localhost"),
    ("server-clientauth", "ca.crt", "localhost"),
    ("server-flipped", "ca.crt", "localhost"),
):
    c, s, results = connect(trusting(root, host), shown(name))
    print(name, root, host)
    print("   ", results[0])
    print("   ", results[1])
    c.close()
    s.close()
    gc.collect()
for name, client, server in (
    ("wrong key", {"psk_ident": "me", "psk_key": b"wrong"}, psk_server()),
    ("unknown identity", {"psk_ident": "you", "psk_key": KEY}, psk_server()),
    ("no client certificate", {}, dict(shown("server"), ca_certs=CERTS["ca.crt"])),
):
    c, s, results = connect(client, server)
    print(name)
    for sock, result in ((c, results[0]), (s, results[1])):
        try:
            if result is True:
                sock.read(1)
        except OSError as e:
            result = e
        # The alert is a row of docs/explanation/known-limitations.md (psk_alert).
        print("   ", result.errno, result.args[1].split(" (alert")[0])
    c.close()
    s.close()
for what, options in (
    ("key", {"keyfile": b"junk", "certfile": CERTS["server.crt"]}),
    ("certificate", {"keyfile": CERTS["server.key"], "certfile": b"junk"}),
    ("pair", {"keyfile": CERTS["server-expired.key"], "certfile": CERTS["server.crt"]}),
):
    try:
        ussl.wrap_socket(End(), server_side=True, **options)
    except ValueError as e:
        print(what, e)
print("done")
