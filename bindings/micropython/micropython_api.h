#pragma once

// The only header through which the binding uses MicroPython's internals, which are not a stable API.
// If a name differs between the supported versions, this header defines one name for it. Version
// numbers are not compared: development versions have the number of a release and the names of the
// next one.

#ifdef __cplusplus
extern "C" {
#endif

#include "py/builtin.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/obj.h"
#include "py/objarray.h"
#include "py/objint.h"
#include "py/objstr.h"
#include "py/objtype.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "py/unicode.h"
#ifndef __cplusplus
#include "shared/timeutils/timeutils.h" // it may include math.h
#endif

#if !MICROPY_NLR_SETJMP
// MicroPython's own declaration lacks this attribute, although nlr_push returns twice, like setjmp.
// Without it, a compiler may reuse the place of a variable that is needed after an exception.
__attribute__((returns_twice)) unsigned int (nlr_push)(nlr_buf_t *);
#endif

#ifdef __unix__
// The unix port's sockets; declared in its modsocket.c only.
extern const mp_obj_type_t mp_type_socket;
#endif

#ifdef __cplusplus
}
#endif

// Until 1.25, the only name was NORETURN, which will be removed in MicroPython 2.
#ifndef MP_NORETURN
#define MP_NORETURN NORETURN
#endif

#if !MICROPY_ENABLE_FINALISER
// Without finalisers, unreachable sockets are never closed, and pointers into the old heap remain after a
// soft reset.
#error "ussl: MICROPY_ENABLE_FINALISER must be 1"
#endif

#if defined(__unix__) && MICROPY_ASYNC_KBD_INTR
// Otherwise, Ctrl-C would jump out of the signal handler in the middle of a call of the TLS engine.
#error "ussl: MICROPY_ASYNC_KBD_INTR must be 0; build the unix port with VARIANT_DIR=<ussl>/bindings/micropython/unix, or set it in your own variant"
#endif

#ifdef __cplusplus

// Names that a version lacks are used in templates, where a compiler accepts that.
namespace micropython {

// Runs functions that a signal or an interrupt has scheduled, and raises their exceptions
// (KeyboardInterrupt). The parameter is a bool, or, since 1.28, an enum with the values of a bool.
inline void handle_pending() {
    const auto call = []<class Parameter>(void (*handle)(Parameter)) {
        handle(static_cast<Parameter>(true));
    };
    call(mp_handle_pending);
}

// utf8_check() until 1.28, then unicode_encoding_check().
template <class Byte>
bool is_utf8(const Byte *text, size_t size) {
    if constexpr (requires { utf8_check(text, size); }) {
        return utf8_check(text, size);
    } else {
        return unicode_encoding_check({}, text, size); // {}: MP_ENCODING_UTF8, the first of them
    }
}

// Converts an int object that is not a small int. If it has more than 64 bits, returns false, or, since
// 1.29, raises OverflowError. mp_obj_int_to_bytes_impl() until 1.28, then mp_obj_int_to_bytes().
template <class Object>
bool int64_of(Object object, int64_t &value) {
    auto *bytes = reinterpret_cast<byte *>(&value);
    constexpr bool big_endian = MP_ENDIANNESS_BIG != 0;
    if constexpr (requires { mp_obj_int_to_bytes_impl(object, big_endian, sizeof value, bytes); }) {
        return mp_obj_int_to_bytes_impl(object, big_endian, sizeof value, bytes);
    } else {
        mp_obj_int_to_bytes(object, sizeof value, bytes, big_endian, true, true);
        return true;
    }
}

// Returns true if a buffer is in a board's flash: outside of the heap, which the collector releases.
inline bool is_in_flash([[maybe_unused]] const void *buffer) {
    #ifdef USSL_BOARD
    const auto *at = static_cast<const byte *>(buffer);
    for (const auto *area = &MP_STATE_MEM(area); area != nullptr;) {
        if (at >= area->gc_pool_start && at < area->gc_pool_end) {
            return false;
        }
        #if MICROPY_GC_SPLIT_HEAP
        area = area->next;
        #else
        area = nullptr;
        #endif
    }
    return true;
    #else
    return false;
    #endif
}

}  // namespace micropython

#endif
