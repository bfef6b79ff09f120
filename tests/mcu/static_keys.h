// The key store that a port's own Mbed TLS may have: a fixed number of places.
#undef MBEDTLS_PSA_KEY_STORE_DYNAMIC
#undef MBEDTLS_PSA_KEY_SLOT_COUNT
#define MBEDTLS_PSA_KEY_SLOT_COUNT 32
