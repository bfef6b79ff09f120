#pragma once

// Maps received alerts to errors.

#include "ussl/error.hpp"

namespace ussl::policy {

/// Returns the error for a received alert. `psk`: the handshake uses pre-shared keys.
Code code_of_alert(std::uint8_t alert, bool handshaking, bool psk);

}  // namespace ussl::policy
