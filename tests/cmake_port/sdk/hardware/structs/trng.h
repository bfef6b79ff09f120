#pragma once
#include <stdint.h>
#define TRNG_TRNG_DEBUG_CONTROL_BITS 0xf
#define TRNG_RND_SOURCE_ENABLE_BITS 0xffffffff
#define TRNG_RNG_ICR_BITS 0xffffffff
typedef struct {
    volatile uint32_t rng_icr, trng_config, ehr_data[6], rnd_source_enable, sample_cnt1, trng_debug_control, trng_busy;
} trng_hw_t;
trng_hw_t *tests_trng(void);
#define trng_hw tests_trng()
