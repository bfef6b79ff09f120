// Polls of an SSLSocket: the events of its stream that an event of the socket needs.

#include "socket_calls.hpp"

namespace {

using ussl::Connection;
using ussl::Direction;
using namespace socket_calls;

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

// Flushes without waiting for the stream.
void flush_some(ussl_socket_obj_t* self) {
    PyCallbacks callbacks(self);
    connection_of(self)->flush(callbacks);
    close_after_call(self);
    raise_own(callbacks);
}

}  // namespace

mp_uint_t ussl_socket_poll(ussl_socket_obj_t* self, mp_uint_t wanted) {
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
#endif
