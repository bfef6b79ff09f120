#pragma once

// Hashes and AES of an engine, for MicroPython's hashlib and cryptolib; unrelated to TLS.

#include "ussl/crypto.hpp"

namespace ussl {

/// As make_hasher() and make_aes() of ussl/crypto.hpp.
struct EngineCrypto {
    Owned<Hasher> (*make_hasher)(Hash hash);
    Owned<BlockCipher> (*make_aes)(Bytes key, BlockMode mode, Bytes iv, bool encrypt);
};

}  // namespace ussl
