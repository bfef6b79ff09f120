#pragma once

// Checks of arguments and attributes. Each raises an exception that names the argument.

#include "binding.hpp"

/// Returns whether it is bytes-like, and its content.
bool ussl_is_bytes_like(mp_obj_t object, mp_buffer_info_t* bytes);
/// Raises a TypeError: the argument must be `wanted`.
MP_NORETURN void ussl_raise_wrong_type(qstr argument, const char* wanted);

/// Raises unless `psk_keys` has a method `get`, and, if it is a dict, has valid identities and
/// keys.
void ussl_check_psk_keys(mp_obj_t psk_keys, qstr argument);
/// Raises unless `mode` is CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED; returns it.
uint8_t ussl_verify_mode(mp_obj_t mode, qstr argument);
/// Raises unless `seconds` is an int of at most 64 bits; returns it. A board's mp_int_t ends in
/// 2038.
int64_t ussl_seconds(mp_obj_t seconds, qstr argument);
/// Raises unless `number` is an int; returns it.
mp_int_t ussl_int(mp_obj_t number, qstr argument);
/// Raises unless `seconds` is a number above 0, or None (0); returns milliseconds.
uint32_t ussl_milliseconds(mp_obj_t seconds, qstr argument);
/// Raises unless `seconds` is a number, 0 or more; returns milliseconds.
uint32_t ussl_milliseconds_from_0(mp_obj_t seconds, qstr argument);
/// Raises unless `callback` is callable, or None; returns it.
mp_obj_t ussl_callback(mp_obj_t callback, qstr argument);
/// Raises unless `given` is a str, bytes-like, or None; returns it.
mp_obj_t ussl_text_or_bytes(mp_obj_t given, qstr argument);
/// Raises unless `given` is bytes-like, or None; returns it.
mp_obj_t ussl_only_bytes(mp_obj_t given, qstr argument);
/// Raises unless `limit` is a valid size of a record, or None (0); returns it.
uint16_t ussl_record_size_limit(mp_obj_t limit);

/// Converts a size, which may have 64 bits on a 32-bit processor: the size of a file, and each
/// mp_int_t with MICROPY_OBJ_REPR_D. A negative or too large number becomes a size that cannot be
/// allocated.
inline size_t ussl_size(int64_t number) {
    return number >= 0 && number < PTRDIFF_MAX ? static_cast<size_t>(number) : PTRDIFF_MAX;
}
