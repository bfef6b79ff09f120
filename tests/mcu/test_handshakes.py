# certs: ca.crt server.crt server.key client.crt client.key
for name, client, server in (
    ("PSK", psk_client(), psk_server()),
    ("ECDSA", trusting(), shown("server")),
    ("unverified", {}, shown("server")),
    ("mutual", dict(shown("client"), **trusting()), dict(shown("server"), ca_certs=CERTS["ca.crt"])),
):
    c, s, results = connect(client, server)
    print(name, results, c.version(), s.version())
    talk(c, s)
    print(name, c.getpeercert() if "ca_certs" in client else None)
    c.close()
    print(name, s.read())
    s.close()
    del c, s
    gc.collect()
print("done")
