#pragma once

#include "ussl/memory.hpp"
#include "ussl/transport.hpp"

// The functions of MicroPython's modules hashlib and cryptolib that otherwise need MicroPython's
// own TLS library. ussl provides them with its engine. Also SHA-256 for bindings.

namespace ussl {

struct Engine;

/// Hashes that are not secure for signatures. Old protocols still need them (WebSocket: SHA-1).
enum class Hash : std::uint8_t { md5, sha1 };

/// Returns the size of a hash in bytes.
constexpr std::size_t size_of(Hash hash) {
    return hash == Hash::md5 ? 16 : 20;
}

/// An incremental hash computation.
class Hasher : public OnHeap {
  public:
    virtual ~Hasher() = default;
    /// Adds data. Returns false on failure (out of memory).
    virtual bool update(Bytes data) = 0;
    /// Writes the hash of all data, size_of() bytes, and ends the computation. Returns false on
    /// failure.
    virtual bool finish(std::uint8_t* into) = 0;
};

/// The modes of PEP 272, with its numbers.
enum class BlockMode : std::uint8_t { ecb = 1, cbc = 2, ctr = 6 };

inline constexpr std::size_t aes_block = 16;

/// AES encryption or decryption in one direction.
class BlockCipher : public OnHeap {
  public:
    virtual ~BlockCipher() = default;
    /// Encrypts or decrypts `in`, and continues the stream of earlier calls. `out` has the size of
    /// `in`, and may be `in`. Except in mode ctr, the size must be a multiple of aes_block.
    virtual bool process(Bytes in, std::uint8_t* out) = 0;
};

/// Computes SHA-256 over the concatenated parts. Returns false on failure.
bool sha256(const Engine& engine, std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);

/// Returns nullptr if memory runs out, or if the engine does not have the hash.
Owned<Hasher> make_hasher(const Engine& engine, Hash hash);
/// Returns nullptr on failure. `key` is 16 or 32 bytes, `iv` is aes_block bytes (ignored in mode
/// ecb).
Owned<BlockCipher> make_aes(const Engine& engine, Bytes key, BlockMode mode, Bytes iv,
                            bool encrypt);

}  // namespace ussl
