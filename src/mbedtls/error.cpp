#include "../policy.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {

// Errors of TLS and X.509 are whole numbers; those of the layers below come as sums of a module's
// and a low-level one, of which the latter is the lowest seven bits.
Code code_of(int ret) {
    switch (ret) {
        case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
            return Code::NO_SHARED_VERSION;
        case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
            return Code::NO_SHARED_CIPHER;
        case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
            return Code::NO_SHARED_PROTOCOL;
        case MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY:
            return Code::PSK_IDENTITY;
        case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
            return Code::CERT_MISSING;
        case MBEDTLS_ERR_SSL_INVALID_MAC:
            return Code::RECORD_CORRUPT;
        case MBEDTLS_ERR_SSL_ALLOC_FAILED:
        case MBEDTLS_ERR_X509_ALLOC_FAILED:
        case MBEDTLS_ERR_PK_ALLOC_FAILED:
        case MBEDTLS_ERR_MPI_ALLOC_FAILED:
        case MBEDTLS_ERR_PEM_ALLOC_FAILED:
        case MBEDTLS_ERR_MD_ALLOC_FAILED:
        case MBEDTLS_ERR_CIPHER_ALLOC_FAILED:
        case MBEDTLS_ERR_ECP_ALLOC_FAILED:
#ifdef MBEDTLS_PSA_CRYPTO_C
        case PSA_ERROR_INSUFFICIENT_MEMORY:
#endif
            return Code::NO_MEMORY;
        case MBEDTLS_ERR_SSL_INTERNAL_ERROR:
        case MBEDTLS_ERR_SSL_HW_ACCEL_FAILED:
        case MBEDTLS_ERR_SSL_COUNTER_WRAPPING:
        case MBEDTLS_ERR_ERROR_CORRUPTION_DETECTED:
        // There are no random numbers (random.cpp), under the names of those who asked.
        case MBEDTLS_ERR_PLATFORM_FEATURE_UNSUPPORTED:
        case MBEDTLS_ERR_PLATFORM_HW_ACCEL_FAILED:
#ifdef MBEDTLS_PSA_CRYPTO_C
        case PSA_ERROR_INSUFFICIENT_ENTROPY:
#endif
            return Code::ENGINE;
        default:
            break;
    }
    const int module = module_of(ret);
    if (module <= MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE && module >= MBEDTLS_ERR_X509_FATAL_ERROR)
        return Code::CERT_INVALID;
    return Code::PROTOCOL;
}

}  // namespace ussl::mbedtls
