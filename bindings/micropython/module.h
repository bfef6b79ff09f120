#pragma once

// Used by the tables in C: the types, and the functions of the C++ files (binding.hpp). Everything here may raise
// unless stated otherwise.

#include "micropython_api.h"
#include "switches.h"

#ifdef __cplusplus
extern "C" {
#endif

// Values of MicroPython's ssl module.
#define USSL_PROTOCOL_TLS_CLIENT (0)
#define USSL_PROTOCOL_TLS_SERVER (1)

// Values of CPython's ssl module.
#define USSL_VERIFY_CRL_CHECK_LEAF (4)
#define USSL_VERIFY_CRL_CHECK_CHAIN (12)

// CPython's ssl.Purpose, in the same order.
#define USSL_PURPOSE_SERVER_AUTH (0)
#define USSL_PURPOSE_CLIENT_AUTH (1)

// --- types

#if !defined(USSL_BOARD) && MICROPY_PY_SOCKET
// The port's sockets return available data without waiting for all of the requested bytes, and a host has
// the memory for a buffer.
#define USSL_READS_AHEAD
extern const mp_obj_type_t ussl_unwrapped_type;
#endif

extern const mp_obj_type_t ussl_session_type;
extern const mp_obj_type_t ussl_socket_type;
extern const mp_obj_type_t ussl_context_type;
extern mp_obj_str_t ussl_engine_name_obj;

extern const mp_obj_module_t ussl_module;

// --- the module's functions (module.cpp, wrap_socket.cpp)

mp_obj_t ussl_module_init(void);
mp_obj_t ussl_wrap_socket(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);

// --- SSLContext (context.cpp, context_attributes.cpp, shared_contexts.cpp)

mp_obj_t ussl_context_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
void ussl_context_attr(mp_obj_t self, qstr attr, mp_obj_t *dest);
mp_obj_t ussl_context_wrap_socket(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);
mp_obj_t ussl_context_load_cert_chain(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);
mp_obj_t ussl_context_load_verify_locations(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);
mp_obj_t ussl_context_load_default_certs(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_context_cert_store_stats(mp_obj_t self);
mp_obj_t ussl_context_set_ciphers(mp_obj_t self, mp_obj_t suites);
mp_obj_t ussl_context_get_ciphers(mp_obj_t self);
mp_obj_t ussl_context_set_alpn_protocols(mp_obj_t self, mp_obj_t protocols);
mp_obj_t ussl_context_set_groups_str(mp_obj_t self, mp_obj_t groups);
mp_obj_t ussl_context_set_psk_client_callback(mp_obj_t self, mp_obj_t callback);
mp_obj_t ussl_context_set_psk_server_callback(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_context_del(mp_obj_t self);
mp_obj_t ussl_create_default_context(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);

// Boards, during a soft reset: releases the contexts and the engine's memory in static variables.
void ussl_context_heap_ends(void);

// --- SSLSession (session.cpp)

mp_obj_t ussl_session_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
mp_int_t ussl_session_get_buffer(mp_obj_t self, mp_buffer_info_t *buffer, mp_uint_t flags);

// --- SSLSocket (socket.cpp, socket_facts.cpp)

mp_obj_t ussl_socket_read(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_readinto(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_readline(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_write(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_recv(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_recv_into(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_send(mp_obj_t self, mp_obj_t data);
mp_obj_t ussl_socket_flush(mp_obj_t self);
mp_obj_t ussl_socket_close(mp_obj_t self);
mp_obj_t ussl_socket_del(mp_obj_t self);
mp_obj_t ussl_socket_exit(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_socket_setblocking(mp_obj_t self, mp_obj_t flag);
mp_obj_t ussl_socket_settimeout(mp_obj_t self, mp_obj_t timeout);
mp_obj_t ussl_socket_do_handshake(mp_obj_t self);
mp_obj_t ussl_socket_unwrap(mp_obj_t self);
mp_obj_t ussl_socket_pending(mp_obj_t self);
mp_obj_t ussl_socket_version(mp_obj_t self);
mp_obj_t ussl_socket_cipher(mp_obj_t self);
mp_obj_t ussl_socket_group(mp_obj_t self);
mp_obj_t ussl_socket_selected_alpn_protocol(mp_obj_t self);
mp_obj_t ussl_socket_getpeercert(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);
void ussl_socket_attr(mp_obj_t self, qstr attr, mp_obj_t *dest);
mp_uint_t ussl_socket_stream_read(mp_obj_t self, void *buf, mp_uint_t size, int *errcode);
mp_uint_t ussl_socket_stream_write(mp_obj_t self, const void *buf, mp_uint_t size, int *errcode);
mp_uint_t ussl_socket_stream_ioctl(mp_obj_t self, mp_uint_t request, uintptr_t arg, int *errcode);
#if defined(USSL_WRAPS_POLL) && MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
// The port polls descriptors; poll.cpp polls all sockets at once.
#define USSL_POLLS_DESCRIPTORS
mp_obj_t ussl_socket_ioctl(size_t n_args, const mp_obj_t *args);
#endif

// --- closed sockets (delivery.cpp)

mp_obj_t ussl_flush_closed(size_t n_args, const mp_obj_t *args);
#ifdef USSL_BOARD
// The heap ends: discards undelivered data.
void ussl_forget_deliveries(void);
// For the scheduler.
mp_obj_t ussl_step_scheduled(mp_obj_t none);
extern const mp_obj_fun_builtin_fixed_t ussl_step_scheduled_obj;
#endif

// --- after unwrap() (unwrapped.cpp)

#ifdef USSL_READS_AHEAD
mp_uint_t ussl_unwrapped_stream_read(mp_obj_t self, void *buf, mp_uint_t size, int *errcode);
mp_uint_t ussl_unwrapped_stream_write(mp_obj_t self, const void *buf, mp_uint_t size, int *errcode);
mp_uint_t ussl_unwrapped_stream_ioctl(mp_obj_t self, mp_uint_t request, uintptr_t arg, int *errcode);
void ussl_unwrapped_attr(mp_obj_t self, qstr attr, mp_obj_t *dest);
#endif

// --- features that this build omits (omitted.cpp)

// Raises an AttributeError if the name in the module, of an attribute or of a method is one of an omitted feature.
void ussl_raise_if_omitted(qstr name);
mp_obj_t ussl_module_getattr(mp_obj_t name);

// --- certificates (certificate.cpp)

mp_obj_t ussl_cert_info(mp_obj_t data);
mp_obj_t ussl_self_signed(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);

#ifdef __cplusplus
}
#endif
