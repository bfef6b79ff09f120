# The counters for the programs that bench/mcu runs on the chip: instructions, and bytes of heap.
#
# bench/mcu puts this before it: COUNTERS (addresses of the firmware's ussl_memory_in_use and ussl_memory_peak).

import gc

import machine

TIMER = 0x40000000  # CMSDK APB timer 0 of the MPS2, 25 MHz
IN_USE, PEAK = COUNTERS

machine.mem32[TIMER + 8] = 0xFFFFFFFF
machine.mem32[TIMER + 4] = 0xFFFFFFFF
machine.mem32[TIMER] = 1


def now():
    """In ticks of 40 ns, which with qemu's -icount shift=0 are 40 instructions each."""
    return 0xFFFFFFFF - machine.mem32[TIMER + 4]


def allocated():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


