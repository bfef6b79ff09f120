// Compiled in place of Mbed TLS's ssl_tls12_client.c, which it includes with one answer changed.
//
// Who offers RSA-PSS, as every client of TLS 1.3 must, has to take it in TLS 1.2 as well (RFC 8446
// §4.2.3), and servers that go by their own order choose it: mosquitto and CPython do. Mbed TLS 3.6
// can check such a signature there, but refuses it unseen.

#define mbedtls_ssl_sig_alg_is_supported mbedtls_ssl_sig_alg_is_supported_but_pss
#include "ssl_misc.h"
#undef mbedtls_ssl_sig_alg_is_supported

static inline int mbedtls_ssl_sig_alg_is_supported(const mbedtls_ssl_context *ssl, const uint16_t sig_alg) {
    return sig_alg == MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256
           || sig_alg == MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384
           || sig_alg == MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512
           || mbedtls_ssl_sig_alg_is_supported_but_pss(ssl, sig_alg);
}

#include "signer.h"

#include "ssl_tls12_client.c"
