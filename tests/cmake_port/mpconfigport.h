// The port's configuration: that of the emulated board, and settings of rp2, esp32 and stm32 that ussl must handle.

#ifndef TESTS_CMAKE_PORT
#define TESTS_CMAKE_PORT

#include "mpconfigboard.h" // includes this file

// rp2: a macro of the SDK with a name that C++ code might have.
#define count_of(array) (sizeof(array) / sizeof((array)[0]))

// esp32: with any settings of the board and the command line.
#undef MICROPY_PY_SSL
#define MICROPY_PY_SSL (1)
// rp2 and esp32.
#undef MICROPY_SSL_MBEDTLS
#define MICROPY_SSL_MBEDTLS (1)
#define MICROPY_PY_HASHLIB_SHA1 (1)
#define MICROPY_PY_CRYPTOLIB (1)

// stm32: headers of C that C++17 and C++20 reject or warn of, and constants of type double.
static inline unsigned tests_old_c(volatile unsigned *counter) {
    register unsigned before = *counter;
    *counter += 1;
    return before;
}

#else
#include_next <mpconfigport.h>
#endif
