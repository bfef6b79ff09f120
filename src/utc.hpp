#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ussl/types.hpp"

namespace ussl {

/// Returns the date and time of day, restricted to the years of certificates (0 to 9999). Does not
/// use gmtime(), because time_t may end in 2038.
inline CertificateTime utc_of(std::int64_t seconds_since_1970) {
    using std::chrono::seconds, std::chrono::days;
    constexpr std::int64_t year_0 = -62167219200;
    constexpr std::int64_t end_of_9999 = 253402300799;
    const std::chrono::sys_seconds at{seconds{std::clamp(seconds_since_1970, year_0, end_of_9999)}};
    const auto midnight = std::chrono::floor<days>(at);
    const std::chrono::year_month_day date{midnight};
    const std::chrono::hh_mm_ss<seconds> time{at - midnight};
    return {static_cast<int>(date.year()),
            static_cast<int>(static_cast<unsigned>(date.month())),
            static_cast<int>(static_cast<unsigned>(date.day())),
            static_cast<int>(time.hours().count()),
            static_cast<int>(time.minutes().count()),
            static_cast<int>(time.seconds().count())};
}

}  // namespace ussl
