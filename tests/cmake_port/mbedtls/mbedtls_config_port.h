// The configuration of the Mbed TLS that the port links for MicroPython's own TLS: not ussl's.
#define MICROPY_MBEDTLS_CONFIG_BARE_METAL (1)
#include "extmod/mbedtls/mbedtls_config_common.h"
