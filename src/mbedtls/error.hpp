#pragma once

// The tables for errors of Mbed TLS. Without headers of Mbed TLS, so that tests can include it.

#include "ussl/error.hpp"

namespace ussl::mbedtls {

/// Returns the error for a negative result of Mbed TLS, without regard to the handshake's state.
Code code_of(int ret);
/// Returns the alert for a failure without an alert of Mbed TLS. `code`: the reason of the failure.
std::uint8_t alert_of(int ret, Code code);

}  // namespace ussl::mbedtls
