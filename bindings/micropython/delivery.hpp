#pragma once

// Streams of closed sockets whose data the peer may not have yet (contract: "Accepted data is
// delivered"). A TCP socket that is closed with unread input is reset by the kernel, and the peer
// may lose data that was sent before: so a closed socket stays in a list until its peer has closed
// its direction as well, or until SSLContext.linger is over.

#include "binding.h"
#include "ussl/memory.hpp"

namespace delivery {

/// What a closed socket leaves behind.
struct Remainder {
    ussl::SecretBytes data;  ///< ciphertext, to be written in order
    bool discarded = false;  ///< accepted data was lost: the stream must be reset
    bool failed = false;     ///< the connection failed: nobody waits for the peer's end
    uint32_t linger_ms = 0;
};

/// Bytes that all closed sockets together may hold. A socket that exceeds it is reset.
#ifdef USSL_BOARD
constexpr size_t max_bytes = 32 * 1024;
#else
constexpr size_t max_bytes = 16 * 1024 * 1024;
#endif
/// Closed sockets that have sent everything, and wait for the peer to close its direction. Beyond
/// that, the oldest is closed: a port has few sockets or descriptors.
#ifdef USSL_BOARD
constexpr unsigned max_waiting = 3;
#else
constexpr unsigned max_waiting = 256;
#endif
/// What one step reads and discards of one peer's input, so that a peer that sends without end
/// costs an event loop a bounded amount of work in each turn.
constexpr size_t max_discarded_per_step = 64 * 1024;

}  // namespace delivery
