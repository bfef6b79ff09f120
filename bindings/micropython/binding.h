#pragma once

// What the C tables and the C++ files of the binding share. Everything here can be called from C,
// and may raise: no C++ object with a destructor may be alive where one of these is called.

#include "micropython_api.h"

#ifdef __cplusplus
extern "C" {
#endif

// MicroPython's numbers.
#define USSL_PROTOCOL_TLS_CLIENT (0)
#define USSL_PROTOCOL_TLS_SERVER (1)

// CPython's numbers.
#define USSL_VERIFY_CRL_CHECK_LEAF (4)
#define USSL_VERIFY_CRL_CHECK_CHAIN (12)

// CPython's ssl.Purpose, in its order.
#define USSL_PURPOSE_SERVER_AUTH (0)
#define USSL_PURPOSE_CLIENT_AUTH (1)

// --- objects

#define USSL_CALLED_KEY (1)
#define USSL_CALLED_CERT (2)
#define USSL_CALLED_CADATA (4)

// An SSLContext (context.hpp).
typedef struct ussl_context_obj_t ussl_context_obj_t;

// What an argument with a key or certificates is called, for error messages, and what is in it.
typedef struct _ussl_source_t {
    qstr argument;
    mp_obj_t given;   // as the program passed it
    mp_obj_t content; // str or bytes-like, or None
    bool from_file;   // `content` was read from the file `given`, and is ours to wipe
} ussl_source_t;
typedef struct _ussl_sources_t {
    ussl_source_t key, certificate, trusted;
} ussl_sources_t;

typedef struct _ussl_socket_obj_t {
    mp_obj_base_t base;
    mp_obj_t stream;           // MP_OBJ_NULL: closed
    mp_obj_t context;          // SSLContext
    mp_obj_t server_hostname;  // as it was given, or None
    mp_obj_t exception;        // of a call that returned data: the next one raises it; or MP_OBJ_NULL
    mp_obj_t psk_keys;         // of the context when this was made: mapping, or None
    mp_obj_t psk_callback;     // or None
    mp_obj_t verify_callback;  // or None
    mp_obj_t sign_callback;    // or None
    mp_obj_t ecdsa_sign_callback; // or None
    mp_obj_t keylog_filename;  // or None
    mp_obj_t sni_callback;     // or None
    uint64_t stream_identity;  // see ussl_stream_identity
    uint32_t timeout_ms;       // settimeout()'s; 0: none
    uint32_t linger_ms;        // of the context when this was made
    uint32_t handshake_ms;     // time limit of the handshake; 0: none, or it is done
    mp_uint_t started_ms;      // when the socket was made
    int32_t poll_token;        // see ussl_poll_token; below 0: none yet
    bool chooses;              // sni_callback is under way, and may change the context
    bool gathers;              // gather_writes
    bool never_blocks;         // the stream, as far as is known
    bool may_write;            // with it: a poll has found it writable since the last write
    bool would_block;          // the stream has said so: it does not block
    uint8_t stream_kind;       // USSL_STREAM_…
    bool reads;                // a call that reads is under way, or waits for the stream
    bool writes;               // the same for one that writes
    bool closing;              // close() was called
    bool is_delivered;         // and the stream handed over
    bool is_listed;            // among those with unsent data
    struct _ussl_socket_obj_t *next_unsent; // of that list
    void *connection;          // ussl::Connection
} ussl_socket_obj_t;

// How a call waits for the stream.
#define USSL_STREAM_BLOCKS (0) // within the stream's own read and write, if that blocks
#define USSL_STREAM_SOCKET (1) // for the descriptor of a socket, which can be told not to block
#define USSL_STREAM_POLLED (2) // for a stream that is polled before each read and write: another descriptor, or see below

#if MICROPY_PY_THREAD && (MICROPY_PY_THREAD_GIL || defined(__unix__))
// One thread may read while another writes. After setblocking() or settimeout(), it is known how long a
// stream without a descriptor blocks. If it can be polled, a call waits for it outside of the connection.
#define USSL_THREADS_SHARE_SOCKETS
#endif

// An SSLSession: bytes, which the library looks into.
typedef struct _ussl_session_obj_t {
    mp_obj_base_t base;
    mp_obj_t content; // bytes
} ussl_session_obj_t;

#if !defined(USSL_BOARD) && MICROPY_PY_SOCKET
// The port's sockets give what is there, however much is asked for; and there is the memory.
#define USSL_READS_AHEAD
// See unwrapped.cpp.
typedef struct _ussl_unwrapped_obj_t {
    mp_obj_base_t base;
    mp_obj_t stream;   // a socket
    mp_obj_t trailing_plaintext; // bytes, to be read before those of the stream
    size_t taken;      // how many of them have been
} ussl_unwrapped_obj_t;
extern const mp_obj_type_t ussl_unwrapped_type;
#endif

extern const mp_obj_type_t ussl_session_type;
extern const mp_obj_type_t ussl_socket_type;
extern const mp_obj_type_t ussl_context_type;
extern mp_obj_str_t ussl_engine_name_obj;

extern const mp_obj_module_t ussl_module;

// --- the module's functions (options.cpp)

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

// A context with nothing in it yet.
ussl_context_obj_t *ussl_context_new(bool server);
// Boards: a soft reset is under way. Releases what the binding and the engine keep in static variables.
void ussl_context_heap_ends(void);
// What the library makes of it, a ussl::Context, made at the first call; raises ValueError that names the
// sources (which may be NULL). Counted, for the caller to drop.
void *ussl_context_get(ussl_context_obj_t *self, const ussl_sources_t *sources);
void ussl_context_drop(void *made);
// Raises what ussl_context_get() would; `sources` may be NULL.
void ussl_context_check(ussl_context_obj_t *self, const ussl_sources_t *sources);

// What is kept for later calls only is let go of.
void ussl_context_trim(void);

// --- SSLSession (session.cpp)

mp_obj_t ussl_session_new(mp_obj_t content);
mp_obj_t ussl_session_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
mp_int_t ussl_session_get_buffer(mp_obj_t self, mp_buffer_info_t *buffer, mp_uint_t flags);

// --- SSLSocket (socket.cpp)

// `made_from`: the context, or one that was made of it for this socket.
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

// --- closed sockets (delivery.cpp)

// Takes over the stream of a closed socket: sends what is unsent, and closes it when that is done. Waits
// for a stream that blocks, within its timeout.
void ussl_deliver(ussl_socket_obj_t *socket);
// After a call: while the socket has unsent data, it is not collected.
void ussl_note_unsent(ussl_socket_obj_t *socket);
// Goes on with the deliveries and with unsent data of other sockets, without waiting. Does not raise.
void ussl_deliver_some(void);
// The same without sockets that have a descriptor.
void ussl_deliver_objects(void);
// Sends unsent data if the stream is ready. Does not raise.
void ussl_socket_flush_ready(ussl_socket_obj_t *socket);
mp_obj_t ussl_flush_closed(size_t n_args, const mp_obj_t *args);
#ifdef USSL_BOARD
// The heap ends: what is not delivered is discarded.
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
// Stands for the socket where select.poll wants a file descriptor; below 0: its stream has none.
int ussl_poll_token(ussl_socket_obj_t *socket);
void ussl_poll_forget(ussl_socket_obj_t *socket);
// Before a poll: what is found without it, and what to ask of the stream.
mp_uint_t ussl_socket_poll_begins(ussl_socket_obj_t *socket, mp_uint_t wanted, mp_uint_t *ask);
// After it: what is found with what the stream is ready for. Sends what was taken before.
mp_uint_t ussl_socket_poll_ends(ussl_socket_obj_t *socket, mp_uint_t wanted, mp_uint_t ready);
mp_obj_t ussl_socket_ioctl(size_t n_args, const mp_obj_t *args);
#endif

// --- streams and Python callbacks, exceptions kept (stream.cpp)

// The stream is written in Python.
bool ussl_stream_is_python(mp_obj_t stream);

// Not KeyboardInterrupt, SystemExit and the like.
bool ussl_is_error(mp_obj_t exception);

// The stream can do nothing now, but perhaps later.
static inline bool ussl_would_block(int error) {
#if MP_EWOULDBLOCK != MP_EAGAIN
    if (error == MP_EWOULDBLOCK) {
        return true;
    }
#endif
    return error == MP_EAGAIN || error == MP_EINPROGRESS || error == MP_EALREADY;
}

// Waiting for descriptors, milliseconds. A signal may come just before the call, and another thread may
// close the socket, or change what its connection waits for: that is noticed then.
#define USSL_LONGEST_WAIT_MS (50)

// Returned where Python code raised; the exception is kept.
#define USSL_RAISED ((mp_uint_t)-2)

mp_uint_t ussl_stream_read(mp_obj_t stream, void *buf, size_t size, int *errcode, mp_obj_t *exception);
mp_uint_t ussl_stream_write(mp_obj_t stream, const void *buf, size_t size, int *errcode, mp_obj_t *exception);
mp_uint_t ussl_stream_ioctl(mp_obj_t stream, mp_uint_t request, uintptr_t arg, int *errcode, mp_obj_t *exception);
// As ioctl() with MP_STREAM_POLL, which files on the unix port do not have.
mp_uint_t ussl_stream_poll(mp_obj_t stream, mp_uint_t flags, int *errcode, mp_obj_t *exception);
// Tells a stream's file descriptor from a later one of the same number; 0: it has none.
uint64_t ussl_stream_identity(mp_obj_t stream);
// -1: it has none, or is asked otherwise (a stream written in Python).
int ussl_stream_descriptor(mp_obj_t stream);
// USSL_STREAM_BLOCKS, USSL_STREAM_SOCKET or USSL_STREAM_POLLED.
uint8_t ussl_stream_kind(mp_obj_t stream);
// USSL_STREAM_SOCKET: as read and write, without waiting, whatever the socket's mode.
mp_uint_t ussl_stream_receive(mp_obj_t stream, void *buf, size_t size, int *errcode);
mp_uint_t ussl_stream_send(mp_obj_t stream, const void *buf, size_t size, int *errcode);
// A read may ask for more than is needed.
bool ussl_stream_reads_ahead(mp_obj_t stream);
// It is known not to block.
bool ussl_stream_never_blocks(mp_obj_t stream);
// Milliseconds that a read of a blocking stream waits at most; 0: no limit, or not known.
uint32_t ussl_stream_timeout_ms(mp_obj_t stream);
// Waits until the stream is ready for one of the poll flags, or for a short time, at most `most_ms`; then
// runs what is scheduled. What that raises (Ctrl-C) is kept.
void ussl_stream_wait(mp_obj_t stream, mp_uint_t flags, uint32_t most_ms, mp_obj_t *exception);
// Runs what is scheduled. What that raises is kept.
void ussl_handle_pending(mp_obj_t *exception);
// The calling thread: a value of its own for each.
const void *ussl_thread(void);
// Lets other threads run, the longer the higher `times` is.
void ussl_let_threads_run(unsigned times);
// For the collector: closes the stream of a forgotten socket if nothing else would.
void ussl_stream_close_forgotten(mp_obj_t stream, uint64_t identity);
// Asks psk_keys.get(identity), or the callback if there is one. The length of the key that was
// written; 0: no such identity; or USSL_RAISED. `strict`: a key of the wrong type or length raises
// TypeError or ValueError, as wrap_socket() does; otherwise OSError, as MicroPython's SSLContext.
mp_uint_t ussl_call_psk_get(bool strict, mp_obj_t psk_keys, mp_obj_t callback, const uint8_t *identity, size_t identity_size, uint8_t *key, size_t key_capacity, mp_obj_t *exception);
// sni_callback(socket, name, context). USSL_RAISED, or the alert that it returned; 0: none. `*chosen`
// becomes the ussl::Context of the socket's context, counted, if that is another one now.
mp_uint_t ussl_call_sni(mp_obj_t socket, const char *name, size_t size, void **chosen, mp_obj_t *exception);
// Adds a line to a file. false: it could not; the exception is kept.
bool ussl_append_line(mp_obj_t filename, const char *line, size_t size, mp_obj_t *exception);
// Has a digest signed: by sign_callback(algorithm, digest), or, if `algorithm` is "ecdsa", by
// ecdsa_sign_callback(key, digest). The length of the signature; 0: the context's own key is to sign;
// or USSL_RAISED.
mp_uint_t ussl_call_sign(mp_obj_t callback, mp_obj_t ecdsa_callback, const char *algorithm, const uint8_t *digest, size_t digest_size, const uint8_t *key, size_t key_size, uint8_t *signature, size_t capacity, mp_obj_t *exception);
// What verify_callback(certificate, depth) returns, or USSL_RAISED.
mp_uint_t ussl_call_verify(mp_obj_t callback, const uint8_t *certificate, size_t size, int depth, mp_obj_t *exception);

// --- errors (errors.cpp)

// Of the library; the options that it names get the names that they have in wrap_socket() or an SSLContext,
// by what `context` is. `context` may be NULL if it names none.
MP_NORETURN void ussl_raise_refusal(const ussl_context_obj_t *context, const char *reason, bool out_of_memory);
// OSError with a row of the table, by its positive number.
MP_NORETURN void ussl_raise_row(unsigned code);

// --- files and checks (options.cpp)

// Fills in the content of a key or certificates: that of a file if `given` is a str without "-----BEGIN",
// unless a str is content, too.
void ussl_load(ussl_source_t *source, qstr argument, mp_obj_t given, bool is_content);
// Wipes what was read from a file.
void ussl_source_wipe(const ussl_source_t *source);
// Raises unless `psk_keys` can be asked for keys, and, if it is a dict, holds good ones.
void ussl_check_psk_keys(mp_obj_t psk_keys, qstr argument);
// Raises unless it is one of CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED.
uint8_t ussl_verify_mode(mp_obj_t mode, qstr argument);
// Raises unless it is an int of 64 bits; a board's mp_int_t ends in 2038.
int64_t ussl_seconds(mp_obj_t seconds, qstr argument);
// Raises unless it is an int.
mp_int_t ussl_int(mp_obj_t number, qstr argument);
// A size, which a 32-bit processor may have in 64 bits: that of a file, and each mp_int_t with MICROPY_OBJ_REPR_D. What is
// negative or too much becomes more than can be allocated.
static inline size_t ussl_size(int64_t number) {
    return number >= 0 && number < PTRDIFF_MAX ? (size_t)number : PTRDIFF_MAX;
}
// Raises unless it is a number of seconds above 0, or None (0).
uint32_t ussl_milliseconds(mp_obj_t seconds, qstr argument);
// Raises unless it is a number of seconds, 0 or more.
uint32_t ussl_milliseconds_from_0(mp_obj_t seconds, qstr argument);
// Raises unless it can be called, or is None; returns it.
mp_obj_t ussl_callback(mp_obj_t callback, qstr argument);
// Raises unless it is a str or bytes-like, or None; returns it.
mp_obj_t ussl_text_or_bytes(mp_obj_t given, qstr argument);
// Raises unless it is bytes-like, or None; returns it.
mp_obj_t ussl_only_bytes(mp_obj_t given, qstr argument);
// Raises unless it is a size that a record can have, or None (0).
uint16_t ussl_record_size_limit(mp_obj_t limit);

// --- certificates (certificate.cpp)

mp_obj_t ussl_certificate_dict(void *connection);
mp_obj_t ussl_cert_info(mp_obj_t data);
mp_obj_t ussl_self_signed(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);

#ifdef __cplusplus
}
#endif
