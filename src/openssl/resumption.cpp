// Session resumption. The keys of tickets are in tickets.cpp.

#include <algorithm>
#include <cstring>
#include <ctime>

#include "../policy/limits.hpp"
#include "openssl.hpp"

namespace ussl::openssl {

void OpenSslContext::set_up_sessions(const Options& options) {
    SSL_CTX* ctx = ctx_.get();
    if (settings().role == Role::client) {
        SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(ctx,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
        SSL_CTX_sess_set_new_cb(ctx, [](SSL* ssl, SSL_SESSION* session) {
            OpenSslSession::of(ssl)->keep_session(session);
            return 0;  // OpenSSL keeps its reference
        });
        return;
    }
    // In TLS 1.3, the server stores sessions, and a ticket is only a number (SSL_OP_NO_TICKET). So
    // there is no key that decrypts all of them. In TLS 1.2, some clients only support session IDs,
    // and others only tickets.
    SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_client_hello_cb(ctx, choose_tickets, nullptr);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_ticket_key);
    constexpr unsigned char name[] = "ussl";
    constexpr long most = 1024;
    SSL_CTX_set_session_id_context(ctx, name, sizeof name);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ctx, most);
    SSL_CTX_set_timeout(
        ctx, static_cast<long>(std::min(policy::ticket_lifetime, settings().session_lifetime)));
    SSL_CTX_set_num_tickets(ctx, options.tickets);
    SSL_CTX_set_session_ticket_cb(
        ctx,
        [](SSL* ssl, void*) {
            OpenSslSession::of(ssl)->limit_session();
            return 1;
        },
        nullptr, nullptr);
}

void OpenSslSession::keep_session(SSL_SESSION* session) {
    if (SSL_SESSION_is_resumable(session) != 1)
        return;
    const int size = i2d_SSL_SESSION(session, nullptr);
    SecretBytes saved(size > 0 ? static_cast<std::size_t>(size) : 0);
    if (saved.empty())
        return;
    unsigned char* at = saved.data();
    i2d_SSL_SESSION(session, &at);
    new_session_ = {std::move(saved),
                    static_cast<std::uint32_t>(SSL_SESSION_get_ticket_lifetime_hint(session))};
}

Outcome OpenSslSession::resume(Bytes session) {
    const unsigned char* at = session.data();
    const SslSession saved{d2i_SSL_SESSION(nullptr, &at, static_cast<long>(session.size()))};
    // Another version of OpenSSL may have parsed the certificate.
    const bool good = saved && SSL_SESSION_get0_peer(saved.get()) != nullptr &&
                      SSL_set_session(ssl_.get(), saved.get()) == 1;
    if (take_lack_of_memory())
        return Outcome::no_memory();
    return good ? Outcome::done() : Outcome::failed();
}

// A ticket of a resumed connection is as old as the original full handshake. OpenSSL copies that
// time with its application data for tickets.
void OpenSslSession::limit_session() {
    SSL_SESSION* session = SSL_get_session(ssl_.get());
    const std::int64_t now = time(nullptr);
    std::int64_t verified_at = now;
    void* data = nullptr;
    std::size_t size = 0;
    if (SSL_session_reused(ssl_.get()) == 1 &&
        SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size == sizeof verified_at)
        std::memcpy(&verified_at, data, size);
    std::int64_t left = verified_at + context_->settings().session_lifetime - now;
    // If the time cannot be stored, the next ticket would not know it, so this one expires at once.
    if (SSL_SESSION_set1_ticket_appdata(session, &verified_at, sizeof verified_at) != 1)
        left = 0;
    SSL_SESSION_set_timeout(
        session, static_cast<long>(std::clamp<std::int64_t>(left, 0, policy::ticket_lifetime)));
}

}  // namespace ussl::openssl
