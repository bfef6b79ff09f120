// Compiled in place of Mbed TLS's ssl_tls.c, which it includes: the buffers of a connection are
// ussl's (records.cpp), and begin small.

#include "ssl_misc.h"

#ifdef USSL_AMENDED_MBEDTLS
#undef MBEDTLS_SSL_IN_BUFFER_LEN
#define MBEDTLS_SSL_IN_BUFFER_LEN USSL_SMALLEST_INPUT
#define mbedtls_ssl_get_input_buflen(ssl) ((ssl)->in_buf_len)
#define mbedtls_ssl_get_output_buflen(ssl) ((ssl)->out_buf_len)
#endif

#include "ssl_tls.c"
