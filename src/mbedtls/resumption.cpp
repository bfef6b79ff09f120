// Session resumption; a build without it uses resumption_none.cpp.

#include "../policy/limits.hpp"
#include "mbedtls.hpp"

#if USSL_HAS_RESUMPTION

#include <algorithm>
#include <cstring>

namespace ussl::mbedtls {

bool MbedContext::set_up_sessions([[maybe_unused]] const Options& options) {
    const bool client = settings().role == Role::client;
    if (client) {
        mbedtls_ssl_conf_session_tickets(&config_, resumes()
                                                       ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                       : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
        mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
            &config_, resumes() ? MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
                                : MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_DISABLED);
#endif
        return true;
    }
    if (!resumes())
        return true;
#ifdef MBEDTLS_SSL_CACHE_C
    // Each session takes about 200 bytes, once there is a client that needs it.
#ifdef USSL_BOARD
    constexpr int max_sessions = 8;
#else
    constexpr int max_sessions = 1024;
#endif
    mbedtls_ssl_cache_set_max_entries(&cache_, max_sessions);
    mbedtls_ssl_cache_set_timeout(
        &cache_, static_cast<int>(std::min(policy::ticket_lifetime, settings().session_lifetime)));
    mbedtls_ssl_conf_session_cache(&config_, &cache_, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
#endif
#ifdef MBEDTLS_SSL_TICKET_C
    // Mbed TLS changes the ticket key once in the lifetime of a ticket, and keeps two keys. A
    // ticket of the older key does not lead to a new ticket (ussl_mbedtls_parse_ticket). The end of
    // a key is therefore the end of all sessions that are derived from one full handshake.
    if (mbedtls_ssl_ticket_setup(
            &tickets_, random_bytes, nullptr, MBEDTLS_CIPHER_AES_128_GCM,
            std::min(policy::ticket_lifetime, (settings().session_lifetime + 1) / 2)) != 0)
        return false;
    mbedtls_ssl_conf_session_tickets_cb(&config_, mbedtls_ssl_ticket_write,
                                        ussl_mbedtls_parse_ticket, &tickets_);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    mbedtls_ssl_conf_new_session_tickets(&config_, options.tickets);
#endif
#endif
    return true;
}

// Stores the session: the length of the peer's certificate (2 bytes), the certificate, and Mbed
// TLS's encoding of the session.
void MbedSession::keep_session() {
    if (!context().resumes() || context().settings().role != Role::client ||
        ssl_.session == nullptr)
        return;
    if (ssl_.session->ticket_len == 0 && ssl_.session->id_len == 0)
        return;
    if (version() != Version::tls1_3 && !has_extended_secret_)
        return;
    const Bytes peer = peer_certificate();
    std::size_t size = 0;
    (void)mbedtls_ssl_session_save(ssl_.session, nullptr, 0, &size);
    const std::size_t before = 2 + peer.size();
    SecretBytes saved(size != 0 && peer.size() <= 0xFFFF ? before + size : 0);
    if (saved.empty())
        return;
    saved.data()[0] = static_cast<std::uint8_t>(peer.size() >> 8);
    saved.data()[1] = static_cast<std::uint8_t>(peer.size() & 0xFF);
    std::memcpy(saved.data() + 2, peer.data(), peer.size());
    if (mbedtls_ssl_session_save(ssl_.session, saved.data() + before, size, &size) == 0)
        new_session_ = {std::move(saved), ssl_.session->ticket_lifetime};
}

Outcome MbedSession::resume(Bytes session) {
    if (!features::resumption || session.size() < 2)
        return Outcome::failed();
    const std::size_t peer_size = static_cast<std::size_t>(session[0]) << 8 | session[1];
    session = session.subspan(2);
    if (session.size() < peer_size)
        return Outcome::failed();
    take_lack_of_memory();
    Certificates peer;
    SslSession saved;
    const Bytes of_mbedtls = session.subspan(peer_size);
    const bool good = mbedtls_x509_crt_parse_der(&peer, session.data(), peer_size) == 0 &&
                      mbedtls_ssl_session_load(&saved, of_mbedtls.data(), of_mbedtls.size()) == 0 &&
                      keep_peer_certificate(session.first(peer_size)) &&
                      mbedtls_ssl_set_session(&ssl_, &saved) == 0;
    if (!good) {
        // Otherwise an incomplete session would be offered.
        mbedtls_ssl_session_free(ssl_.session_negotiate);
        peer_der_.reset();
        peer_der_size_ = 0;
    }
    const bool lacked_memory = take_lack_of_memory();
    if (good)
        return Outcome::done();
    return lacked_memory ? Outcome::no_memory() : Outcome::failed();
}

void MbedSession::note_resumption() {
    if (!context().resumes() || ussl_mbedtls_resumes(&ssl_) == 0)
        return;
    resumed_ = true;
    if (context().settings().role == Role::server)
        ussl_mbedtls_limit_tickets(&ssl_);
}

// Every stored session of TLS 1.2, and every ticket, must use extended_master_secret, and is only
// resumed with it (RFC 7627 §5.3). Called on a server before its ServerHello, on a client after it.
bool MbedSession::may_resume() {
    has_extended_secret_ = ussl_mbedtls_has_extended_master_secret(&ssl_) != 0;
    if (version() == Version::tls1_3 || has_extended_secret_)
        return true;
    if (context().settings().role == Role::server) {
        ussl_mbedtls_send_no_ticket(&ssl_);
        if (ussl_mbedtls_resumes(&ssl_) == 0)
            ssl_.session_negotiate->id_len = 0;  // prevents the lookup of a session
    }
    return ussl_mbedtls_resumes(&ssl_) == 0;
}

Outcome MbedSession::refuse_resumption() {
    Error error;
    error.code = Code::PROTOCOL;
    return refuse(error, MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
}

// On a server: removes the session of this connection from the cache.
void MbedSession::forget_cached_session() {
    if constexpr (!features::resumption)
        return;
#ifdef MBEDTLS_SSL_CACHE_C
    const mbedtls_ssl_session* session = ssl_.session;
    if (context().settings().role == Role::server && session != nullptr && session->id_len != 0)
        (void)mbedtls_ssl_cache_remove(&context().cache_, session->id, session->id_len);
#endif
}

// The server did not resume the session. Mbed TLS would keep the ticket with the secret of the new
// session.
void MbedSession::forget_declined_session() {
    if constexpr (!features::resumption)
        return;
    mbedtls_ssl_session* session = ssl_.session_negotiate;
    if (session == nullptr || ussl_mbedtls_resumes(&ssl_) != 0 || session->ticket == nullptr)
        return;
    wipe(session->ticket, session->ticket_len);
    mbedtls_free(session->ticket);
    session->ticket = nullptr;
    session->ticket_len = 0;
}

// Called after Mbed TLS has read a message and treats it as the start of a handshake.
int MbedSession::take_ticket() {
    int ret = ussl_mbedtls_begin_message(&ssl_);
    if (ret == 0)
        ret = mbedtls_ssl_handshake_step(&ssl_);
    // A ticket is only needed for later connections, so this one continues without it.
    if (take_lack_of_memory()) {
        ussl_mbedtls_end_handshake(&ssl_);
        ssl_.keep_current_message = 0;
        ssl_.state = MBEDTLS_SSL_HANDSHAKE_OVER;
        return 0;
    }
    if (ssl_.state != MBEDTLS_SSL_HANDSHAKE_OVER)
        return ret;
    ussl_mbedtls_end_handshake(&ssl_);
    if (ret != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        return ret;
    keep_session();
    return 0;
}

bool MbedSession::waits_for_ticket() const {
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    return ssl_.state == MBEDTLS_SSL_TLS1_3_NEW_SESSION_TICKET;
#else
    return false;
#endif
}

}  // namespace ussl::mbedtls

#endif
