# Simulates a board's module on the unix port, whose clock is set: the first message is lost.

lost = 1


def settime():
    global lost
    lost -= 1
    if lost >= 0:
        raise OSError(116)
