// One poll(2) for all sockets that a select.poll has, on a port that polls file descriptors.
//
// Such a port calls poll(2) for streams with a descriptor, and asks others each millisecond: with a
// thousand idle connections, a million system calls a second. A connection's descriptor is not
// enough, because data may be buffered. A socket therefore returns a token in place of it. The
// linker redirects the port's call of poll(2) to this file (--wrap=poll), which replaces tokens by
// the descriptors and events that the connections wait for.

#include "binding.hpp"

#ifdef USSL_POLLS_DESCRIPTORS

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "delivery_posix.hpp"
#include "lock.hpp"
#include "stream.hpp"

extern "C" int __real_poll(struct pollfd* all, nfds_t count, int timeout_ms);
extern "C" int __wrap_poll(struct pollfd* all, nfds_t count, int timeout_ms);

namespace {

// A token is larger than all descriptors: a mark, the number of earlier uses of its place, and the
// index of its place.
constexpr int mark = 1 << 30;
constexpr unsigned place_bits = 20;
constexpr unsigned times_mask = (1U << (30 - place_bits)) - 1;

struct Place {
    ussl_socket_obj_t* socket;  // hidden from the collector, which would otherwise never collect it
    unsigned times;
    unsigned next_free;
};

// Not in the interpreter's heap. A socket that is polled is alive, because the poll object refers
// to it.
Place* places = nullptr;
unsigned capacity = 0;
unsigned used = 0;
constexpr unsigned none = ~0U;
unsigned first_free = none;
unsigned last_free = none;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // the port may have no GIL

bool is_token(int fd) {
    return fd >= mark;
}

unsigned place_of(int token) {
    return static_cast<unsigned>(token) & ((1U << place_bits) - 1);
}

unsigned times_of(int token) {
    return (static_cast<unsigned>(token) & ~static_cast<unsigned>(mark)) >> place_bits;
}

// Returns the place that has been free for the longest time, or a new one.
unsigned take_place() {
    if (first_free != none) {
        const unsigned at = first_free;
        first_free = places[at].next_free;
        if (first_free == none)
            last_free = none;
        return at;
    }
    if (used == capacity) {
        const unsigned more = capacity == 0 ? 16 : 2 * capacity;
        if (more > 1U << place_bits)
            return none;
        auto* moved = static_cast<Place*>(realloc(places, more * sizeof(Place)));
        if (moved == nullptr)
            return none;
        places = moved;
        capacity = more;
    }
    places[used] = {nullptr, 0, none};
    return used++;
}

struct Entry {
    bool is_ours;
    ussl_socket_obj_t* socket;  // nullptr: it was closed
};

void look_up(const struct pollfd* all, nfds_t count, Entry* entries) {
    const Locked locked(lock);
    for (nfds_t i = 0; i < count; ++i) {
        entries[i] = {is_token(all[i].fd), nullptr};
        if (!entries[i].is_ours)
            continue;
        const unsigned at = place_of(all[i].fd);
        if (at < used && places[at].times == times_of(all[i].fd))
            entries[i].socket = places[at].socket;
    }
}

// Fills in the arguments of poll(2). Returns whether an event is known already.
bool begin(const struct pollfd* all, nfds_t count, const Entry* entries, struct pollfd* ask) {
    bool found = false;
    for (nfds_t i = 0; i < count; ++i) {
        ask[i] = {all[i].fd, all[i].events, 0};
        if (!entries[i].is_ours)
            continue;
        ussl_socket_obj_t* socket = entries[i].socket;
        mp_uint_t wants = 0;
        if (socket == nullptr ||
            ussl_socket_poll_begins(socket, static_cast<mp_uint_t>(all[i].events), &wants) != 0)
            found = true;
        // Left out if no event is requested: otherwise a hang-up would end each wait.
        ask[i].fd = -1;
        if (wants != 0) {
            const int fd = ussl_stream_descriptor(socket->stream);
            ask[i].fd = fd >= 0 ? fd : all[i].fd;  // closed: NVAL
        }
        ask[i].events = static_cast<short>(wants);
    }
    return found;
}

int end(struct pollfd* all, nfds_t count, const Entry* entries, const struct pollfd* ask) {
    int ready = 0;
    for (nfds_t i = 0; i < count; ++i) {
        all[i].revents = ask[i].revents;
        if (entries[i].is_ours) {
            ussl_socket_obj_t* socket = entries[i].socket;
            all[i].revents = static_cast<short>(
                socket == nullptr
                    ? MP_STREAM_POLL_NVAL
                    : ussl_socket_poll_ends(socket, static_cast<mp_uint_t>(all[i].events),
                                            static_cast<mp_uint_t>(ask[i].revents)));
        }
        ready += all[i].revents != 0 ? 1 : 0;
    }
    return ready;
}

// In `ask`, `count` entries are followed by `watched` descriptors of closed sockets.
int poll_all(struct pollfd* all, nfds_t count, int timeout_ms, struct pollfd* ask, nfds_t watched,
             Entry* entries) {
    if (timeout_ms < 0 || timeout_ms > ussl_longest_wait_ms)
        timeout_ms = ussl_longest_wait_ms;
    // select.poll has released the GIL, if there is one.
    MP_THREAD_GIL_ENTER();
    ussl_deliver_objects();
    look_up(all, count, entries);
    const bool found = begin(all, count, entries, ask);
    MP_THREAD_GIL_EXIT();
    int ready = __real_poll(ask, count + watched, found ? 0 : timeout_ms);
    if (ready < 0)
        return ready;
    if (watched != 0)
        delivery::step(ask + count, watched);
    MP_THREAD_GIL_ENTER();
    look_up(all, count, entries);  // again, because other threads have run
    ready = end(all, count, entries, ask);
    MP_THREAD_GIL_EXIT();
    return ready;
}

}  // namespace

int ussl_poll_token(ussl_socket_obj_t* socket) {
    if (socket->stream == MP_OBJ_NULL || ussl_stream_descriptor(socket->stream) < 0)
        return -1;
    const Locked locked(lock);
    if (socket->poll_token < 0) {
        const unsigned at = take_place();
        if (at == none)
            return -1;
        places[at].socket = socket;
        socket->poll_token =
            static_cast<int>(static_cast<unsigned>(mark) | places[at].times << place_bits | at);
    }
    return socket->poll_token;
}

void ussl_poll_forget(ussl_socket_obj_t* socket) {
    if (socket->poll_token < 0)
        return;
    const Locked locked(lock);
    const unsigned at = place_of(socket->poll_token);
    places[at] = {nullptr, (places[at].times + 1) & times_mask, none};
    (last_free == none ? first_free : places[last_free].next_free) = at;
    last_free = at;
    socket->poll_token = -1;
}

extern "C" int __wrap_poll(struct pollfd* all, nfds_t count, int timeout_ms) {
    bool has_token = false;
    for (nfds_t i = 0; i < count && !has_token; ++i)
        has_token = is_token(all[i].fd);
    const nfds_t closed = delivery::pending();
    // Calls with timeout 0 and no token are frequent: polls of a single stream.
    if (!has_token && (closed == 0 || timeout_ms == 0))
        return __real_poll(all, count, timeout_ms);
    void* room = malloc(count * sizeof(Entry) + (count + closed) * sizeof(struct pollfd));
    if (room == nullptr) {
        errno = ENOMEM;
        return -1;
    }
    auto* entries = static_cast<Entry*>(room);
    auto* ask = reinterpret_cast<struct pollfd*>(entries + count);
    const nfds_t watched = delivery::watch(ask + count, closed);
    const int ready = poll_all(all, count, timeout_ms, ask, watched, entries);
    const int error = errno;
    free(room);
    errno = error;
    return ready;
}

#endif
