#include "alerts.hpp"

namespace ussl::policy {

// The alert numbers of RFC 8446 §6 and RFC 4279 §2.
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
        case 49:   // access_denied: GnuTLS sends it for a rejected certificate
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
        case 40:   // handshake_failure: OpenSSL sends it for an unknown identity
        case 47:   // illegal_parameter: OpenSSL sends it for a wrong binder
        case 51:   // decrypt_error
        case 109:  // missing_extension: Mbed TLS sends it for a client without extensions for
                   // certificates
            if (handshaking && psk)
                return Code::PSK_REFUSED;
            break;
        default:
            break;
    }
    return handshaking ? Code::HANDSHAKE_FAILED : Code::ALERT;
}

}  // namespace ussl::policy
