// MicroPython's standard variant of the unix port, with one thing changed.

#ifndef USSL_VARIANT
#define USSL_VARIANT "variants/standard/mpconfigvariant.h"
#endif
#include USSL_VARIANT

// Ctrl-C must not jump out of the signal handler: it would leave the TLS engine in the middle of
// whatever it was doing. As on a board, it is raised at the next safe point, and a blocking read or
// write is such a point.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)
