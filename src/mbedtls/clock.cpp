// The time, on a board: from the port (see docs/porting.md).

#include "mbedtls.hpp"

#if defined(USSL_BOARD) && defined(USSL_MBEDTLS_PLATFORM)

#include <mbedtls/platform_util.h>

#include <chrono>

extern "C" long long ussl_port_time();

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
