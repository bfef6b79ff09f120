#pragma once

// The entropy source of a board, with the health tests of NIST SP 800-90B §4.4.

#include <cstdint>
#include <cstring>

#include "ussl/memory.hpp"

namespace ussl {

/// Reads from a source, and fails if the source fails or repeats itself. It is an error if a 32-bit
/// value occurs `cutoff` times among the last `window` values. For consecutive repetitions this is
/// the repetition count test (§4.4.1), otherwise the adaptive proportion test (§4.4.2). The first
/// values are tested and discarded (§4.3). With 16 bits of entropy per value, one of 800,000
/// windows fails by chance; the next call then starts again.
class EntropySource {
  public:
    /// Returns 0 on success.
    using Read = int (*)(unsigned char* into, std::size_t size);

    explicit constexpr EntropySource(Read source) : source_(source) {}

    /// Fills `into` with random bytes. Returns false on failure; `into` is then zero.
    bool read(unsigned char* into, std::size_t size) {
        if (!is_started_) {
            unsigned char first[window * sizeof(std::uint32_t)];
            count_ = 0;
            is_started_ = take(first, sizeof first);
            wipe(first, sizeof first);
        }
        is_started_ = is_started_ && take(into, size);
        if (!is_started_)
            std::memset(into, 0, size);
        return is_started_;
    }

    static constexpr std::size_t window = 32;
    static constexpr int cutoff = 3;

  private:
    bool take(unsigned char* into, std::size_t size) {
        if (source_(into, size) != 0)
            return false;
        for (std::size_t at = 0; size - at >= sizeof(std::uint32_t); at += sizeof(std::uint32_t)) {
            std::uint32_t value = 0;
            std::memcpy(&value, into + at, sizeof value);
            recent_[count_ % window] = value;
            ++count_;
            int times = 0;
            for (std::size_t i = 0; i < window && i < count_; ++i)
                times += recent_[i] == value ? 1 : 0;
            if (times >= cutoff)
                return false;
        }
        return true;
    }

    Read source_;
    std::uint32_t recent_[window] = {};
    std::size_t count_ = 0;
    bool is_started_ = false;
};

}  // namespace ussl
