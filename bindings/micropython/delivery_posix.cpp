// Delivery over file descriptors. It does not need the interpreter, so that polls of any thread and
// the end of the program can continue it. See delivery.hpp.

#include "delivery_posix.hpp"

#ifdef USSL_DELIVERS_DESCRIPTORS

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "lock.hpp"
#include "stream.hpp"

namespace delivery {
namespace {

/// The longest wait at the program's normal end. It ends when the kernel has every acknowledgement.
constexpr int exit_ms = 2000;

struct Delivery : ussl::OnHeap {
    Delivery* next = nullptr;
    int fd = -1;
    unsigned ticket = 0;
    nfds_t slot = 0;  // index in the array of watch()
    int64_t deadline_ms = 0;
    ussl::SecretBytes data;
    size_t sent = 0;
    bool is_shut = false;     // all data is sent, and this direction is closed
    bool peer_ended = false;  // the peer has closed its direction
    bool is_broken = false;

    [[nodiscard]] bool is_sent() const { return sent == data.size(); }
};

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
Delivery* list = nullptr;
std::atomic<unsigned> count{0};
size_t bytes_held = 0;
unsigned last_ticket = 0;

int64_t now_ms() {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

void send_data(Delivery& of) {
    while (!of.is_sent()) {
        const ssize_t n = send(of.fd, of.data.data() + of.sent, of.data.size() - of.sent,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            of.is_broken = !ussl_would_block(errno);
            return;
        }
        of.sent += static_cast<size_t>(n);
    }
    if (!of.is_shut)
        shutdown(of.fd, SHUT_WR);
    of.is_shut = true;
}

void discard_input(Delivery& of) {
    char input[4096];
    for (size_t total = 0; !of.peer_ended && total < max_discarded_per_step;) {
        const ssize_t n = recv(of.fd, input, sizeof input, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            of.is_broken = of.is_broken || !ussl_would_block(errno);
            return;
        }
        of.peer_ended = n == 0;
        total += static_cast<size_t>(n);
    }
}

void step(Delivery& of) {
    send_data(of);
    discard_input(of);
}

bool is_over(const Delivery& of, int64_t now) {
    return of.is_broken || (of.is_shut && of.peer_ended) || now >= of.deadline_ms;
}

/// Makes the kernel reset the connection instead of closing it in order.
void reset_when_closed(int fd) {
    const struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void finish(Delivery* of) {
    if (!of->is_sent())
        reset_when_closed(of->fd);
    close(of->fd);
    delete of;
}

/// Returns whether the peer's kernel has acknowledged all data.
bool is_acknowledged(const Delivery& of) {
    int queued = 0;
    return of.is_sent() && ioctl(of.fd, SIOCOUTQ, &queued) == 0 && queued == 0;
}

// Continues the deliveries for which steps() returns true; removes all that are over.
template <class Steps>
void step_those(Steps steps) {
    const int64_t now = now_ms();
    for (Delivery** at = &list; *at != nullptr;) {
        Delivery* one = *at;
        const size_t before = one->sent;
        if (steps(*one))
            step(*one);
        bytes_held -= one->sent - before;
        if (!is_over(*one, now)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        bytes_held -= one->data.size() - one->sent;
        --count;
        finish(one);
    }
}

void step_all() {
    step_those([](const Delivery&) { return true; });
}

unsigned undelivered() {
    const Locked locked(lock);
    step_all();
    unsigned n = 0;
    for (const Delivery* one = list; one != nullptr; one = one->next)
        n += is_acknowledged(*one) ? 0 : 1;
    return n;
}

void flush_at_exit() {
    const int64_t end = now_ms() + exit_ms;
    while (undelivered() != 0 && now_ms() < end)
        wait(exit_ms);
}

/// Closes the oldest socket that only waits for the peer, if there are more than max_waiting.
void limit_waiting() {
    unsigned waiting = 0;
    Delivery** oldest = nullptr;
    for (Delivery** at = &list; *at != nullptr; at = &(*at)->next) {
        if (!(*at)->is_shut)
            continue;
        ++waiting;
        oldest = at;
    }
    if (waiting <= max_waiting)
        return;
    Delivery* one = *oldest;
    *oldest = one->next;
    --count;
    finish(one);
}

/// Adds a delivery to the list. Returns its ticket; 0: it was rejected, and its socket is reset.
unsigned keep(Delivery* made, int fd) {
    const Locked locked(lock);
    static bool flushes_at_exit = false;
    if (!flushes_at_exit)
        flushes_at_exit = atexit(flush_at_exit) == 0;
    const size_t size = made->data.size() - made->sent;
    made->fd = bytes_held + size <= max_bytes ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (made->fd < 0) {
        if (!made->is_sent())
            reset_when_closed(fd);
        delete made;
        return 0;
    }
    bytes_held += size;
    made->ticket = ++last_ticket;
    made->next = list;
    list = made;
    ++count;
    limit_waiting();
    return last_ticket;
}

}  // namespace

bool is_socket(int fd) {
    int type;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

unsigned take_over(int fd, Remainder&& left) {
    ussl::Owned<Delivery> made{left.discarded ? nullptr : new Delivery};
    if (!made) {
        reset_when_closed(fd);
        return 0;
    }
    made->fd = fd;
    made->data = std::move(left.data);
    const int64_t now = now_ms();
    made->deadline_ms = now + left.linger_ms;
    step(*made);
    if (is_over(*made, now) || (left.failed && made->is_sent())) {
        if (!made->is_sent())
            reset_when_closed(fd);
        return 0;
    }
    return keep(made.release(), fd);
}

bool waits_in_list(unsigned ticket) {
    const Locked locked(lock);
    for (const bool again : {false, true}) {
        const Delivery* one = list;
        while (one != nullptr && one->ticket != ticket)
            one = one->next;
        if (one == nullptr || one->is_sent())
            return false;
        if (!again)
            step_all();
    }
    return true;
}

unsigned pending() {
    return count.load(std::memory_order_relaxed);
}

nfds_t watch(struct pollfd* into, nfds_t room) {
    const Locked locked(lock);
    nfds_t n = 0;
    for (Delivery* one = list; one != nullptr && n < room; one = one->next) {
        const int input = one->peer_ended ? 0 : POLLIN;
        one->slot = n;
        into[n++] = {one->fd, static_cast<short>(one->is_sent() ? input : input | POLLOUT), 0};
    }
    return n;
}

void step(const struct pollfd* polled, nfds_t count) {
    const Locked locked(lock);
    step_those([=](const Delivery& one) {
        // watch() of another thread may have changed the index since.
        const bool known = one.slot < count && polled[one.slot].fd == one.fd;
        return !known || polled[one.slot].revents != 0;
    });
}

void step() {
    const Locked locked(lock);
    static int64_t last_ms = 0;
    const int64_t now = now_ms();
    if (now != last_ms)
        step_all();
    last_ms = now;
}

unsigned not_delivered() {
    return pending() == 0 ? 0 : undelivered();
}

void wait(int timeout_ms) {
    struct pollfd fds[16];
    const nfds_t n = watch(fds, sizeof fds / sizeof fds[0]);
    // poll(2) does not return for an acknowledgement.
    ::poll(fds, n, std::min(timeout_ms, 10));
}

}  // namespace delivery

#endif
