#pragma once

#include <cstdint>

namespace contract {

/// For all that follows; also of the engines. Not for certificates with Options::verify_time.
void move_clock(std::int64_t seconds);

/// Moves it, and back at the end.
class MovedClock {
  public:
    MovedClock() = default;
    ~MovedClock() { move_clock(-moved_); }
    MovedClock(const MovedClock&) = delete;
    MovedClock& operator=(const MovedClock&) = delete;
    void by(std::int64_t seconds) {
        moved_ += seconds;
        move_clock(seconds);
    }
    [[nodiscard]] std::int64_t moved() const { return moved_; }

  private:
    std::int64_t moved_ = 0;
};

}  // namespace contract
