// The module's functions, which convert arguments to a context and a socket. All of them may raise.

#include <string.h>

#include "context.hpp"
#include "ussl/memory.hpp"

namespace {

bool is_bytes_like(mp_obj_t object, mp_buffer_info_t* bytes) {
    return !mp_obj_is_str(object) && mp_get_buffer(object, bytes, MP_BUFFER_READ);
}

MP_NORETURN void raise_wrong_type(qstr argument, const char* wanted) {
    mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%q must be %s"), argument, wanted);
}

// The open() of a file system written in Python may return any object.
bool is_stream(mp_obj_t file) {
    const auto* protocol = static_cast<const mp_stream_p_t*>(
        MP_OBJ_TYPE_GET_SLOT_OR_NULL(mp_obj_get_type(file), protocol));
    return protocol != nullptr && protocol->read != nullptr && protocol->ioctl != nullptr;
}

// Reads and copies a file. The copy can be wiped; the bytes that the file's read() returned cannot,
// because the program may still use them.
mp_obj_t read_file_by_method(mp_obj_t file) {
    mp_obj_t call[2];
    mp_load_method(file, MP_QSTR_read, call);
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(mp_call_method_n_kw(0, 0, call), &bytes, MP_BUFFER_READ);
    return mp_obj_new_bytes(static_cast<const byte*>(bytes.buf), bytes.len);
}

// Returns less than `size` at the end of the file. A file written in Python may keep the buffer, or
// return any number.
size_t read_from(mp_obj_t file, char* buf, size_t size) {
    size_t got = 0;
    while (got < size) {
        int error = 0;
        const mp_uint_t count = mp_stream_rw(file, buf + got, size - got, &error,
                                             MP_STREAM_RW_READ | MP_STREAM_RW_ONCE);
        if (error == 0 && count > size - got)
            error = MP_EIO;
        if (error != 0)
            mp_raise_OSError(error);
        if (count == 0)
            break;
        got += count;
    }
    return got;
}

mp_obj_t read_file(mp_obj_t file) {
    if (!is_stream(file))
        return read_file_by_method(file);
    // The size is read first, because a growing buffer would leave copies of a key in the heap.
    int error = 0;
    const mp_off_t end = mp_stream_seek(file, 0, MP_SEEK_END, &error);
    if (end == static_cast<mp_off_t>(-1) || mp_stream_seek(file, 0, MP_SEEK_SET, &error) != 0)
        return read_file_by_method(file);
    // A directory has a size, too; only a read fails.
    read_from(file, m_new(char, 1), 1);
    if (mp_stream_seek(file, 0, MP_SEEK_SET, &error) != 0)
        mp_raise_OSError(error);
    const size_t size = ussl_size(end);
    vstr_t vstr;
    vstr_init_len(&vstr, size);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        ussl::wipe(vstr.buf, size);
        nlr_jump(nlr.ret_val);
    }
    vstr.len = read_from(file, vstr.buf, size);
    nlr_pop();
    return mp_obj_new_bytes_from_vstr(&vstr);
}

void close_file(mp_obj_t file) {
    if (is_stream(file)) {
        mp_stream_close(file);
        return;
    }
    mp_obj_t call[2];
    mp_load_method_maybe(file, MP_QSTR_close, call);
    if (call[0] != MP_OBJ_NULL)
        mp_call_method_n_kw(0, 0, call);
}

// Opens a file. Raises OSError with the errno and a text that names the argument.
mp_obj_t open_file(mp_obj_t path, qstr argument) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        const mp_obj_t arguments[2] = {path, MP_OBJ_NEW_QSTR(MP_QSTR_rb)};
        const mp_obj_t file =
            mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_builtin_open_obj), 2, 0, arguments);
        nlr_pop();
        return file;
    }
    const mp_obj_t exception = MP_OBJ_FROM_PTR(nlr.ret_val);
    const mp_obj_t number = mp_obj_exception_get_value(exception);
    if (!mp_obj_is_exact_type(exception, &mp_type_OSError) || !mp_obj_is_small_int(number))
        nlr_jump(nlr.ret_val);
    mp_int_t error = MP_OBJ_SMALL_INT_VALUE(number);
    if (error == MP_ENODEV)  // no file system is mounted
        error = MP_ENOENT;
    vstr_t text;
    vstr_init(&text, 64);
    constexpr int most = 200;
    vstr_printf(&text, "%q '%.*s' cannot be opened", argument, most, mp_obj_str_get_str(path));
    const mp_obj_t values[2] = {MP_OBJ_NEW_SMALL_INT(error), mp_obj_new_str_from_vstr(&text)};
    nlr_raise(mp_obj_exception_make_new(&mp_type_OSError, 2, 0, values));
}

bool is_root_store(const mp_buffer_info_t& bytes) {
    return ussl::is_root_store({static_cast<const uint8_t*>(bytes.buf), bytes.len});
}

// Returns a memoryview of a root store in a file of flash (romfs), or MP_OBJ_NULL.
mp_obj_t store_in_flash(mp_obj_t file) {
    mp_buffer_info_t bytes;
    if (!mp_get_buffer(file, &bytes, MP_BUFFER_READ) || !is_root_store(bytes) ||
        !micropython::is_in_flash(bytes.buf))
        return MP_OBJ_NULL;
    return mp_obj_new_memoryview('B', bytes.len, bytes.buf);
}

mp_obj_t load_file(mp_obj_t path, qstr argument, bool may_be_store) {
    const mp_obj_t file = open_file(path, argument);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        close_file(file);
        nlr_jump(nlr.ret_val);
    }
    mp_obj_t content = may_be_store ? store_in_flash(file) : MP_OBJ_NULL;
    if (content == MP_OBJ_NULL)
        content = read_file(file);
    nlr_pop();
    close_file(file);
    return content;
}

void load(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content,
          bool may_be_store) {
    *source = {argument, given, given, false, false};
    mp_buffer_info_t bytes;
    if (given == mp_const_none || is_bytes_like(given, &bytes))
        return;
    if (!mp_obj_is_str(given))
        raise_wrong_type(argument, "a path (str), or its content (bytes or PEM)");
    size_t size;
    const char* text = mp_obj_str_get_data(given, &size);
    if (is_content || std::string_view(text, size).find("-----BEGIN") != std::string_view::npos)
        return;
    source->content = load_file(given, argument, may_be_store);
    source->from_file = true;
}

// Returns the value of an argument that has two names; `missing` if neither was passed.
mp_obj_t either(const mp_arg_val_t& one, qstr one_name, const mp_arg_val_t& other, qstr other_name,
                mp_obj_t missing) {
    if (one.u_obj != MP_OBJ_NULL && other.u_obj != MP_OBJ_NULL)
        mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%q and %q are the same argument"),
                          one_name, other_name);
    if (one.u_obj != MP_OBJ_NULL)
        return one.u_obj;
    return other.u_obj != MP_OBJ_NULL ? other.u_obj : missing;
}

void add_store(ussl_context_obj_t* context, const ussl_source_t& source) {
    ussl_context_add_store(context, &source);
    // A shared context may exist longer than this object.
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(source.content, &bytes, MP_BUFFER_READ);
    if (!micropython::is_in_flash(bytes.buf))
        context->share = 0;
}

void wipe(const ussl_sources_t& sources) {
    ussl_source_wipe(&sources.key);
    ussl_source_wipe(&sources.certificate);
    ussl_source_wipe(&sources.trusted);
}

// Integer literals: where the port's floats are single (-fsingle-precision-constant), 1000.0 is a
// float, and -Wdouble-promotion warns.
double milliseconds_of(mp_obj_t seconds, qstr argument) {
#if MICROPY_PY_BUILTINS_FLOAT
    mp_float_t value;
    if (!mp_obj_get_float_maybe(seconds, &value))
        raise_wrong_type(argument, "a number of seconds");
    return 1000 * static_cast<double>(value);
#else
    return 1000 * static_cast<double>(ussl_int(seconds, argument));
#endif
}

}  // namespace

extern "C" {

mp_obj_str_t ussl_engine_name_obj = {{&mp_type_str}, 0, 0, nullptr};

// Called by each import of the module, under each of its names.
mp_obj_t ussl_module_init(void) {
    ussl::wipe_released_memory(ussl::default_engine());
    const std::string_view name = ussl::engine_version(ussl::default_engine());
    ussl_engine_name_obj.data = reinterpret_cast<const byte*>(name.data());
    ussl_engine_name_obj.len = name.size();
    ussl_engine_name_obj.hash = qstr_compute_hash(ussl_engine_name_obj.data, name.size());
    return mp_const_none;
}

void ussl_load(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content) {
    load(source, argument, given, is_content, false);
}

void ussl_load_trusted(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content) {
    load(source, argument, given, is_content, true);
    mp_buffer_info_t bytes;
    if (!mp_get_buffer(source->content, &bytes, MP_BUFFER_READ) || !is_root_store(bytes))
        return;
    source->is_store = true;
    // The content of other objects can move or change.
    if (!mp_obj_is_exact_type(source->content, &mp_type_bytes) &&
        !mp_obj_is_exact_type(source->content, &mp_type_memoryview))
        source->content = mp_obj_new_bytes(static_cast<const byte*>(bytes.buf), bytes.len);
}

void ussl_source_wipe(const ussl_source_t* source) {
    mp_buffer_info_t bytes;
    if (source->from_file && !source->is_store &&
        mp_get_buffer(source->content, &bytes, MP_BUFFER_READ))
        ussl::wipe(bytes.buf, bytes.len);
}

void ussl_check_psk_keys(mp_obj_t psk_keys, qstr argument) {
    mp_obj_t method[2];
    mp_load_method_maybe(psk_keys, MP_QSTR_get, method);
    if (method[0] == MP_OBJ_NULL)
        raise_wrong_type(argument, "a mapping, or have get(identity)");
    if (!mp_obj_is_dict_or_ordereddict(psk_keys))
        return;
    const mp_map_t* map = mp_obj_dict_get_map(psk_keys);
    for (size_t i = 0; i < map->alloc; ++i) {
        if (!mp_map_slot_is_filled(map, i))
            continue;
        mp_buffer_info_t identity;
        mp_buffer_info_t key;
        if (!is_bytes_like(map->table[i].key, &identity) ||
            !is_bytes_like(map->table[i].value, &key))
            mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%q must map bytes to bytes"),
                              argument);
        if (identity.len == 0 || identity.len > ussl::max_psk_identity)
            mp_raise_msg_varg(&mp_type_ValueError,
                              MP_ERROR_TEXT("%q: an identity must be 1 to 128 bytes"), argument);
        if (key.len == 0 || key.len > ussl::max_psk_key)
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q: a key must be 1 to 48 bytes"),
                              argument);
    }
}

mp_obj_t ussl_text_or_bytes(mp_obj_t given, qstr argument) {
    mp_buffer_info_t bytes;
    if (given != mp_const_none && !mp_get_buffer(given, &bytes, MP_BUFFER_READ))
        raise_wrong_type(argument, "str or bytes");
    return given;
}

mp_obj_t ussl_only_bytes(mp_obj_t given, qstr argument) {
    mp_buffer_info_t bytes;
    if (given != mp_const_none && !is_bytes_like(given, &bytes))
        raise_wrong_type(argument, "bytes");
    return given;
}

mp_obj_t ussl_callback(mp_obj_t callback, qstr argument) {
    if (callback != mp_const_none && !mp_obj_is_callable(callback))
        raise_wrong_type(argument, "callable, or None");
    return callback;
}

mp_int_t ussl_int(mp_obj_t number, qstr argument) {
    if (!mp_obj_is_int(number) && !mp_obj_is_bool(number))
        raise_wrong_type(argument, "an int");
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
        mp_raise_msg_varg(&mp_type_ValueError,
                          MP_ERROR_TEXT("%q must be 0.001 to 1000000 seconds, or None"), argument);
    return static_cast<uint32_t>(milliseconds);
}

uint32_t ussl_milliseconds_from_0(mp_obj_t seconds, qstr argument) {
    const double milliseconds = milliseconds_of(seconds, argument);
    if (!(milliseconds >= 0) || milliseconds > 1'000'000'000)
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q must be 0 to 1000000 seconds"),
                          argument);
    return static_cast<uint32_t>(milliseconds);
}

uint8_t ussl_verify_mode(mp_obj_t mode, qstr argument) {
    const mp_int_t number = ussl_int(mode, argument);
    if (number < 0 || number > 2)
        mp_raise_msg_varg(&mp_type_ValueError,
                          MP_ERROR_TEXT("%q must be CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED"),
                          argument);
    return static_cast<uint8_t>(number);
}

uint16_t ussl_record_size_limit(mp_obj_t limit) {
    if (limit == mp_const_none)
        return 0;
    const mp_int_t size = ussl_int(limit, MP_QSTR_record_size_limit);
    if (size < static_cast<mp_int_t>(ussl::min_record_size) ||
        size > static_cast<mp_int_t>(ussl::max_record_size))
        mp_raise_ValueError(MP_ERROR_TEXT("record_size_limit must be 512 to 16384"));
    return static_cast<uint16_t>(size);
}

mp_obj_t ussl_wrap_socket(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    enum {
        ARG_sock,
        ARG_server_side,
        ARG_keyfile,
        ARG_certfile,
        ARG_cert_reqs,
        ARG_ca_certs,
        ARG_server_hostname,
        ARG_do_handshake,
        ARG_psk_ident,
        ARG_psk_key,
        ARG_psk_keys,
        ARG_psk_hint,
        ARG_key_password,
        ARG_suppress_ragged_eofs,
        ARG_record_size_limit,
        ARG_resumption,
        ARG_gather_writes,
        ARG_key,
        ARG_cert,
        ARG_cadata,
        ARG_do_handshake_on_connect,
        ARG_count
    };
    // MP_OBJ_NULL: not passed. For most arguments, None is equivalent.
    static const mp_arg_t allowed[] = {
        {MP_QSTR_sock, MP_ARG_OBJ | MP_ARG_REQUIRED, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_server_side, MP_ARG_BOOL, {.u_bool = false}},
        {MP_QSTR_keyfile, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_certfile, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_cert_reqs, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_ca_certs, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_server_hostname, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_do_handshake, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_psk_ident, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_psk_key, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_psk_keys, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_psk_hint, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_key_password, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_suppress_ragged_eofs, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true}},
        {MP_QSTR_record_size_limit, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_resumption, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true}},
        {MP_QSTR_gather_writes, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false}},
        {MP_QSTR_key, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_cert, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_cadata, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_do_handshake_on_connect,
         MP_ARG_KW_ONLY | MP_ARG_OBJ,
         {.u_rom_obj = MP_ROM_PTR(nullptr)}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args, args, kw_args, ARG_count, allowed, values);

    const mp_obj_t key =
        either(values[ARG_keyfile], MP_QSTR_keyfile, values[ARG_key], MP_QSTR_key, mp_const_none);
    const mp_obj_t certificate = either(values[ARG_certfile], MP_QSTR_certfile, values[ARG_cert],
                                        MP_QSTR_cert, mp_const_none);
    const mp_obj_t trusted = either(values[ARG_ca_certs], MP_QSTR_ca_certs, values[ARG_cadata],
                                    MP_QSTR_cadata, mp_const_none);
    const mp_obj_t do_handshake =
        either(values[ARG_do_handshake], MP_QSTR_do_handshake, values[ARG_do_handshake_on_connect],
               MP_QSTR_do_handshake_on_connect, mp_const_true);

    ussl_context_obj_t* context = ussl_context_new(values[ARG_server_side].u_bool);
    context->strict = context->share = 1;
    context->aliases =
        static_cast<uint8_t>((values[ARG_key].u_obj != MP_OBJ_NULL ? USSL_CALLED_KEY : 0) |
                             (values[ARG_cert].u_obj != MP_OBJ_NULL ? USSL_CALLED_CERT : 0) |
                             (values[ARG_cadata].u_obj != MP_OBJ_NULL ? USSL_CALLED_CADATA : 0));
    // If there are trust anchors, certificates are verified by default.
    context->verify_mode = trusted != mp_const_none ? 2 : 0;
    if (values[ARG_cert_reqs].u_obj != MP_OBJ_NULL)
        context->verify_mode = ussl_verify_mode(values[ARG_cert_reqs].u_obj, MP_QSTR_cert_reqs);
    context->psk_identity = ussl_text_or_bytes(values[ARG_psk_ident].u_obj, MP_QSTR_psk_ident);
    context->psk_key = ussl_only_bytes(values[ARG_psk_key].u_obj, MP_QSTR_psk_key);
    context->psk_keys = values[ARG_psk_keys].u_obj;
    if (context->psk_keys != mp_const_none)
        ussl_check_psk_keys(context->psk_keys, MP_QSTR_psk_keys);
    context->psk_hint = ussl_text_or_bytes(values[ARG_psk_hint].u_obj, MP_QSTR_psk_hint);
    context->key_password =
        ussl_text_or_bytes(values[ARG_key_password].u_obj, MP_QSTR_key_password);
    context->resumption = values[ARG_resumption].u_bool ? 1 : 0;
    context->gather_writes = values[ARG_gather_writes].u_bool ? 1 : 0;
    context->record_size_limit = ussl_record_size_limit(values[ARG_record_size_limit].u_obj);

    const auto name = [&values](int newer, qstr newer_name, qstr name) {
        return values[newer].u_obj != MP_OBJ_NULL ? newer_name : name;
    };
    // Their address is passed to a function, so that they are in memory after an exception.
    ussl_sources_t sources = {};
    sources.key.content = sources.certificate.content = sources.trusted.content = mp_const_none;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        wipe(sources);
        nlr_jump(nlr.ret_val);
    }
    ussl_load(&sources.certificate, name(ARG_cert, MP_QSTR_cert, MP_QSTR_certfile), certificate,
              false);
    ussl_load_trusted(&sources.trusted, name(ARG_cadata, MP_QSTR_cadata, MP_QSTR_ca_certs), trusted,
                      values[ARG_cadata].u_obj != MP_OBJ_NULL);
    ussl_load(&sources.key, name(ARG_key, MP_QSTR_key, MP_QSTR_keyfile), key, false);
    context->key = sources.key.content;
    context->certificate = sources.certificate.content;
    if (sources.trusted.is_store)
        add_store(context, sources.trusted);
    else
        context->trusted = sources.trusted.content;
    ussl_context_check(context, &sources);
    nlr_pop();
    wipe(sources);
    // The library has parsed them; the text is not needed while the connection exists. Only a root
    // store stays.
    context->key = context->certificate = context->trusted = mp_const_none;
    context->key_password = context->psk_identity = context->psk_key = mp_const_none;
    return ussl_socket_new(context, context, values[ARG_sock].u_obj,
                           values[ARG_server_hostname].u_obj, mp_obj_is_true(do_handshake),
                           values[ARG_suppress_ragged_eofs].u_bool, mp_const_none);
}

}  // extern "C"
