// A substitute for the parts of the Pico SDK that ussl uses, on the emulated board. MicroPython's rosc_random_u8() is
// missing, as in 1.28.

#include <string.h>

#include "hardware/structs/clocks.h"
#include "hardware/structs/rosc.h"
#include "hardware/sync.h"
#include "pico/rand.h"
#include "pico/time.h"
#include "pico/unique_id.h"

// The host's random numbers, of bindings/micropython/qemu/board.c: renamed by its compiler option.
int tests_host_entropy(unsigned char *into, size_t size);

clocks_hw_t tests_clocks;

rosc_hw_t *tests_rosc(void) {
    static rosc_hw_t rosc = { .status = ROSC_STATUS_STABLE_BITS };
    static unsigned char samples[64];
    static unsigned next;
    if (next % (8 * sizeof(samples)) == 0 && tests_host_entropy(samples, sizeof(samples)) != 0) {
        rosc.status = 0;
    }
    next %= 8 * sizeof(samples);
    rosc.randombit = samples[next / 8] >> next % 8;
    ++next;
    return &rosc;
}

uint64_t get_rand_64(void) {
    uint64_t number = 0;
    tests_host_entropy((unsigned char *)&number, sizeof(number));
    return number;
}

void busy_wait_us_32(uint32_t microseconds) {
    (void)microseconds;
}

void pico_get_unique_board_id(pico_unique_board_id_t *id) {
    memcpy(id->id, "cmakport", sizeof(id->id));
}
