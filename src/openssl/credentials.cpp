#include <openssl/core_names.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "../policy.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

constexpr Refusal invalid_certificate{"invalid cert"};
constexpr Refusal invalid_key{"invalid key"};
constexpr Refusal unsupported_key{"unsupported key: this engine cannot sign TLS with it"};

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

// Nothing may follow what was read.
bool at_end(BIO* bio) {
    return BIO_pending(bio) == 0;
}

struct OpenSslFree {
    void operator()(void* memory) const { OPENSSL_free(memory); }
};

bool is_sound(X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    return key != nullptr && EVP_PKEY_get_bits(key) > 0 &&
           X509_check_purpose(certificate, -1, 0) == 1;
}

// The DER inside of PEM, handed to `take`. An encrypted one, which nobody has, is none.
template <class Take>
bool with_der_of_pem(Bytes pem, Take take) {
    const Bio bio = memory_bio(pem);
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (!bio || PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1)
        return false;
    const std::unique_ptr<char, OpenSslFree> name_owner{name}, header_owner{header};
    const std::unique_ptr<unsigned char, OpenSslFree> data_owner{data};
    return *header == '\0' && take(Bytes{data, static_cast<std::size_t>(size)});
}

// One DER value and nothing behind it.
template <class Owner, class Parse>
Owner parse_whole(Bytes der, Parse parse) {
    const unsigned char* at = der.data();
    Owner parsed{parse(nullptr, &at, static_cast<long>(der.size()))};
    if (at != der.data() + der.size())
        parsed.reset();
    return parsed;
}

// Hands each certificate or CRL to `take` in order, which keeps it or returns false. False: there
// is none, or one of them cannot be read or taken.
template <class Take>
bool for_each_value(Bytes data, Take take) {
    using Kind = policy::Values::Kind;
    policy::Values values(data);
    bool any = false;
    while (const auto value = values.next()) {
        const auto take_der = [&](Bytes der) {
            Certificate certificate;
            Crl crl;
            if (value->kind != Kind::crl_pem)
                certificate = parse_whole<Certificate>(der, d2i_X509);
            if (certificate && is_spoiled(certificate.get())) {
                ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
                return false;
            }
            if (!certificate && value->kind != Kind::certificate_pem)
                crl = parse_whole<Crl>(der, d2i_X509_CRL);
            return (certificate || crl) && take(std::move(certificate), std::move(crl));
        };
        const bool taken = value->kind == Kind::der ? take_der(value->bytes)
                                                    : with_der_of_pem(value->bytes, take_der);
        if (!taken)
            return false;
        any = true;
    }
    return any;
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

// RFC 5280 §5.2, §5.3: an extension that nobody here looks at, but must (a CRL of some certificates
// only, of other issuers' too, or of changes, critical or not), and a signature that proves
// nothing.
const char* why_not(X509_CRL* crl) {
    bool critical = X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0 ||
                    X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0;
    for (int i = 0; i < X509_CRL_get_ext_count(crl); ++i)
        critical = critical || X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)) != 0;
    STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(crl);
    for (int i = 0; i < sk_X509_REVOKED_num(revoked); ++i) {
        const X509_REVOKED* entry = sk_X509_REVOKED_value(revoked, i);
        for (int k = 0; k < X509_REVOKED_get_ext_count(entry); ++k)
            critical = critical || X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, k)) != 0;
    }
    if (critical)
        return policy::crl_is_special;
    if (X509_CRL_get0_nextUpdate(crl) == nullptr)
        return policy::crl_has_no_end;
    int digest = NID_undef;
    int key = NID_undef;
    if (OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &digest, &key) != 1)
        return policy::crl_is_weak;
    if (key == NID_ED25519 || key == NID_ED448)
        return nullptr;
    if (digest == NID_undef) {
        const X509_ALGOR* algorithm = nullptr;
        X509_CRL_get0_signature(crl, nullptr, &algorithm);
        digest = hash_of_pss(algorithm);
    }
    const EVP_MD* md = EVP_get_digestbynid(digest);
    return md == nullptr || EVP_MD_get_size(md) * 8 < policy::minimum_hash_bits
               ? policy::crl_is_weak
               : nullptr;
}

}  // namespace

Certificate first_certificate(Bytes data) {
    Certificate first;
    (void)for_each_value(data, [&](Certificate certificate, const Crl&) {
        first = std::move(certificate);
        return first == nullptr;  // a CRL before it
    });
    return first;
}

bool is_spoiled(X509* certificate) {
    if (is_sound(certificate))
        return false;
    const Certificate copy{X509_dup(certificate)};
    return !copy || is_sound(copy.get());
}

std::optional<Refusal> Context::load_identity(const Options& options) {
    if (!options.certificate)
        return std::nullopt;
    if (options.key) {
        Password password{options.key_password};
        own_key_ = parse_key(*options.key, password);
        if (!own_key_)
            return password.asked ? Refusal{"invalid key: key_password is missing or wrong"}
                                  : invalid_key;
        if (!can_sign(own_key_.get()))
            return unsupported_key;
    }

    SSL_CTX* ctx = ctx_.get();
    bool first = true;
    bool matches = true;
    std::size_t size = policy::before_chain;
    const bool loaded =
        for_each_value(*options.certificate, [&](const Certificate& certificate, const Crl&) {
            if (!certificate)
                return false;
            const int der_size = i2d_X509(certificate.get(), nullptr);
            size += policy::around_certificate + static_cast<std::size_t>(std::max(der_size, 0));
            if (!first)
                return SSL_CTX_add1_chain_cert(ctx, certificate.get()) == 1;
            first = false;
            matches = !own_key_ || X509_check_private_key(certificate.get(), own_key_.get()) == 1;
            return !matches || SSL_CTX_use_certificate(ctx, certificate.get()) == 1;
        });
    if (!loaded)
        return invalid_certificate;
    if (!matches)
        return Refusal{"keyfile and certfile do not match"};
    if (size > policy::longest_chain)
        return Refusal{policy::chain_is_long};
    if (options.sign_by_program)
        return set_up_signing();
    return SSL_CTX_use_PrivateKey(ctx, own_key_.get()) == 1 ? std::nullopt
                                                            : std::optional(invalid_key);
}

// The key that signs is made for each session: only that knows whom to ask.
std::optional<Refusal> Context::set_up_signing() {
    const EVP_PKEY* public_key = X509_get0_pubkey(SSL_CTX_get0_certificate(ctx_.get()));
    const int type = public_key != nullptr ? EVP_PKEY_get_base_id(public_key) : EVP_PKEY_NONE;
    if ((type != EVP_PKEY_RSA && type != EVP_PKEY_EC) || !can_sign(public_key))
        return Refusal{"unsupported certificate: a sign callback is for RSA and ECDSA"};
    signers_ = make_signers(provider_);
    if (!signers_)
        return Refusal{"the TLS engine could not be set up"};
    if (!own_key_ || type != EVP_PKEY_EC)
        return std::nullopt;
    BIGNUM* scalar = nullptr;
    if (EVP_PKEY_get_bn_param(own_key_.get(), OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1 ||
        BN_num_bytes(scalar) > static_cast<int>(max_scalar)) {
        BN_clear_free(scalar);
        return invalid_key;
    }
    scalar_.set_size(static_cast<std::size_t>(BN_bn2bin(scalar, scalar_.data())));
    BN_clear_free(scalar);
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
    const char* crl_fault = nullptr;
    const auto take = [&](const Certificate& certificate, const Crl& crl) {
        if (!certificate) {
            crl_fault = why_not(crl.get());
            return crl_fault == nullptr && X509_STORE_add_crl(store, crl.get()) == 1;
        }
        namesakes_ = namesakes_ || X509_OBJECT_retrieve_by_subject(
                                       X509_STORE_get0_objects(store), X509_LU_X509,
                                       X509_get_subject_name(certificate.get())) != nullptr;
        return X509_STORE_add_cert(store, certificate.get()) == 1 &&
               (role_ == Role::client || SSL_CTX_add_client_CA(ctx, certificate.get()) == 1);
    };
    const bool loaded = for_each_value(*options.trusted, take);
    if (crl_fault != nullptr)
        return Refusal{crl_fault};
    if (!loaded)
        return invalid_certificate;
    return std::nullopt;
}

Stored Context::stored() const {
    Stored stored;
    STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx_.get()));
    for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
        const X509_OBJECT* object = sk_X509_OBJECT_value(objects, i);
        if (X509_OBJECT_get_type(object) == X509_LU_CRL) {
            ++stored.crls;
        } else if (X509* certificate = X509_OBJECT_get0_X509(object)) {
            ++stored.certificates;
            stored.authorities += X509_check_ca(certificate) != 0 ? 1 : 0;
        }
    }
    return stored;
}

}  // namespace ussl::openssl
