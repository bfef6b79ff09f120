// MicroPython's variant of the unix port with 64-bit objects on a 32-bit processor, and the change of ../mpconfigvariant.h.

#define USSL_VARIANT "variants/nanbox/mpconfigvariant.h"
#include "../mpconfigvariant.h"
