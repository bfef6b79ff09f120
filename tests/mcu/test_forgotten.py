# Forgotten connections take nothing from later ones: not memory, nor places for keys.
for i in range(40):
    c, s, results = connect(psk_client(), psk_server())
    assert results == [True, True], (i, results)
    talk(c, s, 100)
    c = s = None
print("forgotten")
# Kept ones are limited by memory only.
gc.collect()
kept = []
for i in range(8):
    kept.append(connect(psk_client(), psk_server()))
    assert kept[-1][2] == [True, True], (i, kept[-1])
for c, s, results in kept:
    talk(c, s, 100)
print("kept", len(kept))
print("done")
