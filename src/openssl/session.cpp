// One connection: an SSL object, its calls and its properties.

#include "openssl.hpp"

namespace ussl::openssl {

// The error queue belongs to the thread, and may contain errors of other users of OpenSSL.
static void forget_others_errors() {
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

Owned<EngineSession> OpenSslSession::make(const OpenSslContext& context,
                                          SessionResources& resources, const HostName* name) {
    Owned<OpenSslSession> session{new OpenSslSession(context, resources, name)};
    if (!session)
        return nullptr;
    session->ssl_.reset(SSL_new(context.ctx_.get()));
    Bio bio{BIO_new(context.bio_method_.get())};
    SSL* ssl = session->ssl_.get();
    if (ssl == nullptr || !bio || SSL_set_app_data(ssl, session.get()) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    BIO_set_data(bio.get(), session.get());
    BIO_set_init(bio.get(), 1);
    BIO* stream = bio.release();
    SSL_set_bio(ssl, stream, stream);
    if (!session->use_signer(context)) {
        ERR_clear_error();
        return nullptr;
    }
    const bool client = context.settings().role == Role::client;
    forget_others_errors();
    if (client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    // Since OpenSSL 3.2, this call allocates, and reports a failure only in the queue.
    const bool has_state = ERR_peek_error() == 0;
    if (!has_state || (client && name != nullptr && !name->is_address() &&
                       SSL_set_tlsext_host_name(ssl, name->dns_c_str()) != 1)) {
        ERR_clear_error();
        return nullptr;
    }
    return session;
}

OpenSslSession::~OpenSslSession() {
    // If a connection ends without close_notify, OpenSSL would invalidate its session. RFC 5246
    // §7.2.2 requires this only after an error.
    if (established_ && failure_.code == Code::none)
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    OPENSSL_clear_free(retry_, retry_size_);
    OPENSSL_free(peer_der_);
}

// With SSL_OP_CLEANSE_PLAINTEXT, OpenSSL 3.2 to 4.0 wipe a released buffer here, so the option is
// disabled. Plaintext that was read is already wiped.
static void free_buffers(SSL* ssl) {
    const bool cleanses = (SSL_get_options(ssl) & SSL_OP_CLEANSE_PLAINTEXT) != 0;
    if (cleanses)
        SSL_clear_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_free_buffers(ssl);
    if (cleanses)
        SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

Outcome OpenSslSession::handshake() {
    forget_others_errors();
    const Outcome outcome = outcome_of(SSL_do_handshake(ssl_.get()));
    established_ = outcome.kind == Outcome::Kind::done;
    // From now on, release_idle_buffers() releases buffers. An allocation for each record would
    // take a twentieth of the time.
    if (established_)
        SSL_clear_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
    return outcome;
}

// The size of OpenSSL's buffer for a received record, and a reserve.
constexpr std::size_t read_buffer = max_record_size + 1024;

Outcome OpenSslSession::read(MutableBytes into) {
    // If memory for a record runs out, OpenSSL fails the connection. This probe finds out in
    // advance.
    if (established_ && !has_buffers_) {
        void* probe = OPENSSL_malloc(read_buffer);
        if (probe == nullptr) {
            ERR_clear_error();
            return Outcome::no_memory();
        }
        OPENSSL_free(probe);
        has_buffers_ = true;
    }
    forget_others_errors();
    std::size_t count = 0;
    char probe = 0;
    const int ret = into.empty() ? SSL_peek_ex(ssl_.get(), &probe, 1, &count)
                                 : SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
    if (ret == 1)
        return Outcome::done(count);
    const Outcome outcome = outcome_of(ret);
    // OpenSSL up to 3.0.19 reports an internal error for a record that is too short for its tag.
    if (outcome.kind == Outcome::Kind::failed && established_ &&
        ERR_GET_REASON(failure_.detail) == ERR_R_INTERNAL_ERROR && failure_.code == Code::ENGINE)
        failure_.code = Code::RECORD_CORRUPT;
    return outcome;
}

Outcome OpenSslSession::write(Bytes from) {
    forget_others_errors();
    std::size_t count = 0;
    const int ret = SSL_write_ex(ssl_.get(), from.data(), from.size(), &count);
    if (ret == 1)
        return Outcome::done(count);
    const Outcome outcome = outcome_of(ret);
    if (outcome.kind != Outcome::Kind::want_write)
        return outcome;
    retry_ = static_cast<std::uint8_t*>(OPENSSL_memdup(from.data(), from.size()));
    if (retry_ == nullptr) {
        failure_ = take_error(*this);
        failure_.code = Code::NO_MEMORY;
        return Outcome::failed();
    }
    retry_size_ = from.size();
    return Outcome::want_write(from.size());
}

Outcome OpenSslSession::flush() {
    forget_others_errors();
    std::size_t count = 0;
    const int ret = SSL_write_ex(ssl_.get(), retry_, retry_size_, &count);
    if (ret != 1)
        return outcome_of(ret);
    OPENSSL_clear_free(retry_, retry_size_);
    retry_ = nullptr;
    retry_size_ = 0;
    return Outcome::done();
}

Outcome OpenSslSession::close_notify() {
    forget_others_errors();
    // 0: close_notify was sent, but the peer's was not received yet.
    const int ret = SSL_shutdown(ssl_.get());
    return ret >= 0 ? Outcome::done() : outcome_of(ret);
}

void OpenSslSession::release_idle_buffers() {
    // OpenSSL up to 3.0.13 would release a buffer that is still in use (CVE-2024-4741).
    if (pending() == 0 && !transport_.inside_record()) {
        free_buffers(ssl_.get());
        has_buffers_ = false;
    }
}

Outcome OpenSslSession::outcome_of(int ret) {
    if (ret == 1)
        return Outcome::done();
    // After the peer's close_notify, OpenSSL would also report a write that the program aborted as
    // an end.
    if (transport_.aborted()) {
        failure_ = take_error(*this);
        return Outcome::failed();
    }
    switch (SSL_get_error(ssl_.get(), ret)) {
        case SSL_ERROR_WANT_READ:
            return Outcome::want_read();
        case SSL_ERROR_WANT_WRITE:
            return Outcome::want_write();
        case SSL_ERROR_ZERO_RETURN:
            return Outcome::end();
        default:
            failure_ = take_error(*this);
            if (failure_.alert == Error::Alert::none && was_alert_sent_) {
                failure_.alert = Error::Alert::sent;
                failure_.alert_number = alert_sent_;
            }
            return Outcome::failed();
    }
}

void OpenSslSession::alert_sent(std::uint8_t number) {
    was_alert_sent_ = true;
    alert_sent_ = number;
}

std::size_t OpenSslSession::pending() const {
    return static_cast<std::size_t>(SSL_pending(ssl_.get()));
}

SessionFacts OpenSslSession::facts() const {
    const SSL* ssl = ssl_.get();
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    const auto version = static_cast<Version>(SSL_version(ssl));
    // In TLS 1.2, SSL_get_negotiated_group() of a resumed session is that of its full handshake.
    const char* group = nullptr;
    if (SSL_session_reused(ssl) != 1 || version != Version::tls1_2)
        group =
            SSL_group_to_name(ssl_.get(), static_cast<int>(SSL_get_negotiated_group(ssl_.get())));
    return {.version = version,
            .cipher = {SSL_CIPHER_standard_name(cipher), SSL_CIPHER_get_bits(cipher, nullptr)},
            .group = group != nullptr ? group_of(group) : std::uint16_t{0},
            .alpn = {protocol, size},
            .resumed = SSL_session_reused(ssl) == 1};
}

Bytes OpenSslSession::peer_certificate() const {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr)
        return {};
    if (peer_der_ == nullptr)
        peer_der_size_ = i2d_X509(certificate, &peer_der_);
    if (peer_der_size_ <= 0)
        return {};
    return {peer_der_, static_cast<std::size_t>(peer_der_size_)};
}

bool OpenSslSession::describe_peer(CertificateVisitor& visitor) const {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr)
        return false;
    openssl::describe(certificate, visitor);
    ERR_clear_error();
    return true;
}

}  // namespace ussl::openssl
