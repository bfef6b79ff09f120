#include "ussl/crypto.hpp"

#include "engine.hpp"

namespace ussl {

Owned<Hasher> make_hasher(const Engine& engine, Hash hash) {
    return engine.make_hasher(hash);
}

Owned<BlockCipher> make_aes(const Engine& engine, Bytes key, BlockMode mode, Bytes iv,
                            bool encrypt) {
    return engine.make_aes(key, mode, iv, encrypt);
}

}  // namespace ussl
