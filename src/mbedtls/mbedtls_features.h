#pragma once

// The features that Mbed TLS must have for ussl, and optional ones. A board may have its own build of Mbed TLS
// (docs/porting/mbedtls-of-the-port.md).

#include <mbedtls/build_info.h>
#include <mbedtls/ssl_ciphersuites.h>

#include "../switches.h"

#if !defined(MBEDTLS_SSL_CLI_C) || !defined(MBEDTLS_SSL_SRV_C) || !defined(MBEDTLS_SSL_PROTO_TLS1_2)
#error "ussl: Mbed TLS must have TLS 1.2, as client and as server (MBEDTLS_SSL_CLI_C, _SRV_C, _PROTO_TLS1_2)"
#endif
#if !defined(MBEDTLS_X509_CRT_PARSE_C) || !defined(MBEDTLS_SSL_HANDSHAKE_WITH_CERT_ENABLED)
#error "ussl: Mbed TLS must have certificates (MBEDTLS_X509_CRT_PARSE_C, a key exchange with them)"
#endif
#if !defined(MBEDTLS_HAVE_TIME_DATE)
#error "ussl: Mbed TLS must look at dates, for certificates expire (MBEDTLS_HAVE_TIME_DATE; ESP-IDF: CONFIG_MBEDTLS_HAVE_TIME_DATE)"
#endif
#if !defined(MBEDTLS_SSL_SERVER_NAME_INDICATION)
#error "ussl: Mbed TLS must send the server's name (MBEDTLS_SSL_SERVER_NAME_INDICATION)"
#endif
#if defined(USSL_PATCHED_MBEDTLS) && !defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)
#error "ussl: a patched Mbed TLS must leave its buffers to ussl (MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)"
#endif

#define USSL_HAS_MBEDTLS_VERSION 1
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
#define USSL_HAS_TLS1_3 1
#else
#define USSL_HAS_TLS1_3 0
#endif
#ifdef MBEDTLS_SSL_HANDSHAKE_WITH_PSK_ENABLED
#define USSL_HAS_PSK 1
#else
#define USSL_HAS_PSK 0
#endif
#if defined(MBEDTLS_SSL_SESSION_TICKETS) && defined(USSL_PATCHED_MBEDTLS)
#define USSL_HAS_RESUMPTION 1
#else
#define USSL_HAS_RESUMPTION 0
#endif
#if defined(MBEDTLS_X509_CRL_PARSE_C) && !USSL_WITHOUT_CRL
#define USSL_HAS_CRLS 1
#else
#define USSL_HAS_CRLS 0
#endif
#if defined(USSL_PATCHED_MBEDTLS) && defined(MBEDTLS_PK_WRITE_C) && !USSL_WITHOUT_SIGN_CALLBACK
#define USSL_HAS_SIGNING_BY_PROGRAM 1
#else
#define USSL_HAS_SIGNING_BY_PROGRAM 0
#endif
#if defined(USSL_PATCHED_MBEDTLS) && defined(MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK) && !USSL_WITHOUT_ROOT_STORE
#define USSL_HAS_ROOT_STORE 1
#else
#define USSL_HAS_ROOT_STORE 0
#endif
#if defined(MBEDTLS_SSL_ALPN) && !USSL_WITHOUT_ALPN
#define USSL_HAS_ALPN 1
#else
#define USSL_HAS_ALPN 0
#endif
#if !defined(USSL_BOARD) && defined(MBEDTLS_FS_IO)
#define USSL_HAS_SYSTEM_STORE
#endif
// Without other trust anchors than certificates, Mbed TLS sends their names, as it should.
#if defined(MBEDTLS_KEY_EXCHANGE_CERT_REQ_ALLOWED_ENABLED) && (USSL_HAS_ROOT_STORE || defined(USSL_HAS_SYSTEM_STORE))
#define USSL_SENDS_AUTHORITIES 1
#else
#define USSL_SENDS_AUTHORITIES 0
#endif
// The names of the files in the system's folder are SHA-1 hashes.
#if defined(USSL_HAS_SYSTEM_STORE) && USSL_HAS_ROOT_STORE && defined(MBEDTLS_MD_CAN_SHA1)
#define USSL_HAS_SYSTEM_FOLDER 1
#else
#define USSL_HAS_SYSTEM_FOLDER 0
#endif
