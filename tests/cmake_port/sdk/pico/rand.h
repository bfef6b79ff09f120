#pragma once
#include <stdint.h>
uint64_t get_rand_64(void);
