// Always compiled, as on rp2, and for the port's own Mbed TLS only.
#include "py/mpconfig.h"
#ifdef MICROPY_SSL_MBEDTLS
#include "mbedtls_config_port.h"
#include <mbedtls/build_info.h>
#ifdef USSL_MBEDTLS_PLATFORM
#error "this file is compiled with ussl's configuration"
#endif
#endif
