#include <cstring>

#include "../canonical_name.hpp"
#include "../pem.hpp"
#include "../policy/certificates.hpp"
#include "../policy/limits.hpp"
#include "../policy/rules.hpp"
#include "../system_store.hpp"
#include "mbedtls.hpp"

#if USSL_HAS_SYSTEM_FOLDER
#include <unistd.h>
#endif

namespace ussl::mbedtls {
namespace {

using pem::invalid_key;
using pem::unsupported_key;
using pem::wrong_password;

constexpr ConfigError invalid_certificate{"invalid cert"};
constexpr ConfigError mismatch{"`key` and `certificate` do not match"};

// Extensions of this side's own certificates are evaluated by the peer, and those of trust anchors
// in verification (verify.cpp).
int take_any_extension(void*, const mbedtls_x509_crt*, const mbedtls_x509_buf*, int,
                       const unsigned char*, const unsigned char*) {
    return 0;
}

int add_certificate(mbedtls_x509_crt& chain, Bytes der) {
    const int ret = mbedtls_x509_crt_parse_der_with_ext_cb(&chain, der.data(), der.size(), 1,
                                                           take_any_extension, nullptr);
    if (ret != 0)
        return ret;
    // OpenSSL also rejects names that are not valid UTF-8 when it parses a certificate.
    const mbedtls_x509_crt* added = &chain;
    while (added->next != nullptr)
        added = added->next;
    return names_are_readable(*added) ? 0 : MBEDTLS_ERR_X509_INVALID_NAME;
}

#if USSL_HAS_CRLS

// Returns true if a list of extensions (RFC 5280 §4.2) changes the meaning of a CRL. That is the
// case for a critical extension, for delta CRLs (§5.2.4) and for CRLs with a restricted scope
// (§5.2.5). Also returns true if the list is malformed. `at` is null if there is no list.
bool is_special(unsigned char* at, const unsigned char* end) {
    constexpr std::size_t of_crls = MBEDTLS_OID_SIZE(MBEDTLS_OID_ID_CE);
    constexpr unsigned char changes = 27;
    constexpr unsigned char distribution_point = 28;
    return !for_each_extension(at, end, [&](const Extension& extension) {
        const Bytes oid = extension.oid;
        const bool by_name = oid.size() == of_crls + 1 &&
                             std::memcmp(oid.data(), MBEDTLS_OID_ID_CE, of_crls) == 0 &&
                             (oid[of_crls] == changes || oid[of_crls] == distribution_point);
        return !extension.critical && !by_name;
    });
}

// Returns the reason to reject a CRL, or nullptr. Rejected are extensions that ussl does not
// evaluate, a missing nextUpdate, and weak signatures.
const char* why_not(const mbedtls_x509_crl& crl) {
    if (is_special(crl.crl_ext.p, crl.crl_ext.p + crl.crl_ext.len))
        return policy::crl_is_special;
    // Mbed TLS does not include the tag in an entry's extensions, so the whole entry is searched.
    for (const mbedtls_x509_crl_entry* entry = &crl.entry; entry != nullptr; entry = entry->next)
        if (is_special(entry->entry_ext.p, entry->raw.p + entry->raw.len))
            return policy::crl_is_special;
    if (crl.next_update.year == 0)
        return policy::crl_has_no_end;
    const mbedtls_md_info_t* md = mbedtls_md_info_from_type(crl.sig_md);
    return md == nullptr || mbedtls_md_get_size(md) * 8 < policy::minimum_hash_bits
               ? policy::crl_is_weak
               : nullptr;
}

// If parsing fails, Mbed TLS frees the whole list, so each CRL is first parsed alone. Returns false
// if that fails, or if `fault` is set.
bool add_crl(mbedtls_x509_crl& list, Bytes der, const char*& fault) {
    fault = nullptr;
    // As in OpenSSL, a duplicate is ignored.
    for (const mbedtls_x509_crl* at = &list; at != nullptr && at->version != 0; at = at->next)
        if (at->raw.len == der.size() && std::memcmp(at->raw.p, der.data(), der.size()) == 0)
            return true;
    mbedtls_x509_crl* last = &list;
    while (last->next != nullptr)
        last = last->next;
    mbedtls_x509_crl* fresh = last;
    if (last->version != 0) {
        fresh = static_cast<mbedtls_x509_crl*>(mbedtls_calloc(1, sizeof *fresh));
        if (fresh == nullptr)
            return false;
        mbedtls_x509_crl_init(fresh);
    }
    const int ret = mbedtls_x509_crl_parse_der(fresh, der.data(), der.size());
    const bool good = ret == 0;
    if (good)
        fault = why_not(*fresh);
    else if (ret == MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG)
        fault = policy::crl_is_special;  // §5.2: Mbed TLS rejects CRLs with critical extensions
    else if (module_of(ret) == MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG)
        fault = policy::crl_is_unsupported;
    if (fresh != last) {
        if (good) {
            last->next = fresh;
        } else {
            mbedtls_x509_crl_free(fresh);
            mbedtls_free(fresh);
        }
    }
    return good && fault == nullptr;
}

#else

bool add_crl(int&, Bytes, const char*&) {
    return false;
}

#endif

/// Adds certificates and CRLs to lists. Without a list for CRLs, they are malformed.
template <class List>
class Taker final : public pem::Taker {
  public:
    Taker(mbedtls_x509_crt& certificates, bool is_store, List* crls = nullptr)
        : certificates_(certificates), crls_(crls), is_store_(is_store) {}

    Taken certificate(Bytes der) override {
        // As in OpenSSL, duplicates of trusted certificates are ignored. In this side's own chain
        // they are kept, because the chain is sent unchanged.
        // If memory ran out, the last entry may have a length, but no content. Its version is 0.
        for (const mbedtls_x509_crt* at = &certificates_;
             is_store_ && at != nullptr && at->version != 0; at = at->next)
            if (at->raw.len == der.size() && std::memcmp(at->raw.p, der.data(), der.size()) == 0)
                return Taken::yes;
        const int ret = add_certificate(certificates_, der);
        switch (ret == 0 ? 0 : module_of(ret)) {
            case 0:
                return Taken::yes;
            case MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG:
            case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
            case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
                return Taken::unsupported;
            default:
                return Taken::malformed;
        }
    }
    Taken crl(Bytes der) override {
        if (crls_ == nullptr)
            return Taken::malformed;
        if (add_crl(*crls_, der, fault_))
            return Taken::yes;
        return fault_ != nullptr ? Taken::refused : Taken::malformed;
    }
    [[nodiscard]] const char* config_error() const override { return fault_; }

  private:
    mbedtls_x509_crt& certificates_;
    List* crls_;
    bool is_store_;
    const char* fault_ = nullptr;
};
#if USSL_HAS_CRLS
using CrlList = mbedtls_x509_crl;
#else
using CrlList = int;
#endif

/// A key in DER, decrypted if necessary, that Mbed TLS has not parsed.
struct Plain {
    SecretBytes decrypted;
    Bytes der;
};

// Decrypts a key in PKCS#8 (RFC 5958 §3). If Mbed TLS did this, an unsupported algorithm would be
// reported as a wrong password.
[[maybe_unused]] std::optional<ConfigError> decrypt_pkcs8(const pem::KeyContent& content,
                                                          Bytes password, Plain& plain) {
    constexpr int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    auto* at = const_cast<unsigned char*>(content.der.data());
    const unsigned char* end = at + content.der.size();
    std::size_t size = 0;
    mbedtls_asn1_buf oid, parameters;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0 ||
        mbedtls_asn1_get_alg(&at, end, &oid, &parameters) != 0 ||
        mbedtls_asn1_get_tag(&at, end, &size, MBEDTLS_ASN1_OCTET_STRING) != 0)
        return invalid_key;
    plain.decrypted = SecretBytes(size);
    if (plain.decrypted.empty())
        return size == 0 ? invalid_key : ConfigError{"out of memory", true};
    [[maybe_unused]] std::size_t length = 0;
    int ret = MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE;
    if (content.is_pkcs12) {
#ifdef MBEDTLS_PKCS12_C
        // Mbed TLS converts ISO 8859-1 to UTF-16, and does not support UTF-8.
        for (const std::uint8_t byte : password)
            if (byte >= 0x80)
                return ConfigError{"unsupported `key_password`: for this key it must be ASCII"};
        mbedtls_md_type_t md = MBEDTLS_MD_NONE;
        mbedtls_cipher_type_t cipher = MBEDTLS_CIPHER_NONE;
        if (mbedtls_oid_get_pkcs12_pbe_alg(&oid, &md, &cipher) == 0)
            ret = mbedtls_pkcs12_pbe_ext(&parameters, MBEDTLS_PKCS12_PBE_DECRYPT, cipher, md,
                                         password.data(), password.size(), at, size,
                                         plain.decrypted.data(), size, &length);
#endif
    } else {
#ifdef MBEDTLS_PKCS5_C
        ret = mbedtls_pkcs5_pbes2_ext(&parameters, MBEDTLS_PKCS5_DECRYPT, password.data(),
                                      password.size(), at, size, plain.decrypted.data(), size,
                                      &length);
#endif
    }
    plain.der = {plain.decrypted.data(), length};
    switch (ret) {
        case 0:
            return std::nullopt;
        case MBEDTLS_ERR_PKCS5_PASSWORD_MISMATCH:
        case MBEDTLS_ERR_PKCS12_PASSWORD_MISMATCH:
            return wrong_password;
        case MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE:
        case MBEDTLS_ERR_PKCS5_FEATURE_UNAVAILABLE:
        case MBEDTLS_ERR_PKCS12_FEATURE_UNAVAILABLE:
            return pem::unsupported_encryption(content);
        default:
            return invalid_key;
    }
}

// Decrypts a key in PEM (RFC 1421 §4.6.1.3). Mbed TLS only decrypts it as part of PEM, so PEM is
// made of it again.
#if defined(MBEDTLS_PEM_PARSE_C) && defined(MBEDTLS_BASE64_C)
std::optional<ConfigError> decrypt_pem(const pem::KeyContent& content, Bytes password,
                                       Plain& plain) {
    constexpr std::string_view begin = "-----BEGIN KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: ";
    constexpr std::string_view end = "\n-----END KEY-----\n";
    const std::size_t base64 = content.der.size() / 3 * 4 + 5;
    const SecretBytes text(begin.size() + content.dek_info.size() + 1 + base64 + end.size() + 1);
    if (text.empty())
        return ConfigError{"out of memory", true};
    std::size_t size = 0;
    const auto add = [&](std::string_view part) {
        std::memcpy(text.data() + size, part.data(), part.size());
        size += part.size();
    };
    add(begin);
    add(content.dek_info);
    add("\n");
    std::size_t written = 0;
    if (mbedtls_base64_encode(text.data() + size, base64, &written, content.der.data(),
                              content.der.size()) != 0)
        return invalid_key;
    size += written;
    add(end);
    text.data()[size] = '\0';
    Holder<mbedtls_pem_context, mbedtls_pem_init, mbedtls_pem_free> pem;
    switch (mbedtls_pem_read_buffer(&pem, "-----BEGIN KEY-----", "-----END KEY-----", text.data(),
                                    password.data(), password.size(), &written)) {
        case 0:
            break;
        case MBEDTLS_ERR_PEM_PASSWORD_MISMATCH:
            return wrong_password;
        case MBEDTLS_ERR_PEM_UNKNOWN_ENC_ALG:
        case MBEDTLS_ERR_PEM_FEATURE_UNAVAILABLE:
            return pem::unsupported_encryption(content);
        default:
            return invalid_key;
    }
    const unsigned char* der = mbedtls_pem_get_buffer(&pem, &written);
    plain.decrypted = SecretBytes(written);
    if (plain.decrypted.empty())
        return ConfigError{"out of memory", true};
    std::memcpy(plain.decrypted.data(), der, written);
    plain.der = {plain.decrypted.data(), written};
    return std::nullopt;
}
#else
std::optional<ConfigError> decrypt_pem(const pem::KeyContent& content, Bytes, Plain&) {
    return pem::unsupported_encryption(content);
}
#endif

std::optional<ConfigError> parse_key(mbedtls_pk_context& key, Bytes data, Bytes password) {
    const auto content = pem::read_key(data);
    if (!content)
        return content.error();
    Plain plain{{}, content->der};
    if (features::encrypted_keys && content->is_encrypted) {
        if (password.empty())
            return wrong_password;
        if (!content->is_common)
            return pem::unsupported_encryption(*content);
        const auto config_error = !features::pem || content->dek_info.empty()
                                      ? decrypt_pkcs8(*content, password, plain)
                                      : decrypt_pem(*content, password, plain);
        if (config_error)
            return config_error;
    }
    const int ret = mbedtls_pk_parse_key(&key, plain.der.data(), plain.der.size(), nullptr, 0,
                                         random_bytes, nullptr);
    if (ret == 0)
        return can_sign(key) ? std::nullopt : std::optional(unsupported_key);
    return pem::unparsed_key(*content, plain.der);
}

#ifdef USSL_HAS_SYSTEM_STORE
// The usual files of systems with all trust anchors.
constexpr const char* system_stores[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                                         "/etc/ssl/ca-bundle.pem"};
#endif

#if USSL_HAS_SYSTEM_FOLDER
// The usual folder for `openssl rehash`.
constexpr const char* system_folder = "/etc/ssl/certs";

const char* first_readable(std::span<const char* const> files) {
    for (const char* file : files)
        if (access(file, R_OK) == 0)
            return file;
    return files.front();
}

// Returns the hash of a name that the folder's file names begin with (X509_NAME_hash_ex): the first
// bytes of a SHA-1, in little-endian order. Returns nullopt if the name is malformed, or longer
// than any name of a store.
std::optional<std::uint32_t> hash_of(Bytes name) {
    std::uint8_t room[4096];
    std::uint8_t sha1[20];
    const std::optional<Bytes> canonical = canonical_name(name, room);
    if (!canonical || mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), canonical->data(),
                                 canonical->size(), sha1) != 0)
        return std::nullopt;
    std::uint32_t hash = 0;
    for (int i = 3; i >= 0; --i)
        hash = hash << 8 | sha1[i];
    return hash;
}
#endif

}  // namespace

bool can_sign(const mbedtls_pk_context& key) {
    if (mbedtls_pk_can_do(&key, MBEDTLS_PK_RSA) != 0)
        return true;
    if (mbedtls_pk_can_do(&key, MBEDTLS_PK_ECKEY) == 0)
        return false;
    switch (mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(key))) {
        case MBEDTLS_ECP_DP_SECP256R1:
        case MBEDTLS_ECP_DP_SECP384R1:
        case MBEDTLS_ECP_DP_SECP521R1:
            return true;
        default:
            return false;
    }
}

bool parse_first_certificate(Bytes data, mbedtls_x509_crt& certificate) {
    const auto content = pem::read_first_certificate(data);
    return content && add_certificate(certificate, content->der) == 0;
}

// Without a private key, Mbed TLS gets the certificate's public key to determine the key type.
mbedtls_pk_context& MbedContext::signer() {
    return has_key() ? key_ : chain_.pk;
}

std::optional<ConfigError> MbedContext::load_identity(const Options& options) {
    if (!options.certificate)
        return std::nullopt;
    if (options.key)
        if (const auto config_error =
                parse_key(key_, *options.key, options.key_password.value_or(Bytes{})))
            return pem::about(ConfigError::About::key, *config_error);
    Taker<CrlList> taker(chain_, false);
    if (const auto config_error = pem::read_chain(*options.certificate, taker))
        return pem::about(ConfigError::About::certificate, *config_error);
    std::size_t size = policy::before_chain;
    for (const mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        size += policy::around_certificate + at->raw.len;
    if (size > policy::longest_chain)
        return ConfigError{policy::chain_is_long};
    constexpr std::size_t header = 4;
    if (header + size > MBEDTLS_SSL_OUT_CONTENT_LEN)
        return ConfigError{
            USSL_ARGUMENT("certificate chain too long for this build (MBEDTLS_SSL_OUT_CONTENT_LEN)",
                          "`certificate`: too long")};
    // The peer evaluates the purpose of this side's certificate.
    for (mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        at->ext_types &= ~(MBEDTLS_X509_EXT_KEY_USAGE | MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE);
    if (features::sign_callback && options.sign_by_program) {
        if (const auto config_error = set_up_signing())
            return config_error;
    } else if (mbedtls_pk_check_pair(&chain_.pk, &key_, random_bytes, nullptr) != 0) {
        return mismatch;
    }
    if (mbedtls_ssl_conf_own_cert(&config_, &chain_, &signer()) != 0)
        return invalid_certificate;
    return std::nullopt;
}

// The private key may be a reference to a key elsewhere. Only its public part must match the
// certificate.
std::optional<ConfigError> MbedContext::set_up_signing() {
#if USSL_HAS_SIGNING_BY_PROGRAM
    if (!can_sign(chain_.pk))
        return ConfigError{"unsupported certificate: a sign callback is for RSA and ECDSA"};
    if (!has_key())
        return std::nullopt;
    // Compares SubjectPublicKeyInfo, which is written at the end of the buffer.
    std::uint8_t written[1200];
    const int size = mbedtls_pk_write_pubkey_der(&key_, written, sizeof written);
    const mbedtls_x509_buf& wanted = chain_.pk_raw;
    if (size < 0 || wanted.len != static_cast<std::size_t>(size) ||
        std::memcmp(written + sizeof written - size, wanted.p, wanted.len) != 0)
        return mismatch;
    if (mbedtls_pk_can_do(&key_, MBEDTLS_PK_RSA) != 0)
        return std::nullopt;
    const mbedtls_mpi& scalar = mbedtls_pk_ec(key_)->d;
    scalar_ = SecretBytes(mbedtls_mpi_size(&scalar));
    if (mbedtls_mpi_write_binary(&scalar, scalar_.data(), scalar_.size()) != 0)
        return ConfigError{"out of memory", true};
#endif
    return std::nullopt;
}

bool MbedContext::add_system_store() {
#ifdef USSL_HAS_SYSTEM_STORE
    Taker<CrlList> taker(trusted_, true);
    NamedStore store = read_named_store(taker, unsupported_);
#if USSL_HAS_SYSTEM_FOLDER
    // Parsing the file takes most of the time of a first connection.
    const char* readable = first_readable(system_stores);
    if (store == NamedStore::none && folder_replaces_file(system_folder, readable)) {
        replaced_file_ = readable;
        return true;
    }
#endif
    // As with OpenSSL, a system without a store has no trust anchors.
    for (const char* file : system_stores)
        if (store == NamedStore::none)
            store = read_store_file(file, taker, unsupported_);
    return store != NamedStore::no_memory;
#else
    return true;
#endif
}

std::optional<ConfigError> MbedContext::load_trusted(const Options& options) {
#if USSL_HAS_CRLS
    Taker<CrlList> taker(trusted_, true, &crls_);
#else
    Taker<CrlList> taker(trusted_, true);
#endif
    if (options.trusted)
        if (const auto config_error = pem::read_trusted(*options.trusted, taker, unsupported_))
            return pem::about(ConfigError::About::trusted, *config_error);
    if (const auto config_error = root_stores_.open(options, sha256))
        return config_error;
    if (policy::uses_system_store(options) && !add_system_store())
        return ConfigError{"out of memory", true};
    restrict_issuers(trusted_);
    if (trusted_.version != 0)
        mbedtls_ssl_conf_ca_chain(&config_, &trusted_, nullptr);
#if USSL_SENDS_AUTHORITIES
    if (options.role == Role::server && !policy::sends_authorities(options)) {
        no_authorities_.reset(static_cast<mbedtls_x509_crt*>(allocate(sizeof(mbedtls_x509_crt))));
        if (!no_authorities_)
            return ConfigError{"out of memory", true};
        mbedtls_x509_crt_init(no_authorities_.get());
        mbedtls_ssl_conf_dn_hints(&config_, no_authorities_.get());
    }
#endif
    return std::nullopt;
}

// As with `trusted`, certificates with an unsupported key are ignored.
void MbedContext::add_named(const mbedtls_x509_buf& name, mbedtls_x509_crt& list) const {
    const Bytes wanted{name.p, name.len};
    for (const mbedtls_x509_crt* at = &trusted_; at != nullptr && at->version != 0; at = at->next)
        if (std::ranges::equal(wanted, Bytes{at->subject_raw.p, at->subject_raw.len}))
            (void)add_certificate(list, {at->raw.p, at->raw.len});
#if USSL_HAS_SYSTEM_FOLDER
    Certificates in_folder;
    add_of_folder(name, in_folder);
    Taker<CrlList> taker(list, true);
    for (const mbedtls_x509_crt* at = &in_folder; at != nullptr && at->version != 0; at = at->next)
        if (std::ranges::equal(wanted, Bytes{at->subject_raw.p, at->subject_raw.len}))
            (void)taker.certificate({at->raw.p, at->raw.len});
#endif
    restrict_issuers(list);
    root_stores_.for_each(wanted, [&](const RootStore::Root& root) {
        const RootStore::Certificate made = RootStore::certificate(root);
        if (made.room.empty())
            return lacks_memory();
        (void)add_certificate(list, made.der());
        return true;
    });
}

#if USSL_HAS_SYSTEM_FOLDER
void MbedContext::add_of_folder(const mbedtls_x509_buf& name, mbedtls_x509_crt& list) const {
    const auto hash = replaced_file_ != nullptr ? hash_of(Bytes{name.p, name.len}) : std::nullopt;
    if (!hash)
        return;
    Taker<CrlList> taker(list, true);
    std::size_t unsupported = 0;
    if (read_hashed(system_folder, *hash, taker, unsupported) == NamedStore::no_memory)
        (void)lacks_memory();
}
#endif

bool MbedContext::store_digest(std::span<std::uint8_t, 32> out) const {
    Holder<mbedtls_md_context_t, mbedtls_md_init, mbedtls_md_free> hash;
    bool good = mbedtls_md_setup(&hash, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) == 0 &&
                mbedtls_md_starts(&hash) == 0;
    for (const mbedtls_x509_crt* at = &trusted_; at != nullptr && at->version != 0; at = at->next)
        good = good && mbedtls_md_update(&hash, at->raw.p, at->raw.len) == 0;
#if USSL_HAS_SYSTEM_FOLDER
    std::uint8_t folder[32];
    if (replaced_file_ != nullptr)
        good = good && digest_folder(system_folder, sha256, folder) &&
               mbedtls_md_update(&hash, folder, sizeof folder) == 0;
#endif
    return good && mbedtls_md_finish(&hash, out.data()) == 0;
}

bool MbedContext::has_crls() const {
#if USSL_HAS_CRLS
    return crls_.version != 0;
#else
    return false;
#endif
}

StoreStats MbedContext::store_stats() const {
    StoreStats stats;
    stats.unsupported = unsupported_;
    stats.certificates = stats.authorities = root_stores_.count();
    const mbedtls_x509_crt* certificates = &trusted_;
#if USSL_HAS_SYSTEM_FOLDER
    // The file is faster to read than the folder, and has the same certificates.
    Certificates all;
    if (replaced_file_ != nullptr) {
        Taker<CrlList> taker(all, true);
        for (; certificates != nullptr && certificates->version != 0;
             certificates = certificates->next)
            (void)taker.certificate({certificates->raw.p, certificates->raw.len});
        (void)read_store_file(replaced_file_, taker, stats.unsupported);
        certificates = &all;
    }
#endif
    for (; certificates != nullptr && certificates->version != 0;
         certificates = certificates->next) {
        ++stats.certificates;
        stats.authorities += certificates->ca_istrue != 0 ? 1 : 0;
    }
#if USSL_HAS_CRLS
    for (const mbedtls_x509_crl* at = &crls_; at != nullptr && at->version != 0; at = at->next)
        ++stats.crls;
#endif
    return stats;
}

}  // namespace ussl::mbedtls
