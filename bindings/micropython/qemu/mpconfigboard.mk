# A Cortex-M3 in qemu (MPS2 AN385) as MicroPython has it, with ussl, entropy, a clock, and the heap of
# a real board: make -C ports/qemu BOARD_DIR=…/ussl/bindings/micropython/qemu USER_C_MODULES=…/ussl/bindings

include boards/MPS2_AN385/mpconfigboard.mk

USSL_ENGINE = mbedtls
MICROPY_HEAP_SIZE ?= 131072
# MicroPython's tests of frozen code are not for this.
FROZEN_MANIFEST ?= $(BOARD_DIR)/manifest.py
LDSCRIPT = $(BOARD_DIR)/board.ld

CFLAGS += -DMP_CONFIGFILE='"$(BOARD_DIR)/mpconfigboard.h"' -I$(BOARD_DIR)
CFLAGS += -DUSSL_PORT_ENTROPY -DUSSL_PORT_TIME -DUSSL_MEMORY_FIGURES
# Until MicroPython 1.26, the port has no clock.
ifeq ($(shell grep -l mp_hal_ticks_us mphalport.c),)
CFLAGS += -DUSSL_BOARD_CLOCK
endif
SRC_C += $(BOARD_DIR)/board.c
