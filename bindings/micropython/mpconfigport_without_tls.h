// The port's mpconfigport.h without MicroPython's own TLS (micropython.cmake). A port may define MICROPY_PY_SSL
// unconditionally, so that neither a compiler option nor the board's header can change it.

#include <mpconfigport.h>

#undef MICROPY_PY_SSL
#define MICROPY_PY_SSL (0)
