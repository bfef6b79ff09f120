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
# Importing the module again, by any of its names, does not affect existing connections.
c, s, results = connect(psk_client(), psk_server())
import ssl
import tls

gc.collect()
more = [bytearray(500) for _ in range(40)]
more = None
gc.collect()
talk(c, s)
c2, s2, results = connect(trusting(), shown("server"))
talk(c2, s2)
talk(c, s)
print("imported again", results, ssl is ussl, tls is ussl)
print("done")
