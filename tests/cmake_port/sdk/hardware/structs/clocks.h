#pragma once
#include <stdint.h>
#define CLOCKS_CLK_SYS_CTRL_SRC_BITS 1
#define CLOCKS_CLK_SYS_CTRL_AUXSRC_BITS 0xe0
#define CLOCKS_CLK_SYS_CTRL_AUXSRC_LSB 5
#define CLOCKS_CLK_SYS_CTRL_AUXSRC_VALUE_ROSC_CLKSRC 2
enum { clk_sys = 5 };
typedef struct { struct { volatile uint32_t ctrl; } clk[10]; } clocks_hw_t;
extern clocks_hw_t tests_clocks;
#define clocks_hw (&tests_clocks)
