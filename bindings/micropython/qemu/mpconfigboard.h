// The qemu port as MicroPython has it, and time, select and asyncio, which most boards have.

#include "mpconfigport.h"

#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "modtime_board.h"
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO (1)

#define MICROPY_INTERNAL_WFE(timeout_ms) // nothing wakes this processor: it waits by asking

#ifdef USSL_BOARD_CLOCK
#include <stdint.h>
uint32_t ussl_board_milliseconds(void);
uint32_t ussl_board_microseconds(void);
#define mp_hal_ticks_ms ussl_board_milliseconds
#define mp_hal_ticks_us ussl_board_microseconds
#define mp_hal_ticks_cpu ussl_board_microseconds
#endif
