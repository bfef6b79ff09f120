# A substitute for micropython-lib's ssl.py, which imports everything from tls and has its own SSLContext.
from tls import *


class SSLContext:
    pass
