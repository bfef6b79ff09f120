// MicroPython's qemu port, with time, select, asyncio and a network, which most boards have.

#include "mpconfigport.h"

#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "modtime_board.h"
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO (1)

#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#undef MICROPY_SCHEDULER_STATIC_NODES
#define MICROPY_SCHEDULER_STATIC_NODES (1)

#if MICROPY_PY_LWIP
#define MICROPY_PY_NETWORK (1)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "mpy-qemu"
#define MICROPY_PORT_NETWORK_INTERFACES { MP_ROM_QSTR(MP_QSTR_LAN), MP_ROM_PTR(&ussl_board_lan_type) },
extern const struct _mp_obj_type_t ussl_board_lan_type;
#endif

#include <stdint.h>
#ifdef USSL_BOARD_CLOCK
uint32_t ussl_board_milliseconds(void);
uint32_t ussl_board_microseconds(void);
#define mp_hal_ticks_ms ussl_board_milliseconds
#define mp_hal_ticks_us ussl_board_microseconds
#define mp_hal_ticks_cpu ussl_board_microseconds
#endif

// boot.c
void ussl_board_boot(void);
void ussl_board_wait(void);
uint32_t ussl_board_irq_off(void);
void ussl_board_irq_restore(uint32_t state);
#define MICROPY_PORT_INIT_FUNC ussl_board_boot()
#define MICROPY_INTERNAL_WFE(timeout_ms) ussl_board_wait()
#define MICROPY_BEGIN_ATOMIC_SECTION() ussl_board_irq_off()
#define MICROPY_END_ATOMIC_SECTION(state) ussl_board_irq_restore(state)
