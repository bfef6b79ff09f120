// The clock. On a board, the port provides it (see docs/porting/README.md), even if the port has
// its own Mbed TLS: that one may count from another year.

#include <mbedtls/platform_util.h>

#include "mbedtls.hpp"
#include "utc.hpp"

#ifdef USSL_BOARD
extern "C" long long ussl_port_time();
#endif

namespace ussl::mbedtls {

std::int64_t now() {
#ifdef USSL_BOARD
    return ussl_port_time();
#else
    return mbedtls_time(nullptr);
#endif
}

mbedtls_x509_time x509_time(std::int64_t seconds_since_1970) {
    const auto [year, month, day, hour, minute, second] = utc_of(seconds_since_1970);
    return {.year = year, .mon = month, .day = day, .hour = hour, .min = minute, .sec = second};
}

}  // namespace ussl::mbedtls

#if defined(USSL_BOARD) && defined(USSL_MBEDTLS_PLATFORM)

extern "C" ussl_mbedtls_time_t ussl_mbedtls_time(ussl_mbedtls_time_t* also) {
    const ussl_mbedtls_time_t now = ussl_port_time();
    if (also != nullptr)
        *also = now;
    return now;
}

// Used for the age of tickets. Not monotonic: it changes when the clock is set.
extern "C" mbedtls_ms_time_t mbedtls_ms_time() {
    return ussl_port_time() * 1000;
}

extern "C" tm* mbedtls_platform_gmtime_r(const mbedtls_time_t* time, tm* into) {
    const mbedtls_x509_time at = ussl::mbedtls::x509_time(*time);
    *into = {};
    into->tm_year = at.year - 1900;
    into->tm_mon = at.mon - 1;
    into->tm_mday = at.day;
    into->tm_hour = at.hour;
    into->tm_min = at.min;
    into->tm_sec = at.sec;
    return into;
}

#endif
