#pragma once

// What Mbed TLS 3.6 keeps to itself; C, because its private headers are. Not for an Mbed TLS that the
// port brings: those that ussl builds from its sources say USSL_AMENDED_MBEDTLS.

#include <mbedtls/ssl.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The largest input buffer that Mbed TLS would make for itself.
extern const size_t ussl_mbedtls_largest_input;

/// A client that offers TLS 1.2 and 1.3 offers max_fragment_length (RFC 6066 §4), but Mbed TLS
/// forgets it when a server of TLS 1.3 agrees, and would refuse the answer as unasked for. To be
/// called between ClientHello and the server's extensions.
void ussl_mbedtls_offered_max_fragment_length(mbedtls_ssl_context *ssl);

/// Frees what the handshake needed. Mbed TLS itself keeps it after a handshake of TLS 1.3.
void ussl_mbedtls_end_handshake(mbedtls_ssl_context *ssl);

/// For a message that comes after the handshake (NewSessionTicket, RFC 8446 §4.6.1), which Mbed TLS
/// reads like one of a handshake: makes what ussl_mbedtls_end_handshake() has freed. 0: good.
int ussl_mbedtls_begin_message(mbedtls_ssl_context *ssl);

/// During the handshake, once it is decided: whether an earlier session is being resumed.
int ussl_mbedtls_resumes(const mbedtls_ssl_context *ssl);

/// A server lets a client's record_size_limit (RFC 8449) pass without an answer. To be called
/// between ClientHello and the server's extensions.
void ussl_mbedtls_ignore_record_size_limit(mbedtls_ssl_context *ssl);

/// Called before an alert of the handshake is sent; engine.cpp implements it.
void ussl_mbedtls_choose_alert(mbedtls_ssl_context *ssl);

#ifdef __cplusplus
}
#endif
