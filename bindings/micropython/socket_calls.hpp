#pragma once

// Shared by the methods of an SSLSocket: how a call begins, waits for the stream, ends and raises
// its error. Everything here may raise unless stated otherwise.

#include "py_callbacks.hpp"
#include "ussl/connection.hpp"

namespace socket_calls {

inline ussl_socket_obj_t* socket_of(mp_obj_t self) {
    return static_cast<ussl_socket_obj_t*>(MP_OBJ_TO_PTR(self));
}

/// Raises if the finaliser has run, which a program can call, too (__del__).
inline ussl::Connection* connection_of(ussl_socket_obj_t* self) {
    if (self->connection == nullptr)
        mp_raise_OSError(MP_EBADF);
    return self->connection;
}

/// Also true while a call of another thread has not returned yet.
inline bool is_closed(const ussl_socket_obj_t* self) {
    return self->connection == nullptr || self->stream == MP_OBJ_NULL || self->closing;
}

/// Returns the previous value.
inline bool exchange(bool* flag, bool now) {
#if MICROPY_PY_THREAD
    return __atomic_exchange_n(flag, now, __ATOMIC_SEQ_CST);
#else
    const bool before = *flag;
    *flag = now;
    return before;
#endif
}

/// Passes the stream of a closed connection to the delivery, unless a call is running. If a
/// callback or another thread has called close() during a call, that call does this at its end.
void close_after_call(ussl_socket_obj_t* self);

// --- errors

/// The exception of a stream or a callback is raised once: by the call in which it occurred, or, if
/// that call returned data, by the next one.
inline void raise_earlier(ussl_socket_obj_t* self) {
    const mp_obj_t exception = self->exception;
    self->exception = MP_OBJ_NULL;
    if (exception != MP_OBJ_NULL)
        nlr_raise(exception);
}

inline void raise_own(const PyCallbacks& callbacks) {
    if (callbacks.exception != MP_OBJ_NULL)
        nlr_raise(callbacks.exception);
}

/// KeyboardInterrupt and similar exceptions do not wait for the next call.
void raise_soon_if_interrupt(const PyCallbacks& callbacks);
void raise_later(ussl_socket_obj_t* self, const PyCallbacks& callbacks);
/// Raises the error of a call that moved no data. Returns if the call would block, or if the stream
/// has ended.
void raise_unless_progress(ussl_socket_obj_t* self, const PyCallbacks& callbacks,
                           ussl::Progress::Kind kind);
/// Raises ERR_BAD_USE.
MP_NORETURN void raise_misuse();

// --- calls that look at a connection

/// Calls `view` with the connection, which no call of another thread changes or closes meanwhile.
mp_obj_t look(ussl_socket_obj_t* self,
              mp_obj_t (*view)(ussl::Connection* connection, ussl_socket_obj_t* self));

// --- calls that move data

/// The type of a call, which determines how it waits.
struct CallKind {
    bool reads;
    bool writes;
    ussl::Direction direction;  ///< of Connection::poll_interest()
    bool to_the_end = false;    ///< waits also for a non-blocking stream
};
inline constexpr CallKind reading = {true, false, ussl::Direction::read};
inline constexpr CallKind writing = {false, true, ussl::Direction::write};
inline constexpr CallKind unwrapping = {true, true, ussl::Direction::read};
inline constexpr CallKind handshaking = {false, false, ussl::Direction::read};
inline constexpr CallKind handshaking_to_the_end = {false, false, ussl::Direction::read, true};

/// Returns whether the handshake has taken longer than its time limit.
inline bool is_late(ussl_socket_obj_t* self) {
    if (self->handshake_ms == 0)
        return false;
    const auto* connection = self->connection;
    if (connection == nullptr || connection->handshake_done())
        self->handshake_ms = 0;
    return self->handshake_ms != 0 && mp_hal_ticks_ms() - self->started_ms >= self->handshake_ms;
}

/// The time limit of the stream, in milliseconds; 0: none.
uint32_t time_limit(const ussl_socket_obj_t* self);

/// Runs a call of the library until it is done, or may not wait any longer.
ussl::Progress run(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind,
                   ussl::Progress (*step)(void* data, ussl::Connection* connection), void* data);
template <class Step>
ussl::Progress run(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind,
                   Step step) {
    const auto call = [](void* data, ussl::Connection* connection) {
        return (*static_cast<Step*>(data))(connection);
    };
    return run(self, callbacks, kind, call, &step);
}

}  // namespace socket_calls
