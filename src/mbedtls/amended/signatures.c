// Compiled in place of Mbed TLS's pk_wrap.c, which it includes with one omission mended.
//
// Mbed TLS 3.6 writes an RSA key down for PSA with every signature, and gives that memory back as it is.

#include "common.h"

#include <mbedtls/platform.h>
#include <mbedtls/platform_util.h>

#include "pk_wrap.h"
#include "pkwrite.h"

static inline void free_memory(void *memory) {
    mbedtls_free(memory);
}

static inline void free_key(unsigned char *der) {
    mbedtls_zeroize_and_free(der, MBEDTLS_PK_RSA_PRV_DER_MAX_BYTES);
}

#undef mbedtls_free
#define mbedtls_free(memory) _Generic((memory), unsigned char *: free_key, default: free_memory)(memory)

#include "pk_wrap.c"
