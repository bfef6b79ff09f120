// MicroPython's own options for Mbed TLS, for comparison (bench/mcu): TLS 1.2 only, without tuning for
// a processor. It uses ussl's memory, entropy and time. Pre-shared keys, which MicroPython omits, are
// added, with the one suite for ECDHE-PSK that both have.

#include "ussl_mbedtls_platform.h"

#include "extmod/mbedtls/mbedtls_config_common.h"

#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
