#pragma once

// What a file is instead of what is wanted of it, for messages.

#include "reader.hpp"

// How to convert a file. Flash of a board is for other things.
#ifdef USSL_BOARD
#define USSL_LOOKS(what, command) "this looks like " what
#else
#define USSL_LOOKS(what, command) "this looks like " what "; convert it with: " command " "
#endif

namespace ussl::pem {

inline constexpr char malformed_pem[] = "the PEM is malformed";

/// What a file without a key (or without a certificate) is instead; nullptr: unknown.
const char* looks_like(Bytes data, bool wants_key);
const char* looks_like_pem(const Item& item, bool wants_key);
ConfigError with_hint(ConfigError config_error, Bytes data, bool wants_key);

}  // namespace ussl::pem
