#include <openssl/core_names.h>
#include <openssl/pkcs12.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "../pem.hpp"
#include "../policy/certificates.hpp"
#include "../policy/limits.hpp"
#include "../policy/rules.hpp"
#include "../system_store.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

using pem::invalid_key;
using pem::unsupported_key;
using pem::wrong_password;

int give_password(char* into, int size, int /*writing*/, void* data) {
    const Bytes& password = *static_cast<const Bytes*>(data);
    if (password.size() > static_cast<std::size_t>(size))
        return -1;
    std::memcpy(into, password.data(), password.size());
    return static_cast<int>(password.size());
}

bool is_sound(X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    return key != nullptr && EVP_PKEY_get_bits(key) > 0 &&
           X509_check_purpose(certificate, -1, 0) == 1;
}

// Parses exactly one DER value.
template <class Owner, class Parse>
Owner parse_whole(Bytes der, Parse parse) {
    const unsigned char* at = der.data();
    Owner parsed{parse(nullptr, &at, static_cast<long>(der.size()))};
    if (at != der.data() + der.size())
        parsed.reset();
    return parsed;
}

// Returns nullptr if the certificate cannot be parsed.
Certificate parse_certificate(Bytes der) {
    Certificate certificate = parse_whole<Certificate>(der, d2i_X509);
    if (certificate && is_spoiled(certificate.get())) {
        ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
        certificate.reset();
    }
    return certificate;
}

// Returns the reason to reject a CRL, or nullptr. Rejected are CRLs without nextUpdate, extensions
// that ussl would have to evaluate (RFC 5280 §5.2, §5.3), and signatures that are too weak. The
// extensions are critical ones, and those of delta CRLs and of CRLs with a restricted scope,
// critical or not.
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

/// Passes each certificate and CRL to the given functions.
template <class TakeCertificate, class TakeCrl>
class Taker final : public pem::Taker {
  public:
    Taker(TakeCertificate take_certificate, TakeCrl take_crl)
        : take_certificate_(take_certificate), take_crl_(take_crl) {}

    Taken certificate(Bytes der) override {
        const Certificate certificate = parse_certificate(der);
        if (!certificate || !authority_is_whole(certificate.get()))
            return Taken::malformed;
        if (X509_get0_pubkey(certificate.get()) == nullptr)
            return pem::algorithm_of_certificate(der) == pem::Algorithm::rare ? Taken::unsupported
                                                                              : Taken::malformed;
        return take_certificate_(certificate.get()) ? Taken::yes : Taken::malformed;
    }
    Taken crl(Bytes der) override {
        const Crl crl = parse_whole<Crl>(der, d2i_X509_CRL);
        if (!crl)
            return Taken::malformed;
        refusal_ = why_not(crl.get());
        if (refusal_ != nullptr)
            return Taken::refused;
        return take_crl_(crl.get()) ? Taken::yes : Taken::malformed;
    }
    [[nodiscard]] const char* config_error() const override { return refusal_; }

  private:
    TakeCertificate take_certificate_;
    TakeCrl take_crl_;
    const char* refusal_ = nullptr;
};

// Returns true if OpenSSL lacks an algorithm. Empties the error queue, but keeps an error about
// memory.
bool is_unsupported() {
    bool unsupported = false;
    bool lacks_memory = false;
    while (const unsigned long error = ERR_get_error()) {
        const int reason = ERR_GET_REASON(error);
        lacks_memory = lacks_memory || reason == ERR_R_MALLOC_FAILURE;
        if (reason == ERR_R_UNSUPPORTED || reason == ERR_R_FETCH_FAILED)
            unsupported = true;
        if (ERR_GET_LIB(error) == ERR_LIB_EVP)
            unsupported = unsupported || reason == EVP_R_UNKNOWN_PBE_ALGORITHM ||
                          reason == EVP_R_UNSUPPORTED_CIPHER || reason == EVP_R_UNKNOWN_CIPHER ||
                          reason == EVP_R_UNSUPPORTED_PRF ||
                          reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION;
    }
    if (lacks_memory)
        ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
    return unsupported;
}

/// A key in DER, decrypted if necessary, that OpenSSL has not parsed.
struct Plain {
    SecretBytes decrypted;
    Bytes der;
};

ConfigError not_decrypted(const pem::KeyContent& content) {
    return !content.is_common && is_unsupported() ? pem::unsupported_encryption(content)
                                                  : wrong_password;
}

// Decrypts a key in PEM (RFC 1421 §4.6.1.3).
std::optional<ConfigError> decrypt_pem(const pem::KeyContent& content, Bytes password,
                                       Plain& plain) {
    char header[128];
    std::size_t size = 0;
    for (const std::string_view part : {std::string_view("Proc-Type: 4,ENCRYPTED\nDEK-Info: "),
                                        content.dek_info, std::string_view("\n")}) {
        if (part.size() >= sizeof header - size)
            return invalid_key;
        std::memcpy(header + size, part.data(), part.size());
        size += part.size();
    }
    header[size] = '\0';
    EVP_CIPHER_INFO info;
    if (PEM_get_EVP_CIPHER_INFO(header, &info) != 1)
        return content.is_common ? invalid_key : pem::unsupported_encryption(content);
    plain.decrypted = SecretBytes(content.der.size());
    if (plain.decrypted.empty())
        return ConfigError{"out of memory", true};
    std::memcpy(plain.decrypted.data(), content.der.data(), content.der.size());
    auto length = static_cast<long>(content.der.size());
    if (PEM_do_header(&info, plain.decrypted.data(), &length, give_password, &password) != 1)
        return not_decrypted(content);
    plain.der = {plain.decrypted.data(), static_cast<std::size_t>(length)};
    return std::nullopt;
}

// Decrypts a key in PKCS#8 (RFC 5958 §3).
std::optional<ConfigError> decrypt_pkcs8(const pem::KeyContent& content, Bytes password,
                                         Plain& plain) {
    using Locked = Handle<X509_SIG, X509_SIG_free>;
    using Info = Handle<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>;
    const auto locked = parse_whole<Locked>(content.der, d2i_X509_SIG);
    if (!locked || password.size() > INT_MAX)
        return invalid_key;
    const Info info{PKCS8_decrypt(locked.get(), reinterpret_cast<const char*>(password.data()),
                                  static_cast<int>(password.size()))};
    if (!info)
        return not_decrypted(content);
    const int size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr);
    if (size <= 0)
        return invalid_key;
    plain.decrypted = SecretBytes(static_cast<std::size_t>(size));
    unsigned char* at = plain.decrypted.data();
    if (plain.decrypted.empty())
        return ConfigError{"out of memory", true};
    plain.der = {at, static_cast<std::size_t>(i2d_PKCS8_PRIV_KEY_INFO(info.get(), &at))};
    return std::nullopt;
}

std::optional<ConfigError> parse_key(Bytes data, Bytes password, Key& key) {
    const auto content = pem::read_key(data);
    if (!content)
        return content.error();
    Plain plain{{}, content->der};
    if (features::encrypted_keys && content->is_encrypted) {
        if (password.empty())
            return wrong_password;
        const auto config_error = !features::pem || content->dek_info.empty()
                                      ? decrypt_pkcs8(*content, password, plain)
                                      : decrypt_pem(*content, password, plain);
        if (config_error)
            return config_error;
    }
    key = parse_whole<Key>(plain.der, d2i_AutoPrivateKey);
    if (key)
        return std::nullopt;
    return pem::unparsed_key(*content, plain.der);
}

// Returns true if TLS can sign with the key. OpenSSL can parse keys without a signature algorithm
// in TLS, or without one for the offered groups.
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

Certificate first_certificate(Bytes data) {
    const auto content = pem::read_first_certificate(data);
    return content ? parse_certificate(content->der) : nullptr;
}

bool is_spoiled(X509* certificate) {
    if (is_sound(certificate))
        return false;
    const Certificate copy{X509_dup(certificate)};
    return !copy || is_sound(copy.get());
}

std::optional<ConfigError> OpenSslContext::load_identity(const Options& options) {
    if (!options.certificate)
        return std::nullopt;
    if (options.key) {
        auto config_error =
            parse_key(*options.key, options.key_password.value_or(Bytes{}), own_key_);
        if (!config_error && !can_sign(own_key_.get()))
            config_error = unsupported_key;
        if (config_error)
            return pem::about(ConfigError::About::key, *config_error);
    }

    SSL_CTX* ctx = ctx_.get();
    bool first = true;
    bool matches = true;
    std::size_t size = policy::before_chain;
    Taker taker(
        [&](X509* certificate) {
            const int der_size = i2d_X509(certificate, nullptr);
            size += policy::around_certificate + static_cast<std::size_t>(std::max(der_size, 0));
            if (!first)
                return SSL_CTX_add1_chain_cert(ctx, certificate) == 1;
            first = false;
            matches = !own_key_ || X509_check_private_key(certificate, own_key_.get()) == 1;
            return !matches || SSL_CTX_use_certificate(ctx, certificate) == 1;
        },
        [](X509_CRL*) { return false; });
    if (const auto config_error = pem::read_chain(*options.certificate, taker))
        return pem::about(ConfigError::About::certificate, *config_error);
    if (!matches)
        return ConfigError{"`key` and `certificate` do not match"};
    if (size > policy::longest_chain)
        return ConfigError{policy::chain_is_long};
    if (options.sign_by_program)
        return set_up_signing();
    return SSL_CTX_use_PrivateKey(ctx, own_key_.get()) == 1 ? std::nullopt
                                                            : std::optional(invalid_key);
}

// The signing key is made for each session, because it must know whose callback to call.
std::optional<ConfigError> OpenSslContext::set_up_signing() {
    const EVP_PKEY* public_key = X509_get0_pubkey(SSL_CTX_get0_certificate(ctx_.get()));
    const int type = public_key != nullptr ? EVP_PKEY_get_base_id(public_key) : EVP_PKEY_NONE;
    if ((type != EVP_PKEY_RSA && type != EVP_PKEY_EC) || !can_sign(public_key))
        return ConfigError{"unsupported certificate: a sign callback is for RSA and ECDSA"};
    signers_ = make_signers(provider_);
    if (!signers_)
        return ConfigError{"the TLS engine could not be set up"};
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

std::optional<ConfigError> OpenSslContext::load_trusted(const Options& options) {
    SSL_CTX* ctx = ctx_.get();
    X509_STORE* store = SSL_CTX_get_cert_store(ctx);
    if (const auto config_error = root_stores_.open(options, sha256))
        return config_error;
    const auto take = [&](X509* certificate) {
        // OpenSSL calls the look-up only for names that it does not have yet.
        (void)add_roots(store, X509_get_subject_name(certificate));
        namesakes_ = namesakes_ ||
                     X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store), X509_LU_X509,
                                                     X509_get_subject_name(certificate)) != nullptr;
        return X509_STORE_add_cert(store, certificate) == 1;
    };
    if (policy::uses_system_store(options)) {
        Taker taker(take, [](X509_CRL*) { return true; });
        const NamedStore named = read_named_store(taker, unsupported_);
        if (named == NamedStore::no_memory)
            return ConfigError{"out of memory", true};
        if (named == NamedStore::none && !use_default_store(store))
            return ConfigError{"the system's certificate store cannot be read"};
    }
    if ((!root_stores_.empty() || folder_ != nullptr) && !set_up_look_up(store))
        return ConfigError{"out of memory", true};
    if (!options.trusted)
        return std::nullopt;
    const bool names = policy::sends_authorities(options);
    Taker taker(
        [&](X509* certificate) {
            return take(certificate) && (!names || SSL_CTX_add_client_CA(ctx, certificate) == 1);
        },
        [&](X509_CRL* crl) { return X509_STORE_add_crl(store, crl) == 1; });
    if (const auto config_error = pem::read_trusted(*options.trusted, taker, unsupported_))
        return pem::about(ConfigError::About::trusted, *config_error);
    return std::nullopt;
}

// Parsing the file with all certificates takes most of the time of a first connection. If the
// folder has them as well, names are looked up in it.
bool OpenSslContext::use_default_store(X509_STORE* store) {
    const char* folder = X509_get_default_cert_dir();
    if (!folder_replaces_file(folder, X509_get_default_cert_file()))
        return X509_STORE_set_default_paths(store) == 1;
    folder_ = folder;
    return true;
}

Certificate OpenSslContext::add_roots(X509_STORE* store, const X509_NAME* name) {
    Certificate first;
    const auto add = [&](Certificate certificate) {
        if (X509_STORE_add_cert(store, certificate.get()) != 1)
            return false;
        if (first)
            namesakes_ = true;
        else
            first = std::move(certificate);
        return true;
    };
    root_stores_.for_each(encoded(name), [&](const RootStore::Root& root) {
        const RootStore::Certificate made = RootStore::certificate(root);
        if (made.room.empty()) {
            ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
            return false;
        }
        Certificate certificate = parse_certificate(made.der());
        // As with `trusted`, certificates with an unsupported key are ignored.
        if (!certificate || X509_get0_pubkey(certificate.get()) == nullptr)
            return true;
        return add(std::move(certificate));
    });
    int has_hash = 0;
    const unsigned long hash =
        folder_ != nullptr ? X509_NAME_hash_ex(name, nullptr, nullptr, &has_hash) : 0;
    if (has_hash == 0)
        return first;
    std::size_t unsupported = 0;
    Taker taker(
        [&](X509* certificate) {
            return X509_NAME_cmp(X509_get_subject_name(certificate), name) != 0 ||
                   (X509_up_ref(certificate) == 1 && add(Certificate{certificate}));
        },
        [](X509_CRL*) { return true; });
    ERR_set_mark();
    const NamedStore read = read_hashed(folder_, hash, taker, unsupported);
    if (unsupported != 0)
        ERR_pop_to_mark();
    else
        ERR_clear_last_mark();
    if (read == NamedStore::no_memory)
        ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
    return first;
}

bool OpenSslContext::set_up_look_up(X509_STORE* store) {
    look_up_.reset(X509_LOOKUP_meth_new("ussl's roots"));
    if (!look_up_)
        return false;
    X509_LOOKUP_meth_set_get_by_subject(
        look_up_.get(),
        [](X509_LOOKUP* lookup, X509_LOOKUP_TYPE type, auto* name, X509_OBJECT* found) {
            auto* context = static_cast<OpenSslContext*>(X509_LOOKUP_get_method_data(lookup));
            if (type != X509_LU_X509)
                return 0;
            const Certificate root = context->add_roots(X509_LOOKUP_get_store(lookup), name);
            if (!root || X509_OBJECT_set1_X509(found, root.get()) != 1)
                return 0;
            // OpenSSL's caller adds its own reference (X509_LOOKUP_meth_set_get_by_subject(3)).
            X509_free(root.get());
            return 1;
        });
    X509_LOOKUP* lookup = X509_STORE_add_lookup(store, look_up_.get());
    return lookup != nullptr && X509_LOOKUP_set_method_data(lookup, this) == 1;
}

namespace {

// Calls take(object) for each certificate and CRL.
template <class Take>
void for_each_object(X509_STORE* store, Take take) {
    STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i)
        take(sk_X509_OBJECT_value(objects, i));
}

}  // namespace

bool OpenSslContext::has_crls() const {
    bool found = false;
    for_each_object(SSL_CTX_get_cert_store(ctx_.get()), [&](const X509_OBJECT* object) {
        found = found || X509_OBJECT_get_type(object) == X509_LU_CRL;
    });
    return found;
}

StoreStats OpenSslContext::store_stats() const {
    StoreStats stats;
    stats.unsupported = unsupported_;
    stats.certificates = stats.authorities = root_stores_.count();
    X509_STORE* store = SSL_CTX_get_cert_store(ctx_.get());
    const auto count = [&stats](X509* certificate) {
        ++stats.certificates;
        stats.authorities += X509_check_ca(certificate) != 0 ? 1 : 0;
    };
    for_each_object(store, [&](const X509_OBJECT* object) {
        X509* certificate = X509_OBJECT_get0_X509(object);
        if (X509_OBJECT_get_type(object) == X509_LU_CRL)
            ++stats.crls;
        else if (certificate != nullptr && !root_of(*this, certificate))
            count(certificate);
    });
    // The folder's certificates that were not looked up yet. The file is faster to read.
    const Handle<X509_STORE, X509_STORE_free> file{folder_ != nullptr ? X509_STORE_new() : nullptr};
    if (file && X509_STORE_load_locations(file.get(), X509_get_default_cert_file(), nullptr) == 1)
        for_each_object(file.get(), [&](X509_OBJECT* object) {
            X509* certificate = X509_OBJECT_get0_X509(object);
            if (certificate != nullptr &&
                X509_OBJECT_retrieve_match(X509_STORE_get0_objects(store), object) == nullptr)
                count(certificate);
        });
    ERR_clear_error();  // of certificates with unreadable extensions
    return stats;
}

bool OpenSslContext::store_digest(std::span<std::uint8_t, 32> out) const {
    const DigestContext digest{EVP_MD_CTX_new()};
    bool good = digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1;
    STACK_OF(X509_OBJECT)* objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx_.get()));
    for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
        X509* certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        std::uint8_t hash[32];
        if (certificate != nullptr)
            good = good && X509_digest(certificate, EVP_sha256(), hash, nullptr) == 1 &&
                   EVP_DigestUpdate(digest.get(), hash, sizeof hash) == 1;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): ussl does not change the environment
    const char* folder = getenv(X509_get_default_cert_dir_env());
    std::uint8_t sum[32] = {};
    good = good &&
           digest_folder(folder != nullptr ? folder : X509_get_default_cert_dir(), sha256, sum);
    good = good && EVP_DigestUpdate(digest.get(), sum, sizeof sum) == 1 &&
           EVP_DigestFinal_ex(digest.get(), out.data(), nullptr) == 1;
    ERR_clear_error();
    return good;
}

}  // namespace ussl::openssl
