// Tables, types and registration of the module. The logic is in the C++ files of this folder.

#include "module.h"
#include "engine_features.h"

// Converts a macro that is 0 or 1. It cannot use ?:, because a constant object is not always an expression.
#define ROM_BOOL(value) ROM_BOOL_OF(value)
#define ROM_BOOL_OF(value) ROM_BOOL_##value
#define ROM_BOOL_0 MP_ROM_FALSE
#define ROM_BOOL_1 MP_ROM_TRUE

// --- SSLSocket

static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_read_obj, 1, 2, ussl_socket_read);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_readinto_obj, 2, 3, ussl_socket_readinto);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_readline_obj, 1, 2, ussl_socket_readline);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_write_obj, 2, 4, ussl_socket_write);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recv_obj, 2, 2, ussl_socket_recv);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recv_into_obj, 2, 3, ussl_socket_recv_into);
static MP_DEFINE_CONST_FUN_OBJ_2(socket_send_obj, ussl_socket_send);
static MP_DEFINE_CONST_FUN_OBJ_1(socket_flush_obj, ussl_socket_flush);
static MP_DEFINE_CONST_FUN_OBJ_1(socket_close_obj, ussl_socket_close);
static MP_DEFINE_CONST_FUN_OBJ_1(socket_del_obj, ussl_socket_del);
#ifdef USSL_POLLS_DESCRIPTORS
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_ioctl_obj, 2, 3, ussl_socket_ioctl);
#endif
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_exit_obj, 4, 4, ussl_socket_exit);
static MP_DEFINE_CONST_FUN_OBJ_2(socket_setblocking_obj, ussl_socket_setblocking);
static MP_DEFINE_CONST_FUN_OBJ_2(socket_settimeout_obj, ussl_socket_settimeout);
static MP_DEFINE_CONST_FUN_OBJ_1(socket_do_handshake_obj, ussl_socket_do_handshake);
static MP_DEFINE_CONST_FUN_OBJ_1(socket_unwrap_obj, ussl_socket_unwrap);
static MP_DEFINE_CONST_FUN_OBJ_1(socket_pending_obj, ussl_socket_pending);
USSL_IF(SOCKET_FACTS, static MP_DEFINE_CONST_FUN_OBJ_1(socket_version_obj, ussl_socket_version);)
USSL_IF(SOCKET_FACTS, static MP_DEFINE_CONST_FUN_OBJ_1(socket_cipher_obj, ussl_socket_cipher);)
USSL_IF(SOCKET_FACTS, static MP_DEFINE_CONST_FUN_OBJ_1(socket_group_obj, ussl_socket_group);)
USSL_IF(ALPN, static MP_DEFINE_CONST_FUN_OBJ_1(socket_selected_alpn_protocol_obj, ussl_socket_selected_alpn_protocol);)
static MP_DEFINE_CONST_FUN_OBJ_KW(socket_getpeercert_obj, 1, ussl_socket_getpeercert);

static const mp_rom_map_elem_t socket_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&socket_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&socket_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&socket_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&socket_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&socket_flush_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&socket_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&socket_recv_obj) },
    { MP_ROM_QSTR(MP_QSTR_recv_into), MP_ROM_PTR(&socket_recv_into_obj) },
    { MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&socket_send_obj) },
    { MP_ROM_QSTR(MP_QSTR_sendall), MP_ROM_PTR(&socket_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_setblocking), MP_ROM_PTR(&socket_setblocking_obj) },
    { MP_ROM_QSTR(MP_QSTR_settimeout), MP_ROM_PTR(&socket_settimeout_obj) },
    { MP_ROM_QSTR(MP_QSTR_do_handshake), MP_ROM_PTR(&socket_do_handshake_obj) },
    { MP_ROM_QSTR(MP_QSTR_unwrap), MP_ROM_PTR(&socket_unwrap_obj) },
    { MP_ROM_QSTR(MP_QSTR_pending), MP_ROM_PTR(&socket_pending_obj) },
    USSL_IF(SOCKET_FACTS, { MP_ROM_QSTR(MP_QSTR_version), MP_ROM_PTR(&socket_version_obj) },)
    USSL_IF(SOCKET_FACTS, { MP_ROM_QSTR(MP_QSTR_cipher), MP_ROM_PTR(&socket_cipher_obj) },)
    USSL_IF(SOCKET_FACTS, { MP_ROM_QSTR(MP_QSTR_group), MP_ROM_PTR(&socket_group_obj) },)
    USSL_IF(ALPN, { MP_ROM_QSTR(MP_QSTR_selected_alpn_protocol), MP_ROM_PTR(&socket_selected_alpn_protocol_obj) },)
    { MP_ROM_QSTR(MP_QSTR_getpeercert), MP_ROM_PTR(&socket_getpeercert_obj) },
    #ifdef USSL_POLLS_DESCRIPTORS
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&socket_ioctl_obj) },
    #else
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&mp_stream_ioctl_obj) },
    #endif
    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
    { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&socket_exit_obj) },
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&socket_del_obj) },
};
static MP_DEFINE_CONST_DICT(socket_locals, socket_locals_table);

static const mp_stream_p_t socket_stream_p = {
    .read = ussl_socket_stream_read,
    .write = ussl_socket_stream_write,
    .ioctl = ussl_socket_stream_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(
    ussl_socket_type,
    MP_QSTR_SSLSocket,
    MP_TYPE_FLAG_NONE,
    attr, ussl_socket_attr,
    protocol, &socket_stream_p,
    locals_dict, &socket_locals
    );

// --- a result of unwrap() (unwrapped.cpp)

#ifdef USSL_READS_AHEAD
static const mp_rom_map_elem_t unwrapped_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&mp_stream_read1_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&mp_stream_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(unwrapped_locals, unwrapped_locals_table);

static const mp_stream_p_t unwrapped_stream_p = {
    .read = ussl_unwrapped_stream_read,
    .write = ussl_unwrapped_stream_write,
    .ioctl = ussl_unwrapped_stream_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(
    ussl_unwrapped_type,
    MP_QSTR_socket,
    MP_TYPE_FLAG_NONE,
    attr, ussl_unwrapped_attr,
    protocol, &unwrapped_stream_p,
    locals_dict, &unwrapped_locals
    );
#endif

// --- SSLSession

MP_DEFINE_CONST_OBJ_TYPE(
    ussl_session_type,
    MP_QSTR_SSLSession,
    MP_TYPE_FLAG_NONE,
    make_new, ussl_session_make_new,
    buffer, ussl_session_get_buffer
    );

// --- SSLContext

#if !USSL_WITHOUT_CONTEXT
static MP_DEFINE_CONST_FUN_OBJ_KW(context_wrap_socket_obj, 2, ussl_context_wrap_socket);
static MP_DEFINE_CONST_FUN_OBJ_KW(context_load_cert_chain_obj, 1, ussl_context_load_cert_chain);
static MP_DEFINE_CONST_FUN_OBJ_KW(context_load_verify_locations_obj, 1, ussl_context_load_verify_locations);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(context_load_default_certs_obj, 1, 2, ussl_context_load_default_certs);
static MP_DEFINE_CONST_FUN_OBJ_1(context_cert_store_stats_obj, ussl_context_cert_store_stats);
static MP_DEFINE_CONST_FUN_OBJ_2(context_set_ciphers_obj, ussl_context_set_ciphers);
static MP_DEFINE_CONST_FUN_OBJ_1(context_get_ciphers_obj, ussl_context_get_ciphers);
USSL_IF(ALPN, static MP_DEFINE_CONST_FUN_OBJ_2(context_set_alpn_protocols_obj, ussl_context_set_alpn_protocols);)
static MP_DEFINE_CONST_FUN_OBJ_2(context_set_groups_obj, ussl_context_set_groups_str);
static MP_DEFINE_CONST_FUN_OBJ_2(context_set_psk_client_callback_obj, ussl_context_set_psk_client_callback);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(context_set_psk_server_callback_obj, 2, 3, ussl_context_set_psk_server_callback);
#endif
static MP_DEFINE_CONST_FUN_OBJ_1(context_del_obj, ussl_context_del);

static const mp_rom_map_elem_t context_locals_table[] = {
    #if !USSL_WITHOUT_CONTEXT
    { MP_ROM_QSTR(MP_QSTR_wrap_socket), MP_ROM_PTR(&context_wrap_socket_obj) },
    { MP_ROM_QSTR(MP_QSTR_load_cert_chain), MP_ROM_PTR(&context_load_cert_chain_obj) },
    { MP_ROM_QSTR(MP_QSTR_load_verify_locations), MP_ROM_PTR(&context_load_verify_locations_obj) },
    { MP_ROM_QSTR(MP_QSTR_load_default_certs), MP_ROM_PTR(&context_load_default_certs_obj) },
    { MP_ROM_QSTR(MP_QSTR_cert_store_stats), MP_ROM_PTR(&context_cert_store_stats_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_ciphers), MP_ROM_PTR(&context_set_ciphers_obj) },
    { MP_ROM_QSTR(MP_QSTR_get_ciphers), MP_ROM_PTR(&context_get_ciphers_obj) },
    USSL_IF(ALPN, { MP_ROM_QSTR(MP_QSTR_set_alpn_protocols), MP_ROM_PTR(&context_set_alpn_protocols_obj) },)
    { MP_ROM_QSTR(MP_QSTR_set_ecdh_curve), MP_ROM_PTR(&context_set_groups_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_groups), MP_ROM_PTR(&context_set_groups_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_psk_client_callback), MP_ROM_PTR(&context_set_psk_client_callback_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_psk_server_callback), MP_ROM_PTR(&context_set_psk_server_callback_obj) },
    #endif
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&context_del_obj) },
};
static MP_DEFINE_CONST_DICT(context_locals, context_locals_table);

#if USSL_WITHOUT_CONTEXT
// For the objects of wrap_socket(), which the program cannot use.
MP_DEFINE_CONST_OBJ_TYPE(
    ussl_context_type,
    MP_QSTR_SSLContext,
    MP_TYPE_FLAG_NONE,
    locals_dict, &context_locals
    );
#else
MP_DEFINE_CONST_OBJ_TYPE(
    ussl_context_type,
    MP_QSTR_SSLContext,
    MP_TYPE_FLAG_NONE,
    make_new, ussl_context_make_new,
    attr, ussl_context_attr,
    locals_dict, &context_locals
    );
#endif

// --- CPython's classes of constants, for SSLContext

#if !USSL_WITHOUT_CONTEXT
static const mp_rom_map_elem_t purpose_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_SERVER_AUTH), MP_ROM_INT(USSL_PURPOSE_SERVER_AUTH) },
    { MP_ROM_QSTR(MP_QSTR_CLIENT_AUTH), MP_ROM_INT(USSL_PURPOSE_CLIENT_AUTH) },
};
static MP_DEFINE_CONST_DICT(purpose_locals, purpose_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    purpose_type,
    MP_QSTR_Purpose,
    MP_TYPE_FLAG_NONE,
    locals_dict, &purpose_locals
    );

static const mp_rom_map_elem_t version_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_TLSv1_2), MP_ROM_INT(0x0303) },
    { MP_ROM_QSTR(MP_QSTR_TLSv1_3), MP_ROM_INT(0x0304) },
    { MP_ROM_QSTR(MP_QSTR_MINIMUM_SUPPORTED), MP_ROM_INT(0x0303) },
    { MP_ROM_QSTR(MP_QSTR_MAXIMUM_SUPPORTED), MP_ROM_INT(0x0304) },
};
static MP_DEFINE_CONST_DICT(version_locals, version_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    version_type,
    MP_QSTR_TLSVersion,
    MP_TYPE_FLAG_NONE,
    locals_dict, &version_locals
    );
#endif

// --- the module

static MP_DEFINE_CONST_FUN_OBJ_0(module_init_obj, ussl_module_init);
#if USSL_OMITS_FEATURES
static MP_DEFINE_CONST_FUN_OBJ_1(module_getattr_obj, ussl_module_getattr);
#endif
static MP_DEFINE_CONST_FUN_OBJ_KW(wrap_socket_obj, 1, ussl_wrap_socket);
USSL_IF(CERT_DICT, static MP_DEFINE_CONST_FUN_OBJ_1(cert_info_obj, ussl_cert_info);)
USSL_IF(SELF_SIGNED, static MP_DEFINE_CONST_FUN_OBJ_KW(self_signed_obj, 1, ussl_self_signed);)
USSL_IF(CONTEXT, static MP_DEFINE_CONST_FUN_OBJ_KW(create_default_context_obj, 0, ussl_create_default_context);)

#ifdef USSL_BOARD
MP_DEFINE_CONST_FUN_OBJ_1(ussl_step_scheduled_obj, ussl_step_scheduled);
#endif
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flush_closed_obj, 0, 1, ussl_flush_closed);

static const mp_rom_map_elem_t module_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_ussl) },
    { MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&module_init_obj) },
    #if USSL_OMITS_FEATURES
    { MP_ROM_QSTR(MP_QSTR___getattr__), MP_ROM_PTR(&module_getattr_obj) },
    #endif
    { MP_ROM_QSTR(MP_QSTR_wrap_socket), MP_ROM_PTR(&wrap_socket_obj) },
    USSL_IF(CONTEXT, { MP_ROM_QSTR(MP_QSTR_SSLContext), MP_ROM_PTR(&ussl_context_type) },)
    { MP_ROM_QSTR(MP_QSTR_SSLSocket), MP_ROM_PTR(&ussl_socket_type) },
    USSL_IF(SESSION_EXPORT, { MP_ROM_QSTR(MP_QSTR_SSLSession), MP_ROM_PTR(&ussl_session_type) },)
    USSL_IF(CONTEXT, { MP_ROM_QSTR(MP_QSTR_create_default_context), MP_ROM_PTR(&create_default_context_obj) },)
    { MP_ROM_QSTR(MP_QSTR_flush_closed), MP_ROM_PTR(&flush_closed_obj) },
    USSL_IF(CERT_DICT, { MP_ROM_QSTR(MP_QSTR_cert_info), MP_ROM_PTR(&cert_info_obj) },)
    USSL_IF(SELF_SIGNED, { MP_ROM_QSTR(MP_QSTR_self_signed), MP_ROM_PTR(&self_signed_obj) },)
    USSL_IF(CONTEXT, { MP_ROM_QSTR(MP_QSTR_Purpose), MP_ROM_PTR(&purpose_type) },)
    USSL_IF(CONTEXT, { MP_ROM_QSTR(MP_QSTR_TLSVersion), MP_ROM_PTR(&version_type) },)
    { MP_ROM_QSTR(MP_QSTR_ENGINE), MP_ROM_PTR(&ussl_engine_name_obj) },
    #if defined(USSL_HAS_MBEDTLS_VERSION) || defined(NO_QSTR) // CMake ports search for interned strings without a module's own definitions
    { MP_ROM_QSTR(MP_QSTR_MBEDTLS_VERSION), MP_ROM_PTR(&ussl_engine_name_obj) },
    #endif

    { MP_ROM_QSTR(MP_QSTR_CERT_NONE), MP_ROM_INT(0) },
    { MP_ROM_QSTR(MP_QSTR_CERT_OPTIONAL), MP_ROM_INT(1) },
    { MP_ROM_QSTR(MP_QSTR_CERT_REQUIRED), MP_ROM_INT(2) },
    { MP_ROM_QSTR(MP_QSTR_VERIFY_DEFAULT), MP_ROM_INT(0) },
    USSL_IF(CRL, { MP_ROM_QSTR(MP_QSTR_VERIFY_CRL_CHECK_LEAF), MP_ROM_INT(USSL_VERIFY_CRL_CHECK_LEAF) },)
    USSL_IF(CRL, { MP_ROM_QSTR(MP_QSTR_VERIFY_CRL_CHECK_CHAIN), MP_ROM_INT(USSL_VERIFY_CRL_CHECK_CHAIN) },)
    { MP_ROM_QSTR(MP_QSTR_PROTOCOL_TLS_CLIENT), MP_ROM_INT(USSL_PROTOCOL_TLS_CLIENT) },
    { MP_ROM_QSTR(MP_QSTR_PROTOCOL_TLS_SERVER), MP_ROM_INT(USSL_PROTOCOL_TLS_SERVER) },
    // The numbers of the protocol, as in CPython's TLSVersion.
    { MP_ROM_QSTR(MP_QSTR_TLSv1_2), MP_ROM_INT(0x0303) },
    { MP_ROM_QSTR(MP_QSTR_TLSv1_3), MP_ROM_INT(0x0304) },
    { MP_ROM_QSTR(MP_QSTR_HAS_SNI), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_HAS_ALPN), ROM_BOOL(USSL_HAS_ALPN) },
    { MP_ROM_QSTR(MP_QSTR_HAS_PSK), ROM_BOOL(USSL_HAS_PSK) },
    { MP_ROM_QSTR(MP_QSTR_HAS_TLSv1_2), MP_ROM_TRUE },
    { MP_ROM_QSTR(MP_QSTR_HAS_TLSv1_3), ROM_BOOL(USSL_HAS_TLS1_3) },

    #define USSL_ERROR(name, number, class, text) \
    { MP_ROM_QSTR(MP_QSTR_ERR_##name), MP_ROM_INT(-(number)) },
    #include "ussl/errors.def"
    #undef USSL_ERROR
};
static MP_DEFINE_CONST_DICT(module_globals, module_globals_table);

const mp_obj_module_t ussl_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&module_globals,
};

MP_REGISTER_MODULE(MP_QSTR_ussl, ussl_module);
#if !MICROPY_PY_SSL
// Replaces MicroPython's own modules: programs that import ssl or tls get this one. It is not extensible,
// because the firmware of networked boards has a frozen ssl.py (of micropython-lib), which takes precedence
// over extensible modules. Its SSLContext verifies nothing by default.
MP_REGISTER_MODULE(MP_QSTR_ssl, ussl_module);
MP_REGISTER_MODULE(MP_QSTR_tls, ussl_module);
#endif
