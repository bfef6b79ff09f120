#include <openssl/ec.h>

#include <cstring>
#include <ctime>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

constexpr ConfigError failed{"the certificate could not be made"};
constexpr int serial_bytes = 16;
constexpr std::size_t longest_common_name = 64;  // RFC 5280, appendix A.1

bool add_text(X509* certificate, int extension, const char* text) {
    const Handle<X509_EXTENSION, X509_EXTENSION_free> made{
        X509V3_EXT_conf_nid(nullptr, nullptr, extension, text)};
    return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool add_names(X509* certificate, std::span<const std::string_view> names) {
    const AlternativeNames all{GENERAL_NAMES_new()};
    for (const std::string_view text : names) {
        HostName name;
        if (!all || !name.parse(text))
            return false;
        const Bytes address = name.address();
        const bool is_address = name.is_address();
        const Bytes value = is_address
                                ? address
                                : Bytes{reinterpret_cast<const std::uint8_t*>(name.dns().data()),
                                        name.dns().size()};
        GENERAL_NAME* entry = GENERAL_NAME_new();
        ASN1_STRING* string =
            is_address ? ASN1_OCTET_STRING_new() : static_cast<ASN1_STRING*>(ASN1_IA5STRING_new());
        if (entry == nullptr || string == nullptr ||
            ASN1_STRING_set(string, value.data(), static_cast<int>(value.size())) != 1 ||
            sk_GENERAL_NAME_push(all.get(), entry) == 0) {
            ASN1_STRING_free(string);
            GENERAL_NAME_free(entry);
            return false;
        }
        GENERAL_NAME_set0_value(entry, is_address ? GEN_IPADD : GEN_DNS, string);
    }
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, 0) == 1;
}

bool set_serial(X509* certificate) {
    const Handle<BIGNUM, BN_free> number{BN_new()};
    // The serial number is positive and never 0 (RFC 5280 §4.1.2.2).
    return number &&
           BN_rand(number.get(), 8 * serial_bytes - 1, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_dates(X509* certificate, std::int64_t since, std::int64_t until) {
    // Writes UTCTime until 2049, and GeneralizedTime later (§4.1.2.5). Uses days and seconds,
    // because a 32-bit time_t ends in 2038.
    const auto set = [](ASN1_TIME* time, std::int64_t seconds) {
        constexpr std::int64_t day = 86400;
        return ASN1_TIME_adj(time, 0, static_cast<int>(seconds / day),
                             static_cast<long>(seconds % day)) != nullptr;
    };
    return set(X509_getm_notBefore(certificate), since) &&
           set(X509_getm_notAfter(certificate), until);
}

bool set_subject(X509* certificate, std::string_view first) {
    const Name subject{X509_NAME_new()};
    const auto size = static_cast<int>(std::min(first.size(), longest_common_name));
    return subject &&
           X509_NAME_add_entry_by_NID(subject.get(), NID_commonName, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(first.data()), size,
                                      -1, 0) == 1 &&
           X509_set_subject_name(certificate, subject.get()) == 1 &&
           X509_set_issuer_name(certificate, subject.get()) == 1;
}

// Encodes in a single call, in which OpenSSL allocates the buffer. In separate calls for size and
// content, the encodings could differ: if memory runs out, OpenSSL may choose a longer one.
template <class T, class Encode>
bool encode(T* object, Encode encoder, SecretBytes& into) {
    unsigned char* der = nullptr;
    const int size = encoder(object, &der);
    if (size <= 0)
        return false;
    into = SecretBytes(static_cast<std::size_t>(size));
    if (!into.empty())
        std::memcpy(into.data(), der, into.size());
    OPENSSL_clear_free(der, static_cast<std::size_t>(size));
    return !into.empty();
}

}  // namespace

std::optional<ConfigError> make_self_signed(const SelfSignedFor& what, SelfSigned& made) {
    const Key key{EVP_EC_gen("P-256")};
    const Certificate certificate{X509_new()};
    const bool good =
        key && certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
        set_serial(certificate.get()) && set_dates(certificate.get(), what.since, what.until) &&
        set_subject(certificate.get(), what.names[0]) &&
        X509_set_pubkey(certificate.get(), key.get()) == 1 &&
        add_text(certificate.get(), NID_basic_constraints, "critical,CA:FALSE") &&
        add_text(certificate.get(), NID_key_usage, "critical,digitalSignature") &&
        add_text(certificate.get(), NID_ext_key_usage, "serverAuth") &&
        add_names(certificate.get(), what.names) &&
        X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0 &&
        encode(key.get(), i2d_PrivateKey, made.key) &&
        encode(certificate.get(), i2d_X509, made.certificate);
    const bool lacked_memory = take_lack_of_memory();
    if (good && !lacked_memory)
        return std::nullopt;
    made = {};
    return lacked_memory ? ConfigError{"out of memory", true} : failed;
}

}  // namespace ussl::openssl
