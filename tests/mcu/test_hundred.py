# certs: ca.crt server.crt server.key
# A hundred connections one after the other: the memory that is free stays the same.
client, server = trusting(), shown("server")


def once(client, server):
    c, s, results = connect(client, server)
    assert results == [True, True], results
    c.write(b"hello")
    assert s.read(5) == b"hello"
    return c, s


def free():
    gc.collect()
    gc.collect()
    return gc.mem_free()


before = 0
for i in range(100):
    if i % 10 == 0:
        c, s = once(client, server)
    else:
        c, s = once(psk_client(), psk_server())
    # Half of them are closed, the others forgotten.
    if i % 2:
        c.close()
        s.close()
    del c, s
    if i == 20:
        before = free()
after = free()
# On a host the collector finds values that look like pointers on a larger stack.
print("leaked" if before - after > 4096 else "nothing leaked")
print("done")
