#pragma once
#include <stdint.h>
#define ROSC_STATUS_STABLE_BITS 0x80000000
typedef struct { volatile uint32_t status, randombit; } rosc_hw_t;
// Each access takes the next sample.
rosc_hw_t *tests_rosc(void);
#define rosc_hw tests_rosc()
