#pragma once

// The system's trust anchors from the files that OpenSSL's environment variables name, for all
// engines.

#include "pem.hpp"

namespace ussl {

using Sha256Digest = std::span<std::uint8_t, 32>;

enum class NamedStore : std::uint8_t { none, read, no_memory };

/// Reads the certificates of the file in SSL_CERT_FILE, and of the folders in SSL_CERT_DIR. In
/// folders, it reads only files with names that OpenSSL would look up (`openssl rehash` makes
/// them). Returns `none` if neither variable is set: the system's own store applies.
NamedStore read_named_store(pem::Taker& taker, std::size_t& unsupported);
/// Returns true if a folder has at least as many certificates, under the names of `openssl rehash`,
/// as a file. It is then enough to look up names in the folder.
bool folder_replaces_file(const char* folder, const char* file);
/// Reads the certificates of a folder whose names have that hash.
NamedStore read_hashed(const char* folder, unsigned long hash, pem::Taker& taker,
                       std::size_t& unsupported);
/// Computes a digest of the names, sizes and times of a folder's files, in any order: it changes
/// with their content. Returns false if that fails.
bool digest_folder(const char* folder, bool (*sha256)(std::span<const Bytes>, Sha256Digest),
                   Sha256Digest out);
/// Reads the certificates of one file. Returns `none` if it is unreadable or empty.
NamedStore read_store_file(const char* path, pem::Taker& taker, std::size_t& unsupported);

}  // namespace ussl
