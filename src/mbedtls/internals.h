#pragma once

// Access to internals of Mbed TLS 3.6, and the functions that its patches call (patches/mbedtls-*.patch). In C, because
// Mbed TLS's internal headers are C. Not available with the Mbed TLS of a port: a patched one defines
// USSL_PATCHED_MBEDTLS.

#include <mbedtls/ssl.h>

/// The size in bytes of the input buffer between records. Mbed TLS allocates the first one.
#define USSL_SMALLEST_INPUT 16

#ifdef __cplusplus
extern "C" {
#endif

/// The maximum size in bytes of an input buffer in Mbed TLS.
extern const size_t ussl_mbedtls_largest_input;

/// Stores that a client offered max_fragment_length (RFC 6066 §4). If a client offers TLS 1.2 and 1.3, Mbed TLS offers
/// the extension, but rejects a TLS 1.3 server's answer as unexpected. Call this between ClientHello and the server's
/// extensions.
void ussl_mbedtls_offered_max_fragment_length(mbedtls_ssl_context *ssl);

/// Frees the state of the handshake. Mbed TLS itself keeps it after a handshake of TLS 1.3.
void ussl_mbedtls_end_handshake(mbedtls_ssl_context *ssl);

/// Allocates the state that ussl_mbedtls_end_handshake() freed, because Mbed TLS needs it to parse a message after the
/// handshake (NewSessionTicket, RFC 8446 §4.6.1). Returns 0 on success.
int ussl_mbedtls_begin_message(mbedtls_ssl_context *ssl);

/// During the handshake: returns 1 if it is certain that an earlier session is resumed.
int ussl_mbedtls_resumes(const mbedtls_ssl_context *ssl);

/// During the handshake: returns the number of the key exchange group. 0: not known yet, or a key exchange without a
/// numbered group.
uint16_t ussl_mbedtls_group(const mbedtls_ssl_context *ssl);

/// Returns 1 if a server has no key exchange group in common with the client. Call this in TLS 1.3 before
/// HelloRetryRequest, in TLS 1.2 before ServerHello.
int ussl_mbedtls_lacks_group(const mbedtls_ssl_context *ssl);

/// As mbedtls_ssl_ticket_parse(), but marks the session if its ticket is encrypted with an older key than new tickets.
int ussl_mbedtls_parse_ticket(void *tickets, mbedtls_ssl_session *session, unsigned char *ticket, size_t size);

/// Prevents new tickets of TLS 1.3 if a server resumes a marked session. (In TLS 1.2, the client keeps the old ticket.)
void ussl_mbedtls_limit_tickets(mbedtls_ssl_context *ssl);
/// During the handshake: returns 1 if the master secret of TLS 1.2 is the extended one (RFC 7627). Known after both
/// hello messages; on a server, after ClientHello.
int ussl_mbedtls_has_extended_master_secret(const mbedtls_ssl_context *ssl);

/// During the handshake: returns 1 if a TLS 1.2 client does not send its certificate, because the server does not
/// accept its signatures.
int ussl_mbedtls_withholds_certificate(const mbedtls_ssl_context *ssl);

/// Prevents a ticket of a TLS 1.2 server. Call this between ClientHello and ServerHello.
void ussl_mbedtls_send_no_ticket(mbedtls_ssl_context *ssl);

/// Makes a server ignore a client's record_size_limit (RFC 8449). Call this between ClientHello and the server's
/// extensions.
void ussl_mbedtls_ignore_record_size_limit(mbedtls_ssl_context *ssl);

// Called by Mbed TLS:

/// Adds a certificate to `chain`. Accepts all extensions, because verify.cpp evaluates them. Fails unless `der` is
/// exactly one certificate.
int ussl_mbedtls_parse_certificate(mbedtls_x509_crt *chain, const unsigned char *der, size_t size);

/// Sorts the chain: starting with the peer's own certificate, moves the issuers of each certificate behind it, in their
/// original order. Other certificates are last.
void ussl_mbedtls_sort_chain(mbedtls_x509_crt *chain);

/// Returns 1 if a record is early data for another server and must be skipped (RFC 8446 section 4.2.10). `size` is the
/// size of a record that cannot be decrypted, or that precedes the second ClientHello.
int ussl_mbedtls_skips_early_data(mbedtls_ssl_context *ssl, size_t size);
/// Returns 1 if `size` more bytes may be skipped (session.cpp).
int ussl_mbedtls_may_skip(mbedtls_ssl_context *ssl, size_t size);

/// Returns the alert to send in place of `alert`, and activates the keys for it (error.cpp).
unsigned char ussl_mbedtls_choose_alert(mbedtls_ssl_context *ssl, unsigned char alert);

/// Chooses the signature algorithm of a TLS 1.2 client from a CertificateRequest, and stores it as the first of
/// received_sig_algs. If no algorithm fits, the client sends no certificate (RFC 5246 section 7.4.6).
void ussl_mbedtls_choose_signature(mbedtls_ssl_context *ssl, const unsigned char *algorithms, size_t size);

/// Signs for this side of the connection (callbacks.cpp). In TLS 1.2, RSA means PKCS #1 v1.5.
int ussl_mbedtls_sign(mbedtls_ssl_context *ssl, mbedtls_pk_type_t type, mbedtls_pk_context *key,
                      mbedtls_md_type_t hash, const unsigned char *digest, size_t digest_size,
                      unsigned char *signature, size_t capacity, size_t *length);

/// Returns 1 if trusted certificates are looked up by name. Then Mbed TLS calls ussl_mbedtls_find_issuers() for the
/// possible issuers of a certificate, which returns 0 on success (verify.cpp).
int ussl_mbedtls_looks_up_issuers(const mbedtls_ssl_context *ssl);
int ussl_mbedtls_find_issuers(void *ssl, const mbedtls_x509_crt *certificate, mbedtls_x509_crt **found);

/// Returns 1 if a certificate that Mbed TLS has parsed conforms to RFC 5280 (verify.cpp).
int ussl_mbedtls_is_readable(const mbedtls_x509_crt *certificate);

#ifdef __cplusplus
}
#endif
