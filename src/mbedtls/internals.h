#pragma once

// Access to the internals of Mbed TLS 3.6, and the functions that its patches call (patches/mbedtls-*.patch); in C, as
// its private headers are. Not for the Mbed TLS of a port: a patched one defines USSL_PATCHED_MBEDTLS.

#include <mbedtls/ssl.h>

/// The size of the buffer for input between records. Mbed TLS allocates the first one.
#define USSL_SMALLEST_INPUT 16

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

/// During the handshake: the key exchange group, as far as it is known. 0: there is none yet, or the key exchange has no
/// group with a number.
uint16_t ussl_mbedtls_group(const mbedtls_ssl_context *ssl);

/// A server is about to answer with a key exchange for which it has no group in common with the client: in TLS 1.3
/// before it asks for a key share, in TLS 1.2 before its ServerHello.
int ussl_mbedtls_lacks_group(const mbedtls_ssl_context *ssl);

/// As mbedtls_ssl_ticket_parse(), and marks a session whose ticket has another key than new ones get.
int ussl_mbedtls_parse_ticket(void *tickets, mbedtls_ssl_session *session, unsigned char *ticket, size_t size);

/// A server that resumes a session of that mark gives no tickets in TLS 1.3. (In TLS 1.2, the old one
/// stays.)
void ussl_mbedtls_limit_tickets(mbedtls_ssl_context *ssl);
/// During the handshake, once both hellos, or on a server the client's, have been read: whether the
/// master secret of TLS 1.2 is the extended one (RFC 7627).
int ussl_mbedtls_has_extended_master_secret(const mbedtls_ssl_context *ssl);

/// During the handshake: a client of TLS 1.2 does not show its certificate, because the server does not accept its
/// signatures.
int ussl_mbedtls_withholds_certificate(const mbedtls_ssl_context *ssl);

/// A server of TLS 1.2 sends no ticket. To be called between ClientHello and ServerHello.
void ussl_mbedtls_send_no_ticket(mbedtls_ssl_context *ssl);

/// A server lets a client's record_size_limit (RFC 8449) pass without an answer. To be called
/// between ClientHello and the server's extensions.
void ussl_mbedtls_ignore_record_size_limit(mbedtls_ssl_context *ssl);

// Called by Mbed TLS:

/// Adds a certificate to `chain`, with any extensions (verify.cpp judges them). Fails unless `der` is one certificate
/// and nothing else.
int ussl_mbedtls_parse_certificate(mbedtls_x509_crt *chain, const unsigned char *der, size_t size);

/// Moves the issuers of each certificate, from the peer's own on, behind it, and keeps their order. Certificates that
/// are not an issuer of another are last.
void ussl_mbedtls_sort_chain(mbedtls_x509_crt *chain);

/// Whether a record that cannot be decrypted, or comes before the second ClientHello, is early data for another server,
/// which this one skips (RFC 8446 section 4.2.10).
int ussl_mbedtls_skips_early_data(mbedtls_ssl_context *ssl, size_t size);
/// Whether that much more may be skipped (session.cpp).
int ussl_mbedtls_may_skip(mbedtls_ssl_context *ssl, size_t size);

/// Returns the alert to send instead, and takes up the keys that it needs (error.cpp).
unsigned char ussl_mbedtls_choose_alert(mbedtls_ssl_context *ssl, unsigned char alert);

/// A client of TLS 1.2 chooses among the signature algorithms of a CertificateRequest: the first of received_sig_algs. If
/// there is none, it has no certificate for this server (RFC 5246 section 7.4.6).
void ussl_mbedtls_choose_signature(mbedtls_ssl_context *ssl, const unsigned char *algorithms, size_t size);

/// Signs for this side of the connection (callbacks.cpp). In TLS 1.2, RSA is PKCS #1 v1.5.
int ussl_mbedtls_sign(mbedtls_ssl_context *ssl, mbedtls_pk_type_t type, mbedtls_pk_context *key,
                      mbedtls_md_type_t hash, const unsigned char *digest, size_t digest_size,
                      unsigned char *signature, size_t capacity, size_t *length);

/// Whether the trusted certificates of a connection are looked up by name, and those that may have issued a
/// certificate (engine.cpp).
int ussl_mbedtls_looks_up_issuers(const mbedtls_ssl_context *ssl);
int ussl_mbedtls_find_issuers(void *ssl, const mbedtls_x509_crt *certificate, mbedtls_x509_crt **found);

/// Whether a certificate that Mbed TLS has parsed conforms to RFC 5280 (verify.cpp).
int ussl_mbedtls_is_readable(const mbedtls_x509_crt *certificate);

#ifdef __cplusplus
}
#endif
