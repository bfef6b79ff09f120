// SSLSocket: a stream of MicroPython over a ussl::Connection.
//
// Every function here may raise, and MicroPython raises by longjmp: nothing with a destructor may
// be alive at a call that can. PyHost has none; the library's calls have returned by then.

#include <string.h>

#include "binding.h"
#include "errors.hpp"
#include "ussl/connection.hpp"

namespace {

using ussl::Code;
using ussl::Connection;
using ussl::Direction;
using ussl::IoResult;
using ussl::Progress;

ussl_socket_obj_t* socket_of(mp_obj_t self) {
    return static_cast<ussl_socket_obj_t*>(MP_OBJ_TO_PTR(self));
}

// Gone once the collector's finaliser has run, which a program can call, too.
Connection* connection_of(ussl_socket_obj_t* self) {
    if (self->connection == nullptr)
        mp_raise_OSError(MP_EBADF);
    return static_cast<Connection*>(self->connection);
}

/// The Python side of a connection, for the duration of a call.
class PyHost final : public ussl::Host {
  public:
    explicit PyHost(ussl_socket_obj_t* self) : self_(self) {}
    /// Never waits in the stream: nothing is read or written unless it is ready.
    PyHost(ussl_socket_obj_t* self, bool never_waits) : self_(self), never_waits_(never_waits) {}

    IoResult read(ussl::MutableBytes into) override {
        if (self_->stream == MP_OBJ_NULL)
            return IoResult::failed(MP_EBADF);
        if (never_waits_ && !ready(Direction::read))
            return not_ready();
        int error;
        const mp_uint_t count =
            ussl_stream_read(self_->stream, into.data(), into.size(), &error, &self_->exception);
        if (count == 0)
            return IoResult::end();
        return result_of(count, into.size(), error);
    }

    IoResult write(ussl::Bytes from) override {
        if (self_->stream == MP_OBJ_NULL)
            return IoResult::failed(MP_EBADF);
        if (never_waits_ && !ready(Direction::write))
            return not_ready();
        int error;
        const mp_uint_t count =
            ussl_stream_write(self_->stream, from.data(), from.size(), &error, &self_->exception);
        return result_of(count != 0 ? count : MP_STREAM_ERROR, from.size(),
                         count != 0 ? error : MP_EAGAIN);
    }

    bool ready(Direction direction) override {
        const mp_uint_t flag = direction == Direction::read ? MP_STREAM_POLL_RD : MP_STREAM_POLL_WR;
        const mp_obj_t before = self_->exception;
        mp_uint_t ready = 0;
        const Polled polled = poll(flag, &ready);
        if (polled == Polled::raised && !refuses(self_->exception))
            return false;
        if (polled == Polled::known)
            return ready != 0;
        self_->exception = before;
        return true;  // a stream that cannot be polled cannot tell
    }

    ussl::PskAnswer find_psk(ussl::Bytes identity, ussl::MutableBytes key,
                             std::size_t& length) override {
        const auto* context = static_cast<ussl_context_obj_t*>(MP_OBJ_TO_PTR(self_->context));
        length = ussl_call_psk_get(context->strict != 0, self_->psk_keys, self_->psk_callback,
                                   identity.data(), identity.size(), key.data(), key.size(),
                                   &self_->exception);
        if (length == USSL_RAISED)
            return ussl::PskAnswer::aborted;
        return length != 0 ? ussl::PskAnswer::found : ussl::PskAnswer::unknown;
    }

    ussl::Judgement judge(ussl::Bytes certificate, int depth) override {
        const mp_uint_t answer = ussl_call_verify(self_->verify_callback, certificate.data(),
                                                  certificate.size(), depth, &self_->exception);
        if (answer == USSL_RAISED)
            return ussl::Judgement::aborted;
        return answer == 0 ? ussl::Judgement::accepted : ussl::Judgement::refused;
    }

    ussl::NameAnswer choose_context(std::string_view name, ussl::Ref<ussl::Context>& instead,
                                    uint8_t& alert) override {
        void* chosen = nullptr;
        self_->chooses = true;
        const mp_uint_t answer = ussl_call_sni(MP_OBJ_FROM_PTR(self_), name.data(), name.size(),
                                               &chosen, &self_->exception);
        self_->chooses = false;
        if (answer == USSL_RAISED)
            return ussl::NameAnswer::aborted;
        if (answer != 0) {
            alert = static_cast<uint8_t>(answer);
            return ussl::NameAnswer::refused;
        }
        if (chosen != nullptr) {
            instead = ussl::Ref<ussl::Context>(static_cast<ussl::Context*>(chosen));
        }
        return ussl::NameAnswer::good;
    }

    ussl::SignAnswer sign(ussl::SignatureScheme scheme, ussl::Bytes digest, ussl::Bytes scalar,
                          ussl::MutableBytes signature, std::size_t& length) override {
        length = ussl_call_sign(self_->sign_callback, self_->ecdsa_sign_callback, name_of(scheme),
                                digest.data(), digest.size(), scalar.data(), scalar.size(),
                                signature.data(), signature.size(), &self_->exception);
        if (length == USSL_RAISED)
            return ussl::SignAnswer::aborted;
        return length != 0 ? ussl::SignAnswer::made : ussl::SignAnswer::own_key;
    }

    bool key_log(std::string_view line) override {
        return ussl_append_line(self_->keylog_filename, line.data(), line.size(),
                                &self_->exception);
    }

    /// Asks the stream. `unknown`: it cannot be polled; `raised`: the exception is kept.
    enum class Polled : uint8_t { known, unknown, raised };
    Polled poll(mp_uint_t flags, mp_uint_t* ready) {
        if (self_->stream == MP_OBJ_NULL)
            return Polled::unknown;
        int error;
        const mp_uint_t result =
            ussl_stream_ioctl(self_->stream, MP_STREAM_POLL, flags, &error, &self_->exception);
        if (result == USSL_RAISED)
            return Polled::raised;
        if (result == MP_STREAM_ERROR)
            return Polled::unknown;
        *ready = result;
        return Polled::known;
    }

  private:
    static const char* name_of(ussl::SignatureScheme scheme) {
        switch (scheme) {
            case ussl::SignatureScheme::ecdsa:
                return "ecdsa";
            case ussl::SignatureScheme::rsa_pkcs1:
                return "rsa_pkcs1";
            case ussl::SignatureScheme::rsa_pss:
                break;
        }
        return "rsa_pss";
    }

    /// How streams written in Python say that they do not know an ioctl.
    static bool refuses(mp_obj_t exception) {
        const mp_const_obj_t type = MP_OBJ_FROM_PTR(mp_obj_get_type(exception));
        return mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_NotImplementedError)) ||
               mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_OSError));
    }

    IoResult result_of(mp_uint_t count, std::size_t asked, int error) {
        if (count == USSL_RAISED)
            return IoResult::aborted();
        if (count != MP_STREAM_ERROR)  // more than was asked for is no count at all
            return count <= asked ? IoResult::moved(count) : IoResult::failed(MP_EIO);
        switch (error) {
            case MP_EAGAIN:
#if MP_EWOULDBLOCK != MP_EAGAIN
            case MP_EWOULDBLOCK:
#endif
            case MP_EINPROGRESS:
            case MP_EALREADY:
                self_->would_block = true;
                return IoResult::would_block();
            case MP_ETIMEDOUT:
                return IoResult::timed_out();
            default:
                return IoResult::failed(error > 0 ? error : MP_EIO);
        }
    }

    [[nodiscard]] IoResult not_ready() const {
        return self_->exception != MP_OBJ_NULL ? IoResult::aborted() : IoResult::would_block();
    }

    ussl_socket_obj_t* self_;
    bool never_waits_ = false;
};

// The exception of a stream or a callback is raised once.
void raise_exception(ussl_socket_obj_t* self) {
    const mp_obj_t exception = self->exception;
    self->exception = MP_OBJ_NULL;
    if (exception != MP_OBJ_NULL)
        nlr_raise(exception);
}

// After a call that has returned data, the next one raises the stream's exception; but Ctrl-C does
// not wait for that.
void raise_exception_later(ussl_socket_obj_t* self) {
    if (self->exception == MP_OBJ_NULL || ussl_is_error(self->exception))
        return;
    mp_sched_exception(self->exception);
    self->exception = MP_OBJ_NULL;
}

// The errors of a call that moved nothing; returns where it merely could not go on.
void raise_unless_progress(ussl_socket_obj_t* self, Progress::Kind kind) {
    raise_exception(self);
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
            ussl_raise(connection_of(self)->error());
    }
}

// close() came from within a call of this connection, or beside it from another thread: the call is
// over now.
void close_after_call(ussl_socket_obj_t* self) {
    const auto* connection = static_cast<Connection*>(self->connection);
    if (!self->closing || connection == nullptr || connection->busy() || !connection->closed())
        return;
    // Two threads may come here at once; one of them delivers.
    if (__atomic_exchange_n(&self->closing, false, __ATOMIC_SEQ_CST) && self->stream != MP_OBJ_NULL)
        ussl_deliver(self);
}

// Also where a call in another thread has yet to come back.
bool is_closed(const ussl_socket_obj_t* self) {
    return self->connection == nullptr || self->stream == MP_OBJ_NULL || self->closing;
}

bool never_blocks(const ussl_socket_obj_t* self) {
    return self->never_blocks || self->would_block || ussl_stream_never_blocks(self->stream);
}

bool is_late(ussl_socket_obj_t* self) {
    if (self->handshake_ms == 0)
        return false;
    if (connection_of(self)->handshake_done())
        self->handshake_ms = 0;
    return self->handshake_ms != 0 && mp_hal_ticks_ms() - self->started_ms >= self->handshake_ms;
}

void raise_if_late(ussl_socket_obj_t* self) {
    if (is_late(self))
        mp_raise_OSError(MP_ETIMEDOUT);
}

// Of the stream, in milliseconds; 0: none.
uint32_t time_limit(const ussl_socket_obj_t* self) {
    return self->timeout_ms != 0 ? self->timeout_ms : ussl_stream_timeout_ms(self->stream);
}

void wait_for_handshake(ussl_socket_obj_t* self, uint32_t most_ms) {
    if (self->stream == MP_OBJ_NULL || connection_of(self)->paused())
        return;
    const bool writes =
        connection_of(self)->waits_for(Direction::read) == ussl::Waits::stream_writable;
    ussl_stream_wait(self->stream, writes ? MP_STREAM_POLL_WR : MP_STREAM_POLL_RD, most_ms);
}

// Runs the handshake to its end, waiting for a non-blocking stream, and, if there is a time limit,
// for any stream. `limit_ms`: of this call, besides handshake_timeout; 0: none.
void handshake_to_the_end(ussl_socket_obj_t* self, uint32_t limit_ms) {
    const mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        raise_exception(self);
        PyHost host(self, limit_ms != 0 || self->handshake_ms != 0);
        const Progress progress = connection_of(self)->handshake(host);
        close_after_call(self);
        raise_unless_progress(self, progress.kind);
        if (progress.kind == Progress::Kind::done)
            return;
        raise_if_late(self);
        const uint32_t passed = mp_hal_ticks_ms() - start;
        if (limit_ms != 0 && passed >= limit_ms)
            mp_raise_OSError(MP_ETIMEDOUT);
        uint32_t most_ms = limit_ms != 0 ? limit_ms - passed : UINT32_MAX;
        if (self->handshake_ms != 0) {
            const uint32_t left = self->started_ms + self->handshake_ms - mp_hal_ticks_ms();
            most_ms = left < most_ms ? left : most_ms;
        }
        wait_for_handshake(self, most_ms);
    }
}

// A deferred handshake on a blocking stream of a host happens in the first call, so that its time
// limit holds. Other blocking streams may wait longer in one call.
bool runs_handshake(ussl_socket_obj_t* self) {
    return self->handshake_ms != 0 && self->stream != MP_OBJ_NULL &&
           ussl_stream_descriptor(self->stream) >= 0 && !never_blocks(self);
}

// Before a call that reads or writes.
void begin_call(ussl_socket_obj_t* self) {
    raise_exception(self);
    raise_if_late(self);
    if (runs_handshake(self))
        handshake_to_the_end(self, time_limit(self));
}

// After 32 records without plaintext, a call on a blocking stream goes on, within the stream's
// timeout. false: it returns.
bool goes_on(ussl_socket_obj_t* self, mp_uint_t start, Progress* progress) {
    if (progress->kind != Progress::Kind::blocked || is_closed(self) ||
        !connection_of(self)->paused() || never_blocks(self))
        return false;
    ussl_handle_pending(&self->exception);
    if (self->exception != MP_OBJ_NULL) {
        progress->kind = Progress::Kind::interrupted;
        return false;
    }
    const uint32_t limit = time_limit(self);
    if (limit != 0 && mp_hal_ticks_ms() - start >= limit)
        progress->kind = Progress::Kind::timed_out;
    return progress->kind == Progress::Kind::blocked && !is_late(self);
}

Progress read_once(ussl_socket_obj_t* self, void* buf, size_t size) {
    begin_call(self);
    const mp_uint_t start = mp_hal_ticks_ms();
    Progress progress;
    do {
        PyHost host(self);
        progress = connection_of(self)->read(host, {static_cast<uint8_t*>(buf), size});
        close_after_call(self);
    } while (goes_on(self, start, &progress));
    return progress;
}

Progress write_once(ussl_socket_obj_t* self, const void* buf, size_t size) {
    begin_call(self);
    const mp_uint_t start = mp_hal_ticks_ms();
    Progress progress;
    do {
        PyHost host(self);
        progress = connection_of(self)->write(host, {static_cast<const uint8_t*>(buf), size});
        close_after_call(self);
    } while (goes_on(self, start, &progress));
    ussl_note_unsent(self);
    raise_exception(self);
    return progress;
}

Progress flush_once(ussl_socket_obj_t* self) {
    raise_exception(self);
    PyHost host(self);
    const Progress progress = connection_of(self)->flush(host);
    close_after_call(self);
    return progress;
}

// Reads until `size` bytes are there, or the stream has no more for now or ever. What was read is
// never lost: an error after some bytes is raised by the next call. nullopt as `*none`: nothing
// now.
size_t read_fully(ussl_socket_obj_t* self, uint8_t* buf, size_t size, bool once, bool* none) {
    size_t got = 0;
    *none = false;
    do {
        const Progress progress = read_once(self, buf + got, size - got);
        if (progress.kind != Progress::Kind::done) {
            if (got == 0) {
                raise_unless_progress(self, progress.kind);
                *none = progress.kind == Progress::Kind::blocked;
            }
            break;
        }
        got += progress.count;
    } while (got < size && !once && self->exception == MP_OBJ_NULL);
    if (got != 0)
        raise_exception_later(self);
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
    size_t got = 0;
    bool none = false;
    for (;;) {
        vstr_hint_size(&vstr, 256);
        const size_t room = vstr.alloc - got;
        const Progress progress = read_once(self, vstr.buf + got, room);
        if (progress.kind != Progress::Kind::done) {
            if (got == 0) {
                raise_unless_progress(self, progress.kind);
                none = progress.kind == Progress::Kind::blocked;
            }
            break;
        }
        got += progress.count;
        vstr.len = got;
        if (self->exception != MP_OBJ_NULL)
            break;
    }
    if (got != 0)
        raise_exception_later(self);
    return new_bytes(&vstr, got, none);
}

mp_obj_t read_bytes(size_t n_args, const mp_obj_t* args, bool once) {
    ussl_socket_obj_t* self = socket_of(args[0]);
    const mp_int_t size = n_args > 1 && args[1] != mp_const_none ? mp_obj_get_int(args[1]) : -1;
    if (size < 0)
        return read_all(self);
    vstr_t vstr;
    vstr_init_len(&vstr, static_cast<size_t>(size));
    bool none;
    const size_t got = read_fully(self, reinterpret_cast<uint8_t*>(vstr.buf),
                                  static_cast<size_t>(size), once, &none);
    return new_bytes(&vstr, got, none);
}

mp_obj_t read_into(size_t n_args, const mp_obj_t* args, bool once) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[1], &buffer, MP_BUFFER_WRITE);
    size_t size = buffer.len;
    if (n_args > 2) {
        const mp_int_t most = mp_obj_get_int(args[2]);
        if (most >= 0 && static_cast<size_t>(most) < size)
            size = static_cast<size_t>(most);
    }
    bool none;
    const size_t got =
        read_fully(socket_of(args[0]), static_cast<uint8_t*>(buffer.buf), size, once, &none);
    return none ? mp_const_none : MP_OBJ_NEW_SMALL_INT(got);
}

// With gather_writes, each poll that finds the socket writable (or broken) allows for one write.
// Until then asyncio keeps what is written, and hands it in as one. A program with a stream that
// blocks does not expect a write to take nothing.
bool waits_for_poll(ussl_socket_obj_t* self) {
    if (!self->gathers || !self->never_blocks)
        return false;
    const bool may_write = self->may_write;
    self->may_write = false;
    return !may_write && connection_of(self)->waits_for(Direction::write) != ussl::Waits::nothing;
}

mp_obj_t write_bytes(ussl_socket_obj_t* self, const uint8_t* buf, size_t size, bool once) {
    if (waits_for_poll(self))
        return mp_const_none;
    size_t taken = 0;
    do {
        const Progress progress = write_once(self, buf + taken, size - taken);
        if (progress.kind != Progress::Kind::done) {
            if (taken == 0) {
                raise_unless_progress(self, progress.kind);
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
    connection_of(self)->close();
    self->closing = true;
    close_after_call(self);
}

// Which directions of the stream stand for which of what a poll asks for.
struct PollPlan {
    mp_uint_t found = 0;  // there already
    mp_uint_t reads_when = 0;
    mp_uint_t writes_when = 0;

    [[nodiscard]] mp_uint_t ask() const { return reads_when | writes_when; }
    // With what the stream says; what is neither direction (an error, a hang-up) is passed on.
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
        switch (connection->waits_for(direction)) {
            case ussl::Waits::nothing:
                plan.found |= flag;
                break;
            case ussl::Waits::stream_readable:
                *when = MP_STREAM_POLL_RD;
                break;
            case ussl::Waits::stream_writable:
                *when = MP_STREAM_POLL_WR;
                break;
        }
    };
    look(MP_STREAM_POLL_RD, Direction::read, &plan.reads_when);
    look(MP_STREAM_POLL_WR, Direction::write, &plan.writes_when);
    return plan;
}

// What a poll says in the end.
mp_uint_t found_or_rest(ussl_socket_obj_t* self, mp_uint_t found) {
    if (found == 0)
        connection_of(self)->rest();
    if ((found & ~MP_STREAM_POLL_RD) != 0)
        self->may_write = true;
    return found;
}

// What a poll finds; may send what was taken before, so that it leaves without another write.
mp_uint_t poll_socket(ussl_socket_obj_t* self, mp_uint_t wanted) {
    ussl_deliver_some();
    if (is_closed(self))
        return MP_STREAM_POLL_NVAL;
    PyHost host(self);
    mp_uint_t ready = 0;
    // A stream written in Python may close the socket each time that it is asked.
    if (connection_of(self)->unsent() && !connection_of(self)->busy()) {
        const PyHost::Polled polled = host.poll(MP_STREAM_POLL_WR, &ready);
        if (polled == PyHost::Polled::raised)
            raise_exception(self);
        if (is_closed(self))
            return MP_STREAM_POLL_NVAL;
        if (polled == PyHost::Polled::known && (ready & MP_STREAM_POLL_WR) != 0)
            flush_once(self);
        raise_exception(self);
    }
    if (is_closed(self) || connection_of(self)->failed() || is_late(self))
        return MP_STREAM_POLL_NVAL;

    const PollPlan plan = plan_poll(connection_of(self), wanted);
    // What is there already needs no look at the stream, unless more was asked for.
    if (plan.ask() == 0)
        return plan.found;
    switch (host.poll(plan.ask() | (wanted & ~(MP_STREAM_POLL_RD | MP_STREAM_POLL_WR)), &ready)) {
        case PyHost::Polled::known:
            break;
        case PyHost::Polled::unknown:
            return MP_STREAM_ERROR;
        case PyHost::Polled::raised:
            raise_exception(self);
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

// The library's part of making a socket; returns what to raise.
struct Made {
    const char* refusal;
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

// None: there is nothing to resume with (yet).
mp_obj_t session_of(ussl_socket_obj_t* self) {
    const ussl::Bytes session =
        self->connection != nullptr ? connection_of(self)->session() : ussl::Bytes{};
    if (session.empty())
        return mp_const_none;
    return ussl_session_new(mp_obj_new_bytes(session.data(), session.size()));
}

mp_obj_t reused(ussl_socket_obj_t* self) {
    if (self->connection == nullptr || !connection_of(self)->handshake_done())
        return mp_const_none;
    return mp_obj_new_bool(connection_of(self)->session_reused());
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
        name = mp_obj_str_get_data(server_hostname, &name_size);
        if (name_size == 0)
            mp_raise_ValueError(MP_ERROR_TEXT("server_hostname is empty"));
    }
    mp_buffer_info_t saved = {};
    if (session != mp_const_none) {
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
    self->linger_ms = ussl_milliseconds_from_0(context->linger);
    self->would_block = self->closing = false;
    self->handshake_ms = ussl_milliseconds(context->handshake_timeout);
    self->started_ms = mp_hal_ticks_ms();
    self->poll_token = -1;
    self->is_listed = false;
    self->next_unsent = nullptr;
    ussl_deliver_some();
    void* shared = ussl_context_get(made_from);
    Made made =
        make_connection(self, shared, stream, name, name_size, !suppress_ragged_eofs, &saved);
    if (made.out_of_memory) {
        // What forgotten sockets hold is memory that the collector does not see.
        ussl_context_trim();
        gc_collect();
        made =
            make_connection(self, shared, stream, name, name_size, !suppress_ragged_eofs, &saved);
    }
    ussl_context_drop(shared);
    if (made.refusal != nullptr)
        ussl_raise_refusal(made.refusal, made.out_of_memory);

    self->stream = stream;
    self->stream_identity = ussl_stream_identity(stream);
    if (do_handshake) {
        // The stream stays the caller's if this fails.
        nlr_buf_t nlr;
        if (nlr_push(&nlr) != 0) {
            self->stream = MP_OBJ_NULL;
            connection_of(self)->abandon();
            nlr_jump(nlr.ret_val);
        }
        handshake_to_the_end(self, time_limit(self));
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
    bool none = false;
    while (most < 0 || vstr.len < static_cast<size_t>(most)) {
        char byte;
        const Progress progress = read_once(self, &byte, 1);
        if (progress.kind != Progress::Kind::done) {
            if (vstr.len == 0) {
                raise_unless_progress(self, progress.kind);
                none = progress.kind == Progress::Kind::blocked;
            }
            break;
        }
        vstr_add_byte(&vstr, static_cast<unsigned char>(byte));
        if (byte == '\n' || self->exception != MP_OBJ_NULL)
            break;
    }
    if (vstr.len != 0)
        raise_exception_later(self);
    return new_bytes(&vstr, vstr.len, none);
}

mp_obj_t ussl_socket_write(size_t n_args, const mp_obj_t* args) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[1], &buffer, MP_BUFFER_READ);
    // write(buf), write(buf, size), write(buf, offset, size), as every stream of MicroPython
    size_t offset = 0;
    size_t size = buffer.len;
    if (n_args == 4) {
        offset = static_cast<size_t>(mp_obj_get_int_truncated(args[2]));
        offset = offset < buffer.len ? offset : buffer.len;
        size = buffer.len - offset;
    }
    if (n_args > 2) {
        const auto most = static_cast<size_t>(mp_obj_get_int_truncated(args[n_args - 1]));
        size = most < size ? most : size;
    }
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
    const Progress progress = flush_once(self);
    raise_unless_progress(self, progress.kind);
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
    PyHost host(self, true);
    // A stream that cannot be polled might block.
    mp_uint_t ready = 0;
    if (host.poll(MP_STREAM_POLL_WR, &ready) == PyHost::Polled::known &&
        (ready & MP_STREAM_POLL_WR) != 0 && !is_closed(self))
        connection->flush(host);
    self->exception = MP_OBJ_NULL;  // the program's next call meets it again
    close_after_call(self);
    nlr_pop();
}

// The collector's: nothing here may allocate or raise.
mp_obj_t ussl_socket_del(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    auto* connection = static_cast<Connection*>(self->connection);
    // Busy: a call was jumped out of, and may have left the engine anyhow; or a callback asks.
    if (connection == nullptr || connection->busy())
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
    socket_of(self)->timeout_ms = 0;
    socket_of(self)->never_blocks = !mp_obj_is_true(flag);
    socket_of(self)->would_block = false;
    return result;
}

mp_obj_t ussl_socket_settimeout(mp_obj_t self, mp_obj_t timeout) {
    const mp_obj_t result = call_on_stream(self, MP_QSTR_settimeout, timeout);
    // 0 is non-blocking.
    socket_of(self)->timeout_ms = mp_obj_is_true(timeout) ? ussl_milliseconds(timeout) : 0;
    socket_of(self)->never_blocks = timeout != mp_const_none && !mp_obj_is_true(timeout);
    socket_of(self)->would_block = false;
    return result;
}

// As connect() and accept() of a non-blocking socket: EAGAIN while it is under way.
mp_obj_t ussl_socket_do_handshake(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    raise_exception(self);
    raise_if_late(self);
    if (self->timeout_ms != 0 || runs_handshake(self)) {
        handshake_to_the_end(self, time_limit(self));
        return mp_const_none;
    }
    const mp_uint_t start = mp_hal_ticks_ms();
    Progress progress;
    do {
        PyHost host(self);
        progress = connection_of(self)->handshake(host);
        close_after_call(self);
    } while (goes_on(self, start, &progress));
    raise_unless_progress(self, progress.kind);
    if (progress.kind == Progress::Kind::blocked)
        mp_raise_OSError(MP_EAGAIN);
    return mp_const_none;
}

mp_obj_t ussl_socket_unwrap(mp_obj_t self_in) {
    ussl_socket_obj_t* self = socket_of(self_in);
    PyHost host(self);
    const Progress progress = connection_of(self)->shutdown(host);
    close_after_call(self);
    raise_unless_progress(self, progress.kind);
    if (progress.kind == Progress::Kind::blocked)
        mp_raise_OSError(MP_EAGAIN);
    mp_obj_t stream = self->stream;
#ifdef USSL_READS_AHEAD
    const ussl::Bytes leftover = connection_of(self)->leftover();
    if (!leftover.empty())
        stream = ussl_unwrapped_new(stream, leftover.data(), leftover.size());
#endif
    self->stream = MP_OBJ_NULL;
    connection_of(self)->abandon();
    return stream;
}

mp_obj_t ussl_socket_selected_alpn_protocol(mp_obj_t self) {
    const ussl::Bytes protocol = connection_of(socket_of(self))->alpn();
    if (protocol.empty())
        return mp_const_none;
    return mp_obj_new_str(reinterpret_cast<const char*>(protocol.data()), protocol.size());
}

mp_obj_t ussl_socket_pending(mp_obj_t self) {
    return mp_obj_new_int_from_uint(connection_of(socket_of(self))->pending());
}

mp_obj_t ussl_socket_version(mp_obj_t self) {
    switch (connection_of(socket_of(self))->version()) {
        case ussl::Version::tls1_2:
            return mp_obj_new_str("TLSv1.2", 7);
        case ussl::Version::tls1_3:
            return mp_obj_new_str("TLSv1.3", 7);
        case ussl::Version::none:
            break;
    }
    return mp_const_none;
}

mp_obj_t ussl_socket_cipher(mp_obj_t self) {
    const ussl::Cipher cipher = connection_of(socket_of(self))->cipher();
    if (cipher.name.empty())
        return mp_const_none;
    const mp_obj_t items[3] = {
        mp_obj_new_str(cipher.name.data(), cipher.name.size()),
        ussl_socket_version(self),
        MP_OBJ_NEW_SMALL_INT(cipher.secret_bits),
    };
    return mp_obj_new_tuple(3, items);
}

mp_obj_t ussl_socket_getpeercert(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    static const mp_arg_t allowed[] = {
        {MP_QSTR_binary_form, MP_ARG_BOOL, {.u_bool = false}},
    };
    mp_arg_val_t values[1];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, 1, allowed, values);
    Connection* connection = connection_of(socket_of(args[0]));
    const ussl::Bytes der = connection->peer_certificate();
    if (der.empty())
        return mp_const_none;
    if (values[0].u_bool)
        return mp_obj_new_bytes(der.data(), der.size());
    // As CPython: what was not verified is not shown as if it were true.
    if (!connection->peer_verified())
        return mp_obj_new_dict(0);
    return ussl_certificate_dict(connection);
}

void ussl_socket_attr(mp_obj_t self_in, qstr attr, mp_obj_t* dest) {
    ussl_socket_obj_t* self = socket_of(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        // Nothing can be stored, but, by sni_callback, another context.
        if (attr != MP_QSTR_context || !self->chooses || dest[1] == MP_OBJ_NULL)
            return;
        if (!mp_obj_is_exact_type(dest[1], &ussl_context_type))
            mp_raise_TypeError(MP_ERROR_TEXT("context must be an SSLContext"));
        self->context = dest[1];
        dest[0] = MP_OBJ_NULL;  // stored
        return;
    }
    if (attr == MP_QSTR_server_hostname)
        dest[0] = self->server_hostname;
    else if (attr == MP_QSTR_session)
        dest[0] = session_of(self);
    else if (attr == MP_QSTR_session_reused)
        dest[0] = reused(self);
    else if (attr == MP_QSTR_context)
        dest[0] = self->context;
    else
        dest[1] = MP_OBJ_SENTINEL;  // the methods
}

// --- the stream protocol: errors are raised with their text, except "nothing now"

mp_uint_t ussl_socket_stream_read(mp_obj_t self, void* buf, mp_uint_t size, int* errcode) {
    const Progress progress = read_once(socket_of(self), buf, size);
    if (progress.kind == Progress::Kind::done)
        raise_exception_later(socket_of(self));
    else
        raise_unless_progress(socket_of(self), progress.kind);
    if (progress.kind == Progress::Kind::blocked) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return progress.count;
}

mp_uint_t ussl_socket_stream_write(mp_obj_t self_in, const void* buf, mp_uint_t size,
                                   int* errcode) {
    ussl_socket_obj_t* self = socket_of(self_in);
    const Progress progress = write_once(self, buf, size);
    raise_unless_progress(self, progress.kind);
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
            // Elsewhere, GET_FILENO too: a poll must ask us, who know what is held inside.
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
        PyHost host(self);
        connection->flush(host);
        close_after_call(self);
        // There may be no more room now.
        if ((wanted & MP_STREAM_POLL_WR) != 0 && !host.ready(Direction::write))
            ready &= ~MP_STREAM_POLL_WR;
        // Ctrl-C: select.poll itself cannot be left here.
        raise_exception_later(self);
        if (is_closed(self))
            return MP_STREAM_POLL_NVAL;
    }
    if (connection->closed() || connection->failed() || is_late(self))
        return MP_STREAM_POLL_NVAL;
    const PollPlan plan = plan_poll(connection, wanted);
    // What is there already needs no look at the stream, unless more was asked for.
    return found_or_rest(self,
                         plan.ask() == 0 && plan.found != 0 ? plan.found : plan.found_with(ready));
}

mp_obj_t ussl_socket_ioctl(size_t n_args, const mp_obj_t* args) {
    if (mp_obj_get_int(args[1]) == MP_STREAM_GET_FILENO)
        mp_raise_OSError(MP_EINVAL);  // what a poll gets is no descriptor for anything else
    return mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_stream_ioctl_obj), n_args, 0, args);
}
#endif

}  // extern "C"
