# MicroPython's Cortex-M3 in QEMU (MPS2 AN385), with ussl, entropy, a clock, a network, and a heap of the size of a real
# board: make -C ports/qemu BOARD_DIR=…/ussl/bindings/micropython/qemu USER_C_MODULES=…/ussl/bindings
#
#   USSL_QEMU_BOARD=VIRT_RV32    a RISC-V (rv32imac) instead, without a network
#   USSL_CPU=cortex-m0plus       code for a Cortex-M0+, which the Cortex-M3 can execute
#   USSL_CPU=cortex-m33          a Cortex-M33 (MPS2 AN505), without a network

USSL_QEMU_BOARD ?= MPS2_AN385
include boards/$(USSL_QEMU_BOARD)/mpconfigboard.mk

USSL_ENGINE = mbedtls
MICROPY_HEAP_SIZE ?= 131072
# In place of the port's manifest, which freezes MicroPython's tests.
FROZEN_MANIFEST ?= $(BOARD_DIR)/manifest.py
ifeq ($(QEMU_ARCH),riscv32)
# Set before the port sets it, because micropython.mk runs the compiler.
CROSS_COMPILE ?= riscv64-unknown-elf-
LDSCRIPT = $(BOARD_DIR)/rv32.ld
MICROPY_PY_LWIP = 0
else
LDSCRIPT = $(BOARD_DIR)/board.ld
endif
# Since MicroPython 1.29, the port runs ld directly, not through the compiler.
USSL_LINKS_BY_LD := $(shell grep -F '$$(LD) $$(LDFLAGS)' Makefile)
ussl_linker = $(if $(USSL_LINKS_BY_LD),$(1),$(foreach option,$(1),-Xlinker $(option)))
ifeq ($(QEMU_ARCH),riscv32)
# g++ 12 does not find the libraries for the port's rv32imac_zicsr. The last of several -march takes effect.
override LIBS := $(if $(USSL_LINKS_BY_LD),$(shell $(CROSS_COMPILE)gcc -march=rv32imac -mabi=ilp32 -print-libgcc-file-name),-march=rv32imac)
endif
ifdef USSL_CPU
# The last of several -mcpu takes effect.
AFLAGS += -mcpu=$(USSL_CPU)
CFLAGS += -mcpu=$(USSL_CPU) -UMICROPY_HW_MCU_NAME -DMICROPY_HW_MCU_NAME='"$(USSL_CPU)"'
endif
ifeq ($(USSL_CPU),cortex-m0plus)
SRC_BOARD_O := $(subst gchelper_thumb2,gchelper_thumb1,$(SRC_BOARD_O))
else ifeq ($(USSL_CPU),cortex-m33)
# It starts in the secure state, in which memory and devices have other addresses.
LDFLAGS += $(call ussl_linker,--defsym=ussl_rom=0x10000000 --defsym=ussl_ram=0x38000000)
$(BUILD)/ussl/uart.c: uart.c
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/0x40004000/0x50200000/' $< >$@
$(BUILD)/uart.o: $(BUILD)/ussl/uart.c
	$(call compile_c)
MICROPY_PY_LWIP = 0
endif

CFLAGS += -DMP_CONFIGFILE='"$(BOARD_DIR)/mpconfigboard.h"' -I$(BOARD_DIR)
CFLAGS += -DUSSL_PORT_ENTROPY -DUSSL_MEMORY_FIGURES
# Until MicroPython 1.26, the port has no clock.
ifeq ($(shell grep -l mp_hal_ticks_us mphalport.c),)
CFLAGS += -DUSSL_BOARD_CLOCK
endif
SRC_C += $(addprefix $(BOARD_DIR)/, board.c boot.c hostfs.c lan9118.c)
LDFLAGS += $(call ussl_linker,--wrap=uart_rx_chr --wrap=mp_hal_delay_ms)

# lwIP of MicroPython's lib/lwip, or of LWIP_DIR=…/lwip/src on make's command line.
MICROPY_PY_LWIP ?= 1
CFLAGS += -I$(BOARD_DIR)/lwip $(if $(LWIP_DIR),-I$(LWIP_DIR)/include)
