// Replaces the system functions that Mbed TLS needs. For ussl_mbedtls_config.h, and for other configurations that use
// ussl's memory, entropy and time.

#ifndef USSL_MBEDTLS_PLATFORM_H
#define USSL_MBEDTLS_PLATFORM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
void* ussl_mbedtls_calloc(size_t count, size_t size);
void ussl_mbedtls_free(void* memory);
#ifdef USSL_BOARD
typedef long long ussl_mbedtls_time_t;
ussl_mbedtls_time_t ussl_mbedtls_time(ussl_mbedtls_time_t* also);
#endif
#ifdef __cplusplus
}
#endif

#define USSL_MBEDTLS_PLATFORM
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
// ussl records when memory runs out, because Mbed TLS reports it with many error codes.
#define MBEDTLS_PLATFORM_CALLOC_MACRO ussl_mbedtls_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO ussl_mbedtls_free
#ifdef USSL_BOARD
#define MBEDTLS_NO_PLATFORM_ENTROPY  // random.cpp calls the port
#define MBEDTLS_CTR_DRBG_C           // and expands the port's entropy
#define MBEDTLS_PLATFORM_MS_TIME_ALT
#define MBEDTLS_PLATFORM_TIME_TYPE_MACRO ussl_mbedtls_time_t
#define MBEDTLS_PLATFORM_TIME_MACRO ussl_mbedtls_time
#define MBEDTLS_PLATFORM_GMTIME_R_ALT
#endif

#endif
