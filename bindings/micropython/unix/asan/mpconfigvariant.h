// For the sanitizer build: the same as the other one, and exit.c.

#include "../mpconfigvariant.h"
