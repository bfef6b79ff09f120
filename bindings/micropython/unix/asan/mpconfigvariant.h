// For the sanitizer build: the same as the other one, exit.c and heap.c.

#include "../mpconfigvariant.h"
