#include <openssl/pem.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "../policy.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

constexpr Refusal invalid_certificate{"invalid cert"};
constexpr Refusal invalid_key{"invalid key"};

Bio memory_bio(Bytes data) {
    // A null pointer or a negative length would mean other things to OpenSSL.
    if (data.empty() || data.size() > INT_MAX)
        return nullptr;
    return Bio{BIO_new_mem_buf(data.data(), static_cast<int>(data.size()))};
}

struct Password {
    const std::optional<Bytes>& password;
    bool asked = false;
};

int give_password(char* into, int size, int /*writing*/, void* data) {
    auto& password = *static_cast<Password*>(data);
    password.asked = true;
    if (!password.password || password.password->size() > static_cast<std::size_t>(size))
        return -1;
    std::memcpy(into, password.password->data(), password.password->size());
    return static_cast<int>(password.password->size());
}

// For an encrypted certificate, which nobody has: without a callback OpenSSL would ask on the
// terminal.
int refuse_password(char*, int, int, void*) {
    return -1;
}

// Nothing may follow what was read.
bool at_end(BIO* bio) {
    return BIO_pending(bio) == 0;
}

bool is_sound(X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    return key != nullptr && EVP_PKEY_get_bits(key) > 0 &&
           X509_check_purpose(certificate, -1, 0) == 1;
}

// Hands each certificate to `take` in order, which keeps it or returns false. False: there is
// none, or one of them cannot be read or taken.
template <class Take>
bool for_each_certificate(Bytes data, Take take) {
    const Bio bio = memory_bio(data);
    if (!bio)
        return false;
    const auto take_if_good = [&](Certificate certificate) {
        if (is_spoiled(certificate.get())) {
            ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
            return false;
        }
        return take(std::move(certificate));
    };
    if (!policy::is_pem(data)) {
        Certificate certificate{d2i_X509_bio(bio.get(), nullptr)};
        return certificate && at_end(bio.get()) && take_if_good(std::move(certificate));
    }
    for (bool any = false;; any = true) {
        Certificate certificate{PEM_read_bio_X509(bio.get(), nullptr, refuse_password, nullptr)};
        if (!certificate) {
            const unsigned long error = ERR_peek_last_error();
            const bool no_more =
                ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
            if (no_more)
                ERR_clear_error();
            return any && no_more;
        }
        if (!take_if_good(std::move(certificate)))
            return false;
    }
}

Key parse_key(Bytes data, Password& password) {
    Bio bio = memory_bio(data);
    if (!bio)
        return nullptr;
    if (policy::is_pem(data))
        return Key{PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, &password)};
    Key key{d2i_PrivateKey_bio(bio.get(), nullptr)};
    if (!key) {
        bio = memory_bio(data);
        if (bio)
            key.reset(d2i_PKCS8PrivateKey_bio(bio.get(), nullptr, give_password, &password));
    }
    if (key && !at_end(bio.get()))
        return nullptr;
    return key;
}

// Whether TLS has a signature for a key: some that OpenSSL can read have none, or not with the
// groups that are offered.
bool can_sign(const EVP_PKEY* key) {
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
        case EVP_PKEY_RSA_PSS:
        case EVP_PKEY_ED25519:
        case EVP_PKEY_ED448:
            return true;
        case EVP_PKEY_EC: {
            char name[32] = {};
            if (EVP_PKEY_get_group_name(key, name, sizeof name, nullptr) != 1)
                return false;
            const int curve = OBJ_txt2nid(name);
            return curve == NID_X9_62_prime256v1 || curve == NID_secp384r1 ||
                   curve == NID_secp521r1;
        }
        default:
            return false;
    }
}

}  // namespace

bool is_spoiled(X509* certificate) {
    if (is_sound(certificate))
        return false;
    const Certificate copy{X509_dup(certificate)};
    return !copy || is_sound(copy.get());
}

std::optional<Refusal> Context::load_identity(const Options& options) {
    if (!options.key)
        return std::nullopt;
    Password password{options.key_password};
    const Key key = parse_key(*options.key, password);
    if (!key)
        return password.asked ? Refusal{"invalid key: key_password is missing or wrong"}
                              : invalid_key;
    if (!can_sign(key.get()))
        return Refusal{"unsupported key: this engine cannot sign TLS with it"};

    SSL_CTX* ctx = ctx_.get();
    bool first = true;
    bool matches = false;
    const bool loaded =
        for_each_certificate(options.certificate.value_or(Bytes{}), [&](Certificate certificate) {
            if (!first)
                return SSL_CTX_add1_chain_cert(ctx, certificate.get()) == 1;
            first = false;
            matches = X509_check_private_key(certificate.get(), key.get()) == 1;
            return !matches || SSL_CTX_use_certificate(ctx, certificate.get()) == 1;
        });
    if (!loaded)
        return invalid_certificate;
    if (!matches)
        return Refusal{"keyfile and certfile do not match"};
    if (SSL_CTX_use_PrivateKey(ctx, key.get()) != 1)
        return invalid_key;
    return std::nullopt;
}

std::optional<Refusal> Context::load_trusted(const Options& options) {
    SSL_CTX* ctx = ctx_.get();
    const bool by_default = !options.trusted && verify_ != Verify::none && !psk_;
    if ((by_default || options.system_store) && SSL_CTX_set_default_verify_paths(ctx) != 1)
        return Refusal{"the system's certificate store cannot be read"};
    if (!options.trusted)
        return std::nullopt;
    X509_STORE* store = SSL_CTX_get_cert_store(ctx);
    const bool loaded = for_each_certificate(*options.trusted, [&](Certificate certificate) {
        return X509_STORE_add_cert(store, certificate.get()) == 1 &&
               (role_ == Role::client || SSL_CTX_add_client_CA(ctx, certificate.get()) == 1);
    });
    if (!loaded)
        return invalid_certificate;
    return std::nullopt;
}

}  // namespace ussl::openssl
