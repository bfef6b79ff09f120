// Checks of arguments and attributes. All of them may raise.

#include "arguments.hpp"

#include "ussl/context.hpp"

namespace {

// Integer literals: where the port's floats are single (-fsingle-precision-constant), 1000.0 is a
// float, and -Wdouble-promotion warns.
double milliseconds_of(mp_obj_t seconds, qstr argument) {
#if MICROPY_PY_BUILTINS_FLOAT
    mp_float_t value;
    if (!mp_obj_get_float_maybe(seconds, &value))
        ussl_raise_wrong_type(argument, "a number of seconds");
    return 1000 * static_cast<double>(value);
#else
    return 1000 * static_cast<double>(ussl_int(seconds, argument));
#endif
}

}  // namespace

bool ussl_is_bytes_like(mp_obj_t object, mp_buffer_info_t* bytes) {
    return !mp_obj_is_str(object) && mp_get_buffer(object, bytes, MP_BUFFER_READ);
}

MP_NORETURN void ussl_raise_wrong_type(qstr argument, const char* wanted) {
    mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%q must be %s"), argument, wanted);
}

void ussl_check_psk_keys(mp_obj_t psk_keys, qstr argument) {
    mp_obj_t method[2];
    mp_load_method_maybe(psk_keys, MP_QSTR_get, method);
    if (method[0] == MP_OBJ_NULL)
        ussl_raise_wrong_type(argument,
                              USSL_ARGUMENT("a mapping, or have get(identity)", "a mapping"));
    if (!mp_obj_is_dict_or_ordereddict(psk_keys))
        return;
    const mp_map_t* map = mp_obj_dict_get_map(psk_keys);
    for (size_t i = 0; i < map->alloc; ++i) {
        if (!mp_map_slot_is_filled(map, i))
            continue;
        mp_buffer_info_t identity;
        mp_buffer_info_t key;
        if (!ussl_is_bytes_like(map->table[i].key, &identity) ||
            !ussl_is_bytes_like(map->table[i].value, &key))
            mp_raise_msg_varg(
                &mp_type_TypeError,
                MP_ERROR_TEXT(USSL_ARGUMENT("%q must map bytes to bytes", "%q: bytes to bytes")),
                argument);
        if (identity.len == 0 || identity.len > ussl::max_psk_identity)
            mp_raise_msg_varg(&mp_type_ValueError,
                              MP_ERROR_TEXT(USSL_ARGUMENT("%q: an identity must be 1 to 128 bytes",
                                                          "%q: identity size")),
                              argument);
        if (key.len == 0 || key.len > ussl::max_psk_key)
            mp_raise_msg_varg(
                &mp_type_ValueError,
                MP_ERROR_TEXT(USSL_ARGUMENT("%q: a key must be 1 to 48 bytes", "%q: key size")),
                argument);
    }
}

mp_obj_t ussl_text_or_bytes(mp_obj_t given, qstr argument) {
    mp_buffer_info_t bytes;
    if (given != mp_const_none && !mp_get_buffer(given, &bytes, MP_BUFFER_READ))
        ussl_raise_wrong_type(argument, "str or bytes");
    return given;
}

mp_obj_t ussl_only_bytes(mp_obj_t given, qstr argument) {
    mp_buffer_info_t bytes;
    if (given != mp_const_none && !ussl_is_bytes_like(given, &bytes))
        ussl_raise_wrong_type(argument, "bytes");
    return given;
}

mp_obj_t ussl_callback(mp_obj_t callback, qstr argument) {
    if (callback != mp_const_none && !mp_obj_is_callable(callback))
        ussl_raise_wrong_type(argument, "callable, or None");
    return callback;
}

mp_int_t ussl_int(mp_obj_t number, qstr argument) {
    if (!mp_obj_is_int(number) && !mp_obj_is_bool(number))
        ussl_raise_wrong_type(argument, "an int");
    return mp_obj_get_int(number);
}

int64_t ussl_seconds(mp_obj_t seconds, qstr argument) {
    if (!mp_obj_is_exact_type(seconds, &mp_type_int))
        return ussl_int(seconds, argument);
    int64_t value = 0;
    if (!micropython::int64_of(seconds, value))
        mp_raise_msg_varg(&mp_type_OverflowError, MP_ERROR_TEXT("%q is out of range"), argument);
    return value;
}

uint32_t ussl_milliseconds(mp_obj_t seconds, qstr argument) {
    if (seconds == mp_const_none)
        return 0;
    const double milliseconds = milliseconds_of(seconds, argument);
    if (!(milliseconds >= 1) || milliseconds > 1'000'000'000)
        mp_raise_msg_varg(
            &mp_type_ValueError,
            MP_ERROR_TEXT(USSL_ARGUMENT("%q must be 0.001 to 1000000 seconds, or None",
                                        "%q is out of range")),
            argument);
    return static_cast<uint32_t>(milliseconds);
}

uint32_t ussl_milliseconds_from_0(mp_obj_t seconds, qstr argument) {
    const double milliseconds = milliseconds_of(seconds, argument);
    if (!(milliseconds >= 0) || milliseconds > 1'000'000'000)
        mp_raise_msg_varg(
            &mp_type_ValueError,
            MP_ERROR_TEXT(USSL_ARGUMENT("%q must be 0 to 1000000 seconds", "%q is out of range")),
            argument);
    return static_cast<uint32_t>(milliseconds);
}

uint8_t ussl_verify_mode(mp_obj_t mode, qstr argument) {
    const mp_int_t number = ussl_int(mode, argument);
    if (number < 0 || number > 2)
        mp_raise_msg_varg(
            &mp_type_ValueError,
            MP_ERROR_TEXT(USSL_ARGUMENT("%q must be CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED",
                                        "%q is out of range")),
            argument);
    return static_cast<uint8_t>(number);
}

uint16_t ussl_record_size_limit(mp_obj_t limit) {
    if (limit == mp_const_none)
        return 0;
    const mp_int_t size = ussl_int(limit, MP_QSTR_record_size_limit);
    if (size < static_cast<mp_int_t>(ussl::min_record_size) ||
        size > static_cast<mp_int_t>(ussl::max_record_size))
        mp_raise_ValueError(MP_ERROR_TEXT(USSL_ARGUMENT("record_size_limit must be 512 to 16384",
                                                        "record_size_limit: 512 to 16384")));
    return static_cast<uint16_t>(size);
}
