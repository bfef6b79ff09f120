// How the calls of an SSLSocket wait, end and raise their errors.
//
// MicroPython raises by longjmp. No object with a destructor may be alive at a call that can raise.
// PyCallbacks has no destructor, and exceptions are raised only after calls of the library have
// returned.

#include "socket_calls.hpp"

#include "errors.hpp"
#include "stream.hpp"

using ussl::Code;
using ussl::Connection;
using ussl::Progress;

namespace socket_calls {

namespace {

// Holds the connection, because a call of another thread may set an error at the same time.
ussl::Error copy_error(ussl_socket_obj_t* self, std::span<char> text, size_t* size) {
    Connection* connection = connection_of(self);
    PyCallbacks callbacks(self);
    const bool holds = connection->hold(callbacks) == Connection::Held::yes;
    const ussl::Error error = connection->error();
    *size = connection->describe_error(text);
    if (holds)
        connection->let_go();
    raise_soon_if_interrupt(callbacks);
    return error;
}

// A function of its own, so that the stack frames of its callers stay small.
[[gnu::noinline]] MP_NORETURN void raise_error(ussl_socket_obj_t* self) {
    char text[ussl::max_description];
    size_t size = 0;
    const ussl::Error error = copy_error(self, text, &size);
    ussl_raise(error, text, size);
}

// Returns false if such a call is running already, in another thread or further down the stack.
bool begin_call(ussl_socket_obj_t* self, const CallKind& kind) {
    if (kind.reads && exchange(&self->reads, true))
        return false;
    if (!kind.writes || !exchange(&self->writes, true))
        return true;
    if (kind.reads)
        exchange(&self->reads, false);
    return false;
}

void end_call(ussl_socket_obj_t* self, const CallKind& kind) {
    if (kind.reads)
        exchange(&self->reads, false);
    if (kind.writes)
        exchange(&self->writes, false);
}

bool never_blocks(const ussl_socket_obj_t* self) {
    return self->never_blocks || self->would_block || ussl_stream_never_blocks(self->stream);
}

// The time that a call has waited. It waits outside of its turn of the connection, so that another
// thread may write while this one reads.
struct Waited {
    bool begun = false;
    mp_uint_t start_ms = 0;
};

// Returns the milliseconds that the call may still wait; 0: none.
uint32_t time_left(ussl_socket_obj_t* self, Waited* waited) {
    const mp_uint_t now = mp_hal_ticks_ms();
    if (!waited->begun)
        *waited = {true, now};
    uint32_t left = UINT32_MAX;
    const uint32_t limit = time_limit(self);
    if (limit != 0) {
        const uint32_t passed = now - waited->start_ms;
        left = passed < limit ? limit - passed : 0;
    }
    if (is_late(self))
        return 0;
    if (self->handshake_ms != 0) {
        const uint32_t handshake_left = self->started_ms + self->handshake_ms - now;
        left = handshake_left < left ? handshake_left : left;
    }
    return left;
}

// For a blocked call: waits for the stream if the call may wait. Returns false if the call has
// ended; `progress` is then its result.
bool goes_on(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind, Waited* waited,
             Progress* progress) {
    if (is_closed(self)) {
        progress->kind = Progress::Kind::closed;
        return false;
    }
    if (!kind.to_the_end && never_blocks(self))
        return false;
    const auto* connection = self->connection;
    // The call can continue without the stream after 32 records without plaintext, or if another
    // thread's call has read ahead.
    const ussl::PollInterest waits = connection->poll_interest(kind.direction);
    const bool is_ready = waits == ussl::PollInterest::nothing || connection->paused();
    if (!is_ready && !kind.to_the_end && self->stream_kind == StreamKind::blocks)
        return false;
    const uint32_t left_ms = time_left(self, waited);
    if (left_ms == 0) {
        progress->kind = Progress::Kind::timed_out;
        return false;
    }
    if (is_ready) {
        ussl_handle_pending(&callbacks->exception);
    } else {
        mp_uint_t flags =
            waits == ussl::PollInterest::stream_writable ? MP_STREAM_POLL_WR : MP_STREAM_POLL_RD;
        if (connection->unsent())
            flags |= MP_STREAM_POLL_WR;
        ussl_stream_wait(self->stream, flags, left_ms, &callbacks->exception);
    }
    if (callbacks->exception != MP_OBJ_NULL)
        progress->kind = Progress::Kind::interrupted;
    return callbacks->exception == MP_OBJ_NULL;
}

}  // namespace

void close_after_call(ussl_socket_obj_t* self) {
    const auto* connection = self->connection;
    if (!self->closing || connection == nullptr || connection->busy() || !connection->closed())
        return;
    // If two threads get here at the same time, one of them delivers.
    if (!exchange(&self->is_delivered, true) && self->stream != MP_OBJ_NULL)
        ussl_deliver(self);
}

void raise_soon_if_interrupt(const PyCallbacks& callbacks) {
    if (callbacks.exception != MP_OBJ_NULL && !ussl_is_error(callbacks.exception))
        mp_sched_exception(callbacks.exception);
}

void raise_later(ussl_socket_obj_t* self, const PyCallbacks& callbacks) {
    if (callbacks.exception != MP_OBJ_NULL && ussl_is_error(callbacks.exception))
        self->exception = callbacks.exception;
    raise_soon_if_interrupt(callbacks);
}

void raise_unless_progress(ussl_socket_obj_t* self, const PyCallbacks& callbacks,
                           Progress::Kind kind) {
    raise_own(callbacks);
    switch (kind) {
        case Progress::Kind::done:
        case Progress::Kind::end:
        case Progress::Kind::blocked:
        case Progress::Kind::interrupted:
            return;
        case Progress::Kind::timed_out:
            mp_raise_OSError(MP_ETIMEDOUT);
        case Progress::Kind::no_memory:
            mp_raise_OSError(MP_ENOMEM);
        case Progress::Kind::closed:
            mp_raise_OSError(MP_EBADF);
        case Progress::Kind::misuse:
            raise_misuse();
        case Progress::Kind::failed:
            raise_error(self);
    }
}

MP_NORETURN void raise_misuse() {
    ussl_raise_row(Code::BAD_USE);
}

uint32_t time_limit(const ussl_socket_obj_t* self) {
    return self->timeout_ms != 0 ? self->timeout_ms : ussl_stream_timeout_ms(self->stream);
}

Progress run(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind,
             Progress (*step)(void* data, ussl::Connection* connection), void* data) {
    raise_earlier(self);
    ussl::Connection* connection = connection_of(self);
    if (is_late(self))
        return {Progress::Kind::timed_out};
    if (!begin_call(self, kind))
        return {Progress::Kind::misuse};
    Waited waited;
    Progress progress;
    do {
        progress = step(data, connection);
    } while (progress.kind == Progress::Kind::blocked &&
             goes_on(self, callbacks, kind, &waited, &progress));
    end_call(self, kind);
    if (self->closing)
        close_after_call(self);
    return progress;
}

mp_obj_t look(ussl_socket_obj_t* self,
              mp_obj_t (*view)(ussl::Connection* connection, ussl_socket_obj_t* self)) {
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
        result = view(connection, self);
        nlr_pop();
    }
    if (held == ussl::Connection::Held::yes)
        connection->let_go();
    close_after_call(self);
    if (raised)
        nlr_jump(nlr.ret_val);
    return result;
}

}  // namespace socket_calls
