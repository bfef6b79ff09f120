// Its own headers first: they open what the public ones hide.
#include "ssl_misc.h"

#include "internals.h"

const size_t ussl_mbedtls_largest_input = MBEDTLS_SSL_IN_BUFFER_LEN;

void ussl_mbedtls_offered_max_fragment_length(mbedtls_ssl_context *ssl) {
    if (ssl->handshake != NULL) {
        mbedtls_ssl_tls13_set_hs_sent_ext_mask(ssl, MBEDTLS_TLS_EXT_MAX_FRAGMENT_LENGTH);
    }
}

void ussl_mbedtls_ignore_record_size_limit(mbedtls_ssl_context *ssl) {
    if (ssl->handshake != NULL) {
        ssl->handshake->received_extensions &= ~MBEDTLS_SSL_EXT_MASK(RECORD_SIZE_LIMIT);
    }
}
