#pragma once

// The source of entropy of the RP2040 and the RP2350, for port.c. It takes slow samples of a ring oscillator, tests them,
// and XORs several of them for each bit. Then it XORs the numbers of pico_rand.
//
// pico_rand alone is not enough. It is not a cryptographic generator: its output reveals its state of 128 bits, and
// os.urandom() returns its output to any program. Each call adds one bit of the RP2040's oscillator, the time and a counter.
// It is used in addition, because its seed contains the RAM's contents at power-on or the RP2350's per-boot number.
// MicroPython until 1.27 has rosc_random_u8(). It reads the RP2040's oscillator (6 MHz) every 0.1 us, so that most samples
// equal the previous one.
//
// RP2040: its data sheet does not recommend the oscillator for security, because it can be influenced from outside. The
// chip has no better source. RP2350: the oscillator of its TRNG.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hardware/sync.h"
#include "pico/rand.h"
#include "pico/time.h"

#define SAMPLES_OF_A_BYTE (32)

#if defined(PICO_RP2040) && PICO_RP2040

#include "hardware/structs/clocks.h"
#include "hardware/structs/rosc.h"

// machine.lightsleep() stops the oscillator temporarily. If the oscillator is the system's clock as well, all samples are
// equal.
static bool oscillator_runs(void) {
    const uint32_t clock = clocks_hw->clk[clk_sys].ctrl;
    const bool is_system_clock = (clock & CLOCKS_CLK_SYS_CTRL_SRC_BITS) != 0
        && (clock & CLOCKS_CLK_SYS_CTRL_AUXSRC_BITS)
        == CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_ROSC_CLKSRC << CLOCKS_CLK_SYS_CTRL_AUXSRC_LSB;
    return (rosc_hw->status & ROSC_STATUS_STABLE_BITS) != 0 && !is_system_clock;
}

static uint32_t take_samples(void) {
    uint32_t samples = 0;
    for (int i = 0; i < SAMPLES_OF_A_BYTE; ++i) {
        busy_wait_us_32(10); // 60 periods
        samples = samples << 1 | (rosc_hw->randombit & 1);
    }
    return samples;
}

#else

#include "hardware/structs/trng.h"

static bool oscillator_runs(void) {
    return true; // take_samples() starts it
}

// Each sample is the XOR of 6 samples of the oscillator. pico_rand configures the TRNG again for its own use, under the
// same lock.
static uint32_t take_samples(void) {
    spin_lock_t *lock = spin_lock_instance(PICO_SPINLOCK_ID_RAND);
    const uint32_t state = spin_lock_blocking(lock);
    trng_hw->sample_cnt1 = 32; // cycles of the system's clock from sample to sample: 192 samples take 41 us
    trng_hw->trng_debug_control = TRNG_TRNG_DEBUG_CONTROL_BITS; // no correction, and only the tests below
    trng_hw->rnd_source_enable = TRNG_RND_SOURCE_ENABLE_BITS;
    trng_hw->rng_icr = TRNG_RNG_ICR_BITS;
    while (trng_hw->trng_busy != 0) {
    }
    uint32_t samples = 0;
    for (int i = 0; i < 6; ++i) { // reading the last word starts the next samples
        samples ^= trng_hw->ehr_data[i];
    }
    spin_unlock(lock, state);
    return samples;
}

#endif

// The health tests of NIST SP 800-90B, 4.4, for half a bit of entropy in each sample and one false alarm in 2^20. They
// limit the number of equal samples in a row, and among 1,024. The third limit, of equal bytes in a row, detects an
// oscillator with a short period. The tests continue from call to call. src/entropy.hpp cannot detect these failures, because
// it receives the numbers after pico_rand was added.
#define MOST_EQUAL_IN_A_ROW (41)
#define MOST_EQUAL_OF_1024 (794)
#define MOST_EQUAL_BYTES (6)

typedef struct {
    uint32_t sample, byte; // the last ones
    int samples_in_a_row, bytes_in_a_row;
    int count, ones;
} ussl_health_t;

static ussl_health_t ussl_health;

static bool is_healthy(ussl_health_t *health, uint32_t samples, uint32_t byte) {
    for (int i = SAMPLES_OF_A_BYTE - 1; i >= 0; --i) {
        const uint32_t sample = samples >> i & 1;
        health->samples_in_a_row = sample == health->sample ? health->samples_in_a_row + 1 : 1;
        health->sample = sample;
        if (health->samples_in_a_row >= MOST_EQUAL_IN_A_ROW) {
            return false;
        }
        health->ones += (int)sample;
        if (++health->count == 1024) {
            if (health->ones >= MOST_EQUAL_OF_1024 || health->count - health->ones >= MOST_EQUAL_OF_1024) {
                return false;
            }
            health->count = health->ones = 0;
        }
    }
    health->bytes_in_a_row = byte == health->byte ? health->bytes_in_a_row + 1 : 1;
    health->byte = byte;
    return health->bytes_in_a_row < MOST_EQUAL_BYTES;
}

// A byte takes 0.3 ms.
int ussl_port_entropy(unsigned char *into, size_t size) {
    if (!oscillator_runs()) {
        return -1;
    }
    for (size_t i = 0; i < size; ++i) {
        const uint32_t samples = take_samples();
        into[i] = (unsigned char)(samples ^ samples >> 8 ^ samples >> 16 ^ samples >> 24);
        if (!is_healthy(&ussl_health, samples, into[i])) {
            ussl_health = (ussl_health_t) {0};
            return -1;
        }
    }
    for (size_t i = 0; i < size;) {
        const uint64_t random = get_rand_64();
        for (size_t j = 0; j < sizeof(random) && i < size; ++j) {
            into[i++] ^= (unsigned char)(random >> 8 * j);
        }
    }
    return 0;
}
