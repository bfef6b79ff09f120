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
template <class View>
mp_obj_t look(ussl_socket_obj_t* self, View view) {
    ussl::Connection* connection = connection_of(self);
    PyCallbacks callbacks(self);
    const ussl::Connection::Held held = connection->hold(callbacks);
    if (held == ussl::Connection::Held::no) {
        raise_own(callbacks);
        raise_misuse();
    }
    nlr_buf_t nlr;
    const bool raised = nlr_push(&nlr) != 0;
    mp_obj_t result = MP_OBJ_NULL;
    if (!raised) {
        result = view(connection);
        nlr_pop();
    }
    if (held == ussl::Connection::Held::yes)
        connection->let_go();
    close_after_call(self);
    if (raised)
        nlr_jump(nlr.ret_val);
    return result;
}

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

/// Returns false if such a call is running already, in another thread or further down the stack.
inline bool begin_call(ussl_socket_obj_t* self, const CallKind& kind) {
    if (kind.reads && exchange(&self->reads, true))
        return false;
    if (!kind.writes || !exchange(&self->writes, true))
        return true;
    if (kind.reads)
        exchange(&self->reads, false);
    return false;
}

inline void end_call(ussl_socket_obj_t* self, const CallKind& kind) {
    if (kind.reads)
        exchange(&self->reads, false);
    if (kind.writes)
        exchange(&self->writes, false);
}

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

/// The time that a call has waited. It waits outside of its turn of the connection, so that another
/// thread may write while this one reads.
struct Waited {
    bool begun = false;
    mp_uint_t start_ms = 0;
};

/// For a blocked call: waits for the stream if the call may wait. Returns false if the call has
/// ended; `progress` is then its result.
bool goes_on(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind, Waited* waited,
             ussl::Progress* progress);

/// Runs a call of the library until it is done, or may not wait any longer.
template <class Step>
ussl::Progress run(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind,
                   Step step) {
    raise_earlier(self);
    ussl::Connection* connection = connection_of(self);
    if (is_late(self))
        return {ussl::Progress::Kind::timed_out};
    if (!begin_call(self, kind))
        return {ussl::Progress::Kind::misuse};
    Waited waited;
    ussl::Progress progress;
    do {
        progress = step(connection);
    } while (progress.kind == ussl::Progress::Kind::blocked &&
             goes_on(self, callbacks, kind, &waited, &progress));
    end_call(self, kind);
    if (self->closing)
        close_after_call(self);
    return progress;
}

}  // namespace socket_calls
