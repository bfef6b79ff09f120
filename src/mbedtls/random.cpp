// The source of Mbed TLS's random numbers. Mbed TLS's own sources need memory each time they are
// seeded again, and fail permanently without it.

#include "mbedtls.hpp"

#ifdef USSL_BOARD
#include "../entropy.hpp"
#ifdef MBEDTLS_CTR_DRBG_C
#include <mbedtls/ctr_drbg.h>
#endif
// Functions of the port; see docs/porting/adding-a-port.md.
extern "C" int ussl_port_entropy(unsigned char* into, size_t size);
extern "C" size_t ussl_port_unique_id(unsigned char* into, size_t size);
#else
#include <unistd.h>
#endif

namespace {

#if !defined(USSL_BOARD)

// Uses the kernel's generator: safe directly after fork(), and for any number of threads.
constexpr std::size_t max_at_once = 256;

bool fill(std::uint8_t* into, std::size_t size) {
    return getentropy(into, size) == 0;
}

#elif defined(MBEDTLS_CTR_DRBG_C)

// A generator of NIST SP 800-90A, seeded by the port. It needs no destructor, because a board's
// program never ends. It does not use the heap, which MicroPython clears at every soft reset.
constexpr std::size_t max_at_once = MBEDTLS_CTR_DRBG_MAX_REQUEST;
mbedtls_ctr_drbg_context generator;
bool seeded = false;
constinit ussl::EntropySource source{ussl_port_entropy};

int entropy(void*, unsigned char* into, std::size_t size) {
    return source.read(into, size) ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

// The personalization string (§8.7.1) makes the generators of boards different. It is not secret.
bool seed() {
    unsigned char name[32] = {'u', 's', 's', 'l'};
    constexpr std::size_t before = 4;
    const std::size_t size = ussl_port_unique_id(name + before, sizeof name - before);
    mbedtls_ctr_drbg_init(&generator);
    return mbedtls_ctr_drbg_seed(&generator, entropy, nullptr, name, before + size) == 0;
}

bool fill(std::uint8_t* into, std::size_t size) {
    seeded = seeded || seed();
    return seeded && mbedtls_ctr_drbg_random(&generator, into, size) == 0;
}

#else

constexpr std::size_t max_at_once = 64;
constinit ussl::EntropySource source{ussl_port_entropy};

bool fill(std::uint8_t* into, std::size_t size) {
    return source.read(into, size);
}

#endif

}  // namespace

namespace ussl::mbedtls {

int random_bytes(void*, unsigned char* into, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
        const std::size_t n = size - done < max_at_once ? size - done : max_at_once;
        if (!fill(into + done, n))
            return MBEDTLS_ERR_PLATFORM_FEATURE_UNSUPPORTED;
        done += n;
    }
    return 0;
}

}  // namespace ussl::mbedtls

#ifdef MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
extern "C" psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t*,
                                                        std::uint8_t* into, std::size_t size,
                                                        std::size_t* length) {
    const bool good = ussl::mbedtls::random_bytes(nullptr, into, size) == 0;
    *length = good ? size : 0;
    return good ? PSA_SUCCESS : PSA_ERROR_INSUFFICIENT_ENTROPY;
}
#endif
