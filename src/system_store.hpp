#pragma once

// The system's trust anchors from the files that OpenSSL's environment variables name, for all
// engines.

#include "pem.hpp"

namespace ussl {

enum class NamedStore : std::uint8_t { none, read, no_memory };

/// Reads the certificates of the file in SSL_CERT_FILE, and of the folders in SSL_CERT_DIR. In
/// folders, it reads only files with names that OpenSSL would look up (`openssl rehash` makes
/// them). Returns `none` if neither variable is set: the system's own store applies.
NamedStore read_named_store(pem::Taker& taker, std::size_t& unsupported);
/// Reads the certificates of one file. Returns `none` if it is unreadable or empty.
NamedStore read_store_file(const char* path, pem::Taker& taker, std::size_t& unsupported);

}  // namespace ussl
