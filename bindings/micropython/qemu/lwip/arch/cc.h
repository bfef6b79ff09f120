// What lwIP wants to know of the compiler; its own defaults do for the rest.

#ifndef USSL_QEMU_LWIP_CC_H
#define USSL_QEMU_LWIP_CC_H

#define PACK_STRUCT_STRUCT __attribute__((packed))
// As MicroPython's boards: nothing is printed, and failed assertions pass.
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x)
#define LWIP_NO_CTYPE_H 1

#endif
