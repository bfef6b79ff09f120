// Maps the errors of Mbed TLS, and chooses alerts.

#include <cstring>

#include "error.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {

namespace {

struct Row {
    int ret;
    Code code;
};
// Error codes of TLS and X.509 are used as they are. Error codes of lower layers can be sums of a
// module's code and a low-level code, which has the lowest seven bits.
constexpr Row rows[] = {
    {MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, Code::NO_SHARED_VERSION},
    {MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, Code::NO_SHARED_CIPHER},
    {MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, Code::NO_SHARED_PROTOCOL},
    {MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY, Code::PSK_IDENTITY},
    {MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, Code::CERT_MISSING},
    {MBEDTLS_ERR_SSL_INVALID_MAC, Code::RECORD_CORRUPT},
    {MBEDTLS_ERR_SSL_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_X509_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_PK_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_MPI_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_PEM_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_MD_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_CIPHER_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_ECP_ALLOC_FAILED, Code::NO_MEMORY},
    {MBEDTLS_ERR_SSL_INTERNAL_ERROR, Code::ENGINE},
    {MBEDTLS_ERR_SSL_HW_ACCEL_FAILED, Code::ENGINE},
    {MBEDTLS_ERR_SSL_COUNTER_WRAPPING, Code::ENGINE},
    {MBEDTLS_ERR_ERROR_CORRUPTION_DETECTED, Code::ENGINE},
    // No random numbers are available (random.cpp); different callers in Mbed TLS report this
    // differently.
    {MBEDTLS_ERR_PLATFORM_FEATURE_UNSUPPORTED, Code::ENGINE},
    {MBEDTLS_ERR_PLATFORM_HW_ACCEL_FAILED, Code::ENGINE},
#ifdef MBEDTLS_PSA_CRYPTO_C
    {PSA_ERROR_INSUFFICIENT_MEMORY, Code::NO_MEMORY},
    {PSA_ERROR_INSUFFICIENT_ENTROPY, Code::ENGINE},
#endif
};

}  // namespace

Code code_of(int ret) {
    for (const Row& row : rows)
        if (row.ret == ret)
            return row.code;
    const int module = module_of(ret);
    if (module <= MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE && module >= MBEDTLS_ERR_X509_FATAL_ERROR)
        return Code::CERT_INVALID;
    return Code::PROTOCOL;
}

std::uint8_t alert_of(int ret, Code code) {
    switch (ret) {
        case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
            return MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
        case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
            return MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION;
        case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER:
            return MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER;
        case MBEDTLS_ERR_ECP_VERIFY_FAILED:  // a client's CertificateVerify
        case MBEDTLS_ERR_RSA_VERIFY_FAILED:
            return MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR;
        default:
            return code == Code::ENGINE || code == Code::NO_MEMORY
                       ? MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR
                       : MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR;
    }
}

Outcome MbedSession::fail(int ret) {
    // RFC 5246 §7.2.2: the session must not be resumed.
    forget_cached_session();
#ifdef USSL_PATCHED_MBEDTLS
    withholds_certificate_ = ussl_mbedtls_withholds_certificate(&ssl_) != 0;
#endif
    failure_ = {};
    failure_.detail = static_cast<std::uint32_t>(-ret);
    failure_.code = code_of(ret);
    if (take_lack_of_memory() || lacked_memory_)
        failure_.code = Code::NO_MEMORY;
    else if (lacked_key_)
        failure_.code = Code::ENGINE;
    else if (chain_is_too_long_)
        failure_.code = Code::CERT_CHAIN_TOO_LONG;
    if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && ssl_.in_msgtype == MBEDTLS_SSL_MSG_ALERT) {
        failure_.alert = Error::Alert::received;
        failure_.alert_number = ssl_.in_msg[1];
        return Outcome::failed();
    }
    // A TLS 1.3 client that rejects the server's messages may not have keys yet. It then sends a
    // plaintext alert, although Mbed TLS expects an encrypted one.
    constexpr std::uint8_t fatal = MBEDTLS_SSL_ALERT_LEVEL_FATAL;
    const unsigned char* record = ssl_.in_hdr;
    if (ret == MBEDTLS_ERR_SSL_INVALID_MAC && version() == Version::tls1_3 &&
        mbedtls_ssl_is_handshake_over(&ssl_) == 0 && record[0] == MBEDTLS_SSL_MSG_ALERT &&
        record[3] == 0 && record[4] == 2 && record[5] == fatal) {
        failure_.alert = Error::Alert::received;
        failure_.alert_number = record[6];
        return Outcome::failed();
    }
    if (transport_.ended() || transport_.read_errno() != 0)
        return Outcome::failed();
    const bool established = mbedtls_ssl_is_handshake_over(&ssl_) != 0;
    // Unprotected data may be damaged on the way: record headers, and records of TLS 1.3 without
    // encryption. Protected data is authentic.
    const bool bad_header =
        records_.within_a_record() &&
        (ret == MBEDTLS_ERR_SSL_INVALID_RECORD || ret == MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION);
    const bool bare = is_tls1_3() && ret == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE &&
                      ssl_.in_hdr[0] != MBEDTLS_SSL_MSG_APPLICATION_DATA;
    if (established && (bad_header || bare))
        failure_.code = Code::RECORD_CORRUPT;
    const bool finished =
        ssl_.state == MBEDTLS_SSL_SERVER_FINISHED || ssl_.state == MBEDTLS_SSL_CLIENT_FINISHED;
    // The server ignored the pre-shared key and continued with a certificate.
    if (context().settings().role == Role::client && context().settings().uses_psk && !finished &&
        failure_.code == Code::NO_SHARED_CIPHER && version() == Version::tls1_3)
        failure_.code = Code::PSK_REFUSED;
    failure_.alert = Error::Alert::sent;
    if (ssl_.alert_type != 0 && ssl_.alert_reason == ret) {
        failure_.alert_number = ssl_.alert_type;
        // A wrong binder, or a ClientHello without the extensions that this side's credentials
        // require.
        if (context().settings().uses_psk && context().settings().role == Role::server &&
            ssl_.alert_type == MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR)
            failure_.code = Code::PSK_KEY;
        else if (ssl_.alert_type == MBEDTLS_SSL_ALERT_MSG_MISSING_EXTENSION)
            failure_.code = Code::NO_SHARED_CIPHER;
    } else if (ret == MBEDTLS_ERR_SSL_INVALID_MAC) {
        failure_.alert_number = MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC;
    } else if (ret == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE && finished) {
        // An encrypted alert was already sent.
        failure_.alert_number = MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR;
    } else if (ssl_.out_msgtype == MBEDTLS_SSL_MSG_ALERT && ssl_.out_msglen == 2) {
        failure_.alert_number = ssl_.out_msg[1];
    } else {
        // Mbed TLS sends no alert in these cases.
        failure_.alert_number = alert_of(ret, failure_.code);
        (void)mbedtls_ssl_send_alert_message(&ssl_, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             failure_.alert_number);
    }
    // Mbed TLS reports many failures as a failed handshake or without details. Its alert is more
    // precise.
    const bool vague =
        ret == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE && failure_.code == Code::NO_SHARED_CIPHER;
    switch (failure_.alert_number) {
        case MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR:
            // Otherwise the key of the certificate has no signature algorithm in this version.
            if (vague && (finished || peer_can_sign()))
                failure_.code = finished ? Code::RECORD_CORRUPT : Code::PROTOCOL;
            break;
        case MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR:
        case MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER:
            if (vague)
                failure_.code = Code::PROTOCOL;
            break;
        case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
            if (failure_.code == Code::PROTOCOL)
                failure_.code = Code::CERT_INVALID;
            break;
        case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
            // The ServerHello of TLS 1.3 chose a value that was not offered, or its key share is
            // invalid.
            if (vague && version() == Version::tls1_3 && ssl_.state == MBEDTLS_SSL_SERVER_HELLO)
                failure_.code = Code::PROTOCOL;
            // A ServerHello of TLS 1.2 without renegotiation_info.
            if (vague && version() == Version::tls1_2 &&
                context().settings().role == Role::client &&
                ssl_.state > MBEDTLS_SSL_SERVER_HELLO &&
                ssl_.secure_renegotiation != MBEDTLS_SSL_SECURE_RENEGOTIATION)
                failure_.code = Code::PROTOCOL;
            break;
        default:
            break;
    }
    (void)flight_.send(transport_);
    return Outcome::failed();
}

bool MbedSession::peer_can_sign() const {
#ifdef MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
    const mbedtls_ssl_session* session = ssl_.session_negotiate;
    if (session != nullptr && session->peer_cert != nullptr)
        return can_sign(session->peer_cert->pk);
#endif
    return true;
}

Outcome MbedSession::refuse(const Error& error, std::uint8_t alert) {
    failure_ = error;
    failure_.alert = Error::Alert::sent;
    failure_.alert_number = alert;
    use_application_keys();
    // If a callback rejects, Mbed TLS may already have sent an alert, which choose_alert()
    // replaced.
    if (!callbacks_.failure() || ssl_.out_msgtype != MBEDTLS_SSL_MSG_ALERT)
        (void)mbedtls_ssl_send_alert_message(&ssl_, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert);
    (void)flight_.send(transport_);
    return Outcome::failed();
}

// If a callback ends the handshake, Mbed TLS would send an alert for another reason.
std::uint8_t MbedSession::choose_alert(std::uint8_t alert) {
    use_application_keys();
    const std::uint8_t instead = callbacks_.alert();
    return instead != 0 ? instead : alert;
}

// After its Finished message, a server of TLS 1.3 sends with application keys (RFC 8446 appendix
// A.2). Mbed TLS uses them only after the client's Finished message.
void MbedSession::use_application_keys() {
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    if (context().settings().role == Role::server && ssl_.transform_application != nullptr &&
        ssl_.transform_out != ssl_.transform_application) {
        ssl_.transform_out = ssl_.transform_application;
        std::memset(ssl_.cur_out_ctr, 0, sizeof ssl_.cur_out_ctr);
    }
#endif
}

}  // namespace ussl::mbedtls

#ifdef USSL_PATCHED_MBEDTLS

unsigned char ussl_mbedtls_choose_alert(mbedtls_ssl_context* ssl, unsigned char alert) {
    return static_cast<ussl::mbedtls::MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))
        ->choose_alert(alert);
}

#endif
