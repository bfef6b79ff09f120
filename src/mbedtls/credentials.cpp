#include <cstdlib>
#include <cstring>

#include "../policy.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

constexpr Refusal invalid_certificate{"invalid cert"};
constexpr Refusal invalid_key{"invalid key"};
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

// Each certificate in order; false: there is none, or one of them cannot be read.
bool add_certificates(mbedtls_x509_crt& chain, Bytes data) {
    if (!policy::is_pem(data))
        return add_certificate(chain, data);
#ifdef MBEDTLS_PEM_PARSE_C
    static constexpr char begin[] = "-----BEGIN CERTIFICATE-----";
    static constexpr char end[] = "-----END CERTIFICATE-----";
    const Text text(data);
    if (text.data() == nullptr)
        return false;
    bool any = false;
    const char* at = std::strstr(text.c_str(), begin);
    for (; at != nullptr; at = std::strstr(at, begin), any = true) {
        Holder<mbedtls_pem_context, mbedtls_pem_init, mbedtls_pem_free> pem;
        std::size_t used = 0;
        if (mbedtls_pem_read_buffer(&pem, begin, end, reinterpret_cast<const unsigned char*>(at),
                                    nullptr, 0, &used) != 0)
            return false;
        std::size_t size = 0;
        const unsigned char* der = mbedtls_pem_get_buffer(&pem, &size);
        if (!add_certificate(chain, {der, size}))
            return false;
        at += used;
    }
    return any;
#else
    return false;
#endif
}

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
    if (!pem && password.empty() && is_encrypted(data))
        return Refusal{"invalid key: key_password is missing or wrong"};
    const int ret = mbedtls_pk_parse_key(&key, text.data(), pem ? text.size() : data.size(),
                                         password.empty() ? nullptr : password.data(),
                                         password.size(), random_bytes, nullptr);
    switch (ret) {
        case 0:
            break;
        case MBEDTLS_ERR_PK_PASSWORD_REQUIRED:
        case MBEDTLS_ERR_PK_PASSWORD_MISMATCH:
            return Refusal{"invalid key: key_password is missing or wrong"};
        case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
        case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
            return unsupported_key;
        default:
            return -(-ret & ~0x7F) == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG ? unsupported_key : invalid_key;
    }
    if (mbedtls_pk_can_do(&key, MBEDTLS_PK_RSA) != 0)
        return std::nullopt;
    switch (mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(key))) {
        case MBEDTLS_ECP_DP_SECP256R1:
        case MBEDTLS_ECP_DP_SECP384R1:
        case MBEDTLS_ECP_DP_SECP521R1:
            return std::nullopt;
        default:
            return unsupported_key;
    }
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

std::optional<Refusal> Context::load_identity(const Options& options) {
    if (!options.key)
        return std::nullopt;
    if (const auto refusal = refuse_pem(options.key))
        return refusal;
    if (const auto refusal = refuse_pem(options.certificate))
        return refusal;
    if (const auto refusal = parse_key(key_, *options.key, options.key_password.value_or(Bytes{})))
        return refusal;
    if (!add_certificates(chain_, options.certificate.value_or(Bytes{})))
        return invalid_certificate;
    // What a certificate says it is for, too, is for the peer to judge.
    for (mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        at->ext_types &= ~(MBEDTLS_X509_EXT_KEY_USAGE | MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE);
    if (mbedtls_pk_check_pair(&chain_.pk, &key_, random_bytes, nullptr) != 0)
        return Refusal{"keyfile and certfile do not match"};
    if (mbedtls_ssl_conf_own_cert(&config_, &chain_, &key_) != 0)
        return invalid_certificate;
    return std::nullopt;
}

std::optional<Refusal> Context::load_trusted(const Options& options) {
    if (const auto refusal = refuse_pem(options.trusted))
        return refusal;
    if (options.trusted) {
        if (!add_certificates(trusted_, *options.trusted))
            return invalid_certificate;
    }
    // As with OpenSSL, a system without a store trusts nobody.
    if (options.system_store || (!options.trusted && verify_ != Verify::none && !psk_))
        (void)add_system_store(trusted_);
    if (trusted_.version != 0)
        mbedtls_ssl_conf_ca_chain(&config_, &trusted_, nullptr);
    return std::nullopt;
}

}  // namespace ussl::mbedtls
