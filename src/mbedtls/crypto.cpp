#include <mbedtls/aes.h>
#include <mbedtls/md.h>

#include <algorithm>

#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

class MbedHasher final : public Hasher {
  public:
    bool start(const mbedtls_md_info_t* md) {
        return md != nullptr && mbedtls_md_setup(&digest_, md, 0) == 0 &&
               mbedtls_md_starts(&digest_) == 0;
    }
    bool update(Bytes data) override {
        return mbedtls_md_update(&digest_, data.data(), data.size()) == 0;
    }
    bool finish(std::uint8_t* into) override { return mbedtls_md_finish(&digest_, into) == 0; }

  private:
    Holder<mbedtls_md_context_t, mbedtls_md_init, mbedtls_md_free> digest_;
};

class MbedAes final : public BlockCipher {
  public:
    MbedAes(BlockMode mode, Bytes iv, bool encrypt) : mode_(mode), encrypt_(encrypt) {
        std::copy_n(iv.begin(), std::min(iv.size(), aes_block), iv_);
    }
    ~MbedAes() override {
        wipe(iv_, sizeof iv_);
        wipe(stream_, sizeof stream_);
    }
    bool start(Bytes key) {
        const auto bits = static_cast<unsigned>(key.size() * 8);
        // CTR mode only uses encryption.
        return encrypt_ || mode_ == BlockMode::ctr
                   ? mbedtls_aes_setkey_enc(&aes_, key.data(), bits) == 0
                   : mbedtls_aes_setkey_dec(&aes_, key.data(), bits) == 0;
    }
    bool process(Bytes in, std::uint8_t* out) override {
        const int direction = encrypt_ ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT;
        switch (mode_) {
            case BlockMode::ecb:
                for (; !in.empty(); in = in.subspan(aes_block), out += aes_block)
                    if (mbedtls_aes_crypt_ecb(&aes_, direction, in.data(), out) != 0)
                        return false;
                return true;
            case BlockMode::cbc:
#ifdef MBEDTLS_CIPHER_MODE_CBC
                return mbedtls_aes_crypt_cbc(&aes_, direction, in.size(), iv_, in.data(), out) == 0;
#else
                return false;
#endif
            case BlockMode::ctr:
#ifdef MBEDTLS_CIPHER_MODE_CTR
                return mbedtls_aes_crypt_ctr(&aes_, in.size(), &used_, iv_, stream_, in.data(),
                                             out) == 0;
#else
                return false;
#endif
        }
        return false;
    }

  private:
    Holder<mbedtls_aes_context, mbedtls_aes_init, mbedtls_aes_free> aes_;
    BlockMode mode_;
    bool encrypt_;
    std::size_t used_ = 0;  ///< used bytes of stream_
    unsigned char iv_[aes_block] = {};
    unsigned char stream_[aes_block] = {};
};

Owned<Hasher> make_hasher(Hash hash) {
    Owned<MbedHasher> hasher{new MbedHasher};
    const mbedtls_md_type_t type = hash == Hash::md5 ? MBEDTLS_MD_MD5 : MBEDTLS_MD_SHA1;
    if (hasher && !hasher->start(mbedtls_md_info_from_type(type)))
        hasher.reset();
    return hasher;
}

Owned<BlockCipher> make_aes(Bytes key, BlockMode mode, Bytes iv, bool encrypt) {
    Owned<MbedAes> aes{new MbedAes(mode, iv, encrypt)};
    if (aes && !aes->start(key))
        aes.reset();
    return aes;
}

}  // namespace

const EngineCrypto crypto{.make_hasher = make_hasher, .make_aes = make_aes};

}  // namespace ussl::mbedtls
