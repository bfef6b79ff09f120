# certs: ca.crt server.crt server.key
# chip only
# Memory runs out in the middle: an error, everything is released, and a smaller handshake succeeds.


def free():
    gc.collect()
    gc.collect()
    return gc.mem_free()


# Everything that is made once is there.
for client, server in ((trusting(), shown("server")), (psk_client(), psk_server())):
    c, s, results = connect(client, server)
    assert results == [True, True], results
    c.close()
    s.close()
    del c, s
client, server = trusting(), shown("server")
before = free()
failures = {}
good = 0
for left in range(6000, 70000, 1600):
    gc.collect()
    gc.collect()
    ballast = []
    while gc.mem_free() > left + 2000:
        try:
            ballast.append(bytearray(min(8000, gc.mem_free() - left)))
        except MemoryError:
            break
    what = None
    c = s = results = None
    try:
        c, s, results = connect(client, server)
        what = [r for r in results if r is not True]
        what = repr(what[0].errno if isinstance(what[0], OSError) else what[0]) if what else None
    except MemoryError:
        what = "MemoryError"
    except OSError as e:
        what = repr(e.errno)
    if c:
        c.close()
        s.close()
    c = s = results = None
    ballast = None
    if what:
        failures[what] = failures.get(what, 0) + 1
    else:
        good += 1
    c, s, results = connect(psk_client(), psk_server())
    assert results == [True, True], (left, results)
    c.close()
    s.close()
    c = s = results = None
after = free()
print(failures, good)
assert failures and good
# The context of the last call may be kept for the next, and the collector keeps memory that looks like being in use.
assert before - after < 3072, (before, after)
print("done")
