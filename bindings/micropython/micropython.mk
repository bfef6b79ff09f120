# Takes ussl into a Make port: make -C ports/unix USER_C_MODULES=…/ussl/bindings

USSL_DIR := $(abspath $(USERMOD_DIR)/../..)
# The detour keeps the object files out of BUILD/micropython, the name of the unix port's program.
USSL_BINDING := $(USSL_DIR)/src/../bindings/micropython
USSL_ENGINE ?= openssl

SRC_USERMOD_C += $(USSL_BINDING)/modussl.c

# Scanned for interned strings (MP_QSTR_…).
SRC_USERMOD_CXX += $(addprefix $(USSL_BINDING)/, certificate.cpp context.cpp errors.cpp options.cpp socket.cpp stream.cpp)

# Not scanned: knows nothing of MicroPython.
SRC_USERMOD_LIB_CXX += $(sort $(wildcard $(USSL_DIR)/src/*.cpp))

ifeq ($(USSL_ENGINE),openssl)
SRC_USERMOD_LIB_CXX += $(sort $(wildcard $(USSL_DIR)/src/openssl/*.cpp))
USSL_DEFINES := -DUSSL_ENGINE_OPENSSL
LDFLAGS_USERMOD += -lssl -lcrypto
else ifeq ($(USSL_ENGINE),mbedtls)
SRC_USERMOD_LIB_CXX += $(sort $(wildcard $(USSL_DIR)/src/mbedtls/*.cpp))
USSL_DEFINES := -DUSSL_ENGINE_MBEDTLS
ifeq ($(MBEDTLS_DIR),)
MBEDTLS_DIR := $(shell $(USSL_DIR)/tools/deps source mbedtls)
endif
ifeq ($(wildcard $(MBEDTLS_DIR)/library/ssl_tls.c),)
$(error there is no Mbed TLS in MBEDTLS_DIR=$(MBEDTLS_DIR))
endif
# Some of its files have amended ones in their place.
USSL_MBEDTLS_SOURCES := $(filter-out %/ssl_tls.c %/ssl_tls12_client.c %/ssl_tls13_generic.c,$(sort $(wildcard $(MBEDTLS_DIR)/library/*.c)))
USSL_MBEDTLS_SOURCES += $(sort $(wildcard $(USSL_DIR)/src/mbedtls/amended/*.c)) $(USSL_DIR)/src/mbedtls/internals.c
SRC_USERMOD_LIB_C += $(USSL_MBEDTLS_SOURCES)
CFLAGS_USERMOD += -I$(MBEDTLS_DIR)/include -I$(USSL_DIR)/src/mbedtls -DMBEDTLS_CONFIG_FILE='"ussl_mbedtls_config.h"'
else
$(error USSL_ENGINE=$(USSL_ENGINE): the engines are openssl and mbedtls)
endif

# The port's -Os is right for a board; a host has the room.
USSL_OBJECTS := $(patsubst %.cpp,$(BUILD)/%.o,$(filter $(USSL_DIR)/%,$(SRC_USERMOD_CXX) $(SRC_USERMOD_LIB_CXX)))
USSL_MBEDTLS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(USSL_MBEDTLS_SOURCES))
# Warnings of a library are for those who work on it.
$(USSL_MBEDTLS_OBJECTS): CFLAGS += -w -I$(MBEDTLS_DIR)/library
ifneq ($(filter %/unix,$(CURDIR)),)
# A host.
$(USSL_OBJECTS): CXXFLAGS += -O2 -fstack-protector-strong
$(USSL_MBEDTLS_OBJECTS): CFLAGS += -O3
# libstdc++ only for what an unoptimised build leaves of inline functions.
LDFLAGS_USERMOD += -lstdc++
else
# A board: memory, entropy and time come from the port.
SRC_USERMOD_C += $(USSL_BINDING)/port.c
CFLAGS_USERMOD += -DUSSL_BOARD -DUSSL_PORT_MEMORY
# A port whose Makefile knows no C++ (qemu) leaves the flags to us.
ifeq ($(shell grep -c CXXFLAGS Makefile),0)
CXXFLAGS += $(filter-out -std=% -Wmissing-prototypes -Wold-style-definition,$(CFLAGS))
endif
endif

CFLAGS_USERMOD += -I$(USSL_DIR)/include -I$(USSL_DIR)/src
CXXFLAGS_USERMOD += -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics $(USSL_DEFINES)
# MicroPython's headers are C and break these rules when read as C++.
CXXFLAGS_USERMOD += -Wno-missing-field-initializers -Wno-pedantic -Wno-double-promotion -Wno-float-conversion
