#pragma once

// What Mbed TLS does with the chain that a peer sends is amended in three places:
//
// - It refuses a certificate for a critical extension that it does not know before it asks whether
//   anybody wants the certificate verified. Here it takes it, and verification refuses (verify.cpp).
// - It passes over a certificate whose signature it does not know, as if it had not been sent, even if
//   it is the peer's own, and over bytes behind a certificate; and it reads some that are none. Here
//   the whole chain has to be of certificates (is_readable() in verify.cpp).
// - It looks for an issuer only behind what it has issued. RFC 8446 §4.4.2 wants chains in any order
//   to be taken.

#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/x509_crt.h>

int ussl_is_readable(const mbedtls_x509_crt *certificate);

static inline int ussl_take_extension(void *context, const mbedtls_x509_crt *certificate,
                                      const mbedtls_x509_buf *oid, int critical, const unsigned char *begin,
                                      const unsigned char *end) {
    (void)context, (void)certificate, (void)oid, (void)critical, (void)begin, (void)end;
    return 0;
}

static inline int ussl_parse_certificate(mbedtls_x509_crt *chain, const unsigned char *data, size_t size, int copy) {
    const int ret = mbedtls_x509_crt_parse_der_with_ext_cb(chain, data, size, copy, ussl_take_extension, NULL);
    if (ret != 0)
        return ret == MBEDTLS_ERR_X509_ALLOC_FAILED ? ret : MBEDTLS_ERR_X509_INVALID_FORMAT;
    while (chain->next != NULL)
        chain = chain->next;
    return chain->raw.len == size && ussl_is_readable(chain) ? 0 : MBEDTLS_ERR_X509_INVALID_FORMAT;
}

// Brings the issuers of each certificate, from the peer's own on, behind it, and leaves the order of
// those alone. What is nobody's issuer stays at the end.
static inline void ussl_put_in_order(mbedtls_x509_crt *chain) {
    mbedtls_x509_crt *last = chain;
    for (const mbedtls_x509_crt *of = chain; of != NULL; of = of != last ? of->next : NULL) {
        for (mbedtls_x509_crt **at = &last->next; *at != NULL;) {
            mbedtls_x509_crt *one = *at;
            if (one->subject_raw.len != of->issuer_raw.len
                || memcmp(one->subject_raw.p, of->issuer_raw.p, one->subject_raw.len) != 0) {
                at = &one->next;
                continue;
            }
            if (at != &last->next) {
                *at = one->next;
                one->next = last->next;
                last->next = one;
            } else {
                at = &one->next;
            }
            last = one;
        }
    }
}

static inline int ussl_verify_certificates(mbedtls_x509_crt *chain, mbedtls_x509_crt *trusted, mbedtls_x509_crl *crl,
                                           const mbedtls_x509_crt_profile *profile, const char *name, uint32_t *flags,
                                           int (*verify)(void *, mbedtls_x509_crt *, int, uint32_t *), void *context,
                                           mbedtls_x509_crt_restart_ctx *restart) {
    ussl_put_in_order(chain);
    return mbedtls_x509_crt_verify_restartable(chain, trusted, crl, profile, name, flags, verify, context, restart);
}

#define mbedtls_x509_crt_parse_der(chain, data, size) ussl_parse_certificate(chain, data, size, 1)
#define mbedtls_x509_crt_parse_der_nocopy(chain, data, size) ussl_parse_certificate(chain, data, size, 0)
#define mbedtls_x509_crt_verify_restartable ussl_verify_certificates
