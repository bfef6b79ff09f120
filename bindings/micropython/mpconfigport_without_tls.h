// In place of the port's mpconfigport.h (micropython.cmake): the same, without MicroPython's own TLS. A port may define
// MICROPY_PY_SSL unconditionally, so that neither a compiler option nor the board's header can change it.

#include <mpconfigport.h>

#undef MICROPY_PY_SSL
#define MICROPY_PY_SSL (0)
