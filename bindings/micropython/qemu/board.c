// Functions of the emulated board that MicroPython's port lacks: the host's random numbers and its time
// (and, until MicroPython 1.26, any clock), through semihosting.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/timeutils/timeutils.h"

#include "board.h"
#include "semihosting.h"

static char source[256] = "/dev/urandom";

void ussl_board_use_entropy(const char *file) {
    strncpy(source, file, sizeof(source) - 1);
}

int ussl_port_entropy(unsigned char *into, size_t size) {
    const struct {
        const char *name;
        uint32_t mode;
        uint32_t length;
    } open = { source, 1, strlen(source) };
    const uint32_t file = semihosting(SYS_OPEN, &open);
    if (file == SEMIHOSTING_FAILED) {
        return -1;
    }
    const struct {
        uint32_t file;
        unsigned char *into;
        uint32_t size;
    } read = { file, into, size };
    const uint32_t missing = semihosting(SYS_READ, &read);
    semihosting(SYS_CLOSE, &file);
    return missing == 0 ? 0 : -1;
}

static long long moved_by; // seconds

void ussl_board_set_clock(long long seconds) {
    moved_by = seconds - (long long)semihosting(SYS_TIME, NULL);
}

// Returns the time since the port's epoch, which is 2000 by default.
uint64_t mp_hal_time_ns(void) {
    const long long since_1970 = semihosting(SYS_TIME, NULL) + moved_by;
    return (uint64_t)(since_1970 * 1000000000 - timeutils_nanoseconds_since_epoch_to_nanoseconds_since_1970(0));
}

#ifdef USSL_BOARD_CLOCK

// In QEMU, a tick is a nanosecond.
static uint64_t nanoseconds(void) {
    uint64_t elapsed = 0;
    semihosting(SYS_ELAPSED, &elapsed);
    return elapsed;
}

uint32_t ussl_board_milliseconds(void) {
    return nanoseconds() / 1000000;
}

uint32_t ussl_board_microseconds(void) {
    return nanoseconds() / 1000;
}

void mp_hal_delay_us(mp_uint_t us) {
    const uint32_t begin = mp_hal_ticks_us();
    while (mp_hal_ticks_us() - begin < us) {
    }
}

#endif
