#pragma once

// Shared by the C++ files of the binding: the objects, and the functions of small files.
// Everything here may raise unless stated otherwise: no object with a destructor may be alive at
// such a call. arguments.hpp, context.hpp, errors.hpp, files.hpp, py_callbacks.hpp,
// socket_calls.hpp and stream.hpp have the rest.

#include "module.h"

namespace ussl {
class Connection;
class Context;
}  // namespace ussl

/// An SSLContext (context.hpp).
struct ussl_context_obj_t;

/// How a call waits for the stream.
enum class StreamKind : uint8_t {
    blocks,  ///< in the stream's own read and write, if it blocks
    socket,  ///< for the descriptor of a socket, which is read and written without blocking
    polled,  ///< for a stream that is polled before each read and write: another descriptor, or,
             ///< after setblocking() or settimeout(), a stream that supports polling
};

/// An SSLSocket.
struct ussl_socket_obj_t {
    mp_obj_base_t base;
    mp_obj_t stream;           ///< MP_OBJ_NULL: closed
    mp_obj_t context;          ///< SSLContext
    mp_obj_t server_hostname;  ///< as the program passed it, or None
    mp_obj_t exception;  ///< of a call that returned data: the next call raises it; or MP_OBJ_NULL
    mp_obj_t psk_keys;   ///< of the context when this was created: mapping, or None
    mp_obj_t psk_callback;         ///< or None
    mp_obj_t verify_callback;      ///< or None
    mp_obj_t sign_callback;        ///< or None
    mp_obj_t ecdsa_sign_callback;  ///< or None
    mp_obj_t keylog_filename;      ///< or None
    mp_obj_t sni_callback;         ///< or None
    uint64_t stream_identity;      ///< see ussl_stream_identity()
    uint32_t timeout_ms;           ///< of settimeout(); 0: none
    uint32_t linger_ms;            ///< of the context when this was created
    uint32_t handshake_ms;  ///< time limit of the handshake; 0: none, or the handshake is complete
    mp_uint_t started_ms;   ///< when the socket was created
    int32_t poll_token;     ///< see ussl_poll_token(); below 0: none yet
    bool chooses;           ///< sni_callback is running, and may change the context
    bool gathers;           ///< gather_writes
    bool never_blocks;      ///< the stream is known to be non-blocking
    bool may_write;    ///< if gathers: a poll has found the socket writable since the last write
    bool would_block;  ///< the stream has returned "would block": it is non-blocking
    StreamKind stream_kind;
    bool reads;                      ///< a call that reads is running, or waits for the stream
    bool writes;                     ///< the same for a call that writes
    bool closing;                    ///< close() was called
    bool is_delivered;               ///< the stream was passed to ussl_deliver()
    bool is_listed;                  ///< in the list of sockets with unsent data
    ussl_socket_obj_t* next_unsent;  ///< in that list
    ussl::Connection* connection;    ///< nullptr: the finaliser has run
};

/// An SSLSession: bytes in the library's format.
struct ussl_session_obj_t {
    mp_obj_base_t base;
    mp_obj_t content;  ///< bytes
};

// --- SSLSocket (socket.cpp, socket_poll.cpp)

/// `made_from`: the context, or a copy of it with the answer of psk_client_callback. `session`: an
/// SSLSession, or None.
mp_obj_t ussl_socket_new(ussl_context_obj_t* context, ussl_context_obj_t* made_from,
                         mp_obj_t stream, mp_obj_t server_hostname, bool do_handshake,
                         bool suppress_ragged_eofs, mp_obj_t session);
/// Sends unsent data if the stream is ready. Does not raise.
void ussl_socket_flush_ready(ussl_socket_obj_t* socket);
/// Returns the events of a socket. Sends unsent data if the stream is writable, so that it needs no
/// other call.
mp_uint_t ussl_socket_poll(ussl_socket_obj_t* socket, mp_uint_t wanted);

// --- SSLSession (session.cpp)

mp_obj_t ussl_session_new(mp_obj_t content);

// --- certificates (certificate.cpp)

mp_obj_t ussl_certificate_dict(ussl::Connection* connection);

// --- closed sockets (delivery.cpp)

/// Takes over the stream of a closed socket: sends unsent data, then closes the stream. Waits for a
/// blocking stream, within its timeout.
void ussl_deliver(ussl_socket_obj_t* socket);
/// Called after a call: lists the socket while it has unsent data, so that it is not collected.
void ussl_note_unsent(ussl_socket_obj_t* socket);
/// Continues deliveries and sends unsent data of other sockets, without waiting. Does not raise.
void ussl_deliver_some();
/// The same, for streams without a descriptor only.
void ussl_deliver_objects();

// --- after unwrap() (unwrapped.cpp)

#ifdef USSL_READS_AHEAD
struct ussl_unwrapped_obj_t {
    mp_obj_base_t base;
    mp_obj_t stream;              ///< a socket
    mp_obj_t trailing_plaintext;  ///< bytes that are read before those of the stream
    size_t taken;                 ///< how many of them were read
};
mp_obj_t ussl_unwrapped_new(mp_obj_t stream, const uint8_t* trailing_plaintext, size_t size);
#endif

// --- poll(2) for all sockets at once (poll.cpp), where the port polls descriptors

#ifdef USSL_POLLS_DESCRIPTORS
/// Returns the token that select.poll uses in place of a file descriptor; below 0: the stream has
/// none.
int ussl_poll_token(ussl_socket_obj_t* socket);
void ussl_poll_forget(ussl_socket_obj_t* socket);
/// Before a poll: returns the events that are known already; sets `ask` to the events to poll the
/// stream for.
mp_uint_t ussl_socket_poll_begins(ussl_socket_obj_t* socket, mp_uint_t wanted, mp_uint_t* ask);
/// After the poll: sends unsent data, and returns the events of the socket. `ready`: those of the
/// stream.
mp_uint_t ussl_socket_poll_ends(ussl_socket_obj_t* socket, mp_uint_t wanted, mp_uint_t ready);
#endif
