#pragma once

// A private key outside of the engines: it signs with OpenSSL.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "contract.hpp"

namespace contract {

struct Key {
    explicit Key(const std::string& pem) {
        BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
        pkey = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
        BIO_free(bio);
    }
    ~Key() { EVP_PKEY_free(pkey); }
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;

    ussl::SignAnswer sign(ussl::SignatureScheme scheme, Bytes digest, MutableBytes into,
                          std::size_t& length) const {
        EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new(pkey, nullptr);
        EXPECT_EQ(EVP_PKEY_sign_init(ctx), 1);
        EXPECT_EQ(EVP_PKEY_CTX_set_signature_md(ctx, digest.size() == 32   ? EVP_sha256()
                                                     : digest.size() == 48 ? EVP_sha384()
                                                                           : EVP_sha512()),
                  1);
        if (scheme == ussl::SignatureScheme::rsa_pss) {
            EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
            EXPECT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST), 1);
        }
        length = into.size();
        EXPECT_EQ(EVP_PKEY_sign(ctx, into.data(), &length, digest.data(), digest.size()), 1);
        EVP_PKEY_CTX_free(ctx);
        return ussl::SignAnswer::made;
    }

    EVP_PKEY* pkey = nullptr;
};

}  // namespace contract
