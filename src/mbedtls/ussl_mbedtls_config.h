// The configuration of ussl's own build of Mbed TLS 3.6 (MBEDTLS_CONFIG_FILE), on a host and on a board. Each line is
// required by the contract, or improves speed or size where a comment mentions it.
//
// USSL_BOARD: a board without an operating system; the port provides memory, entropy and time (see
// docs/porting/README.md). To change options, a board names its own file as MBEDTLS_USER_CONFIG_FILE. It is included
// after this one, and can define and undefine options. bench/mcu --options measures the cost of each option.

#ifndef USSL_MBEDTLS_CONFIG_H
#define USSL_MBEDTLS_CONFIG_H

#include "ussl_mbedtls_platform.h"

// --- the platform

#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE  // certificates have dates
#define MBEDTLS_HAVE_ASM        // speed: long multiplication, AES-NI
#ifndef USSL_BOARD
#define MBEDTLS_FS_IO  // the system's trust store
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD
#define MBEDTLS_AESNI_C  // speed
#define MBEDTLS_AESCE_C  // speed
#endif

// --- TLS

#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE  // RFC 8446 D.4: through middleboxes
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE  // TLS 1.3 and getpeercert()
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_SESSION_TICKETS  // resumption, as a client
#define MBEDTLS_SSL_TICKET_C         // as a server
#define MBEDTLS_SSL_CACHE_C          // as a server, for TLS 1.2 clients without tickets
#define MBEDTLS_SSL_TLS1_3_TICKET_NONCE_LENGTH 8  // wolfSSL 5.5 closes a connection with a longer nonce
#define MBEDTLS_SSL_ENCRYPT_THEN_MAC  // RFC 7366, for CBC suites, which are opt-in
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH     // smaller records in TLS 1.2, opt-in
#define MBEDTLS_SSL_RECORD_SIZE_LIMIT       // smaller records in TLS 1.3, opt-in
#define MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH  // buffers that ussl resizes (records.cpp)
#define MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY 1  // no padding, so that a record can have the maximum size
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#ifdef USSL_BOARD
// The maximum size of a sent record and of this side's certificate chain. Every handshake needs that much memory; after
// the handshake, only records do.
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096
#else
// On a board, these would take seconds, and 1.5 KB more memory in every handshake.
#define MBEDTLS_KEY_EXCHANGE_DHE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_RSA_ENABLED  // opt-in suites
#define MBEDTLS_DHM_C
#endif

// --- cryptography

#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_USE_PSA_CRYPTO
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG       // random.cpp
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC         // any number of connections
#define MBEDTLS_PSA_KEY_SLOT_COUNT 1          // memory: slots for persistent keys, which are not used
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS  // memory and speed: no copies of records
#define MBEDTLS_CIPHER_C
#define MBEDTLS_AES_C
#define MBEDTLS_GCM_C
#define MBEDTLS_CCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_MD_C
#define MBEDTLS_HKDF_C
#define MBEDTLS_MD5_C   // for PEM keys with the old encryption
#define MBEDTLS_SHA1_C  // to report a certificate as too weak
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_ECP_C
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECP_NIST_OPTIM            // speed: several times faster
#define MBEDTLS_ECP_DP_SECP192R1_ENABLED  // to report a certificate as too weak
#define MBEDTLS_ECP_DP_SECP224R1_ENABLED
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#ifdef USSL_BOARD
// Tables of AES: 2 KB of flash instead of 8.5 KB of memory or flash.
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_SHA512_SMALLER    // flash: 1.6 KB less
#define MBEDTLS_MPI_MAX_SIZE 512  // RSA up to 4096 bits; saves stack and memory in a handshake
#endif

// --- keys and certificates

#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_CRL_PARSE_C
#define MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK  // Options::root_store
#define MBEDTLS_X509_CREATE_C     // self_signed()
#define MBEDTLS_X509_CRT_WRITE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_PK_PARSE_EC_COMPRESSED
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
// For encrypted keys.
#define MBEDTLS_PKCS5_C
#define MBEDTLS_PKCS12_C
#define MBEDTLS_DES_C
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_MODE_CTR  // cryptolib
#define MBEDTLS_CIPHER_PADDING_PKCS7

#define MBEDTLS_PSK_MAX_LEN 48  // the maximum key size of the contract

#define MBEDTLS_VERSION_C

#endif
