// entropy_rp2.h with oscillators that work, are stopped, stuck or biased. Built for the RP2040 and for the RP2350.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entropy_rp2.h"

static int percent_of_ones = 50; // in the samples that the health tests see
static unsigned row;             // so many equal ones begin each 1,024
static unsigned period;          // if not 0: 1 once in so many samples
static uint64_t pico_rand;
static unsigned state = 1;

static uint32_t sample(void) {
    static unsigned taken;
    state = state * 1103515245 + 12345;
    if (period != 0) {
        return taken++ % period == 0;
    }
    if (taken++ % 1024 < row) {
        return 1;
    }
    return (int)((state >> 16) % 100) < percent_of_ones;
}

uint64_t get_rand_64(void) {
    return pico_rand;
}

#if PICO_RP2040

static rosc_hw_t rosc = { .status = ROSC_STATUS_STABLE_BITS };
clocks_hw_t tests_clocks;
rosc_hw_t *tests_rosc(void) {
    return &rosc;
}
void busy_wait_us_32(uint32_t microseconds) {
    if (microseconds >= 10) {
        rosc.randombit = sample();
    }
}

#else

static trng_hw_t trng;
static spin_lock_t lock;
trng_hw_t *tests_trng(void) {
    return &trng;
}
spin_lock_t *spin_lock_instance(unsigned number) {
    return number == PICO_SPINLOCK_ID_RAND ? &lock : NULL;
}
uint32_t spin_lock_blocking(spin_lock_t *spin_lock) {
    *spin_lock = 1;
    memset((void *)trng.ehr_data, 0, sizeof(trng.ehr_data));
    for (int i = 0; i < 32; ++i) {
        trng.ehr_data[i % 6] |= sample() << (31 - i); // the sum of the six words is the sample
    }
    return 7;
}
void spin_unlock(spin_lock_t *spin_lock, uint32_t before) {
    *spin_lock = before == 7 ? 0 : 2;
}

#endif

static void expect(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

static int read_entropy(unsigned char *into, int percent, unsigned equal) {
    percent_of_ones = percent;
    row = equal;
    return ussl_port_entropy(into, 128);
}

int main(void) {
    unsigned char first[128] = {0}, second[128] = {0};
    expect(read_entropy(first, 50, 0) == 0 && read_entropy(second, 50, 0) == 0, "a good oscillator");
    expect(memcmp(first, second, sizeof(first)) != 0, "two reads differ");
    expect(memcmp(first, first + 64, 64) != 0, "a read does not repeat itself");

    // The same samples with other numbers of pico_rand: they are in each byte.
    const unsigned seed = state;
    expect(read_entropy(first, 50, 0) == 0, "a good oscillator");
    pico_rand = 0x0102030405060708;
    state = seed;
    expect(read_entropy(second, 50, 0) == 0, "a good oscillator");
    for (size_t i = 0; i < sizeof(first); ++i) {
        expect((first[i] ^ second[i]) == (int)(8 - i % 8), "pico_rand is added");
    }

    expect(read_entropy(first, 65, 0) == 0, "some bias is allowed");
    expect(read_entropy(first, 0, 0) != 0, "stuck at 0");
    expect(read_entropy(first, 100, 0) != 0, "stuck at 1");
    expect(read_entropy(first, 85, 0) != 0, "mostly 1");
    expect(read_entropy(first, 15, 0) != 0, "mostly 0");
    expect(read_entropy(first, 50, 60) != 0, "stuck for a while");
    expect(read_entropy(first, 50, 0) == 0, "it works again");
    for (period = 2; period <= 32; period *= 2) {
        expect(read_entropy(first, 50, 0) != 0, "a short period");
    }
    period = 0;
    expect(read_entropy(first, 50, 0) == 0, "it works again");
    // Few bytes in a call: the counts go on.
    percent_of_ones = 85;
    int failures = 0;
    for (int i = 0; i < 64; ++i) {
        failures += ussl_port_entropy(first, 4) != 0;
    }
    expect(failures > 0, "mostly 1, in small pieces");
    expect(read_entropy(first, 50, 0) == 0, "it works again");
    #if PICO_RP2040
    rosc.status = 0;
    expect(read_entropy(first, 50, 0) != 0, "the oscillator stands still");
    rosc.status = ROSC_STATUS_STABLE_BITS;
    tests_clocks.clk[clk_sys].ctrl = CLOCKS_CLK_SYS_CTRL_SRC_BITS
        | CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_ROSC_CLKSRC << CLOCKS_CLK_SYS_CTRL_AUXSRC_LSB;
    expect(read_entropy(first, 50, 0) != 0, "the oscillator is the system's clock");
    tests_clocks.clk[clk_sys].ctrl = 0;
    expect(read_entropy(first, 50, 0) == 0, "it works again");
    #else
    expect(lock == 0 && trng.sample_cnt1 >= 32, "the TRNG is used under its lock, and slowly");
    #endif
}
