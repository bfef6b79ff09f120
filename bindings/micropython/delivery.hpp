#pragma once

// Delivery of the data of closed sockets. If a TCP socket is closed with unread input, the kernel
// resets the connection, and the peer may lose data that was sent before. A closed socket therefore
// stays in a list until its peer has closed its direction as well, or until SSLContext.linger is
// over.

#include "binding.hpp"
#include "ussl/memory.hpp"

namespace delivery {

/// The state of a closed socket.
struct Remainder {
    ussl::SecretBytes data;  ///< unsent ciphertext
    bool discarded = false;  ///< accepted data was lost: the stream must be reset
    bool failed = false;     ///< the connection failed: the peer's end is not awaited
    uint32_t linger_ms = 0;
};

/// The most unsent bytes of all closed sockets together. A socket that exceeds it is reset.
#ifdef USSL_BOARD
constexpr size_t max_bytes = 32 * 1024;
#else
constexpr size_t max_bytes = 16 * 1024 * 1024;
#endif
/// The most closed sockets that have sent everything, and wait for the peer to close its direction.
/// If there are more, the oldest is closed, because a port has few sockets or descriptors.
#ifdef USSL_BOARD
constexpr unsigned max_waiting = 3;
#else
constexpr unsigned max_waiting = 256;
#endif
/// The most input of one peer that a step reads and discards. It limits the work that a peer can
/// cause in each turn of an event loop.
constexpr size_t max_discarded_per_step = 64 * 1024;

}  // namespace delivery
