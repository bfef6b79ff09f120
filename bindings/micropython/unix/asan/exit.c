// The unix port ends without running finalisers, so that objects alive at the end would be reported as
// leaks. This file runs the finalisers: memory left after them is a leak.

#include "py/gc.h"
#include "py/runtime.h"

void __real_mp_deinit(void);
void __wrap_mp_deinit(void);

void __wrap_mp_deinit(void) {
    gc_sweep_all();
    __real_mp_deinit();
}
