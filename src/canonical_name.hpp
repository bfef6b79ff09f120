#pragma once

// OpenSSL's canonical form of the names in certificates. The names of the files in a folder of
// `openssl rehash` are hashes of it.

#include <optional>

#include "ussl/types.hpp"

namespace ussl {

/// Writes the canonical form of a distinguished name (RFC 5280 §4.1.2.4, DER) to `into`, and
/// returns its bytes. Texts are in UTF-8, with ASCII letters in lower case and single spaces. The
/// header of the name itself is omitted. Returns nullopt if the name is malformed or `into` is too
/// small. Twice the size of the name is always sufficient.
std::optional<Bytes> canonical_name(Bytes name, MutableBytes into);

}  // namespace ussl
