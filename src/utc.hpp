#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ussl/types.hpp"

namespace ussl {

/// Returns the date and time of day, restricted to the years of certificates (0 to 9999). Does not
/// use gmtime(), because time_t may end in 2038.
inline CertificateTime utc_of(std::int64_t seconds_since_1970) {
    constexpr std::int64_t year_0 = -62167219200;
    constexpr std::int64_t end_of_9999 = 253402300799;
    constexpr std::int64_t day = 86400;
    const std::int64_t since = std::clamp(seconds_since_1970, year_0, end_of_9999) - year_0;
    // The calculation with 32 bits needs half of the code.
    const auto days = static_cast<int>(since / day);
    const auto second = static_cast<int>(since % day);
    const std::chrono::year_month_day date{
        std::chrono::sys_days{std::chrono::days{days + year_0 / day}}};
    return {static_cast<int>(date.year()),
            static_cast<int>(static_cast<unsigned>(date.month())),
            static_cast<int>(static_cast<unsigned>(date.day())),
            second / 3600,
            second / 60 % 60,
            second % 60};
}

}  // namespace ussl
