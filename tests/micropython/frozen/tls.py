# Nobody freezes such a file; if somebody does, it must not take ussl's place.
class SSLContext:
    pass
