#pragma once

// Declarations that the C tables and the C++ files of the binding share. Everything here can be called
// from C, and may raise unless stated otherwise: no C++ object with a destructor may be alive at such a call.

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

// --- objects

#define USSL_CALLED_KEY (1)
#define USSL_CALLED_CERT (2)
#define USSL_CALLED_CADATA (4)

// An SSLContext (context.hpp).
typedef struct ussl_context_obj_t ussl_context_obj_t;

typedef struct ussl_sources_t ussl_sources_t; // files.hpp

typedef struct _ussl_socket_obj_t {
    mp_obj_base_t base;
    mp_obj_t stream;           // MP_OBJ_NULL: closed
    mp_obj_t context;          // SSLContext
    mp_obj_t server_hostname;  // as the program passed it, or None
    mp_obj_t exception;        // of a call that returned data: the next call raises it; or MP_OBJ_NULL
    mp_obj_t psk_keys;         // of the context when this was created: mapping, or None
    mp_obj_t psk_callback;     // or None
    mp_obj_t verify_callback;  // or None
    mp_obj_t sign_callback;    // or None
    mp_obj_t ecdsa_sign_callback; // or None
    mp_obj_t keylog_filename;  // or None
    mp_obj_t sni_callback;     // or None
    uint64_t stream_identity;  // see ussl_stream_identity
    uint32_t timeout_ms;       // of settimeout(); 0: none
    uint32_t linger_ms;        // of the context when this was created
    uint32_t handshake_ms;     // time limit of the handshake; 0: none, or the handshake is complete
    mp_uint_t started_ms;      // when the socket was created
    int32_t poll_token;        // see ussl_poll_token; below 0: none yet
    bool chooses;              // sni_callback is running, and may change the context
    bool gathers;              // gather_writes
    bool never_blocks;         // the stream is known to be non-blocking
    bool may_write;            // if gathers: a poll has found the socket writable since the last write
    bool would_block;          // the stream has returned "would block": it is non-blocking
    uint8_t stream_kind;       // USSL_STREAM_…
    bool reads;                // a call that reads is running, or waits for the stream
    bool writes;               // the same for a call that writes
    bool closing;              // close() was called
    bool is_delivered;         // the stream was passed to ussl_deliver()
    bool is_listed;            // in the list of sockets with unsent data
    struct _ussl_socket_obj_t *next_unsent; // in that list
    void *connection;          // ussl::Connection
} ussl_socket_obj_t;

// How a call waits for the stream.
#define USSL_STREAM_BLOCKS (0) // in the stream's own read and write, if it blocks
#define USSL_STREAM_SOCKET (1) // for the descriptor of a socket, which is read and written without blocking
#define USSL_STREAM_POLLED (2) // for a stream that is polled before each read and write: another descriptor, or see below

#if MICROPY_PY_THREAD && (MICROPY_PY_THREAD_GIL || defined(__unix__))
// One thread may read while another writes. After setblocking() or settimeout(), the time limit of a
// stream without a descriptor is known. If it can be polled, a call waits for it outside of its turn.
#define USSL_THREADS_SHARE_SOCKETS
#endif

// An SSLSession: bytes in the library's format.
typedef struct _ussl_session_obj_t {
    mp_obj_base_t base;
    mp_obj_t content; // bytes
} ussl_session_obj_t;

#if !defined(USSL_BOARD) && MICROPY_PY_SOCKET
// The port's sockets return available data without waiting for all of the requested bytes, and a host has
// the memory for a buffer.
#define USSL_READS_AHEAD
// See unwrapped.cpp.
typedef struct _ussl_unwrapped_obj_t {
    mp_obj_base_t base;
    mp_obj_t stream;   // a socket
    mp_obj_t trailing_plaintext; // bytes that are read before those of the stream
    size_t taken;      // how many of them were read
} ussl_unwrapped_obj_t;
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

// Creates a context with default options.
ussl_context_obj_t *ussl_context_new(bool server);
// Boards, during a soft reset: releases the contexts and the engine's memory in static variables.
void ussl_context_heap_ends(void);
// Returns the ussl::Context of an SSLContext, which the first call creates. The caller drops its reference.
// Raises ValueError that names the sources (which may be NULL).
void *ussl_context_get(ussl_context_obj_t *self, const ussl_sources_t *sources);
void ussl_context_drop(void *made);
// Raises the errors of ussl_context_get(); `sources` may be NULL.
void ussl_context_check(ussl_context_obj_t *self, const ussl_sources_t *sources);

// Releases shared contexts that no SSLContext uses.
void ussl_context_trim(void);

// --- SSLSession (session.cpp)

mp_obj_t ussl_session_new(mp_obj_t content);
mp_obj_t ussl_session_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
mp_int_t ussl_session_get_buffer(mp_obj_t self, mp_buffer_info_t *buffer, mp_uint_t flags);

// --- SSLSocket (socket.cpp, socket_facts.cpp)

// `made_from`: the context, or a copy of it with the answer of psk_client_callback.
// `session`: an SSLSession, or None.
mp_obj_t ussl_socket_new(ussl_context_obj_t *context, ussl_context_obj_t *made_from, mp_obj_t stream,
    mp_obj_t server_hostname, bool do_handshake, bool suppress_ragged_eofs, mp_obj_t session);
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

// --- polls of an SSLSocket (socket_poll.cpp)

// Sends unsent data if the stream is writable, so that it needs no other call.
mp_uint_t ussl_socket_poll(ussl_socket_obj_t *socket, mp_uint_t wanted);

// --- closed sockets (delivery.cpp)

// Takes over the stream of a closed socket: sends unsent data, then closes the stream. Waits for a
// blocking stream, within its timeout.
void ussl_deliver(ussl_socket_obj_t *socket);
// Called after a call: lists the socket while it has unsent data, so that it is not collected.
void ussl_note_unsent(ussl_socket_obj_t *socket);
// Continues deliveries and sends unsent data of other sockets, without waiting. Does not raise.
void ussl_deliver_some(void);
// The same, for streams without a descriptor only.
void ussl_deliver_objects(void);
// Sends unsent data if the stream is ready. Does not raise.
void ussl_socket_flush_ready(ussl_socket_obj_t *socket);
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
mp_obj_t ussl_unwrapped_new(mp_obj_t stream, const uint8_t *trailing_plaintext, size_t size);
mp_uint_t ussl_unwrapped_stream_read(mp_obj_t self, void *buf, mp_uint_t size, int *errcode);
mp_uint_t ussl_unwrapped_stream_write(mp_obj_t self, const void *buf, mp_uint_t size, int *errcode);
mp_uint_t ussl_unwrapped_stream_ioctl(mp_obj_t self, mp_uint_t request, uintptr_t arg, int *errcode);
void ussl_unwrapped_attr(mp_obj_t self, qstr attr, mp_obj_t *dest);
#endif

// --- poll(2) for all sockets at once (poll.cpp), where the port polls descriptors

#if defined(USSL_WRAPS_POLL) && MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
#define USSL_POLLS_DESCRIPTORS
// Returns the token that select.poll uses in place of a file descriptor; below 0: the stream has none.
int ussl_poll_token(ussl_socket_obj_t *socket);
void ussl_poll_forget(ussl_socket_obj_t *socket);
// Before a poll: returns the events that are known already; sets `ask` to the events to poll the stream for.
mp_uint_t ussl_socket_poll_begins(ussl_socket_obj_t *socket, mp_uint_t wanted, mp_uint_t *ask);
// After the poll: sends unsent data, and returns the events of the socket. `ready`: those of the stream.
mp_uint_t ussl_socket_poll_ends(ussl_socket_obj_t *socket, mp_uint_t wanted, mp_uint_t ready);
mp_obj_t ussl_socket_ioctl(size_t n_args, const mp_obj_t *args);
#endif

// --- errors (errors.cpp)

// Raises an error of the library. Options in `reason` are renamed to the arguments of wrap_socket() or the
// attributes of SSLContext, depending on `context`. `context` may be NULL if `reason` names no option.
MP_NORETURN void ussl_raise_refusal(const ussl_context_obj_t *context, const char *reason, bool out_of_memory);
// Raises OSError with an entry of the error table, by its positive number.
MP_NORETURN void ussl_raise_row(unsigned code);

// --- features that this build omits (omitted.cpp)

// Raises an AttributeError if the name in the module, of an attribute or of a method is one of an omitted feature.
void ussl_raise_if_omitted(qstr name);
mp_obj_t ussl_module_getattr(mp_obj_t name);

// --- certificates (certificate.cpp)

mp_obj_t ussl_certificate_dict(void *connection);
mp_obj_t ussl_cert_info(mp_obj_t data);
mp_obj_t ussl_self_signed(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);

#ifdef __cplusplus
}
#endif
