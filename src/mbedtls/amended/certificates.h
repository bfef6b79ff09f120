#pragma once

// Mbed TLS refuses a peer's certificate for a critical extension that it does not know before it asks
// whether anybody wants the certificate verified. Here it takes it, and verification refuses
// (verify.cpp).

#include <mbedtls/x509_crt.h>

static inline int ussl_take_extension(void *context, const mbedtls_x509_crt *certificate,
                                      const mbedtls_x509_buf *oid, int critical, const unsigned char *begin,
                                      const unsigned char *end) {
    (void)context, (void)certificate, (void)oid, (void)critical, (void)begin, (void)end;
    return 0;
}

#define mbedtls_x509_crt_parse_der(chain, data, size) \
    mbedtls_x509_crt_parse_der_with_ext_cb(chain, data, size, 1, ussl_take_extension, NULL)
