// SSLSocket: a stream of MicroPython over a ussl::Connection.
//
// Every function here may raise, and MicroPython raises by longjmp. No object with a destructor may
// be alive at a call that can raise. PyCallbacks has no destructor, and exceptions are raised only
// after calls of the library have returned.

#include <string.h>

#include <algorithm>

#include "context.hpp"
#include "errors.hpp"
#include "py_callbacks.hpp"
#include "stream.hpp"
#include "ussl/connection.hpp"

namespace {

using ussl::Code;
using ussl::Connection;
using ussl::Direction;
using ussl::Progress;
namespace features = ussl::features;

ussl_socket_obj_t* socket_of(mp_obj_t self) {
    return static_cast<ussl_socket_obj_t*>(MP_OBJ_TO_PTR(self));
}

// Raises if the finaliser has run, which a program can call, too (__del__).
Connection* connection_of(ussl_socket_obj_t* self) {
    if (self->connection == nullptr)
        mp_raise_OSError(MP_EBADF);
    return static_cast<Connection*>(self->connection);
}

// Also true while a call of another thread has not returned yet.
bool is_closed(const ussl_socket_obj_t* self) {
    return self->connection == nullptr || self->stream == MP_OBJ_NULL || self->closing;
}

// Returns the previous value.
bool exchange(bool* flag, bool now) {
#if MICROPY_PY_THREAD
    return __atomic_exchange_n(flag, now, __ATOMIC_SEQ_CST);
#else
    const bool before = *flag;
    *flag = now;
    return before;
#endif
}

// Passes the stream of a closed connection to the delivery, unless a call is running. If a callback
// or another thread has called close() during a call, that call does this at its end.
void close_after_call(ussl_socket_obj_t* self) {
    const auto* connection = static_cast<Connection*>(self->connection);
    if (!self->closing || connection == nullptr || connection->busy() || !connection->closed())
        return;
    // If two threads get here at the same time, one of them delivers.
    if (!exchange(&self->is_delivered, true) && self->stream != MP_OBJ_NULL)
        ussl_deliver(self);
}

// The exception of a stream or a callback is raised once: by the call in which it occurred, or, if
// that call returned data, by the next one.
void raise_earlier(ussl_socket_obj_t* self) {
    const mp_obj_t exception = self->exception;
    self->exception = MP_OBJ_NULL;
    if (exception != MP_OBJ_NULL)
        nlr_raise(exception);
}

void raise_own(const PyCallbacks& callbacks) {
    if (callbacks.exception != MP_OBJ_NULL)
        nlr_raise(callbacks.exception);
}

// KeyboardInterrupt and similar exceptions do not wait for the next call.
void raise_soon_if_interrupt(const PyCallbacks& callbacks) {
    if (callbacks.exception != MP_OBJ_NULL && !ussl_is_error(callbacks.exception))
        mp_sched_exception(callbacks.exception);
}

void raise_later(ussl_socket_obj_t* self, const PyCallbacks& callbacks) {
    if (callbacks.exception != MP_OBJ_NULL && ussl_is_error(callbacks.exception))
        self->exception = callbacks.exception;
    raise_soon_if_interrupt(callbacks);
}

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

// Raises the error of a call that moved no data. Returns if the call would block, or if the stream
// has ended.
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
            ussl_raise_row(static_cast<unsigned>(Code::BAD_USE));
        case Progress::Kind::failed:
            raise_error(self);
    }
}

// Calls `view` with the connection, which no call of another thread changes or closes meanwhile.
template <class View>
mp_obj_t look(ussl_socket_obj_t* self, View view) {
    Connection* connection = connection_of(self);
    PyCallbacks callbacks(self);
    const Connection::Held held = connection->hold(callbacks);
    if (held == Connection::Held::no) {
        raise_own(callbacks);
        ussl_raise_row(static_cast<unsigned>(Code::BAD_USE));
    }
    nlr_buf_t nlr;
    const bool raised = nlr_push(&nlr) != 0;
    mp_obj_t result = MP_OBJ_NULL;
    if (!raised) {
        result = view(connection);
        nlr_pop();
    }
    if (held == Connection::Held::yes)
        connection->let_go();
    close_after_call(self);
    if (raised)
        nlr_jump(nlr.ret_val);
    return result;
}

bool never_blocks(const ussl_socket_obj_t* self) {
    return self->never_blocks || self->would_block || ussl_stream_never_blocks(self->stream);
}

bool is_late(ussl_socket_obj_t* self) {
    if (self->handshake_ms == 0)
        return false;
    const auto* connection = static_cast<Connection*>(self->connection);
    if (connection == nullptr || connection->handshake_done())
        self->handshake_ms = 0;
    return self->handshake_ms != 0 && mp_hal_ticks_ms() - self->started_ms >= self->handshake_ms;
}

// The time limit of the stream, in milliseconds; 0: none.
uint32_t time_limit(const ussl_socket_obj_t* self) {
    return self->timeout_ms != 0 ? self->timeout_ms : ussl_stream_timeout_ms(self->stream);
}

// The type of a call, which determines how it waits.
struct CallKind {
    bool reads;
    bool writes;
    Direction direction;      // of Connection::poll_interest()
    bool to_the_end = false;  // waits also for a non-blocking stream
};
constexpr CallKind reading = {true, false, Direction::read};
constexpr CallKind writing = {false, true, Direction::write};
constexpr CallKind unwrapping = {true, true, Direction::read};
constexpr CallKind handshaking = {false, false, Direction::read};
constexpr CallKind handshaking_to_the_end = {false, false, Direction::read, true};

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

// Waits for the stream if the call is blocked and may wait. Returns false if the call has ended;
// `progress` is then its result.
bool goes_on(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind, Waited* waited,
             Progress* progress) {
    if (progress->kind != Progress::Kind::blocked)
        return false;
    if (is_closed(self)) {
        progress->kind = Progress::Kind::closed;
        return false;
    }
    if (!kind.to_the_end && never_blocks(self))
        return false;
    const auto* connection = static_cast<Connection*>(self->connection);
    // The call can continue without the stream after 32 records without plaintext, or if another
    // thread's call has read ahead.
    const ussl::PollInterest waits = connection->poll_interest(kind.direction);
    const bool is_ready = waits == ussl::PollInterest::nothing || connection->paused();
    if (!is_ready && !kind.to_the_end && self->stream_kind == USSL_STREAM_BLOCKS)
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

// Runs a call of the library until it is done, or may not wait any longer.
template <class Step>
Progress run(ussl_socket_obj_t* self, PyCallbacks* callbacks, const CallKind& kind, Step step) {
    raise_earlier(self);
    Connection* connection = connection_of(self);
    if (is_late(self))
        return {Progress::Kind::timed_out};
    if (!begin_call(self, kind))
        return {Progress::Kind::misuse};
    Waited waited;
    Progress progress;
    do {
        progress = step(connection);
    } while (goes_on(self, callbacks, kind, &waited, &progress));
    end_call(self, kind);
    if (self->closing)
        close_after_call(self);
    return progress;
}

// Completes the handshake. Waits also for a non-blocking stream, and, if there is a time limit, for
// any stream.
void handshake_to_the_end(ussl_socket_obj_t* self) {
    PyCallbacks callbacks(self, time_limit(self) != 0 || self->handshake_ms != 0);
    const Progress progress =
        run(self, &callbacks, handshaking_to_the_end,
            [&callbacks](Connection* connection) { return connection->handshake(callbacks); });
    raise_unless_progress(self, callbacks, progress.kind);
}

Progress read_once(ussl_socket_obj_t* self, PyCallbacks* callbacks, void* buf, size_t size) {
    return run(self, callbacks, reading, [=](Connection* connection) {
        return connection->read(*callbacks, {static_cast<uint8_t*>(buf), size});
    });
}

// Writes one record. Over a blocking stream, returns when the stream has accepted all of it, or
// after the timeout.
Progress write_once(ussl_socket_obj_t* self, PyCallbacks* callbacks, const void* buf, size_t size) {
    Progress taken = {Progress::Kind::blocked};
    const Progress progress = run(self, callbacks, writing, [&, callbacks](Connection* connection) {
        if (taken.kind == Progress::Kind::done)
            return connection->flush(*callbacks);
        taken = connection->write(*callbacks, {static_cast<const uint8_t*>(buf), size});
        const bool is_rest_unsent = taken.kind == Progress::Kind::done && connection->unsent() &&
                                    self->stream_kind != USSL_STREAM_BLOCKS;
        return is_rest_unsent ? Progress{Progress::Kind::blocked} : taken;
    });
    ussl_note_unsent(self);
    raise_own(*callbacks);
    return taken.kind == Progress::Kind::done ? taken : progress;
}

// For polls: flushes without waiting for the stream.
void flush_some(ussl_socket_obj_t* self) {
    PyCallbacks callbacks(self);
    connection_of(self)->flush(callbacks);
    close_after_call(self);
    raise_own(callbacks);
}

// Reads until `size` bytes are read, the stream would block, or it has ended. Data is never lost:
// an error after some bytes is raised by the next call. `*none`: no data, and the call would block.
size_t read_fully(ussl_socket_obj_t* self, uint8_t* buf, size_t size, bool once, bool* none) {
    PyCallbacks callbacks(self);
    size_t got = 0;
    *none = false;
    do {
        const Progress progress = read_once(self, &callbacks, buf + got, size - got);
        if (progress.kind != Progress::Kind::done) {
            if (got == 0) {
                raise_unless_progress(self, callbacks, progress.kind);
                *none = progress.kind == Progress::Kind::blocked;
            }
            break;
        }
        got += progress.count;
    } while (got < size && !once && callbacks.exception == MP_OBJ_NULL);
    if (got != 0)
        raise_later(self, callbacks);
    return got;
}

mp_obj_t new_bytes(vstr_t* vstr, size_t size, bool none) {
    if (none) {
        vstr_clear(vstr);
        return mp_const_none;
    }
    vstr->len = size;
    return mp_obj_new_bytes_from_vstr(vstr);
}

mp_obj_t read_all(ussl_socket_obj_t* self) {
    vstr_t vstr;
    vstr_init(&vstr, 256);
    PyCallbacks callbacks(self);
    size_t got = 0;
    bool none = false;
    for (;;) {
        vstr_hint_size(&vstr, 256);
        const size_t room = vstr.alloc - got;
        const Progress progress = read_once(self, &callbacks, vstr.buf + got, room);
        if (progress.kind != Progress::Kind::done) {
            if (got == 0) {
                raise_unless_progress(self, callbacks, progress.kind);
                none = progress.kind == Progress::Kind::blocked;
            }
            break;
        }
        got += progress.count;
        vstr.len = got;
        if (callbacks.exception != MP_OBJ_NULL)
            break;
    }
    if (got != 0)
        raise_later(self, callbacks);
    return new_bytes(&vstr, got, none);
}

mp_obj_t read_bytes(size_t n_args, const mp_obj_t* args, bool once) {
    ussl_socket_obj_t* self = socket_of(args[0]);
    const mp_int_t most = n_args > 1 && args[1] != mp_const_none ? mp_obj_get_int(args[1]) : -1;
    if (most < 0)
        return read_all(self);
    const size_t size = ussl_size(most);
    vstr_t vstr;
    vstr_init_len(&vstr, size);
    bool none;
    const size_t got = read_fully(self, reinterpret_cast<uint8_t*>(vstr.buf), size, once, &none);
    return new_bytes(&vstr, got, none);
}

mp_obj_t read_into(size_t n_args, const mp_obj_t* args, bool once) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[1], &buffer, MP_BUFFER_WRITE);
    size_t size = buffer.len;
    if (n_args > 2) {
        const mp_int_t most = mp_obj_get_int(args[2]);
        if (most >= 0)
            size = std::min(size, ussl_size(most));
    }
    bool none;
    const size_t got =
        read_fully(socket_of(args[0]), static_cast<uint8_t*>(buffer.buf), size, once, &none);
    return none ? mp_const_none : MP_OBJ_NEW_SMALL_INT(got);
}

// With gather_writes, each poll that finds the socket writable (or broken) permits one write. Until
// then, asyncio collects the data and passes it in one call. This is only for non-blocking streams:
// with a blocking one, a program expects that a write accepts data.
bool waits_for_poll(ussl_socket_obj_t* self) {
    if (!self->gathers || !self->never_blocks)
        return false;
    const bool may_write = self->may_write;
    self->may_write = false;
    return !may_write &&
           connection_of(self)->poll_interest(Direction::write) != ussl::PollInterest::nothing;
}

mp_obj_t write_bytes(ussl_socket_obj_t* self, const uint8_t* buf, size_t size, bool once) {
    if (waits_for_poll(self))
        return mp_const_none;
    PyCallbacks callbacks(self);
    size_t taken = 0;
    do {
        const Progress progress = write_once(self, &callbacks, buf + taken, size - taken);
        if (progress.kind != Progress::Kind::done) {
            if (taken == 0) {
                raise_unless_progress(self, callbacks, progress.kind);
                return mp_const_none;
            }
            break;
        }
        taken += progress.count;
    } while (taken < size && !once);
    return mp_obj_new_int_from_uint(taken);
}

void close_socket(ussl_socket_obj_t* self) {
    if (self->connection == nullptr || self->stream == MP_OBJ_NULL)
        return;
    self->closing = true;
    connection_of(self)->close();
    close_after_call(self);
}

// Maps the events that a poll requests to the events of the stream.
struct PollPlan {
    mp_uint_t found = 0;  // known without the stream
    mp_uint_t reads_when = 0;
    mp_uint_t writes_when = 0;

    [[nodiscard]] mp_uint_t ask() const { return reads_when | writes_when; }
    // Returns the events for the `ready` ones of the stream. Errors and hang-ups are passed on.
    [[nodiscard]] mp_uint_t found_with(mp_uint_t ready) const {
        mp_uint_t all = found | (ready & ~(MP_STREAM_POLL_RD | MP_STREAM_POLL_WR));
        if ((ready & reads_when) != 0)
            all |= MP_STREAM_POLL_RD;
        if ((ready & writes_when) != 0)
            all |= MP_STREAM_POLL_WR;
        return all;
    }
};

PollPlan plan_poll(const Connection* connection, mp_uint_t wanted) {
    PollPlan plan;
    const auto look = [&](mp_uint_t flag, Direction direction, mp_uint_t* when) {
        if ((wanted & flag) == 0)
            return;
        switch (connection->poll_interest(direction)) {
            case ussl::PollInterest::nothing:
                plan.found |= flag;
                break;
            case ussl::PollInterest::stream_readable:
                *when = MP_STREAM_POLL_RD;
                break;
            case ussl::PollInterest::stream_writable:
                *when = MP_STREAM_POLL_WR;
                break;
        }
    };
    look(MP_STREAM_POLL_RD, Direction::read, &plan.reads_when);
    look(MP_STREAM_POLL_WR, Direction::write, &plan.writes_when);
    return plan;
}

// Returns the result of a poll; if there is none, releases idle buffers.
mp_uint_t found_or_rest(ussl_socket_obj_t* self, mp_uint_t found) {
    if (found == 0)
        connection_of(self)->release_idle_buffers();
    if ((found & ~MP_STREAM_POLL_RD) != 0)
        self->may_write = true;
    return found;
}

// Polls a socket. Sends unsent data if the stream is writable, so that it needs no other call.
mp_uint_t poll_socket(ussl_socket_obj_t* self, mp_uint_t wanted) {
    ussl_deliver_some();
    if (is_closed(self))
        return MP_STREAM_POLL_NVAL;
    PyCallbacks callbacks(self);
    mp_uint_t ready = 0;
    // Each poll of a stream written in Python may close the socket.
    if (connection_of(self)->unsent() && !connection_of(self)->busy()) {
        const PyCallbacks::Polled polled = callbacks.poll(MP_STREAM_POLL_WR, &ready);
        raise_own(callbacks);
        if (is_closed(self))
            return MP_STREAM_POLL_NVAL;
        if (polled == PyCallbacks::Polled::known && (ready & MP_STREAM_POLL_WR) != 0)
            flush_some(self);
    }
    if (is_closed(self) || connection_of(self)->failed() || is_late(self))
        return MP_STREAM_POLL_NVAL;

    const PollPlan plan = plan_poll(connection_of(self), wanted);
    // The stream is polled only for events that are not known yet.
    if (plan.ask() == 0)
        return plan.found;
    switch (
        callbacks.poll(plan.ask() | (wanted & ~(MP_STREAM_POLL_RD | MP_STREAM_POLL_WR)), &ready)) {
        case PyCallbacks::Polled::known:
            break;
        case PyCallbacks::Polled::unknown:
            return MP_STREAM_ERROR;
        case PyCallbacks::Polled::raised:
            raise_own(callbacks);
    }
    return is_closed(self) ? MP_STREAM_POLL_NVAL : found_or_rest(self, plan.found_with(ready));
}

mp_obj_t call_on_stream(mp_obj_t self_in, qstr method, mp_obj_t argument) {
    ussl_socket_obj_t* self = socket_of(self_in);
    if (self->stream == MP_OBJ_NULL)
        mp_raise_OSError(MP_EBADF);
    mp_obj_t call[3];
    mp_load_method(self->stream, method, call);
    call[2] = argument;
    return mp_call_method_n_kw(1, 0, call);
}

// Called after setblocking() or settimeout().
void set_mode(ussl_socket_obj_t* self, bool blocks, uint32_t timeout_ms) {
    self->timeout_ms = timeout_ms;
    self->never_blocks = !blocks;
    self->would_block = false;
#ifdef USSL_THREADS_SHARE_SOCKETS
    // A running call may be waiting inside the stream. An SSLSocket over an SSLSocket is ready when
    // part of a record has arrived, but its read waits for the rest.
    if (!blocks || self->stream_kind != USSL_STREAM_BLOCKS || connection_of(self)->busy() ||
        mp_obj_is_exact_type(self->stream, &ussl_socket_type))
        return;
    PyCallbacks callbacks(self);
    if (callbacks.can_be_polled())
        self->stream_kind = USSL_STREAM_POLLED;
    raise_own(callbacks);
#endif
}

// Creates the connection of a socket; returns the error to raise.
struct Made {
    const char* config_error;
    bool out_of_memory;
};
Made make_connection(ussl_socket_obj_t* self, void* context, mp_obj_t stream, const char* name,
                     size_t name_size, bool report_truncation, const mp_buffer_info_t* session) {
    auto* shared = static_cast<ussl::Context*>(context);
    shared->retain();
    auto made =
        Connection::make(ussl::Ref<ussl::Context>(shared),
                         {.server_hostname = {name, name_size},
                          .report_truncation = report_truncation,
                          .read_ahead = ussl_stream_reads_ahead(stream),
                          .session = {static_cast<const uint8_t*>(session->buf), session->len}});
    if (!made)
        return {made.error().reason, made.error().out_of_memory};
    self->connection = made->release();
    return {nullptr, false};
}

// Returns an SSLSession, or None if there is none (yet).
mp_obj_t session_of(ussl_socket_obj_t* self) {
    if (self->connection == nullptr)
        return mp_const_none;
    return look(self, [](const Connection* connection) -> mp_obj_t {
        const ussl::Bytes session = connection->session();
        if (session.empty())
            return mp_const_none;
        return ussl_session_new(mp_obj_new_bytes(session.data(), session.size()));
    });
}

mp_obj_t reused(ussl_socket_obj_t* self) {
    if (self->connection == nullptr || !connection_of(self)->handshake_done())
        return mp_const_none;
    return look(self, [](const Connection* connection) {
        return mp_obj_new_bool(connection->session_reused());
    });
}

}  // namespace

extern "C" {

mp_obj_t ussl_socket_new(ussl_context_obj_t* context, ussl_context_obj_t* made_from,
                         mp_obj_t stream, mp_obj_t server_hostname, bool do_handshake,
                         bool suppress_ragged_eofs, mp_obj_t session) {
    mp_get_stream_raise(stream, MP_STREAM_OP_READ | MP_STREAM_OP_WRITE | MP_STREAM_OP_IOCTL);
    size_t name_size = 0;
    const char* name = nullptr;
    if (server_hostname != mp_const_none) {
        if (!mp_obj_is_str(server_hostname))
            mp_raise_TypeError(MP_ERROR_TEXT("server_hostname must be str, or None"));
        name = mp_obj_str_get_data(server_hostname, &name_size);
        if (name_size == 0)
            mp_raise_ValueError(MP_ERROR_TEXT("server_hostname must not be empty"));
    }
    mp_buffer_info_t saved = {};
    if (!features::session_export && session != mp_const_none)
        mp_raise_NotImplementedError(MP_ERROR_TEXT(USSL_OMITTED("session", "session_export")));
    if (features::session_export && session != mp_const_none) {
        if (!mp_obj_is_exact_type(session, &ussl_session_type))
            mp_raise_TypeError(MP_ERROR_TEXT("session must be an SSLSession, or None"));
        ussl_session_get_buffer(session, &saved, MP_BUFFER_READ);
    }

    ussl_socket_obj_t* self = mp_obj_malloc_with_finaliser(ussl_socket_obj_t, &ussl_socket_type);
    self->stream = MP_OBJ_NULL;
    self->context = MP_OBJ_FROM_PTR(context);
    self->server_hostname = server_hostname;
    self->exception = MP_OBJ_NULL;
    self->connection = nullptr;
    self->psk_keys = context->psk_keys;
    self->psk_callback = context->psk_server_callback;
    self->verify_callback = context->verify_callback;
    self->sign_callback = context->sign_callback;
    self->ecdsa_sign_callback = context->ecdsa_sign_callback;
    self->keylog_filename = context->keylog_filename;
    self->sni_callback = context->sni_callback;
    self->chooses = false;
    self->gathers = context->gather_writes != 0;
    self->may_write = false;
    self->never_blocks = self->gathers && ussl_stream_never_blocks(stream);
    self->timeout_ms = 0;
    self->linger_ms = ussl_milliseconds_from_0(context->linger, MP_QSTR_linger);
    self->would_block = self->closing = self->is_delivered = false;
    self->stream_kind = ussl_stream_kind(stream);
    self->reads = self->writes = false;
    self->handshake_ms = ussl_milliseconds(context->handshake_timeout, MP_QSTR_handshake_timeout);
    self->started_ms = mp_hal_ticks_ms();
    self->poll_token = -1;
    self->is_listed = false;
    self->next_unsent = nullptr;
    ussl_deliver_some();
    void* shared = ussl_context_get(made_from, nullptr);
    Made made =
        make_connection(self, shared, stream, name, name_size, !suppress_ragged_eofs, &saved);
    if (made.out_of_memory) {
        // Unreachable sockets own memory that the collector does not count.
        ussl_context_trim();
        gc_collect();
        made =
            make_connection(self, shared, stream, name, name_size, !suppress_ragged_eofs, &saved);
    }
    ussl_context_drop(shared);
    if (made.config_error != nullptr)
        ussl_raise_refusal(context, made.config_error, made.out_of_memory);

    self->stream = stream;
    self->stream_identity = ussl_stream_identity(stream);
    if (do_handshake) {
        // If this fails, the caller still owns the stream.
        nlr_buf_t nlr;
        if (nlr_push(&nlr) != 0) {
            self->stream = MP_OBJ_NULL;
            connection_of(self)->discard();
            nlr_jump(nlr.ret_val);
        }
        handshake_to_the_end(self);
        nlr_pop();
    }
    return MP_OBJ_FROM_PTR(self);
}

mp_obj_t ussl_socket_read(size_t n_args, const mp_obj_t* args) {
    return read_bytes(n_args, args, false);
}
mp_obj_t ussl_socket_recv(size_t n_args, const mp_obj_t* args) {
    return read_bytes(n_args, args, true);
}
mp_obj_t ussl_socket_readinto(size_t n_args, const mp_obj_t* args) {
    return read_into(n_args, args, false);
}
mp_obj_t ussl_socket_recv_into(size_t n_args, const mp_obj_t* args) {
    return read_into(n_args, args, true);
}

mp_obj_t ussl_socket_readline(size_t n_args, const mp_obj_t* args) {
    ussl_socket_obj_t* self = socket_of(args[0]);
    const mp_int_t most = n_args > 1 && args[1] != mp_const_none ? mp_obj_get_int(args[1]) : -1;
    vstr_t vstr;
    vstr_init(&vstr, 64);
    PyCallbacks callbacks(self);
    bool none = false;
    while (most < 0 || vstr.len < ussl_size(most)) {
        char byte;
        const Progress progress = read_once(self, &callbacks, &byte, 1);
        if (progress.kind != Progress::Kind::done) {
            if (vstr.len == 0) {
                raise_unless_progress(self, callbacks, progress.kind);
                none = progress.kind == Progress::Kind::blocked;
            }
            break;
        }
        vstr_add_byte(&vstr, static_cast<unsigned char>(byte));
        if (byte == '\n' || callbacks.exception != MP_OBJ_NULL)
            break;
    }
    if (vstr.len != 0)
        raise_later(self, callbacks);
    return new_bytes(&vstr, vstr.len, none);
}

mp_obj_t ussl_socket_write(size_t n_args, const mp_obj_t* args) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[1], &buffer, MP_BUFFER_READ);
    // write(buf), write(buf, size), write(buf, offset, size), as for every stream of MicroPython
    size_t offset = 0;
    size_t size = buffer.len;
    if (n_args == 4) {
        offset = std::min(buffer.len, ussl_size(mp_obj_get_int_truncated(args[2])));
        size = buffer.len - offset;
    }
    if (n_args > 2)
        size = std::min(size, ussl_size(mp_obj_get_int_truncated(args[n_args - 1])));
    return write_bytes(socket_of(args[0]), static_cast<const uint8_t*>(buffer.buf) + offset, size,
                       false);
}

mp_obj_t ussl_socket_send(mp_obj_t self, mp_obj_t data) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    return write_bytes(socket_of(self), static_cast<const uint8_t*>(buffer.buf), buffer.len, true);
}

mp_obj_t ussl_socket_flush(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    PyCallbacks callbacks(self);
    const Progress progress = run(self, &callbacks, writing, [&callbacks](Connection* connection) {
        return connection->flush(callbacks);
    });
    raise_unless_progress(self, callbacks, progress.kind);
    return mp_obj_new_bool(progress.kind == Progress::Kind::done);
}

mp_obj_t ussl_socket_close(mp_obj_t self) {
    close_socket(socket_of(self));
    return mp_const_none;
}

mp_obj_t ussl_socket_exit(size_t n_args, const mp_obj_t* args) {
    (void)n_args;
    return ussl_socket_close(args[0]);
}

void ussl_socket_flush_ready(ussl_socket_obj_t* self) {
    auto* connection = static_cast<Connection*>(self->connection);
    nlr_buf_t nlr;
    if (connection->busy() || self->exception != MP_OBJ_NULL || nlr_push(&nlr) != 0)
        return;
    PyCallbacks callbacks(self, true);
    // A stream that cannot be polled might block.
    mp_uint_t ready = 0;
    if (callbacks.poll(MP_STREAM_POLL_WR, &ready) == PyCallbacks::Polled::known &&
        (ready & MP_STREAM_POLL_WR) != 0 && !is_closed(self))
        connection->flush(callbacks);
    raise_soon_if_interrupt(
        callbacks);  // the program's next call finds an error of the stream again
    close_after_call(self);
    nlr_pop();
}

// Called by the collector: nothing here may allocate or raise.
mp_obj_t ussl_socket_del(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    auto* connection = static_cast<Connection*>(self->connection);
    // A busy connection is not deleted. Either an exception has jumped out of a call, and the
    // engine's state is undefined; or a callback or another thread calls __del__ during a call.
    if (connection == nullptr || connection->busy() || self->reads || self->writes)
        return mp_const_none;
    self->connection = nullptr;
    delete connection;
#ifdef USSL_POLLS_DESCRIPTORS
    ussl_poll_forget(self);
#endif
    if (self->stream != MP_OBJ_NULL)
        ussl_stream_close_forgotten(self->stream, self->stream_identity);
    self->stream = MP_OBJ_NULL;
    return mp_const_none;
}

mp_obj_t ussl_socket_setblocking(mp_obj_t self, mp_obj_t flag) {
    const mp_obj_t result = call_on_stream(self, MP_QSTR_setblocking, flag);
    set_mode(socket_of(self), mp_obj_is_true(flag), 0);
    return result;
}

mp_obj_t ussl_socket_settimeout(mp_obj_t self, mp_obj_t timeout) {
    const mp_obj_t result = call_on_stream(self, MP_QSTR_settimeout, timeout);
    // 0 is non-blocking.
    set_mode(socket_of(self), timeout == mp_const_none || mp_obj_is_true(timeout),
             mp_obj_is_true(timeout) ? ussl_milliseconds(timeout, MP_QSTR_timeout) : 0);
    return result;
}

// As connect() and accept() of a non-blocking socket, raises EAGAIN until the handshake is
// complete.
mp_obj_t ussl_socket_do_handshake(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    if (self->timeout_ms != 0) {
        handshake_to_the_end(self);
        return mp_const_none;
    }
    PyCallbacks callbacks(self);
    const Progress progress =
        run(self, &callbacks, handshaking,
            [&callbacks](Connection* connection) { return connection->handshake(callbacks); });
    raise_unless_progress(self, callbacks, progress.kind);
    if (progress.kind == Progress::Kind::blocked)
        mp_raise_OSError(MP_EAGAIN);
    return mp_const_none;
}

mp_obj_t ussl_socket_unwrap(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    PyCallbacks callbacks(self);
    const Progress progress =
        run(self, &callbacks, unwrapping,
            [&callbacks](Connection* connection) { return connection->shutdown(callbacks); });
    raise_unless_progress(self, callbacks, progress.kind);
    if (progress.kind == Progress::Kind::blocked)
        mp_raise_OSError(MP_EAGAIN);
    const mp_obj_t stream = look(self, [self](const Connection* connection) {
#ifdef USSL_READS_AHEAD
        const ussl::Bytes trailing_plaintext = connection->trailing_plaintext();
        if (!trailing_plaintext.empty() && self->stream != MP_OBJ_NULL)
            return ussl_unwrapped_new(self->stream, trailing_plaintext.data(),
                                      trailing_plaintext.size());
#else
        (void)connection;
#endif
        return self->stream;
    });
    if (stream == MP_OBJ_NULL)
        mp_raise_OSError(MP_EBADF);  // another thread has closed it
    self->stream = MP_OBJ_NULL;
    connection_of(self)->close();
    return stream;
}

mp_obj_t ussl_socket_selected_alpn_protocol(mp_obj_t self) {
    return look(socket_of(self), [](const Connection* connection) -> mp_obj_t {
        const ussl::Bytes protocol = connection->alpn();
        if (protocol.empty())
            return mp_const_none;
        return mp_obj_new_str(reinterpret_cast<const char*>(protocol.data()), protocol.size());
    });
}

mp_obj_t ussl_socket_pending(mp_obj_t self) {
    return mp_obj_new_int_from_uint(connection_of(socket_of(self))->pending());
}

namespace {

mp_obj_t version_of(const Connection* connection) {
    switch (connection->version()) {
        case ussl::Version::tls1_2:
            return mp_obj_new_str("TLSv1.2", 7);
        case ussl::Version::tls1_3:
            return mp_obj_new_str("TLSv1.3", 7);
        case ussl::Version::none:
            break;
    }
    return mp_const_none;
}

}  // namespace

mp_obj_t ussl_socket_version(mp_obj_t self) {
    return look(socket_of(self), version_of);
}

mp_obj_t ussl_socket_cipher(mp_obj_t self) {
    return look(socket_of(self), [](const Connection* connection) -> mp_obj_t {
        const ussl::Cipher cipher = connection->cipher();
        if (cipher.name.empty())
            return mp_const_none;
        const mp_obj_t items[3] = {
            mp_obj_new_str(cipher.name.data(), cipher.name.size()),
            version_of(connection),
            MP_OBJ_NEW_SMALL_INT(cipher.secret_bits),
        };
        return mp_obj_new_tuple(3, items);
    });
}

mp_obj_t ussl_socket_group(mp_obj_t self) {
    return look(socket_of(self), [](const Connection* connection) -> mp_obj_t {
        const std::string_view name = connection->group();
        return name.empty() ? mp_const_none : mp_obj_new_str(name.data(), name.size());
    });
}

mp_obj_t ussl_socket_getpeercert(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    static const mp_arg_t allowed[] = {
        {MP_QSTR_binary_form, MP_ARG_BOOL, {.u_bool = false}},
    };
    mp_arg_val_t values[1];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, 1, allowed, values);
    const bool is_binary = values[0].u_bool;
    if (!features::cert_dict && !is_binary)
        mp_raise_NotImplementedError(
            MP_ERROR_TEXT(USSL_OMITTED("getpeercert() as a dict", "cert_dict")));
    return look(socket_of(args[0]), [is_binary](Connection* connection) -> mp_obj_t {
        const ussl::Bytes der = connection->peer_certificate();
        if (der.empty())
            return mp_const_none;
        if (!features::cert_dict || is_binary)
            return mp_obj_new_bytes(der.data(), der.size());
        // As in CPython, the content of an unverified certificate is not returned as a dict.
        if (!connection->peer_verified())
            return mp_obj_new_dict(0);
        return ussl_certificate_dict(connection);
    });
}

void ussl_socket_attr(mp_obj_t self_in, qstr attr, mp_obj_t* dest) {
    ussl_socket_obj_t* self = socket_of(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        // Only sni_callback can set an attribute, and only `context`.
        if (!features::sni_callback || attr != MP_QSTR_context || !self->chooses ||
            dest[1] == MP_OBJ_NULL)
            return;
        if (!mp_obj_is_exact_type(dest[1], &ussl_context_type))
            mp_raise_TypeError(MP_ERROR_TEXT("context must be an SSLContext"));
        self->context = dest[1];
        dest[0] = MP_OBJ_NULL;  // stored
        return;
    }
    if (attr == MP_QSTR_server_hostname)
        dest[0] = self->server_hostname;
    else if (features::session_export && attr == MP_QSTR_session)
        dest[0] = session_of(self);
    else if (attr == MP_QSTR_session_reused)
        dest[0] = reused(self);
    else if (attr == MP_QSTR_context)
        dest[0] = self->context;
    else {
        if constexpr (USSL_OMITS_FEATURES)
            ussl_raise_if_omitted(attr);
        dest[1] = MP_OBJ_SENTINEL;  // look the name up in the methods
    }
}

// --- the stream protocol: errors are raised with their text, except "would block"

mp_uint_t ussl_socket_stream_read(mp_obj_t self, void* buf, mp_uint_t size, int* errcode) {
    PyCallbacks callbacks(socket_of(self));
    const Progress progress = read_once(socket_of(self), &callbacks, buf, size);
    if (progress.kind == Progress::Kind::done)
        raise_later(socket_of(self), callbacks);
    else
        raise_unless_progress(socket_of(self), callbacks, progress.kind);
    if (progress.kind == Progress::Kind::blocked) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return progress.count;
}

mp_uint_t ussl_socket_stream_write(mp_obj_t self_in, const void* buf, mp_uint_t size,
                                   int* errcode) {
    ussl_socket_obj_t* self = socket_of(self_in);
    PyCallbacks callbacks(self);
    const Progress progress = write_once(self, &callbacks, buf, size);
    raise_unless_progress(self, callbacks, progress.kind);
    if (progress.kind == Progress::Kind::blocked) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return progress.count;
}

mp_uint_t ussl_socket_stream_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg,
                                   int* errcode) {
    ussl_socket_obj_t* self = socket_of(self_in);
    mp_uint_t result = 0;
    switch (request) {
        case MP_STREAM_CLOSE:
            close_socket(self);
            return 0;
        case MP_STREAM_FLUSH:
            if (ussl_socket_flush(self_in) == mp_const_true)
                return 0;
            *errcode = MP_EAGAIN;
            return MP_STREAM_ERROR;
        case MP_STREAM_POLL:
            result = poll_socket(self, arg);
            if (result == MP_STREAM_ERROR)
                *errcode = MP_EIO;
            return result;
#ifdef USSL_POLLS_DESCRIPTORS
        case MP_STREAM_GET_FILENO: {
            const int token = ussl_poll_token(self);
            if (token >= 0)
                return static_cast<mp_uint_t>(token);
            *errcode = MP_EINVAL;
            return MP_STREAM_ERROR;
        }
#endif
        default:
            // Elsewhere, GET_FILENO fails, too: a poll must call MP_STREAM_POLL, which takes
            // buffered data into account.
            *errcode = MP_EINVAL;
            return MP_STREAM_ERROR;
    }
}

#ifdef USSL_POLLS_DESCRIPTORS
mp_uint_t ussl_socket_poll_begins(ussl_socket_obj_t* self, mp_uint_t wanted, mp_uint_t* ask) {
    *ask = 0;
    if (is_closed(self))
        return MP_STREAM_POLL_NVAL;
    const Connection* connection = connection_of(self);
    if (connection->unsent() && !connection->busy())
        *ask = MP_STREAM_POLL_WR;
    if (connection->closed() || connection->failed() || is_late(self))
        return MP_STREAM_POLL_NVAL;
    const PollPlan plan = plan_poll(connection, wanted);
    *ask |= plan.ask();
    return plan.found;
}

mp_uint_t ussl_socket_poll_ends(ussl_socket_obj_t* self, mp_uint_t wanted, mp_uint_t ready) {
    if (is_closed(self))
        return MP_STREAM_POLL_NVAL;
    Connection* connection = connection_of(self);
    if (connection->unsent() && !connection->busy() && (ready & MP_STREAM_POLL_WR) != 0) {
        PyCallbacks callbacks(self);
        connection->flush(callbacks);
        close_after_call(self);
        // The stream may be full now.
        if ((wanted & MP_STREAM_POLL_WR) != 0 && !callbacks.ready(Direction::write))
            ready &= ~MP_STREAM_POLL_WR;
        // select.poll cannot be left by an exception here (Ctrl-C).
        raise_later(self, callbacks);
        if (is_closed(self))
            return MP_STREAM_POLL_NVAL;
    }
    if (connection->closed() || connection->failed() || is_late(self))
        return MP_STREAM_POLL_NVAL;
    const PollPlan plan = plan_poll(connection, wanted);
    // Events of the stream count only if they are not known already.
    return found_or_rest(self,
                         plan.ask() == 0 && plan.found != 0 ? plan.found : plan.found_with(ready));
}

mp_obj_t ussl_socket_ioctl(size_t n_args, const mp_obj_t* args) {
    if (mp_obj_get_int(args[1]) == MP_STREAM_GET_FILENO)
        mp_raise_OSError(MP_EINVAL);  // a token is only valid for polls
    return mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_stream_ioctl_obj), n_args, 0, args);
}
#endif

}  // extern "C"
