#pragma once

// This side's signature is made where the program says: Session::sign() (engine.cpp) calls Mbed TLS
// itself, unless the program signs. Of RSA, TLS 1.2 has PKCS #1 v1.5 here.

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>

int ussl_mbedtls_sign(mbedtls_ssl_context *ssl, mbedtls_pk_type_t type, mbedtls_pk_context *key,
                      mbedtls_md_type_t hash, const unsigned char *digest, size_t digest_size,
                      unsigned char *signature, size_t capacity, size_t *length);

#ifdef USSL_AMENDED_MBEDTLS
#define mbedtls_pk_sign_ext(type, key, hash, digest, digest_size, signature, capacity, length, rng, rng_context) \
    ussl_mbedtls_sign(ssl, type, key, hash, digest, digest_size, signature, capacity, length)
#define mbedtls_pk_sign(key, hash, digest, digest_size, signature, capacity, length, rng, rng_context) \
    ussl_mbedtls_sign(ssl, mbedtls_pk_get_type(key), key, hash, digest, digest_size, signature, capacity, length)
#define mbedtls_pk_sign_restartable(key, hash, digest, digest_size, signature, capacity, length, rng, rng_context, restart) \
    ussl_mbedtls_sign(ssl, mbedtls_pk_get_type(key), key, hash, digest, digest_size, signature, capacity, length)
#endif
