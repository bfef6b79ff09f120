#pragma once

// Memory that runs out when a test says so: ussl's own, and that of the TLS engine.

#include <cstddef>

namespace faults {

enum class Shortage { once, from_then_on };

/// Lets the `nth` allocation from now fail (1: the next), and those after it as `shortage` says.
void arm(std::size_t nth, Shortage shortage);
/// Back to plenty; how many allocations there were.
std::size_t disarm();

}  // namespace faults
