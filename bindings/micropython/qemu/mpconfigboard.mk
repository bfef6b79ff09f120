# A Cortex-M3 in qemu (MPS2 AN385) as MicroPython has it, with ussl, entropy, a clock, a network, and the heap
# of a real board: make -C ports/qemu BOARD_DIR=…/ussl/bindings/micropython/qemu USER_C_MODULES=…/ussl/bindings
#
#   USSL_QEMU_BOARD=VIRT_RV32    a RISC-V (rv32imac) instead, without a network

USSL_QEMU_BOARD ?= MPS2_AN385
include boards/$(USSL_QEMU_BOARD)/mpconfigboard.mk

USSL_ENGINE = mbedtls
MICROPY_HEAP_SIZE ?= 131072
# MicroPython's tests of frozen code are not for this.
FROZEN_MANIFEST ?= $(BOARD_DIR)/manifest.py
ifeq ($(QEMU_ARCH),riscv32)
# Before the port's own, for micropython.mk asks the compiler.
CROSS_COMPILE ?= riscv64-unknown-elf-
LDSCRIPT = $(BOARD_DIR)/rv32.ld
MICROPY_PY_LWIP = 0
# g++ 12 does not find the libraries for the port's rv32imac_zicsr. The last one counts.
LIBS = -march=rv32imac
else
LDSCRIPT = $(BOARD_DIR)/board.ld
endif

CFLAGS += -DMP_CONFIGFILE='"$(BOARD_DIR)/mpconfigboard.h"' -I$(BOARD_DIR)
CFLAGS += -DUSSL_PORT_ENTROPY -DUSSL_MEMORY_FIGURES
# Until MicroPython 1.26, the port has no clock.
ifeq ($(shell grep -l mp_hal_ticks_us mphalport.c),)
CFLAGS += -DUSSL_BOARD_CLOCK
endif
SRC_C += $(addprefix $(BOARD_DIR)/, board.c boot.c hostfs.c lan9118.c)
# Since MicroPython 1.29, the port links with ld, without the compiler.
ifeq ($(shell grep -F '$$(LD) $$(LDFLAGS)' Makefile),)
LDFLAGS += -Wl,--wrap=uart_rx_chr,--wrap=mp_hal_delay_ms
else
LDFLAGS += --wrap=uart_rx_chr --wrap=mp_hal_delay_ms
endif

# lwIP, in MicroPython's lib/lwip, or on make's command line LWIP_DIR=…/lwip/src.
MICROPY_PY_LWIP ?= 1
CFLAGS += -I$(BOARD_DIR)/lwip $(if $(LWIP_DIR),-I$(LWIP_DIR)/include)
