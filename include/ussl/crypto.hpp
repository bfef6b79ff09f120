#pragma once

#include "ussl/memory.hpp"
#include "ussl/transport.hpp"

// What MicroPython's modules hashlib and cryptolib have only with MicroPython's own TLS, from the
// library that is linked anyway; and what else a binding needs of it.

namespace ussl {

struct Engine;

/// Both are broken as signatures; what still asks for them are old protocols (WebSocket: SHA-1).
enum class Hash : std::uint8_t { md5, sha1 };

/// The size of a hash in bytes.
constexpr std::size_t size_of(Hash hash) {
    return hash == Hash::md5 ? 16 : 20;
}

/// A hash that is being computed.
class Hasher : public OnHeap {
  public:
    virtual ~Hasher() = default;
    /// false: it failed (no memory).
    virtual bool update(Bytes data) = 0;
    /// The hash of all that came, size_of() bytes. Nothing can be added afterwards.
    virtual bool finish(std::uint8_t* into) = 0;
};

/// The numbers are those of PEP 272.
enum class BlockMode : std::uint8_t { ecb = 1, cbc = 2, ctr = 6 };

inline constexpr std::size_t aes_block = 16;

/// AES in one direction.
class BlockCipher : public OnHeap {
  public:
    virtual ~BlockCipher() = default;
    /// `out` may be `in`. Whole blocks, except in ctr; goes on where the last call ended.
    virtual bool process(Bytes in, std::uint8_t* out) = 0;
};

/// SHA-256 over the parts, one behind the other; false: it could not be computed.
bool sha256(const Engine& engine, std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);

/// nullptr: there is no memory, or the library does not have it.
Owned<Hasher> make_hasher(const Engine& engine, Hash hash);
/// `key` is 16 or 32 bytes, `iv` aes_block (of no matter with ecb).
Owned<BlockCipher> make_aes(const Engine& engine, Bytes key, BlockMode mode, Bytes iv,
                            bool encrypt);

}  // namespace ussl
