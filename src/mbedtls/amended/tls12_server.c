// Compiled in place of Mbed TLS's ssl_tls12_server.c, which it includes.

#include "ssl_misc.h"

#include "signer.h"

#include "ssl_tls12_server.c"
