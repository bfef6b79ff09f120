#include "ussl/crypto.hpp"

#include "engine.hpp"
#include "engine_crypto.hpp"

namespace ussl {

bool sha256(const Engine& engine, std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) {
    return engine.sha256(parts, out);
}

Owned<Hasher> make_hasher(const Engine& engine, Hash hash) {
    return engine.crypto != nullptr ? engine.crypto->make_hasher(hash) : nullptr;
}

Owned<BlockCipher> make_aes(const Engine& engine, Bytes key, BlockMode mode, Bytes iv,
                            bool encrypt) {
    return engine.crypto != nullptr ? engine.crypto->make_aes(key, mode, iv, encrypt) : nullptr;
}

}  // namespace ussl
