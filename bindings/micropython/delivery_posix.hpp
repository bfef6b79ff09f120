#pragma once

// The list of closed sockets that have a file descriptor. All functions may be called by any
// thread, and none raises.

#include "delivery.hpp"

#if defined(__linux__) && !defined(USSL_BOARD) && MICROPY_PY_SOCKET
#define USSL_DELIVERS_DESCRIPTORS

#include <poll.h>

namespace delivery {

/// Whether the descriptor is one of a stream socket.
bool is_socket(int fd);
/// Sends what can be sent now, and keeps a duplicate of the descriptor where that is not all, or
/// where the peer has not closed its direction. The caller closes `fd`. Returns a ticket for
/// waits_in_list(); 0: nothing is kept.
unsigned take_over(int fd, Remainder&& left);
/// Whether the delivery of the ticket has unsent data. Goes on with all deliveries if it has.
bool waits_in_list(unsigned ticket);

/// How many are in the list.
unsigned pending();
/// Fills in what a poll has to ask for. Returns the number of entries used.
nfds_t watch(struct pollfd* into, nfds_t room);
/// After that poll: goes on with the deliveries that it found ready, without waiting.
void step(const struct pollfd* polled, nfds_t count);
/// Goes on with all deliveries, without waiting, at most once a millisecond.
void step();
/// Goes on with all deliveries. Returns how many connections have data that the peer's kernel has
/// not acknowledged.
unsigned not_delivered();
/// PollInterest until one can go on, at most 10 ms.
void wait(int timeout_ms);

}  // namespace delivery

#endif
