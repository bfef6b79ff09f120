#include "policy.hpp"

#include <bit>

namespace ussl::policy {
namespace {

bool out_of_bounds(const std::optional<Bytes>& bytes, std::size_t most) {
    return bytes && (bytes->empty() || bytes->size() > most);
}

}  // namespace

std::optional<Refusal> check(const Engine& engine, const Options& o) {
    const bool server = o.role == Role::server;
    const bool psk_client = o.psk_identity || o.psk_key;
    const bool psk = psk_client || o.psk_server;

    if (out_of_bounds(o.psk_identity, max_psk_identity))
        return Refusal{"psk_ident must be 1 to 128 bytes"};
    if (out_of_bounds(o.psk_key, max_psk_key))
        return Refusal{"psk_key must be 1 to 48 bytes"};
    if (out_of_bounds(o.psk_hint, max_psk_identity))
        return Refusal{"psk_hint must be 1 to 128 bytes"};
    if (o.psk_hint)
        for (const std::uint8_t byte : *o.psk_hint)
            if (byte == 0)
                return Refusal{"psk_hint must not hold NUL"};
    if (o.psk_identity && !o.psk_key)
        return Refusal{"psk_ident needs psk_key"};
    if (o.psk_key && !o.psk_identity)
        return Refusal{"psk_key needs psk_ident"};
    if (psk_client && server)
        return Refusal{"psk_ident and psk_key are a client's; a server takes psk_keys"};
    if (o.psk_server && !server)
        return Refusal{"psk_keys is a server's; a client takes psk_ident and psk_key"};
    if (o.psk_hint && !o.psk_server)
        return Refusal{"psk_hint needs psk_keys"};
    if (psk && (o.key || o.certificate || o.trusted))
        return Refusal{"psk goes without keyfile, certfile and ca_certs"};

    if (psk && !engine.has_psk)
        return Refusal{"this build's TLS library has no pre-shared keys"};

    if (o.certificate && !o.key)
        return Refusal{"certfile needs keyfile"};
    if (o.key && !o.certificate)
        return Refusal{"keyfile needs certfile"};
    if (server && !psk && !o.key)
        return Refusal{"a server needs keyfile and certfile, or psk_keys"};
    if (o.key_password && !o.key)
        return Refusal{"key_password needs keyfile"};
    if (o.verify != Verify::none && !psk && !o.trusted && !engine.has_system_store)
        return Refusal{"cert_reqs needs ca_certs: this port has no system store"};
    if (o.minimum_version < Version::tls1_2 || o.maximum_version > Version::tls1_3)
        return Refusal{"minimum_version and maximum_version are TLS 1.2 or 1.3"};
    if (o.minimum_version > o.maximum_version)
        return Refusal{"minimum_version is above maximum_version"};
    if (o.minimum_version > Version::tls1_2 && !engine.has_tls1_3)
        return Refusal{"this build's TLS library has no TLS 1.3"};
    if (o.record_size_limit &&
        (*o.record_size_limit < min_record_size || *o.record_size_limit > max_record_size))
        return Refusal{"record_size_limit must be 512 to 16384"};
    return std::nullopt;
}

bool is_pem(Bytes data) {
    static constexpr std::string_view begin = "-----BEGIN";
    const std::string_view text{reinterpret_cast<const char*>(data.data()), data.size()};
    for (std::size_t at = text.find(begin); at != std::string_view::npos;
         at = text.find(begin, at + 1))
        if (at == 0 || text[at - 1] == '\n' || text[at - 1] == '\r')
            return true;
    return false;
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

Error certificate_error(std::uint16_t failures) {
    Error error;
    error.code = static_cast<Code>(201 + std::countr_zero(failures));
    error.certificate_failures = failures;
    return error;
}

}  // namespace ussl::policy
