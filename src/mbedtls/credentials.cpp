#include <cstdlib>
#include <cstring>

#include "../policy.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

constexpr Refusal invalid_certificate{"invalid cert"};
constexpr Refusal invalid_key{"invalid key"};
constexpr Refusal wrong_password{"invalid key: key_password is missing or wrong"};
constexpr Refusal mismatch{"keyfile and certfile do not match"};
constexpr Refusal unsupported_key{"unsupported key: this engine cannot sign TLS with it"};

/// Bytes with a NUL behind them, as Mbed TLS wants PEM; wiped when released.
class Text {
  public:
    explicit Text(Bytes from) : size_(from.size() + 1) {
        text_ = static_cast<unsigned char*>(mbedtls_calloc(1, size_));
        if (text_ != nullptr && !from.empty())
            std::memcpy(text_, from.data(), from.size());
    }
    ~Text() {
        if (text_ != nullptr)
            wipe(text_, size_);
        mbedtls_free(text_);
    }
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;

    [[nodiscard]] const unsigned char* data() const { return text_; }
    [[nodiscard]] const char* c_str() const { return reinterpret_cast<const char*>(text_); }
    /// With the NUL.
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    unsigned char* text_;
    std::size_t size_;
};

// One DER value and nothing behind it (X.690 §8.1): Mbed TLS would not look at what follows.
bool is_one_value(Bytes der) {
    unsigned char* at = const_cast<unsigned char*>(der.data());
    const unsigned char* end = at + der.size();
    std::size_t size = 0;
    return !der.empty() &&
           mbedtls_asn1_get_tag(&at, end, &size,
                                MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) == 0 &&
           at + size == end;
}

// RFC 5958 §3: an encrypted key begins with how it is encrypted, any other with a version.
bool is_encrypted(Bytes der) {
    unsigned char* at = const_cast<unsigned char*>(der.data());
    const unsigned char* end = at + der.size();
    constexpr int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    std::size_t size = 0;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    return mbedtls_asn1_get_tag(&at, end, &size, sequence) == 0;
}

// What this side's own certificate says to others is for them to judge; what a root says, for
// verification (verify.cpp).
int take_any_extension(void*, const mbedtls_x509_crt*, const mbedtls_x509_buf*, int,
                       const unsigned char*, const unsigned char*) {
    return 0;
}

bool add_certificate(mbedtls_x509_crt& chain, Bytes der) {
    return is_one_value(der) &&
           mbedtls_x509_crt_parse_der_with_ext_cb(&chain, der.data(), der.size(), 1,
                                                  take_any_extension, nullptr) == 0;
}

// The DER inside of PEM, handed to `take`.
template <class Take>
bool with_der_of_pem([[maybe_unused]] Bytes block, [[maybe_unused]] const char* begin,
                     [[maybe_unused]] const char* end, [[maybe_unused]] Take take) {
#ifdef MBEDTLS_PEM_PARSE_C
    const Text text(block);
    Holder<mbedtls_pem_context, mbedtls_pem_init, mbedtls_pem_free> pem;
    std::size_t used = 0;
    if (text.data() == nullptr ||
        mbedtls_pem_read_buffer(&pem, begin, end, text.data(), nullptr, 0, &used) != 0)
        return false;
    std::size_t size = 0;
    const unsigned char* der = mbedtls_pem_get_buffer(&pem, &size);
    return take(Bytes{der, size});
#else
    return false;
#endif
}

bool with_der_of(const policy::Values::Value& value, auto take) {
    using Kind = policy::Values::Kind;
    switch (value.kind) {
        case Kind::certificate_pem:
            return with_der_of_pem(value.bytes, "-----BEGIN CERTIFICATE-----",
                                   "-----END CERTIFICATE-----", take);
        case Kind::crl_pem:
            return with_der_of_pem(value.bytes, "-----BEGIN X509 CRL-----",
                                   "-----END X509 CRL-----", take);
        case Kind::der:
            return take(value.bytes);
    }
    return false;
}

// Each certificate in order; false: there is none, or one of them cannot be read.
bool add_certificates(mbedtls_x509_crt& chain, Bytes data) {
    policy::Values values(data);
    bool any = false;
    while (const auto value = values.next()) {
        if (!with_der_of(*value, [&](Bytes der) { return add_certificate(chain, der); }))
            return false;
        any = true;
    }
    return any;
}

#ifdef MBEDTLS_X509_CRL_PARSE_C

// Whether a list of extensions (RFC 5280 §4.2) has one that makes a CRL mean something else: a
// critical one, the mark of a list of changes (§5.2.4), or of one about some certificates (§5.2.5).
// So has one that cannot be read. `at` may be null: there is no list.
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

// Extensions that nobody looks at, and a signature that proves nothing.
const char* why_not(const mbedtls_x509_crl& crl) {
    if (is_special(crl.crl_ext.p, crl.crl_ext.p + crl.crl_ext.len))
        return policy::crl_is_special;
    // Of an entry's extensions, Mbed TLS does not count the tag.
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

// Mbed TLS frees all of a list when it cannot read one more: each is read by itself first.
std::optional<Refusal> add_crl(mbedtls_x509_crl& list, Bytes der) {
    mbedtls_x509_crl* last = &list;
    while (last->next != nullptr)
        last = last->next;
    mbedtls_x509_crl* fresh = last;
    if (last->version != 0) {
        fresh = static_cast<mbedtls_x509_crl*>(mbedtls_calloc(1, sizeof *fresh));
        if (fresh == nullptr)
            return invalid_certificate;  // which out of memory takes the place of
        mbedtls_x509_crl_init(fresh);
    }
    const int ret = mbedtls_x509_crl_parse_der(fresh, der.data(), der.size());
    const bool good = ret == 0;
    const char* fault = nullptr;
    if (good)
        fault = why_not(*fresh);
    else if (ret == MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG)
        fault = policy::crl_is_special;  // §5.2: Mbed TLS reads none that is critical
    if (fresh != last) {
        if (good) {
            last->next = fresh;
        } else {
            mbedtls_x509_crl_free(fresh);
            mbedtls_free(fresh);
        }
    }
    if (fault != nullptr)
        return Refusal{fault};
    return good ? std::nullopt : std::optional(invalid_certificate);
}

#endif

// A port's own Mbed TLS may be without PEM.
std::optional<Refusal> refuse_pem([[maybe_unused]] const std::optional<Bytes>& data) {
#ifndef MBEDTLS_PEM_PARSE_C
    if (data && policy::is_pem(*data))
        return Refusal{"this build's TLS library reads keys and certificates in DER only"};
#endif
    return std::nullopt;
}

std::optional<Refusal> parse_key(mbedtls_pk_context& key, Bytes data, Bytes password) {
    const bool pem = policy::is_pem(data);
    if (!pem && !is_one_value(data))
        return invalid_key;
    const Text text(data);
    if (text.data() == nullptr)
        return invalid_key;
    const bool encrypted =
        pem ? std::strstr(text.c_str(), "ENCRYPTED") != nullptr : is_encrypted(data);
    if (!pem && password.empty() && encrypted)
        return wrong_password;
    const int ret = mbedtls_pk_parse_key(&key, text.data(), pem ? text.size() : data.size(),
                                         password.empty() ? nullptr : password.data(),
                                         password.size(), random_bytes, nullptr);
    switch (ret) {
        case 0:
            break;
        case MBEDTLS_ERR_PK_PASSWORD_REQUIRED:
        case MBEDTLS_ERR_PK_PASSWORD_MISMATCH:
            return wrong_password;
        case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
        case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
            return unsupported_key;
        default:
            // One wrong password of 256 comes to padding that is right, and to nonsense.
            if (encrypted && module_of(ret) == MBEDTLS_ERR_PK_KEY_INVALID_FORMAT)
                return wrong_password;
            return module_of(ret) == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG ? unsupported_key : invalid_key;
    }
    return can_sign(key) ? std::nullopt : std::optional(unsupported_key);
}

#ifndef USSL_HAS_SYSTEM_STORE
bool add_system_store(mbedtls_x509_crt&) {
    return false;
}
#else
// Where systems keep their roots in one file, and what OpenSSL's programs are told by.
bool add_system_store(mbedtls_x509_crt& trusted) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
    if (const char* file = std::getenv("SSL_CERT_FILE"))
        return mbedtls_x509_crt_parse_file(&trusted, file) >= 0;
    bool found = false;
    for (const char* file :
         {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
          "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"})
        found = found || mbedtls_x509_crt_parse_file(&trusted, file) >= 0;
    return found;
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
    policy::Values values(data);
    auto value = values.next();
    while (value && value->kind == policy::Values::Kind::crl_pem)
        value = values.next();
    return value &&
           with_der_of(*value, [&](Bytes der) { return add_certificate(certificate, der); });
}

// Without a key of its own, what is asked about it is what the certificate's public key says.
mbedtls_pk_context& Context::signer() {
    return has_key() ? key_ : chain_.pk;
}

std::optional<Refusal> Context::load_identity(const Options& options) {
    if (!options.certificate)
        return std::nullopt;
    if (const auto refusal = refuse_pem(options.key))
        return refusal;
    if (const auto refusal = refuse_pem(options.certificate))
        return refusal;
    if (options.key)
        if (const auto refusal =
                parse_key(key_, *options.key, options.key_password.value_or(Bytes{})))
            return refusal;
    if (!add_certificates(chain_, *options.certificate))
        return invalid_certificate;
    std::size_t size = policy::before_chain;
    for (const mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        size += policy::around_certificate + at->raw.len;
    if (size > policy::longest_chain)
        return Refusal{policy::chain_is_long};
    constexpr std::size_t header = 4;
    if (header + size > MBEDTLS_SSL_OUT_CONTENT_LEN)
        return Refusal{"certificate chain too long for this build (MBEDTLS_SSL_OUT_CONTENT_LEN)"};
    // What a certificate says it is for, too, is for the peer to judge.
    for (mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        at->ext_types &= ~(MBEDTLS_X509_EXT_KEY_USAGE | MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE);
    if (options.sign_by_program) {
        if (const auto refusal = set_up_signing())
            return refusal;
    } else if (mbedtls_pk_check_pair(&chain_.pk, &key_, random_bytes, nullptr) != 0) {
        return mismatch;
    }
    if (mbedtls_ssl_conf_own_cert(&config_, &chain_, &signer()) != 0)
        return invalid_certificate;
    return std::nullopt;
}

// A key that only says where the real one is fits the certificate as far as its public half does.
std::optional<Refusal> Context::set_up_signing() {
#if USSL_HAS_SIGNING_BY_PROGRAM
    if (!can_sign(chain_.pk))
        return Refusal{"unsupported certificate: a sign callback is for RSA and ECDSA"};
    if (!has_key())
        return std::nullopt;
    // As SubjectPublicKeyInfo, written from the end of the buffer.
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
        return Refusal{"out of memory", true};
#endif
    return std::nullopt;
}

std::optional<Refusal> Context::add_trusted(Bytes data) {
    policy::Values values(data);
    bool any = false;
    while (const auto value = values.next()) {
        using Kind = policy::Values::Kind;
        std::optional<Refusal> refusal = invalid_certificate;
        (void)with_der_of(*value, [&](Bytes der) {
            if (value->kind != Kind::crl_pem && add_certificate(trusted_, der))
                refusal.reset();
#ifdef MBEDTLS_X509_CRL_PARSE_C
            else if (value->kind != Kind::certificate_pem)
                refusal = add_crl(crls_, der);
#endif
            return true;
        });
        if (refusal)
            return refusal;
        any = true;
    }
    return any ? std::nullopt : std::optional(invalid_certificate);
}

std::optional<Refusal> Context::load_trusted(const Options& options) {
    if (const auto refusal = refuse_pem(options.trusted))
        return refusal;
    if (options.trusted)
        if (const auto refusal = add_trusted(*options.trusted))
            return refusal;
    // As with OpenSSL, a system without a store trusts nobody.
    if (options.system_store || (!options.trusted && verify_ != Verify::none && !psk_))
        (void)add_system_store(trusted_);
    restrict_issuers(trusted_);
    if (trusted_.version != 0)
        mbedtls_ssl_conf_ca_chain(&config_, &trusted_, nullptr);
    return std::nullopt;
}

Stored Context::stored() const {
    Stored stored;
    for (const mbedtls_x509_crt* at = &trusted_; at != nullptr && at->version != 0; at = at->next) {
        ++stored.certificates;
        stored.authorities += at->ca_istrue != 0 ? 1 : 0;
    }
#ifdef MBEDTLS_X509_CRL_PARSE_C
    for (const mbedtls_x509_crl* at = &crls_; at != nullptr && at->version != 0; at = at->next)
        ++stored.crls;
#endif
    return stored;
}

}  // namespace ussl::mbedtls
