#include <openssl/dherr.h>
#include <openssl/proverr.h>
#include <openssl/sslerr.h>

#include "../policy/certificates.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

Code code_of_reason(int reason) {
    switch (reason) {
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_WRONG_SSL_VERSION:
        case SSL_R_UNKNOWN_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_VERSION_TOO_HIGH:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
        case SSL_R_BAD_LEGACY_VERSION:
            return Code::NO_SHARED_VERSION;
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_CIPHERS_AVAILABLE:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_GROUPS:
        case SSL_R_NO_SHARED_GROUPS:
        case SSL_R_NO_VALID_SCTS:
        case SSL_R_DH_KEY_TOO_SMALL:
        case SSL_R_UNSUPPORTED_ELLIPTIC_CURVE:
        case SSL_R_WRONG_CURVE:
            return Code::NO_SHARED_CIPHER;
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return Code::NO_SHARED_PROTOCOL;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return Code::CERT_MISSING;
        case SSL_R_BINDER_DOES_NOT_VERIFY:
            return Code::PSK_KEY;
        case SSL_R_PSK_IDENTITY_NOT_FOUND:
            return Code::PSK_IDENTITY;
        case SSL_R_DECRYPTION_FAILED:
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        case SSL_R_DIGEST_CHECK_FAILED:
        case SSL_R_BAD_RECORD_TYPE:
        case SSL_R_PACKET_LENGTH_TOO_LONG:
        case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
        case SSL_R_LENGTH_TOO_SHORT:
            return Code::RECORD_CORRUPT;
        case SSL_R_HTTP_REQUEST:
        case SSL_R_HTTPS_PROXY_REQUEST:
            return Code::NOT_TLS;
        case ERR_R_ASN1_LIB& ERR_REASON_MASK:
        case SSL_R_CERT_LENGTH_MISMATCH:
            return Code::CERT_INVALID;
        default:
            // A part of OpenSSL failed; these reasons are common to all of its parts.
            return (reason & ERR_RFLAG_COMMON) != 0 ? Code::ENGINE : Code::PROTOCOL;
    }
}

}  // namespace

namespace {

/// The content of the error queue, which is now empty.
struct Causes {
    unsigned long newest = 0;      ///< of the errors that give a reason
    bool chose_signature = false;  ///< `newest` was raised in the choice of a signature algorithm
    bool lack_of_memory = false;
    bool invalid_data = false;   ///< a record was too short for its cipher
    bool invalid_share = false;  ///< a public value of DHE is invalid
};

// Since OpenSSL 3.2, an error of the record layer is raised twice: first with its reason, then with
// this generic one.
bool only_says_where(unsigned long error) {
    constexpr int record_layer_failure = 313;  // has a name in newer headers only
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == record_layer_failure;
}

Causes take_causes() {
    Causes causes;
    const char* function = nullptr;
    while (const unsigned long error =
               ERR_get_error_all(nullptr, nullptr, &function, nullptr, nullptr)) {
        const int reason = ERR_GET_REASON(error);
        if (causes.newest == 0 || !only_says_where(error)) {
            causes.newest = error;
            causes.chose_signature =
                function != nullptr && function == std::string_view("tls_choose_sigalg");
        }
        causes.lack_of_memory = causes.lack_of_memory || reason == ERR_R_MALLOC_FAILURE;
        const bool is_invalid = reason == PROV_R_INVALID_DATA || reason == PROV_R_INVALID_AAD;
        causes.invalid_data =
            causes.invalid_data || (ERR_GET_LIB(error) == ERR_LIB_PROV && is_invalid);
        const bool is_none = reason == DH_R_INVALID_PUBKEY || reason == DH_R_CHECK_PUBKEY_INVALID;
        causes.invalid_share =
            causes.invalid_share || (ERR_GET_LIB(error) == ERR_LIB_DH && is_none);
    }
    if (causes.lack_of_memory)
        return causes;
    // OpenSSL sometimes reports a different error, or none, when memory runs out, above all in its
    // decoders.
    constexpr std::size_t little = 1024;
    void* probe = OPENSSL_malloc(little);
    causes.lack_of_memory = probe == nullptr;
    OPENSSL_free(probe);
    ERR_clear_error();
    return causes;
}

}  // namespace

bool take_lack_of_memory() {
    return take_causes().lack_of_memory;
}

Error take_error(const OpenSslSession& session) {
    // The last error that OpenSSL adds is often only "internal error".
    const Causes causes = take_causes();
    const unsigned long last = causes.newest;
    Error error;
    error.code = Code::ENGINE;
    error.detail = static_cast<std::uint32_t>(last);
    if (causes.lack_of_memory || session.state().verification_lacked_memory) {
        error.code = Code::NO_MEMORY;
        return error;
    }
    if (session.state().psk_ignored) {
        error.code = Code::PSK_REFUSED;
        return error;
    }
    if (session.callbacks().failure()) {
        error.code = session.callbacks().failure().code;
        return error;
    }
    if (ERR_GET_LIB(last) != ERR_LIB_SSL)
        return error;
    const int reason = ERR_GET_REASON(last);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && session.state().certificate_failures != 0) {
        error = policy::certificate_error(session.state().certificate_failures);
        error.detail = static_cast<std::uint32_t>(last);
        return error;
    }
    // A received alert is an error whose reason is the alert's number plus an offset.
    if (reason >= SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
        error.alert = Error::Alert::received;
        error.alert_number = static_cast<std::uint8_t>(reason - SSL_AD_REASON_OFFSET);
        return error;
    }
    error.code = code_of_reason(reason & ERR_REASON_MASK);
    if (reason == SSL_R_EXCESSIVE_MESSAGE_SIZE && session.receives_certificates())
        error.code = Code::CERT_CHAIN_TOO_LONG;
    // A TLS 1.2 client without the signature algorithms extension only supports SHA-1 (RFC 5246
    // §7.4.1.4.1). ussl never signs with SHA-1. OpenSSL reports this as an internal error.
    if (error.code == Code::ENGINE && causes.chose_signature)
        error.code = Code::NO_SHARED_CIPHER;
    if (error.code == Code::ENGINE && causes.invalid_data)
        error.code = Code::RECORD_CORRUPT;
    if (error.code == Code::ENGINE && causes.invalid_share)
        error.code = Code::PROTOCOL;
    // The content of a protected record of TLS 1.3 is authentic, so the peer itself broke the
    // protocol.
    constexpr std::uint8_t protected_record = SSL3_RT_APPLICATION_DATA;
    if (reason == SSL_R_BAD_RECORD_TYPE && session.transport().record_type() == protected_record)
        error.code = Code::PROTOCOL;
    // A wrong version in a record's header. After the version was agreed on, it must be damage on
    // the way.
    const bool in_header = reason == SSL_R_WRONG_VERSION_NUMBER;
    if ((error.code == Code::NO_SHARED_VERSION || in_header) && session.established())
        error.code = Code::RECORD_CORRUPT;
    return error;
}

}  // namespace ussl::openssl
