#pragma once

// Mbed TLS refuses a peer's certificate for a critical extension that it does not know before it asks
// whether anybody wants the certificate verified. Here it notes it, and verification refuses
// (verify.cpp).

#include <mbedtls/x509_crt.h>

#include "../internals.h"

static inline int ussl_note_critical_extension(void *context, const mbedtls_x509_crt *certificate,
                                               const mbedtls_x509_buf *oid, int critical,
                                               const unsigned char *begin, const unsigned char *end) {
    (void)context, (void)oid, (void)begin, (void)end;
    if (critical) {
        ((mbedtls_x509_crt *)certificate)->ext_types |= USSL_UNKNOWN_CRITICAL_EXTENSION;
    }
    return 0;
}

#define mbedtls_x509_crt_parse_der(chain, data, size) \
    mbedtls_x509_crt_parse_der_with_ext_cb(chain, data, size, 1, ussl_note_critical_extension, NULL)
