// Compiled in place of Mbed TLS's ssl_tls13_keys.c, which it includes with one omission mended.
//
// Where there is memory for the first key of a direction and not for the second, Mbed TLS 3.6 lets go of both
// without destroying the first. PSA's store holds 32 keys, and would be full some day.

#include "ssl_misc.h"

#include <mbedtls/platform.h>

static inline void free_memory(void *memory) {
    mbedtls_free(memory);
}

static inline void free_transform(mbedtls_ssl_transform *transform) {
    mbedtls_ssl_transform_free(transform);
    mbedtls_free(transform);
}

#undef mbedtls_free
#define mbedtls_free(memory) _Generic((memory), mbedtls_ssl_transform *: free_transform, default: free_memory)(memory)

#include "ssl_tls13_keys.c"
