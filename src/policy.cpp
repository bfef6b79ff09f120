#include "policy.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "groups.hpp"
#include "text.hpp"

namespace ussl::policy {
namespace {

bool out_of_bounds(const std::optional<Bytes>& bytes, std::size_t most) {
    return bytes && (bytes->empty() || bytes->size() > most);
}

// RFC 7301 §3.1. A NUL would end a name for Mbed TLS.
bool is_alpn(Bytes alpn) {
    if (alpn.empty() || alpn.size() > 65535)
        return false;
    for (std::size_t at = 0; at < alpn.size(); at += 1 + alpn[at])
        if (alpn[at] == 0 || at + alpn[at] >= alpn.size())
            return false;
    return std::ranges::find(alpn, 0) == alpn.end();
}

// RFC 8446 §4.2.11: the hash of a key that was agreed upon outside of TLS is SHA-256.
bool fits(std::uint16_t suite, bool psk) {
    constexpr std::uint16_t with_sha384 = 0x1302;
    if (std::ranges::find(every_suite, suite) == every_suite.end())
        return false;
    if (is_tls1_3(suite))
        return !psk || suite != with_sha384;
    return psk == (std::ranges::find(suites_tls1_2_psk, suite) != std::end(suites_tls1_2_psk) ||
                   std::ranges::find(opt_in_psk_suites, suite) != std::end(opt_in_psk_suites));
}

// A key exchange with RSA: the server's key decrypts, where in all others it signs.
bool decrypts(std::uint16_t suite) {
    return suite <= 0x009D && fits(suite, false);
}

// A suite's name without what the spellings differ in: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" is
// "ECDHERSAAES128SHA256".
class PlainName {
  public:
    explicit PlainName(std::string_view name) {
        // Names of TLS 1.3 begin with TLS and have no WITH; here, TLS stays.
        if (name.starts_with("TLS") && name.find("WITH") == std::string_view::npos)
            add("TLS");
        if (name.starts_with("TLS1-3-"))
            name.remove_prefix(sizeof "TLS1-3-" - 1);
        while (!name.empty()) {
            const std::string_view word = up_to(name, name.find_first_of("-_"));
            name = from(name, word.size() + 1);
            // OpenSSL has no word for the key exchange with RSA.
            if (word == "WITH" && text() == "RSA")
                size_ = 0;
            else if (word != "TLS" && word != "WITH" && word != "CBC")
                add(word);
        }
        // Nor for the only hash that there is.
        if (text().ends_with("POLY1305SHA256"))
            size_ -= sizeof "SHA256" - 1;
    }

    [[nodiscard]] std::string_view text() const { return {text_, size_}; }

  private:
    void add(std::string_view word) {
        const std::size_t n = std::min(word.size(), sizeof text_ - size_);
        std::memcpy(text_ + size_, word.data(), n);
        size_ += n;
    }

    char text_[64];
    std::size_t size_ = 0;
};

}  // namespace

bool uses_psk(const Options& options) {
    return options.psk_identity || options.psk_server;
}

Offer offer_of(const Options& options) {
    Offer offer;
    const bool psk = uses_psk(options);
    const auto add = [&](std::span<const std::uint16_t> list, bool tls1_3) {
        for (const std::uint16_t suite : list)
            if (is_tls1_3(suite) == tls1_3 && fits(suite, psk) &&
                !(options.sign_by_program && decrypts(suite)) && offer.count < offer.suites.size())
                offer.suites[offer.count++] = suite;
    };
    using List = std::span<const std::uint16_t>;
    const List by_default = psk ? List(suites_tls1_2_psk) : List(suites_tls1_2);
    if (options.maximum_version == Version::tls1_3)
        add(options.suites.value_or(List(suites_tls1_3)), true);
    offer.count_tls1_3 = offer.count;
    if (options.minimum_version == Version::tls1_2)
        add(options.suites.value_or(by_default), false);
    const bool has_tls1_3 = offer.count_tls1_3 != 0;
    offer.minimum_version = offer.count > offer.count_tls1_3 ? Version::tls1_2 : Version::tls1_3;
    offer.maximum_version = has_tls1_3 ? Version::tls1_3 : Version::tls1_2;
    return offer;
}

bool resumes(const Options& options) {
    const bool psk = uses_psk(options);
    // Who shows a certificate shows it every time; and by name, somebody may have to.
    const bool asks = options.verify != Verify::none || options.choose_by_name;
    if (options.role == Role::server && (asks || options.tickets == 0))
        return false;
    return options.resumption && !psk;
}

bool uses_system_store(const Options& options) {
    return options.system_store || (!options.trusted && !options.root_store &&
                                    options.verify != Verify::none && !uses_psk(options));
}

bool is_suite(std::string_view iana, std::string_view name) {
    return PlainName(iana).text() == PlainName(name).text();
}

bool is_pinned(Bytes pins, std::span<const std::uint8_t, 32> hash) {
    for (; pins.size() >= hash.size(); pins = pins.subspan(hash.size()))
        if (std::equal(hash.begin(), hash.end(), pins.begin()))
            return true;
    return false;
}

Verify verification_of(const Options& options) {
    switch (options.verify) {
        case Verify::insecure_no_verification:
            return Verify::none;
        case Verify::by_role:
            return options.role == Role::client && !uses_psk(options) ? Verify::required
                                                                      : Verify::none;
        default:
            return options.verify;
    }
}

std::optional<ConfigError> check_verify(const Options& options) {
    const bool server = options.role == Role::server;
    if (!server && options.verify == Verify::none)
        return ConfigError{
            "`verify` of a client must not be Verify::none: a client that accepts every "
            "certificate requires Verify::insecure_no_verification"};
    if (server && options.verify == Verify::insecure_no_verification)
        return ConfigError{"`verify`: Verify::insecure_no_verification is only valid for a client"};
    return std::nullopt;
}

// The reasons name members of Options: see ConfigError.
std::optional<ConfigError> check(const Engine& engine, const Options& o) {
    const bool server = o.role == Role::server;
    const bool psk_client = o.psk_identity || o.psk_key;
    const bool psk = psk_client || o.psk_server;
    const bool verifies = o.verify != Verify::none && !psk;

    if (out_of_bounds(o.psk_identity, max_psk_identity))
        return ConfigError{"`psk_identity` must be 1 to 128 bytes"};
    if (out_of_bounds(o.psk_key, max_psk_key))
        return ConfigError{"`psk_key` must be 1 to 48 bytes"};
    if (out_of_bounds(o.psk_hint, max_psk_identity))
        return ConfigError{"`psk_hint` must be 1 to 128 bytes"};
    if (o.psk_hint && std::ranges::find(*o.psk_hint, 0) != o.psk_hint->end())
        return ConfigError{"`psk_hint` must not contain NUL"};
    if (o.psk_identity && !o.psk_key)
        return ConfigError{"`psk_identity` requires `psk_key`"};
    if (o.psk_key && !o.psk_identity)
        return ConfigError{"`psk_key` requires `psk_identity`"};
    if (psk_client && server)
        return ConfigError{
            "`psk_identity` and `psk_key` are only valid for a client; a server requires "
            "`psk_server`"};
    if (o.psk_server && !server)
        return ConfigError{
            "`psk_server` is only valid for a server; a client requires `psk_identity` and "
            "`psk_key`"};
    if (o.psk_hint && !o.psk_server)
        return ConfigError{"`psk_hint` requires `psk_server`"};
    if (psk && (o.key || o.certificate || o.trusted))
        return ConfigError{server ? "`psk_server` excludes `key`, `certificate` and `trusted`"
                                  : "`psk_identity` excludes `key`, `certificate` and `trusted`"};
    if (psk && o.pins)
        return ConfigError{server ? "`psk_server` excludes `pins`"
                                  : "`psk_identity` excludes `pins`"};

    if (psk && !engine.has_psk)
        return ConfigError{"this build's TLS library has no pre-shared keys"};

    if (o.certificate && !o.key && !o.sign_by_program)
        return ConfigError{"`certificate` requires `key`"};
    if (o.key && !o.certificate)
        return ConfigError{"`key` requires `certificate`"};
    if (o.sign_by_program && !o.certificate)
        return ConfigError{"`sign_by_program` requires `certificate`"};
    if (o.sign_by_program && !engine.has_signing_by_program)
        return ConfigError{"this build's TLS library cannot sign with a callback"};
    if (o.crl_check.value_or(CrlCheck::none) != CrlCheck::none && !engine.has_crls)
        return ConfigError{"this build's TLS library has no CRLs"};
    if (server && !psk && !o.certificate)
        return ConfigError{"a server requires `key` and `certificate`, or `psk_server`"};
    if (o.choose_by_name && !server)
        return ConfigError{"`choose_by_name` is only valid for a server"};
    if (o.key_password && !o.key)
        return ConfigError{"`key_password` requires `key`"};
    // Public authorities issue client certificates to anybody.
    if (server && verifies && !o.trusted && !o.system_store && !o.root_store)
        return ConfigError{"`verify` of a server requires `trusted` or `system_store`"};
    if (o.root_store && !engine.has_root_store)
        return ConfigError{"`root_store` is not in this build"};
    if (uses_system_store(o) && !engine.has_system_store)
        return ConfigError{"`verify` requires `trusted`: this port has no system store"};
    if (o.verify_by_program && !verifies && !psk)
        return ConfigError{"`verify_by_program` requires verification (`verify`)"};
    if (o.crl_check.value_or(CrlCheck::none) != CrlCheck::none && !verifies)
        return crls_without_verification;
    if (o.pins && (o.pins->empty() || o.pins->size() % 32 != 0))
        return ConfigError{"`pins` must be SHA-256 hashes, 32 bytes each"};
    if (o.pins && server && o.verify == Verify::none)
        return ConfigError{"`pins` of a server require `verify`: it requests no certificates"};
    if (o.alpn && !engine.has_alpn)
        return ConfigError{"this build's TLS library has no ALPN"};
    if (o.alpn && !is_alpn(*o.alpn))
        return ConfigError{
            "`alpn`: a protocol must be 1 to 255 bytes, without NUL; all of them 65535"};
    if (o.minimum_version < Version::tls1_2 || o.maximum_version > Version::tls1_3)
        return ConfigError{"`minimum_version` and `maximum_version` must be TLS 1.2 or 1.3"};
    if (o.minimum_version > o.maximum_version)
        return ConfigError{"`minimum_version` must not be above `maximum_version`"};
    if (o.minimum_version > Version::tls1_2 && !engine.has_tls1_3)
        return ConfigError{"this build's TLS library has no TLS 1.3"};
    if (o.suites && o.suites->empty())
        return ConfigError{"`suites` must not be empty"};
    if (offer_of(o).count == 0)
        return ConfigError{
            "`suites`: none of these cipher suites fits the versions, and certificates or "
            "pre-shared keys"};
    if (std::optional<ConfigError> config_error = groups::check(engine, o))
        return config_error;
    if (o.session_lifetime == 0 || o.session_lifetime > max_session_lifetime)
        return ConfigError{"`session_lifetime` must be 1 to 604800 seconds"};
    if (o.record_size_limit &&
        (*o.record_size_limit < min_record_size || *o.record_size_limit > max_record_size))
        return ConfigError{"`record_size_limit` must be 512 to 16384"};
    return std::nullopt;
}

std::uint8_t max_fragment_code(std::optional<std::size_t> limit) {
    if (!limit || *limit >= max_record_size)
        return 0;
    std::uint8_t code = 4;
    while (max_fragment_size(code) > *limit)
        --code;
    return code;
}

std::size_t max_fragment_size(int code) {
    return code >= 1 && code <= 4 ? std::size_t{256} << code : 0;
}

// The numbers of RFC 8446 §6 and RFC 4279 §2.
Code code_of_alert(std::uint8_t alert, bool handshaking, bool psk) {
    switch (alert) {
        case 70:  // protocol_version
            return Code::NO_SHARED_VERSION;
        case 71:  // insufficient_security
            return Code::NO_SHARED_CIPHER;
        case 42:   // bad_certificate
        case 43:   // unsupported_certificate
        case 44:   // certificate_revoked
        case 45:   // certificate_expired
        case 46:   // certificate_unknown
        case 48:   // unknown_ca
        case 49:   // access_denied: GnuTLS's word for a certificate that it does not want
        case 116:  // certificate_required
            return Code::CERT_REFUSED;
        case 120:  // no_application_protocol
            return Code::NO_SHARED_PROTOCOL;
        case 112:  // unrecognized_name
            return Code::UNKNOWN_NAME;
        case 115:  // unknown_psk_identity
            return Code::PSK_REFUSED;
        case 20:   // bad_record_mac
        case 21:   // decryption_failed
        case 40:   // handshake_failure: OpenSSL's word for an identity it does not know
        case 47:   // illegal_parameter: and for a binder that does not verify
        case 51:   // decrypt_error
        case 109:  // missing_extension: Mbed TLS's word for a client that has no certificate's
            if (handshaking && psk)
                return Code::PSK_REFUSED;
            break;
        default:
            break;
    }
    return handshaking ? Code::HANDSHAKE_FAILED : Code::ALERT;
}

bool may_be_critical(Bytes oid) {
    // Of RFC 5280 §4.2.1, whose OIDs are 2.5.29 and a number.
    if (oid.size() != 3 || oid[0] != 0x55 || oid[1] != 0x1D)
        return false;
    switch (oid[2]) {
        case 15:  // key usage
        case 17:  // subject alternative name
        case 19:  // basic constraints
        case 31:  // CRL distribution points
        case 32:  // certificate policies
        case 33:  // policy mappings
        case 36:  // policy constraints
        case 37:  // extended key usage
        case 54:  // inhibit anyPolicy
            return true;
        default:
            return false;
    }
}

Error certificate_error(std::uint16_t failures) {
    Error error;
    error.code = static_cast<Code>(201 + std::countr_zero(failures));
    error.certificate_failures = failures;
    return error;
}

}  // namespace ussl::policy
