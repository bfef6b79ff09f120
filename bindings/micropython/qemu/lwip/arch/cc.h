// lwIP's settings for the compiler; other settings are its defaults.

#ifndef USSL_QEMU_LWIP_CC_H
#define USSL_QEMU_LWIP_CC_H

#define PACK_STRUCT_STRUCT __attribute__((packed))
// As on MicroPython's boards, nothing is printed, and failed assertions are ignored.
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x)
#define LWIP_NO_CTYPE_H 1

#endif
