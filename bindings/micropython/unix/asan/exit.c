// The unix port ends without running finalisers, and so everything a program still holds at its end
// would count as leaked. Here they run, and what is left after them is a leak indeed.

#include "py/gc.h"
#include "py/runtime.h"

void __real_mp_deinit(void);
void __wrap_mp_deinit(void);

void __wrap_mp_deinit(void) {
    gc_sweep_all();
    __real_mp_deinit();
}
