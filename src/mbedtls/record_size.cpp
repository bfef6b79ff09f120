// The negotiated record size (RFC 6066 §4, RFC 8449).

#include <algorithm>

#include "../policy/limits.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

bool has_long_key_exchange(const int* suites) {
    for (; *suites != 0; ++suites) {
        const mbedtls_ssl_ciphersuite_t* suite = mbedtls_ssl_ciphersuite_from_id(*suites);
        if (suite == nullptr)
            continue;
        switch (suite->key_exchange) {
            case MBEDTLS_KEY_EXCHANGE_NONE:  // TLS 1.3
            case MBEDTLS_KEY_EXCHANGE_ECDHE_RSA:
            case MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA:
            case MBEDTLS_KEY_EXCHANGE_ECDHE_PSK:
            case MBEDTLS_KEY_EXCHANGE_PSK:
                break;
            default:
                return true;
        }
    }
    return false;
}

}  // namespace

// Mbed TLS does not fragment its handshake messages. A negotiated size must therefore be large
// enough for each of them.
void MbedContext::limit_records(std::optional<std::size_t> limit) {
    // A client's key exchange with DHE or RSA; a server's key exchange and tickets. A client's key
    // exchange with ECDHE or a pre-shared key is much shorter.
    longest_message_ =
        settings().role == Role::server || has_long_key_exchange(suites_.get()) ? 600 : 300;
    constexpr std::size_t with_ffdhe = 1300;  // ffdhe8192: a share of 1024 bytes
    for (const std::uint16_t* group = groups_.get(); *group != 0; ++group)
        if (*group >= MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE2048)
            longest_message_ = with_ffdhe;
    std::size_t certificates = 0;
    for (const mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        certificates += at->raw.len + 16;
    std::size_t names = 0;  // of the trust anchors, in a server's CertificateRequest
    if (settings().role == Role::server && settings().verify != Verify::none)
        for (const mbedtls_x509_crt* at = &trusted_; at != nullptr; at = at->next)
            names += at->subject_raw.len + 16;
    longest_message_ = std::max({longest_message_, certificates, names});

#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#ifdef USSL_PATCHED_MBEDTLS
    const bool can_be_told = true;
#else
    // In TLS 1.3, unpatched Mbed TLS rejects the answer to the extension, and does not fragment its
    // messages.
    const bool can_be_told =
        settings().role == Role::client && config_.max_tls_version == MBEDTLS_SSL_VERSION_TLS1_2;
#endif
    std::uint8_t code = can_be_told ? policy::max_fragment_code(limit) : 0;
    while (code != 0 && policy::max_fragment_size(code) < longest_message_)
        code = policy::max_fragment_size(code + 1) != 0 ? code + 1 : 0;
    (void)mbedtls_ssl_conf_max_frag_len(&config_, code);
#endif
    // The value is read by patches/mbedtls-record-size-limit.patch.
    mbedtls_ssl_conf_set_user_data_n(&config_, limit.value_or(max_record_size));
}

#ifdef USSL_PATCHED_MBEDTLS

// Called between ClientHello and the server's extensions.
void MbedSession::agree_on_record_size() {
#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
    if (context().settings().role == Role::client &&
        ssl_.conf->mfl_code != MBEDTLS_SSL_MAX_FRAG_LEN_NONE)
        ussl_mbedtls_offered_max_fragment_length(&ssl_);
#endif
    // If the following messages do not fit, a server does not agree to the extension. It still
    // observes the requested size in later records.
    if (context().settings().role == Role::client)
        return;
    [[maybe_unused]] mbedtls_ssl_session& session = *ssl_.session_negotiate;
#ifdef MBEDTLS_SSL_RECORD_SIZE_LIMIT
    if (session.record_size_limit != 0 && session.record_size_limit < context().longest_message())
        ussl_mbedtls_ignore_record_size_limit(&ssl_);
#endif
#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
    if (session.mfl_code != MBEDTLS_SSL_MAX_FRAG_LEN_NONE &&
        policy::max_fragment_size(session.mfl_code) < context().longest_message()) {
        wanted_fragment_code_ = session.mfl_code;
        session.mfl_code = MBEDTLS_SSL_MAX_FRAG_LEN_NONE;
    }
#endif
}

#else

void MbedSession::agree_on_record_size() {}

#endif

}  // namespace ussl::mbedtls
