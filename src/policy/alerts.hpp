#pragma once

// The errors that alerts of a peer stand for.

#include "ussl/error.hpp"

namespace ussl::policy {

/// The error of a received alert, as a handshake (`psk`: with pre-shared keys) or later.
Code code_of_alert(std::uint8_t alert, bool handshaking, bool psk);

}  // namespace ussl::policy
