// What ussl builds Mbed TLS 3.6 with (MBEDTLS_CONFIG_FILE), on a host and on a board. Each line is
// there for something that the contract promises, or for speed or size where it says so.
//
// USSL_BOARD: bare metal; the port gives memory, entropy and time (see docs/porting/README.md). A board that
// wants less, or more, names a file of its own as MBEDTLS_USER_CONFIG_FILE, which is read after this
// one and defines and undefines what it likes; bench/mcu --options measures what each thing costs.

#ifndef USSL_MBEDTLS_CONFIG_H
#define USSL_MBEDTLS_CONFIG_H

#include "ussl_mbedtls_platform.h"

// --- the platform

#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE  // certificates expire
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
#define MBEDTLS_SSL_TICKET_C         // and as a server
#define MBEDTLS_SSL_CACHE_C          // whose clients of TLS 1.2 need no tickets
#define MBEDTLS_SSL_TLS1_3_TICKET_NONCE_LENGTH 8  // wolfSSL 5.5 ends a connection that has a longer one
#define MBEDTLS_SSL_ENCRYPT_THEN_MAC  // RFC 7366, for suites with CBC, which are there if asked for
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH     // smaller records, if asked for: in TLS 1.2
#define MBEDTLS_SSL_RECORD_SIZE_LIMIT       // and in TLS 1.3
#define MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH  // buffers that ussl makes and takes away (records.cpp)
#define MBEDTLS_SSL_CID_TLS1_3_PADDING_GRANULARITY 1  // no padding, so that a record can be full
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#ifdef USSL_BOARD
// The largest record that is sent, and the longest certificate chain that can be shown. Every
// handshake holds that much memory; afterwards only records do.
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096
#else
// A board would compute for seconds, and every handshake would need 1.5 KB more.
#define MBEDTLS_KEY_EXCHANGE_DHE_PSK_ENABLED
#define MBEDTLS_KEY_EXCHANGE_RSA_ENABLED  // if asked for by name
#define MBEDTLS_DHM_C
#endif

// --- cryptography

#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_USE_PSA_CRYPTO
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG       // random.cpp
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC         // any number of connections
#define MBEDTLS_PSA_KEY_SLOT_COUNT 1          // memory: places for persistent keys, which nobody has
#define MBEDTLS_PSA_ASSUME_EXCLUSIVE_BUFFERS  // memory and speed: records are not copied first
#define MBEDTLS_CIPHER_C
#define MBEDTLS_AES_C
#define MBEDTLS_GCM_C
#define MBEDTLS_CCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_MD_C
#define MBEDTLS_HKDF_C
#define MBEDTLS_MD5_C   // keys in PEM that were encrypted the old way
#define MBEDTLS_SHA1_C  // to say of a certificate that it is too weak
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
#define MBEDTLS_ECP_NIST_OPTIM            // speed: several times
#define MBEDTLS_ECP_DP_SECP192R1_ENABLED  // to say of a certificate that it is too weak
#define MBEDTLS_ECP_DP_SECP224R1_ENABLED
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#ifdef USSL_BOARD
// Tables of AES: 2 KB of flash, where they would be 8.5 KB of memory or of flash.
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_SHA512_SMALLER    // flash: 1.6 KB less
#define MBEDTLS_MPI_MAX_SIZE 512  // RSA up to 4096 bits; stack and memory of a handshake
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
// Encrypted keys.
#define MBEDTLS_PKCS5_C
#define MBEDTLS_PKCS12_C
#define MBEDTLS_DES_C
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_MODE_CTR  // cryptolib
#define MBEDTLS_CIPHER_PADDING_PKCS7

#define MBEDTLS_PSK_MAX_LEN 48  // the contract's longest key

#define MBEDTLS_VERSION_C

#endif
