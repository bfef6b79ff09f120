#pragma once

// Memory that is counted, and that runs out when a test selects it: ussl's own, and that of the TLS
// engines.

#include <cstddef>

namespace faults {

enum class Shortage { once, from_then_on };

/// Lets the `nth` allocation from now fail (1: the next), and later ones according to `shortage`.
void arm(std::size_t nth, Shortage shortage);
/// How many allocations there were since.
std::size_t asked();
/// Back to plenty; how many allocations there were.
std::size_t disarm();

/// How many pieces of memory have not been released.
std::size_t live();
/// The same in bytes.
std::size_t live_bytes();

}  // namespace faults
