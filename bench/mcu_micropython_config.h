// MicroPython's own options for Mbed TLS, to compare with (bench/mcu): TLS 1.2 only, nothing tuned for
// a processor. ussl's memory, entropy and time; and pre-shared keys, which MicroPython leaves out, with
// the one suite for ECDHE-PSK that both have.

#include "ussl_mbedtls_platform.h"

#include "extmod/mbedtls/mbedtls_config_common.h"

#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
