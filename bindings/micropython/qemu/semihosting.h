// Semihosting: functions of the host that QEMU provides to the emulated chip (Arm, Semihosting for AArch32 and AArch64,
// 2.0).

#ifndef USSL_QEMU_SEMIHOSTING_H
#define USSL_QEMU_SEMIHOSTING_H

#include <stdint.h>

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_SEEK = 0x0a,
    SYS_FLEN = 0x0c,
    SYS_TIME = 0x11,
    SYS_ERRNO = 0x13,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
    SYS_ELAPSED = 0x30,
};

#define SEMIHOSTING_FAILED ((uint32_t)-1)

static inline uint32_t semihosting(uint32_t number, const void *arguments) {
    #ifdef __riscv
    // RISC-V Semihosting 0.3: three 32-bit instructions on one page.
    register uint32_t a0 __asm__ ("a0") = number;
    register const void *a1 __asm__ ("a1") = arguments;
    __asm__ volatile (
        ".option push\n\t.balign 16\n\t.option norvc\n\t"
        "slli zero, zero, 0x1f\n\tebreak\n\tsrai zero, zero, 7\n\t"
        ".option pop" : "+r" (a0) : "r" (a1) : "memory");
    return a0;
    #else
    register uint32_t r0 __asm__ ("r0") = number;
    register const void *r1 __asm__ ("r1") = arguments;
    __asm__ volatile ("bkpt 0xAB" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
    #endif
}

#endif
