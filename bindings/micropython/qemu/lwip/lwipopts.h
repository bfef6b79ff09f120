// lwIP as on MicroPython's boards, for example a Pico W: the same protocols, and in lwipopts_common.h the same sizes of
// buffers (docs/porting/qemu.md lists them).

#ifndef USSL_QEMU_LWIPOPTS_H
#define USSL_QEMU_LWIPOPTS_H

#include <stdint.h>

#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ND6_NUM_DESTINATIONS 4
#define LWIP_ND6_QUEUEING 0
#define LWIP_RAND() ussl_board_random()

#include "extmod/lwip-include/lwipopts_common.h"

uint32_t ussl_board_random(void);

#endif
