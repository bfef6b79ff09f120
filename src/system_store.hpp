#pragma once

// The system's roots as OpenSSL's environment variables name them, read the same way for every
// engine.

#include "pem.hpp"

namespace ussl {

enum class NamedStore : std::uint8_t { none, read, no_memory };

/// The certificates of the file that SSL_CERT_FILE names, and of those files in the folders of
/// SSL_CERT_DIR that OpenSSL would find there (`openssl rehash` makes their names). `none`: neither
/// variable is set, and the system's own store is to be used.
NamedStore read_named_store(pem::Taker& taker, std::size_t& unsupported);
/// Those of one file. `none`: it cannot be read, or is empty.
NamedStore read_store_file(const char* path, pem::Taker& taker, std::size_t& unsupported);

}  // namespace ussl
