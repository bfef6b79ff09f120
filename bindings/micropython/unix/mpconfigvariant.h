// MicroPython's standard variant of the unix port, with one change.

#ifndef USSL_VARIANT
#define USSL_VARIANT "variants/standard/mpconfigvariant.h"
#endif
#include USSL_VARIANT

// Ctrl-C must not jump out of the signal handler in the middle of a call of the TLS engine. As on a
// board, KeyboardInterrupt is raised at the next safe point; a blocking read or write is one.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)
