// ussl.wrap_socket(), which converts its arguments to a context and a socket.

#include "arguments.hpp"
#include "context.hpp"
#include "files.hpp"

namespace {

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

}  // namespace

extern "C" mp_obj_t ussl_wrap_socket(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
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
        static_cast<uint8_t>((values[ARG_key].u_obj != MP_OBJ_NULL ? ussl_called_key : 0) |
                             (values[ARG_cert].u_obj != MP_OBJ_NULL ? ussl_called_cert : 0) |
                             (values[ARG_cadata].u_obj != MP_OBJ_NULL ? ussl_called_cadata : 0));
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
