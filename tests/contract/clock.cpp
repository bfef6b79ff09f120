// The clock of this program, the engines' included, which tests can move.

#include "clock.hpp"

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

static std::atomic<std::int64_t> moved_by{0};

namespace contract {

void move_clock(std::int64_t seconds) {
    moved_by += seconds;
}

}  // namespace contract

// In the place of the C library's: certificates, the age of tickets and the caches of sessions are
// judged by different ones.
extern "C" int clock_gettime(clockid_t clock, timespec* into) noexcept {
    const long result = syscall(SYS_clock_gettime, clock, into);
    into->tv_sec += static_cast<time_t>(moved_by.load());
    return static_cast<int>(result);
}

extern "C" time_t time(time_t* also) noexcept {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    if (also != nullptr)
        *also = now.tv_sec;
    return now.tv_sec;
}

extern "C" int gettimeofday(timeval* into, void*) noexcept {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    *into = {now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
