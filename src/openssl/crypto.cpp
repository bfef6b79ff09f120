#include "ussl/crypto.hpp"

#include <climits>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

class OpenSslHasher final : public Hasher {
  public:
    bool start(const EVP_MD* md) {
        digest_.reset(EVP_MD_CTX_new());
        return digest_ && EVP_DigestInit_ex(digest_.get(), md, nullptr) == 1;
    }
    bool update(Bytes data) override {
        return EVP_DigestUpdate(digest_.get(), data.data(), data.size()) == 1;
    }
    bool finish(std::uint8_t* into) override {
        return EVP_DigestFinal_ex(digest_.get(), into, nullptr) == 1;
    }

  private:
    DigestContext digest_;
};

class OpenSslAes final : public BlockCipher {
  public:
    bool start(const EVP_CIPHER* cipher, Bytes key, Bytes iv, bool encrypt) {
        cipher_.reset(EVP_CIPHER_CTX_new());
        return cipher_ &&
               EVP_CipherInit_ex(cipher_.get(), cipher, nullptr, key.data(), iv.data(),
                                 encrypt ? 1 : 0) == 1 &&
               EVP_CIPHER_CTX_set_padding(cipher_.get(), 0) == 1;
    }
    bool process(Bytes in, std::uint8_t* out) override {
        constexpr std::size_t most = INT_MAX / 2 / aes_block * aes_block;
        while (!in.empty()) {
            const Bytes now = in.first(in.size() < most ? in.size() : most);
            int size = 0;
            if (EVP_CipherUpdate(cipher_.get(), out, &size, now.data(),
                                 static_cast<int>(now.size())) != 1)
                return false;
            out += now.size();
            in = in.subspan(now.size());
        }
        return true;
    }

  private:
    Handle<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> cipher_;
};

const EVP_CIPHER* cipher_of(BlockMode mode, bool is_128) {
    switch (mode) {
        case BlockMode::ecb:
            return is_128 ? EVP_aes_128_ecb() : EVP_aes_256_ecb();
        case BlockMode::cbc:
            return is_128 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
        case BlockMode::ctr:
            return is_128 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
    }
    return nullptr;
}

Owned<Hasher> make_hasher(Hash hash) {
    Owned<OpenSslHasher> hasher{new OpenSslHasher};
    if (hasher && !hasher->start(hash == Hash::md5 ? EVP_md5() : EVP_sha1()))
        hasher.reset();
    ERR_clear_error();
    return hasher;
}

Owned<BlockCipher> make_aes(Bytes key, BlockMode mode, Bytes iv, bool encrypt) {
    Owned<OpenSslAes> aes{new OpenSslAes};
    constexpr std::size_t key_128 = 16;
    if (aes && !aes->start(cipher_of(mode, key.size() == key_128), key, iv, encrypt))
        aes.reset();
    ERR_clear_error();
    return aes;
}

}  // namespace

const EngineCrypto crypto{.make_hasher = make_hasher, .make_aes = make_aes};

}  // namespace ussl::openssl
