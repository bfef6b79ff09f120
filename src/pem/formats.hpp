#pragma once

// Detects other formats of a file, for error messages.

#include "reader.hpp"

// How to convert a file. Omitted on boards, to save flash.
#ifdef USSL_BOARD
#define USSL_LOOKS(what, command) "this looks like " what
#else
#define USSL_LOOKS(what, command) "this looks like " what "; convert it with: " command " "
#endif

namespace ussl::pem {

inline constexpr char malformed_pem[] = "the PEM is malformed";

/// Returns a description of a file without a key (`wants_key`) or without a certificate. nullptr:
/// unknown format.
const char* looks_like(Bytes data, bool wants_key);
const char* looks_like_pem(const Item& item, bool wants_key);
ConfigError with_hint(ConfigError config_error, Bytes data, bool wants_key);

}  // namespace ussl::pem
