// What the emulated board has and MicroPython's port does not use: the host's random numbers and its
// time (and, until MicroPython 1.26, any clock), through semihosting (Arm, Semihosting for AArch32 and AArch64, 2.0).

#include <stddef.h>
#include <stdint.h>

#include "py/mphal.h"
#include "py/runtime.h"

#define SYS_OPEN (0x01)
#define SYS_CLOSE (0x02)
#define SYS_READ (0x06)
#define SYS_TIME (0x11)
#define SYS_ELAPSED (0x30)

static uint32_t semihosting(uint32_t number, const void *arguments) {
    register uint32_t r0 __asm__ ("r0") = number;
    register const void *r1 __asm__ ("r1") = arguments;
    __asm__ volatile ("bkpt 0xAB" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

int ussl_port_entropy(unsigned char *into, size_t size) {
    static const char name[] = "/dev/urandom";
    const struct {
        const char *name;
        uint32_t mode;
        uint32_t length;
    } open = { name, 1, sizeof(name) - 1 };
    const uint32_t file = semihosting(SYS_OPEN, &open);
    if (file == (uint32_t)-1) {
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

long long ussl_port_time(void) {
    return semihosting(SYS_TIME, NULL);
}

uint64_t mp_hal_time_ns(void) {
    return (uint64_t)ussl_port_time() * 1000000000;
}

#ifdef USSL_BOARD_CLOCK

// In qemu, a tick is a nanosecond.
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

void mp_hal_delay_ms(mp_uint_t ms) {
    const uint32_t begin = mp_hal_ticks_ms();
    while (mp_hal_ticks_ms() - begin < ms) {
        mp_event_handle_nowait();
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    const uint32_t begin = mp_hal_ticks_us();
    while (mp_hal_ticks_us() - begin < us) {
    }
}

#endif
