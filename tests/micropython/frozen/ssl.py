# Stands for micropython-lib's ssl.py, which takes everything from tls and has an SSLContext of its own.
from tls import *


class SSLContext:
    pass
