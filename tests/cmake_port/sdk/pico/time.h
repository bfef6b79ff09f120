#pragma once
#include <stdint.h>
void busy_wait_us_32(uint32_t microseconds);
