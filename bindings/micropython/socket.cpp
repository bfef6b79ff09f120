// SSLSocket: a stream of MicroPython over a ussl::Connection. socket_poll.cpp has its polls,
// socket_facts.cpp its attributes and the facts about its connection, socket_calls.hpp the wait for
// the stream.
//
// Every function here may raise, and MicroPython raises by longjmp. No object with a destructor may
// be alive at a call that can raise. PyCallbacks has no destructor, and exceptions are raised only
// after calls of the library have returned.

#include <string.h>

#include <algorithm>

#include "arguments.hpp"
#include "context.hpp"
#include "errors.hpp"
#include "socket_calls.hpp"
#include "stream.hpp"

namespace {

using ussl::Connection;
using ussl::Direction;
using ussl::Progress;
using namespace socket_calls;
namespace features = ussl::features;

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
                                    self->stream_kind != StreamKind::blocks;
        return is_rest_unsent ? Progress{Progress::Kind::blocked} : taken;
    });
    ussl_note_unsent(self);
    raise_own(*callbacks);
    return taken.kind == Progress::Kind::done ? taken : progress;
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
#if MICROPY_PY_THREAD && (MICROPY_PY_THREAD_GIL || defined(__unix__))
    // One thread may read while another writes. The time limit of a stream without a descriptor is
    // now known. If it can be polled, a call waits for it outside of its turn.
    //
    // A running call may be waiting inside the stream. An SSLSocket over an SSLSocket is ready when
    // part of a record has arrived, but its read waits for the rest.
    if (!blocks || self->stream_kind != StreamKind::blocks || connection_of(self)->busy() ||
        mp_obj_is_exact_type(self->stream, &ussl_socket_type))
        return;
    PyCallbacks callbacks(self);
    if (callbacks.can_be_polled())
        self->stream_kind = StreamKind::polled;
    raise_own(callbacks);
#endif
}

// Creates the connection of a socket; returns the error to raise.
struct Made {
    const char* config_error;
    bool out_of_memory;
};
Made make_connection(ussl_socket_obj_t* self, ussl::Context* shared, mp_obj_t stream,
                     const char* name, size_t name_size, bool report_truncation,
                     const mp_buffer_info_t* session) {
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

}  // namespace

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
    ussl::Context* shared = ussl_context_get(made_from, nullptr);
    Made made =
        make_connection(self, shared, stream, name, name_size, !suppress_ragged_eofs, &saved);
    if (made.out_of_memory) {
        // Unreachable sockets own memory that the collector does not count.
        ussl_context_trim();
        gc_collect();
        made =
            make_connection(self, shared, stream, name, name_size, !suppress_ragged_eofs, &saved);
    }
    shared->drop();
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

void ussl_socket_flush_ready(ussl_socket_obj_t* self) {
    Connection* connection = self->connection;
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

extern "C" {

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

// Called by the collector: nothing here may allocate or raise.
mp_obj_t ussl_socket_del(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    Connection* connection = self->connection;
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
    const mp_obj_t stream = look(self, [](Connection* connection, ussl_socket_obj_t* of) {
#ifdef USSL_READS_AHEAD
        const ussl::Bytes trailing_plaintext = connection->trailing_plaintext();
        if (!trailing_plaintext.empty() && of->stream != MP_OBJ_NULL)
            return ussl_unwrapped_new(of->stream, trailing_plaintext.data(),
                                      trailing_plaintext.size());
#else
        (void)connection;
#endif
        return of->stream;
    });
    if (stream == MP_OBJ_NULL)
        mp_raise_OSError(MP_EBADF);  // another thread has closed it
    self->stream = MP_OBJ_NULL;
    connection_of(self)->close();
    return stream;
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
            result = ussl_socket_poll(self, arg);
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
mp_obj_t ussl_socket_ioctl(size_t n_args, const mp_obj_t* args) {
    if (mp_obj_get_int(args[1]) == MP_STREAM_GET_FILENO)
        mp_raise_OSError(MP_EINVAL);  // a token is only valid for polls
    return mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_stream_ioctl_obj), n_args, 0, args);
}
#endif

}  // extern "C"
