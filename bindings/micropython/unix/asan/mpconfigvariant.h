// For the sanitizer build: the same as ../mpconfigvariant.h, with exit.c and heap.c.

#include "../mpconfigvariant.h"
