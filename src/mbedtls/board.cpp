// What Mbed TLS wants of a system, on a board that has none: random numbers and the time.

#ifdef USSL_BOARD

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/platform_util.h>

#include <chrono>

#include "mbedtls.hpp"

// The port's; see docs/porting.md.
extern "C" int ussl_port_entropy(unsigned char* into, std::size_t size);
extern "C" long long ussl_port_time();

namespace {

int entropy(void*, unsigned char* into, std::size_t size) {
    return ussl_port_entropy(into, size) == 0 ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

// No destructor runs at the end of a board's program, and nothing of this is on the heap, which
// MicroPython empties with every soft reset.
mbedtls_ctr_drbg_context generator;
bool seeded = false;

bool seed() {
    if (seeded)
        return true;
    mbedtls_ctr_drbg_init(&generator);
    seeded = mbedtls_ctr_drbg_seed(&generator, entropy, nullptr, nullptr, 0) == 0;
    return seeded;
}

}  // namespace

extern "C" psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t*,
                                                        std::uint8_t* into, std::size_t size,
                                                        std::size_t* length) {
    *length = 0;
    if (!seed())
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    while (*length < size) {
        const std::size_t left = size - *length;
        const std::size_t n =
            left < MBEDTLS_CTR_DRBG_MAX_REQUEST ? left : MBEDTLS_CTR_DRBG_MAX_REQUEST;
        if (mbedtls_ctr_drbg_random(&generator, into + *length, n) != 0)
            return PSA_ERROR_INSUFFICIENT_ENTROPY;
        *length += n;
    }
    return PSA_SUCCESS;
}

extern "C" ussl_mbedtls_time_t ussl_mbedtls_time(ussl_mbedtls_time_t* also) {
    const ussl_mbedtls_time_t now = ussl_port_time();
    if (also != nullptr)
        *also = now;
    return now;
}

// For the age of tickets: no better than the clock.
extern "C" mbedtls_ms_time_t mbedtls_ms_time() {
    return ussl_port_time() * 1000;
}

extern "C" tm* mbedtls_platform_gmtime_r(const mbedtls_time_t* time, tm* into) {
    using std::chrono::seconds, std::chrono::days;
    const std::chrono::sys_seconds at{seconds{*time}};
    const auto midnight = std::chrono::floor<days>(at);
    const std::chrono::year_month_day date{midnight};
    const std::chrono::hh_mm_ss<seconds> clock{at - midnight};
    *into = {};
    into->tm_year = static_cast<int>(date.year()) - 1900;
    into->tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
    into->tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
    into->tm_hour = static_cast<int>(clock.hours().count());
    into->tm_min = static_cast<int>(clock.minutes().count());
    into->tm_sec = static_cast<int>(clock.seconds().count());
    return into;
}

#endif
