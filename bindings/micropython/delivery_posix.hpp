#pragma once

// The list of closed sockets with a file descriptor. Any thread may call these functions. They do
// not raise.

#include "delivery.hpp"

#if defined(__linux__) && !defined(USSL_BOARD) && MICROPY_PY_SOCKET
#define USSL_DELIVERS_DESCRIPTORS

#include <poll.h>

namespace delivery {

/// Returns whether the descriptor is a stream socket.
bool is_socket(int fd);
/// Sends data without waiting. If data is left, or if the peer has not closed its direction, keeps
/// a duplicate of the descriptor. The caller closes `fd`. Returns a ticket for waits_in_list(); 0:
/// the delivery is over.
unsigned take_over(int fd, Remainder&& left);
/// Returns whether the delivery of the ticket has unsent data. If so, continues all deliveries.
bool waits_in_list(unsigned ticket);

/// Returns the number of deliveries.
unsigned pending();
/// Fills in the descriptors and events for a poll. Returns the number of entries used.
nfds_t watch(struct pollfd* into, nfds_t room);
/// After that poll: continues the deliveries that it found ready, without waiting.
void step(const struct pollfd* polled, nfds_t count);
/// Continues all deliveries, without waiting, at most once a millisecond.
void step();
/// Continues all deliveries. Returns the number of connections with data that the peer's kernel has
/// not acknowledged.
unsigned not_delivered();
/// Waits until a delivery can continue, at most 10 ms.
void wait(int timeout_ms);

}  // namespace delivery

#endif
