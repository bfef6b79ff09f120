// Compiled in place of Mbed TLS's ssl_tls.c, which it includes.

#include "ssl_misc.h"

#ifdef USSL_AMENDED_MBEDTLS

#include <mbedtls/platform.h>

#include "certificates.h"
#include "internals.h"

// A session that is loaded has its server's name as it stood there, which Mbed TLS then takes for a
// string: behind all that is allocated here stands a NUL.
#undef mbedtls_calloc
#define mbedtls_calloc(count, size) MBEDTLS_PLATFORM_CALLOC_MACRO(1, (count) * (size) + 1)

// The buffers of a connection are ussl's (records.cpp), and begin small.
#undef MBEDTLS_SSL_IN_BUFFER_LEN
#define MBEDTLS_SSL_IN_BUFFER_LEN USSL_SMALLEST_INPUT
#define mbedtls_ssl_get_input_buflen(ssl) ((ssl)->in_buf_len)
#define mbedtls_ssl_get_output_buflen(ssl) ((ssl)->out_buf_len)

// An alert that is about to be sent is changed first, where a callback of the program has failed.
#define mbedtls_ssl_handle_pending_alert(ssl) (ussl_mbedtls_choose_alert(ssl), mbedtls_ssl_handle_pending_alert(ssl))

#define mbedtls_ssl_get_max_out_record_payload mbedtls_ssl_get_max_out_record_payload_but_one
#include "ssl_tls.c"
#undef mbedtls_ssl_get_max_out_record_payload

#ifdef MBEDTLS_SSL_RECORD_SIZE_LIMIT
static int has_record_size_limit(const mbedtls_ssl_context *ssl) {
    return ssl->session != NULL && ssl->session->record_size_limit != 0
           && ssl->session->record_size_limit <= MBEDTLS_SSL_OUT_CONTENT_LEN;
}
#else
static int has_record_size_limit(const mbedtls_ssl_context *ssl) {
    (void)ssl;
    return 0;
}
#endif

// In TLS 1.3 Mbed TLS counts the byte of the type as a part of the 2^14 that a record may hold, which
// it is not (RFC 8446 §5.4), unless a peer's record_size_limit says so (RFC 8449 §4).
int mbedtls_ssl_get_max_out_record_payload(const mbedtls_ssl_context *ssl) {
    const int payload = mbedtls_ssl_get_max_out_record_payload_but_one(ssl);
    return payload + 1 == MBEDTLS_SSL_OUT_CONTENT_LEN && !has_record_size_limit(ssl) ? payload + 1 : payload;
}

#else
#include "ssl_tls.c"
#endif
