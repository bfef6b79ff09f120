// Delivery over streams without a file descriptor, such as a board's sockets and streams written in
// Python. Also selects between this and delivery_posix.cpp. See delivery.hpp.

#include "delivery.hpp"

#include <string.h>

#include "arguments.hpp"
#include "delivery_posix.hpp"
#include "stream.hpp"
#include "ussl/connection.hpp"

// A closed socket that has unsent data, or whose peer has not closed its direction yet.
typedef struct _ussl_delivery_t {
    struct _ussl_delivery_t* next;
    mp_obj_t stream;
    uint8_t* data;  // in the interpreter's heap
    size_t size;
    size_t sent;
    mp_uint_t started_ms;
    uint32_t linger_ms;
    bool is_python;
    bool is_socket;    // its input is discarded until the peer closes its direction
    bool never_waits;  // the stream has returned "would block"
    bool is_over;
    int close_error;  // errno of closing the stream, or 0
    bool is_in_use;   // by a thread, or by a call further down the stack
} ussl_delivery_t;

MP_REGISTER_ROOT_POINTER(struct _ussl_delivery_t* ussl_deliveries);
// Open sockets with unsent data.
MP_REGISTER_ROOT_POINTER(struct ussl_socket_obj_t* ussl_unsent_sockets);

namespace {

using delivery::max_bytes;
using delivery::max_discarded_per_step;
using delivery::Remainder;

// Other streams (a UART) are closed as soon as all data is sent. So is an SSLSocket under an
// SSLSocket, which has a delivery of its own.
bool is_socket(mp_obj_t stream) {
    if (mp_obj_is_exact_type(stream, &ussl_socket_type))
        return false;
    mp_obj_t method[2];
    mp_load_method_maybe(stream, MP_QSTR_recv, method);
    return method[0] != MP_OBJ_NULL;
}

// Returns true also for a stream that cannot be polled.
bool ready(const ussl_delivery_t* of, mp_uint_t flag, mp_obj_t* exception) {
    int error;
    const mp_uint_t result = ussl_stream_poll(of->stream, flag, &error, exception);
    return result == MP_STREAM_ERROR || result == ussl_raised || result != 0;
}

bool would_block(int error) {
    return ussl_would_block(error) || error == MP_ETIMEDOUT;
}

void send_data(ussl_delivery_t* of, bool in_close, mp_obj_t* exception) {
    while (of->sent != of->size && !of->is_over) {
        mp_obj_t cannot_poll = MP_OBJ_NULL;
        // close() may wait inside a stream written in Python, which waits by itself if it blocks.
        if (!(in_close && of->is_python) && !ready(of, MP_STREAM_POLL_WR, &cannot_poll))
            return;
        int error;
        const size_t left = of->size - of->sent;
        const size_t n = left < ussl::ready_piece ? left : ussl::ready_piece;
        const mp_uint_t count =
            ussl_stream_write(of->stream, of->data + of->sent, n, &error, exception);
        if (count == ussl_raised)
            return;
        if (count == 0 || (count == MP_STREAM_ERROR && would_block(error))) {
            of->never_waits = true;
            return;
        }
        if (count == MP_STREAM_ERROR || count > n)
            of->is_over = true;
        else
            of->sent += count;
    }
}

void discard_input(ussl_delivery_t* of, mp_obj_t* exception) {
    uint8_t input[128];
    for (size_t total = 0; total < max_discarded_per_step && !of->is_over;) {
        if (!ready(of, MP_STREAM_POLL_RD, exception) || *exception != MP_OBJ_NULL)
            return;
        int error;
        const mp_uint_t count =
            ussl_stream_read(of->stream, input, sizeof input, &error, exception);
        if (count == ussl_raised || (count == MP_STREAM_ERROR && would_block(error)))
            return;
        if (count == 0 || count > sizeof input) {
            // A peer that has closed its own direction may still read.
            of->is_over = count != 0 || of->sent == of->size;
            return;
        }
        total += count;
    }
}

void step(ussl_delivery_t* of, bool in_close, mp_obj_t* exception) {
    send_data(of, in_close, exception);
    if (of->is_socket && *exception == MP_OBJ_NULL)
        discard_input(of, exception);
    else if (of->sent == of->size)
        of->is_over = true;
    if (mp_hal_ticks_ms() - of->started_ms >= of->linger_ms)
        of->is_over = true;
}

// Returns the errno, or 0.
int close_stream(mp_obj_t stream, mp_obj_t* exception) {
    int error = 0;
    if (ussl_stream_ioctl(stream, MP_STREAM_CLOSE, 0, &error, exception) != MP_STREAM_ERROR)
        return 0;
    return error > 0 ? error : MP_EIO;
}

size_t bytes_held() {
    size_t all = 0;
    for (const ussl_delivery_t* one = MP_STATE_VM(ussl_deliveries); one != NULL; one = one->next)
        all += one->size - one->sent;
    return all;
}

#if MICROPY_PY_THREAD && !MICROPY_PY_THREAD_GIL
#define LOCK() const mp_uint_t lock_state = MICROPY_BEGIN_ATOMIC_SECTION()
#define UNLOCK() MICROPY_END_ATOMIC_SECTION(lock_state)
#else
#define LOCK()
#define UNLOCK()
#endif

void add(ussl_delivery_t* made) {
    LOCK();
    made->next = MP_STATE_VM(ussl_deliveries);
    MP_STATE_VM(ussl_deliveries) = made;
    UNLOCK();
}

void drop(const ussl_delivery_t* of) {
    LOCK();
    ussl_delivery_t** at = &MP_STATE_VM(ussl_deliveries);
    while (*at != NULL && *at != of)
        at = &(*at)->next;
    if (*at != NULL)
        *at = of->next;
    UNLOCK();
}

bool take(ussl_delivery_t* of) {
    LOCK();
    const bool free = !of->is_in_use;
    of->is_in_use = true;
    UNLOCK();
    return free;
}

// Makes one step; if the delivery is over, closes the stream.
void step_one(ussl_delivery_t* one, bool in_close, mp_obj_t* exception) {
    if (!take(one))
        return;
    step(one, in_close, exception);
    if (one->is_over) {
        drop(one);
        mp_obj_t ignored = MP_OBJ_NULL;
        one->close_error =
            close_stream(one->stream, *exception == MP_OBJ_NULL ? exception : &ignored);
    }
    one->is_in_use = false;
}

// The most open sockets with unsent data that are kept alive, the newest ones. Others can be
// collected with their unsent data.
#ifdef USSL_BOARD
constexpr size_t max_listed = 8;
#else
constexpr size_t max_listed = 1024;
#endif

bool has_unsent(const ussl_socket_obj_t* socket) {
    const auto* connection = socket->connection;
    return connection != nullptr && socket->stream != MP_OBJ_NULL && connection->unsent();
}

void step_unsent(bool calls_python) {
    ussl_socket_obj_t* next = NULL;
    for (ussl_socket_obj_t* one = MP_STATE_VM(ussl_unsent_sockets); one != NULL; one = next) {
        next = one->next_unsent;
        if (has_unsent(one) && (calls_python || !ussl_stream_is_python(one->stream)))
            ussl_socket_flush_ready(one);
    }
    size_t n = 0;
    LOCK();
    ussl_socket_obj_t** at = &MP_STATE_VM(ussl_unsent_sockets);
    while (*at != NULL) {
        ussl_socket_obj_t* one = *at;
        one->is_listed = has_unsent(one) && ++n <= max_listed;
        if (one->is_listed)
            at = &one->next_unsent;
        else
            *at = one->next_unsent;
    }
    UNLOCK();
}

// Closes the oldest socket that only waits for the peer, if there are more than max_waiting.
void limit_waiting() {
    unsigned waiting = 0;
    ussl_delivery_t* oldest = NULL;
    for (ussl_delivery_t* one = MP_STATE_VM(ussl_deliveries); one != NULL; one = one->next) {
        if (one->sent != one->size || one->is_over)
            continue;
        ++waiting;
        oldest = one;
    }
    if (waiting > delivery::max_waiting)
        oldest->is_over = true;  // the next step closes it
}

void step_objects(bool calls_python) {
    if (MP_STATE_VM(ussl_unsent_sockets) != NULL)
        step_unsent(calls_python);
    for (ussl_delivery_t* one = MP_STATE_VM(ussl_deliveries); one != NULL; one = one->next) {
        if (one->is_python && !calls_python)
            continue;
        mp_obj_t exception = MP_OBJ_NULL;
        step_one(one, false, &exception);
        if (exception == MP_OBJ_NULL)
            continue;
        // No call remains that could raise the exceptions of this stream.
        if (ussl_is_error(exception))
            one->is_over = true;
        else
            mp_sched_exception(exception);
    }
}

#ifdef USSL_BOARD
// The scheduler runs the deliveries for as long as there are any. They do not use a static node of
// the scheduler: if a node schedules itself, MicroPython 1.25 runs it in an endless loop.
bool is_scheduled;

void schedule() {
    is_scheduled =
        is_scheduled || mp_sched_schedule(MP_OBJ_FROM_PTR(&ussl_step_scheduled_obj), mp_const_none);
}
#endif

ussl_delivery_t* keep_object(ussl_socket_obj_t* self, const Remainder& left) {
    auto* made = m_new_maybe(ussl_delivery_t, 1);
    uint8_t* copy = made != NULL ? m_new_maybe(uint8_t, left.data.size() + 1) : NULL;
    if (copy == NULL || bytes_held() + left.data.size() > max_bytes)
        return NULL;
    if (!left.data.empty())
        memcpy(copy, left.data.data(), left.data.size());
    *made = {};
    made->stream = self->stream;
    made->data = copy;
    made->size = left.data.size();
    made->started_ms = mp_hal_ticks_ms();
    made->linger_ms = left.linger_ms;
    made->is_python = ussl_stream_is_python(self->stream);
    made->is_socket = !made->is_python && is_socket(self->stream);
    made->is_socket = made->is_socket && !left.failed;
    made->never_waits = self->never_blocks || self->would_block;
    add(made);
    return made;
}

// Over a blocking stream, waits until the stream has accepted all data, within its timeout.
void wait_for_object(ussl_delivery_t* of, uint32_t timeout_ms) {
    mp_obj_t exception = MP_OBJ_NULL;
    step_one(of, true, &exception);
    limit_waiting();
    while (exception == MP_OBJ_NULL && !of->is_over && of->sent != of->size && !of->never_waits &&
           (timeout_ms == 0 || mp_hal_ticks_ms() - of->started_ms < timeout_ms)) {
        mp_event_wait_ms(1);
        step_one(of, true, &exception);
    }
    if (exception != MP_OBJ_NULL)
        nlr_raise(exception);
    if (of->close_error != 0)
        mp_raise_OSError(of->close_error);
}

/// Callbacks to hold a closed connection. Calls of other threads on it are short.
class NoStream final : public ussl::Callbacks {
  public:
    ussl::IoResult read(ussl::MutableBytes) noexcept override {
        return ussl::IoResult::would_block();
    }
    ussl::IoResult write(ussl::Bytes) noexcept override { return ussl::IoResult::would_block(); }
    const void* thread() noexcept override { return ussl_thread(); }
    ussl::TurnAnswer wait_for_turn() noexcept override {
        ussl_let_threads_run(turns_++);
        return ussl::TurnAnswer::again;
    }

  private:
    unsigned turns_ = 0;
};

Remainder take_remainder(ussl_socket_obj_t* self) {
    auto* connection = self->connection;
    NoStream callbacks;
    const bool holds = connection->hold(callbacks) == ussl::Connection::Held::yes;
    Remainder left;
    left.data = connection->take_unsent();
    left.discarded = connection->discarded();
    left.failed = !connection->closed_in_order();
    left.linger_ms = self->linger_ms;
    if (holds)
        connection->let_go();
    return left;
}

#ifdef USSL_DELIVERS_DESCRIPTORS
unsigned take_over(ussl_socket_obj_t* self, int fd) {
    return delivery::take_over(fd, take_remainder(self));
}

// Returns how long a write may wait; below 0: no limit.
int blocks_for_ms(mp_obj_t stream) {
    if (ussl_stream_never_blocks(stream))
        return 0;
    const uint32_t limit_ms = ussl_stream_timeout_ms(stream);
    return limit_ms == 0 || limit_ms > INT32_MAX ? -1 : static_cast<int>(limit_ms);
}

void wait_for_descriptor(unsigned ticket, int timeout_ms) {
    const mp_uint_t start = mp_hal_ticks_ms();
    while (ticket != 0 && delivery::waits_in_list(ticket) &&
           (timeout_ms < 0 || mp_hal_ticks_ms() - start < static_cast<mp_uint_t>(timeout_ms))) {
        MP_THREAD_GIL_EXIT();
        delivery::wait(10);
        MP_THREAD_GIL_ENTER();
        micropython::handle_pending();
    }
}
#endif

ussl_delivery_t* keep_object(ussl_socket_obj_t* self) {
    return keep_object(self, take_remainder(self));
}

void close_now(mp_obj_t stream) {
    mp_obj_t exception = MP_OBJ_NULL;
    const int error = close_stream(stream, &exception);
    if (exception != MP_OBJ_NULL)
        nlr_raise(exception);
    if (error != 0)
        mp_raise_OSError(error);
}

}  // namespace

void ussl_deliver(ussl_socket_obj_t* self) {
    const mp_obj_t stream = self->stream;
#ifdef USSL_DELIVERS_DESCRIPTORS
    const int fd = ussl_stream_descriptor(stream);
    if (fd >= 0 && delivery::is_socket(fd)) {
        const int timeout_ms = blocks_for_ms(stream);
        const unsigned ticket = take_over(self, fd);
        self->stream = MP_OBJ_NULL;
        close_now(stream);
        wait_for_descriptor(ticket, timeout_ms);
        return;
    }
#endif
    ussl_delivery_t* kept = keep_object(self);
    self->stream = MP_OBJ_NULL;
    if (kept == NULL) {
        close_now(stream);
        return;
    }
    wait_for_object(kept, self->timeout_ms);
#ifdef USSL_BOARD
    if (!kept->is_over)
        schedule();
#endif
}

#ifdef USSL_BOARD
extern "C" mp_obj_t ussl_step_scheduled(mp_obj_t) {
    static mp_uint_t last_ms;
    is_scheduled = false;
    if (MP_STATE_VM(ussl_deliveries) == NULL && MP_STATE_VM(ussl_unsent_sockets) == NULL)
        return mp_const_none;
    if (mp_hal_ticks_ms() != last_ms) {
        last_ms = mp_hal_ticks_ms();
        step_objects(false);
    }
    schedule();
    return mp_const_none;
}

extern "C" void ussl_forget_deliveries(void) {
    MP_STATE_VM(ussl_deliveries) = NULL;
    MP_STATE_VM(ussl_unsent_sockets) = NULL;
    is_scheduled = false;  // the scheduler is reset, too
}
#endif

void ussl_note_unsent(ussl_socket_obj_t* socket) {
    if (socket->is_listed || !has_unsent(socket))
        return;
    LOCK();
    if (!socket->is_listed) {
        socket->is_listed = true;
        socket->next_unsent = MP_STATE_VM(ussl_unsent_sockets);
        MP_STATE_VM(ussl_unsent_sockets) = socket;
    }
    UNLOCK();
#ifdef USSL_BOARD
    schedule();
#endif
}

void ussl_deliver_some() {
#ifdef USSL_DELIVERS_DESCRIPTORS
    if (delivery::pending() != 0)
        delivery::step();
#endif
    ussl_deliver_objects();
}

void ussl_deliver_objects() {
    if (MP_STATE_VM(ussl_deliveries) != NULL || MP_STATE_VM(ussl_unsent_sockets) != NULL)
        step_objects(true);
}

namespace {

mp_int_t undelivered() {
    ussl_deliver_some();
    mp_int_t n = 0;
    for (const ussl_delivery_t* one = MP_STATE_VM(ussl_deliveries); one != NULL; one = one->next)
        n += one->sent != one->size || one->is_socket ? 1 : 0;
#ifdef USSL_DELIVERS_DESCRIPTORS
    n += delivery::not_delivered();
#endif
    return n;
}

}  // namespace

// Returns the number of closed connections that were not delivered within the timeout.
extern "C" mp_obj_t ussl_flush_closed(size_t n_args, const mp_obj_t* args) {
    const bool is_limited = n_args > 0 && args[0] != mp_const_none;
    const uint32_t timeout_ms = is_limited ? ussl_milliseconds_from_0(args[0], MP_QSTR_timeout) : 0;
    const mp_uint_t start = mp_hal_ticks_ms();
    for (;;) {
        const mp_int_t left = undelivered();
        if (left == 0 || (is_limited && mp_hal_ticks_ms() - start >= timeout_ms))
            return MP_OBJ_NEW_SMALL_INT(left);
        mp_event_wait_ms(1);
    }
}
