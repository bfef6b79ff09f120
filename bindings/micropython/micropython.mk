# Adds ussl to a Make port: make -C ports/unix USER_C_MODULES=…/ussl/bindings
#
#   USSL_ENGINE=openssl         the default of the unix port
#   USSL_ENGINE=mbedtls         the default of other ports, and the only engine there
#   USSL_MBEDTLS=own            Mbed TLS is built from its sources, patched and configured by ussl (the default)
#   USSL_MBEDTLS=unpatched      the same without the patches, for comparison
#   USSL_MBEDTLS=port           the Mbed TLS that the port builds for MicroPython's own TLS (MICROPY_SSL_MBEDTLS=1)
#   MBEDTLS_DIR=                the sources (a copy is patched); otherwise tools/deps fetches them
#   USSL_MBEDTLS_CONFIG=        a configuration in place of ussl_mbedtls_config.h
#   USSL_MBEDTLS_USER_CONFIG=   a file with changes to the configuration
#   USSL_PROFILE=small          omits features, for small firmware (docs/porting/small-builds.md)
#   USSL_WITHOUT=crl,keylog     omits these features
#   USSL_WITH=crl,keylog        includes these features that the profile omits
#   USSL_ROOTS=common           the root store in the flash of a board, docs/guide/root-stores.md (the default of boards with
#                               USSL_MBEDTLS=own)
#   USSL_ROOTS=none             no root store (the default otherwise)
#   USSL_ROOTS=FILE             another root store, of tools/make_roots (a path that does not depend on the folder)

USSL_DIR := $(abspath $(USERMOD_DIR)/../..)
# With src/.. in the path, the object files are not in BUILD/micropython, which is the unix port's program.
USSL_BINDING := $(USSL_DIR)/src/../bindings/micropython
ifneq ($(filter %/unix,$(CURDIR)),)
USSL_HOST := 1
USSL_ENGINE ?= openssl
else
USSL_ENGINE ?= mbedtls
endif
USSL_MBEDTLS ?= own

SRC_USERMOD_C += $(USSL_BINDING)/modussl.c $(USSL_BINDING)/modcrypto.c

# MicroPython scans these files for interned strings (MP_QSTR_…).
SRC_USERMOD_CXX += $(addprefix $(USSL_BINDING)/, arguments.cpp certificate.cpp context.cpp context_attributes.cpp crypto.cpp delivery.cpp delivery_posix.cpp errors.cpp files.cpp module.cpp omitted.cpp poll.cpp py_callbacks.cpp session.cpp shared_contexts.cpp socket.cpp socket_calls.cpp socket_facts.cpp socket_poll.cpp stream.cpp unwrapped.cpp wrap_socket.cpp)

# MicroPython 1.29 keeps only the last line marker before a name. If only changed files are scanned, and the first name is
# in a header (py/obj.h has one), its scan fails. All files are therefore scanned after each change, as in a new build.
ifneq ($(shell grep -l recent_file $(TOP)/py/makeqstrdefs.py),)
QSTR_GLOBAL_DEPENDENCIES += $(filter $(USSL_BINDING)/%, $(SRC_USERMOD_C) $(SRC_USERMOD_CXX))
endif

# These files do not use MicroPython, and are not scanned.
SRC_USERMOD_LIB_CXX += $(sort $(wildcard $(addprefix $(USSL_DIR)/src/, *.cpp pem/*.cpp policy/*.cpp)))

# An engine is a folder that describes itself in engine.conf.
ifeq ($(wildcard $(USSL_DIR)/src/$(USSL_ENGINE)/engine.conf),)
$(error USSL_ENGINE=$(USSL_ENGINE): the engines are $(notdir $(patsubst %/engine.conf,%,$(wildcard $(USSL_DIR)/src/*/engine.conf))))
endif
include $(USSL_DIR)/src/$(USSL_ENGINE)/engine.conf
SRC_USERMOD_LIB_CXX += $(sort $(wildcard $(USSL_DIR)/src/$(USSL_ENGINE)/*.cpp))
USSL_DEFINES := -DUSSL_ENGINE=$(USSL_ENGINE)
USSL_FEATURES := $(shell $(USSL_DIR)/tools/features '$(USSL_PROFILE)' '$(USSL_WITHOUT)' '$(USSL_WITH)' || echo failed)
ifeq ($(USSL_FEATURES),failed)
$(error ussl: the features of the build are wrong: see what tools/features says above)
endif
USSL_DEFINES += $(addprefix -D,$(USSL_FEATURES))
LDFLAGS_USERMOD += $(USSL_ENGINE_LIBRARIES)
ifeq ($(USSL_ENGINE),mbedtls)
CFLAGS_USERMOD += -I$(USSL_DIR)/src/mbedtls
ifneq ($(filter own unpatched,$(USSL_MBEDTLS)),)
USSL_MBEDTLS_CONFIG ?= ussl_mbedtls_config.h
CFLAGS_USERMOD += -DMBEDTLS_CONFIG_FILE='"$(USSL_MBEDTLS_CONFIG)"'
ifneq ($(USSL_MBEDTLS_USER_CONFIG),)
CFLAGS_USERMOD += -DMBEDTLS_USER_CONFIG_FILE='"$(USSL_MBEDTLS_USER_CONFIG)"'
endif
# MicroPython sets a MBEDTLS_DIR of its own later.
USSL_MBEDTLS_DIR := $(shell $(if $(MBEDTLS_DIR),MBEDTLS_DIR='$(MBEDTLS_DIR)') $(USSL_DIR)/tools/deps source \
    $(if $(filter unpatched,$(USSL_MBEDTLS)),mbedtls-unpatched,mbedtls))
ifeq ($(wildcard $(USSL_MBEDTLS_DIR)/library/ssl_tls.c),)
$(error there is no Mbed TLS: see what tools/deps says above)
endif
CFLAGS_USERMOD += -I$(USSL_MBEDTLS_DIR)/include
USSL_MBEDTLS_SOURCES := $(sort $(wildcard $(USSL_MBEDTLS_DIR)/library/*.c))
ifeq ($(USSL_MBEDTLS),own)
USSL_MBEDTLS_SOURCES += $(USSL_DIR)/src/mbedtls/internals.c
endif
SRC_USERMOD_LIB_C += $(USSL_MBEDTLS_SOURCES)
else ifneq ($(USSL_MBEDTLS),port)
$(error USSL_MBEDTLS=$(USSL_MBEDTLS): it is own, unpatched or port)
endif
ifneq ($(USSL_MBEDTLS),own)
# In place of patches/mbedtls-signature-limit.patch (src/mbedtls/verify.cpp). Ports for boards run ld directly.
LDFLAGS_USERMOD += $(if $(shell grep -l '(LD) .*(LDFLAGS)' Makefile),,-Xlinker) --wrap=mbedtls_x509_crt_verify_restartable
endif
endif

# The port's -Os is for boards; on a host, speed matters more than size.
USSL_OBJECTS := $(patsubst %.cpp,$(BUILD)/%.o,$(filter $(USSL_DIR)/%,$(SRC_USERMOD_CXX) $(SRC_USERMOD_LIB_CXX)))
USSL_MBEDTLS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(USSL_MBEDTLS_SOURCES))
ifneq ($(USSL_MBEDTLS_SOURCES),)
# Stops the build if the firmware links two copies of Mbed TLS. Their functions have the same names. The linker's message
# does not help, and if one of them is a library, there is no message. A recipe checks this, because the port's makefile
# is then complete. It does not use CFLAGS, which may be part of a port's LDFLAGS (stm32).
USSL_SECOND_MBEDTLS = $(firstword $(filter-out $(USSL_MBEDTLS_OBJECTS), \
    $(filter -lmbedtls -lmbedx509 -lmbedcrypto,$(LDFLAGS_EXTMOD) $(LDFLAGS) $(LIB)) \
    $(filter $(foreach name,$(USSL_ENGINE_KNOWN_SOURCES),%/library/$(name).o),$(OBJ))))
.PHONY: ussl_one_mbedtls
ussl_one_mbedtls:
	$(if $(USSL_SECOND_MBEDTLS),$(error ussl: two Mbed TLS in one firmware: \
    the port brings $(USSL_SECOND_MBEDTLS), and ussl its own. Leave it out: MICROPY_PY_SSL=0 MICROPY_SSL_MBEDTLS=0; or let ussl use it: USSL_MBEDTLS=port))
$(USSL_MBEDTLS_OBJECTS): | ussl_one_mbedtls
endif
# Warnings of Mbed TLS are for its developers.
$(USSL_MBEDTLS_OBJECTS): CFLAGS += -w -I$(USSL_MBEDTLS_DIR)/library
ifdef USSL_HOST
$(USSL_OBJECTS): CXXFLAGS += -O2 -fstack-protector-strong
$(USSL_MBEDTLS_OBJECTS): CFLAGS += -O3
# Only an unoptimised build needs libstdc++, for functions that are otherwise inlined.
LDFLAGS_USERMOD += -lstdc++
# select.poll's call of poll(2) is redirected to poll.cpp, which polls all sockets in one call.
ifeq ($(shell uname -s),Linux)
CFLAGS_USERMOD += -DUSSL_WRAPS_POLL
LDFLAGS_USERMOD += -Wl,--wrap=poll
# MicroPython 1.25 crashes if a poll has a stream without a descriptor (one written in Python, ThreadSafeFlag), and its
# array of descriptors moves. It then adjusts the null pointer of that stream as well.
$(BUILD)/ussl/modselect.c: $(TOP)/extmod/modselect.c
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/^ *poll_obj->pollfd = new_fds + /if (poll_obj->pollfd != NULL) &/' $< >$@
$(BUILD)/extmod/modselect.o: $(BUILD)/ussl/modselect.c
	$(call compile_c)
endif
else
# A board: port.c provides memory, entropy and time.
SRC_USERMOD_C += $(USSL_BINDING)/port.c
CFLAGS_USERMOD += -DUSSL_BOARD -DUSSL_PORT_MEMORY
ifeq ($(USSL_MBEDTLS_CONFIG),ussl_mbedtls_config.h)
$(filter $(foreach name,$(USSL_ENGINE_QUICK_SOURCES),%/$(name).o),$(USSL_MBEDTLS_OBJECTS)): CFLAGS += -O2
endif
# Debian's compiler for RISC-V lacks the headers of libstdc++. Those of the compiler for Arm are used, whose C library
# belongs to the same family. Only headers are used; no library is linked.
ifeq ($(shell $(CXX) -std=c++23 -E -include expected -x c++ /dev/null >/dev/null 2>&1 && echo found),)
USSL_LIBSTDCXX ?= $(shell arm-none-eabi-g++ -std=c++23 -M -include expected -x c++ /dev/null | tr ' ' '\n' | sed -n 's|/expected$$||p')
ifeq ($(wildcard $(USSL_LIBSTDCXX)/expected),)
$(error ussl: $(CXX) has no headers of libstdc++ 12 or newer; USSL_LIBSTDCXX= names a folder with them, for example that of arm-none-eabi-g++)
endif
CXXFLAGS_USERMOD += -nostdinc++ -isystem $(USSL_LIBSTDCXX) -isystem $(USSL_LIBSTDCXX)/arm-none-eabi
endif
# MicroPython's headers include those of the chips' makers, which are C, too (ST: `register`, volatile parameters).
CXXFLAGS_USERMOD += -Wno-register -Wno-volatile
# Until MicroPython 1.28, a port without C++ in its Makefile (qemu) does not set CXXFLAGS.
ifeq ($(shell grep -l '^CXXFLAGS *[+:]*=' Makefile $(TOP)/py/mkrules.mk),)
CXXFLAGS += $(filter-out -std=% -Wmissing-prototypes -Wold-style-definition,$(CFLAGS))
endif
endif

USSL_ROOTS ?= $(if $(USSL_HOST)$(filter USSL_WITHOUT_ROOT_STORE=1,$(USSL_FEATURES)),none,$(if $(filter own,$(USSL_MBEDTLS)),common,none))
ifneq ($(USSL_ROOTS),none)
ifneq ($(USSL_MBEDTLS),own)
$(error USSL_ROOTS=$(USSL_ROOTS): root stores need USSL_MBEDTLS=own)
endif
USSL_ROOTS_FILE := $(shell '$(USSL_DIR)/tools/root_store' '$(USSL_ROOTS)')
ifeq ($(USSL_ROOTS_FILE),)
$(error USSL_ROOTS=$(USSL_ROOTS) is not a root store)
endif
SRC_USERMOD_LIB_C += $(USSL_BINDING)/roots.c
CFLAGS_USERMOD += -DUSSL_ROOTS
$(BUILD)/$(USSL_BINDING)/roots.o: CFLAGS += -DUSSL_ROOTS_FILE='"$(USSL_ROOTS_FILE)"'
$(BUILD)/$(USSL_BINDING)/roots.o: $(USSL_ROOTS_FILE)
endif

CFLAGS_USERMOD += -I$(USSL_DIR)/include -I$(USSL_DIR)/src
CFLAGS_USERMOD += $(USSL_DEFINES)
CXXFLAGS_USERMOD += -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics $(USSL_DEFINES)
# MicroPython's headers are C, and cause these warnings in C++.
CXXFLAGS_USERMOD += -Wno-missing-field-initializers -Wno-pedantic -Wno-double-promotion -Wno-float-conversion
