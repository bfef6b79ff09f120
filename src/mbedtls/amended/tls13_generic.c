// Compiled in place of Mbed TLS's ssl_tls13_generic.c, which it includes.

#include "ssl_misc.h"

#ifdef USSL_AMENDED_MBEDTLS

#include "certificates.h"
#include "signer.h"

// record_size_limit (RFC 8449) asks for what the program wants, where Mbed TLS would name the largest
// that it can take. In TLS 1.3 the limit counts the byte of the type, too (§4). user_data: see Context::set_up().
#undef MBEDTLS_SSL_IN_CONTENT_LEN
#define MBEDTLS_SSL_IN_CONTENT_LEN (1 + (ssl)->conf->user_data.n)
// It checks the constant.
#undef MBEDTLS_STATIC_ASSERT
#define MBEDTLS_STATIC_ASSERT(condition, text)
#endif

#include "ssl_tls13_generic.c"
