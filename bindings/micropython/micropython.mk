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
# libstdc++ only for what an unoptimised build leaves of inline functions.
LDFLAGS_USERMOD += -lssl -lcrypto -lstdc++
else
$(error USSL_ENGINE=$(USSL_ENGINE): this version has the engine "openssl" only)
endif

# The port's -Os is right for a board; a host has the room.
USSL_OBJECTS := $(patsubst %.cpp,$(BUILD)/%.o,$(filter $(USSL_DIR)/%,$(SRC_USERMOD_CXX) $(SRC_USERMOD_LIB_CXX)))
ifeq ($(USSL_ENGINE),openssl)
$(USSL_OBJECTS): CXXFLAGS += -O2
endif

CFLAGS_USERMOD += -I$(USSL_DIR)/include -I$(USSL_DIR)/src
CXXFLAGS_USERMOD += -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics $(USSL_DEFINES)
# MicroPython's headers are C and break these rules when read as C++.
CXXFLAGS_USERMOD += -Wno-missing-field-initializers -Wno-pedantic -Wno-double-promotion -Wno-float-conversion
CXXFLAGS_USERMOD += -fstack-protector-strong
