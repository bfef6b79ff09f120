// One connection: an mbedtls_ssl_context, its calls and its properties.

#include <algorithm>
#include <cstring>

#include "../policy/certificates.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

int receive_hook(void* session, unsigned char* into, std::size_t size) {
    return static_cast<MbedSession*>(session)->receive({into, size});
}

int send_hook(void* session, const unsigned char* from, std::size_t size) {
    return static_cast<MbedSession*>(session)->send({from, size});
}

}  // namespace

Owned<EngineSession> MbedSession::make(const MbedContext& context, SessionResources& resources,
                                       const HostName* name) {
    Owned<MbedSession> session{new MbedSession(context, resources, name)};
    if (!session)
        return nullptr;
    mbedtls_ssl_context* ssl = &session->ssl_;
    if (mbedtls_ssl_setup(ssl, &context.config_) != 0)
        return nullptr;
    // This name is only used for SNI; is_for() checks the certificate.
    const bool says_name = name != nullptr && !name->is_address();
    if (context.settings().role == Role::client &&
        mbedtls_ssl_set_hostname(ssl, says_name ? name->dns_c_str() : nullptr) != 0)
        return nullptr;
    mbedtls_ssl_set_user_data_p(ssl, session.get());
    mbedtls_ssl_set_verify(ssl, verify_hook, session.get());
    mbedtls_ssl_set_bio(ssl, session.get(), send_hook, receive_hook, nullptr);
    if (features::keylog && context.settings().logs_keys)
        mbedtls_ssl_set_export_keys_cb(ssl, key_hook, session.get());
    return session;
}

int MbedSession::receive(MutableBytes into) {
    if (const int ret = flight_.send(transport_); ret != 0)
        return ret;
    if (!records_.within_a_record()) {
        // A TLS 1.3 client may receive Certificate in place of CertificateRequest.
        const bool awaits_certificates =
            ssl_.state == MBEDTLS_SSL_SERVER_CERTIFICATE ||
            ssl_.state == MBEDTLS_SSL_CLIENT_CERTIFICATE ||
            (ssl_.state == MBEDTLS_SSL_CERTIFICATE_REQUEST && is_tls1_3());
        chain_is_too_long_ = awaits_certificates && records_.chain_is_too_long();
        if (chain_is_too_long_)
            return MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
        if (const int ret = judge_passed_over(); ret != 0)
            return ret;
    }
    return records_.receive(transport_, into);
}

bool MbedSession::is_tls1_3() const {
    // Before that state, tls_version may be an unchecked number from the peer.
    return ssl_.state > MBEDTLS_SSL_SERVER_HELLO && ssl_.tls_version == MBEDTLS_SSL_VERSION_TLS1_3;
}

// Mbed TLS ignores every alert that is not fatal, and in TLS 1.3 every ChangeCipherSpec, without a
// limit. The last ignored record is still in the buffer when Mbed TLS reads the next one.
int MbedSession::judge_passed_over() {
    constexpr std::uint8_t max_in_a_row = 5;
    const bool tls1_3 = is_tls1_3();
    if (ssl_.in_msgtype == MBEDTLS_SSL_MSG_ALERT) {
        const std::uint8_t level = ssl_.in_msg[0];
        const std::uint8_t number = ssl_.in_msg[1];
        // RFC 8446 §6: in TLS 1.3, the level is ignored, and unknown alerts are errors.
        constexpr std::uint8_t user_canceled = 90;
        if (tls1_3 && number != user_canceled)
            return MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
        if (level != MBEDTLS_SSL_ALERT_LEVEL_WARNING && !tls1_3)
            return MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
        // An answer to a renegotiation that was never requested (RFC 5246 §7.2.2).
        if (number == MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION)
            return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    } else if (ssl_.in_msgtype == MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC &&
               (tls1_3 || ssl_.state <= MBEDTLS_SSL_SERVER_HELLO)) {
        // RFC 8446 §5: ChangeCipherSpec must be unencrypted, and precede the peer's Finished
        // message. This also applies before the version is known.
        if (ssl_.in_hdr[0] != MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC ||
            mbedtls_ssl_is_handshake_over(&ssl_) != 0)
            return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    } else {
        if (ssl_.in_msgtype != 0)
            passed_over_ = 0;
        return 0;
    }
    ssl_.in_msgtype = 0;  // mark it as processed
    return ++passed_over_ > max_in_a_row ? MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE : 0;
}

// Accepts as much early data as most servers do, including the overhead of each record.
bool MbedSession::may_skip(std::size_t early_data) {
    constexpr std::size_t most = max_record_size + 1024;
    skipped_ = static_cast<std::uint16_t>(std::min(skipped_ + early_data, most + 1));
    return skipped_ <= most;
}

int MbedSession::send(Bytes from) {
    return mbedtls_ssl_is_handshake_over(&ssl_) == 0 ? flight_.write(transport_, from)
                                                     : Flight::write_now(transport_, from);
}

// Calls a function of Mbed TLS, and repeats the call after it had no room for a record.
template <class Step>
int MbedSession::with_room(Step step) {
    for (;;) {
        const int ret = step();
        if (!records_.wants_room())
            return ret;
        if (!records_.make_room())
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
}

// The Mbed TLS of a port may have a fixed number of key slots. Connections that the program has
// forgotten may still occupy some.
#if defined(MBEDTLS_PSA_CRYPTO_C) && !defined(MBEDTLS_PSA_KEY_STORE_DYNAMIC)
static bool has_key_slots() {
    // A key exchange, the keys of the handshake and of the connection, and a temporary one. Twice,
    // because another handshake may be under way.
    constexpr std::size_t max_at_once = 12;
    mbedtls_psa_stats_t stats;
    mbedtls_psa_get_stats(&stats);
    return stats.empty_slots >= max_at_once;
}
#else
static bool has_key_slots() {
    return true;
}
#endif

Outcome MbedSession::handshake() {
    if (ssl_.state <= MBEDTLS_SSL_CLIENT_HELLO && !has_key_slots()) {
        collect();
        if (!has_key_slots()) {
            Error error;
            error.code = Code::KEY_SLOTS;
            return refuse(error, MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR);
        }
    }
    take_lack_of_memory();
    // A server of TLS 1.3 sends its tickets after this state.
    while (ssl_.state != MBEDTLS_SSL_HANDSHAKE_OVER) {
        const bool at_server_hello = ssl_.state == MBEDTLS_SSL_SERVER_HELLO;
        if (at_server_hello)
            agree_on_record_size();
        if (lacks_group()) {
            Error error;
            error.code = Code::NO_SHARED_CIPHER;
            return refuse(error, MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
        }
        identity_is_first_ = true;
        if (at_server_hello && context().settings().role == Role::server && !may_resume())
            return refuse_resumption();
        const int ret = with_room([this] { return mbedtls_ssl_handshake_step(&ssl_); });
        note_resumption();
#ifdef USSL_PATCHED_MBEDTLS
        // In TLS 1.2, the last call frees the handshake state.
        if (const std::uint16_t group = ussl_mbedtls_group(&ssl_))
            group_ = group;
#endif
        if (ret == 0 && at_server_hello && context().settings().role == Role::client &&
            ssl_.state > MBEDTLS_SSL_SERVER_HELLO) {
            if (!may_resume())
                return refuse_resumption();
            forget_declined_session();
        }
        const Outcome judged = judge_peer();
        if (judged.kind != Outcome::Kind::done)
            return judged;
        if (ret != 0)
            return outcome_of(ret);
        // Mbed TLS may continue although memory ran out during a computation.
        if (lacked_memory_)
            return fail(MBEDTLS_ERR_SSL_ALLOC_FAILED);
    }
    if (const int ret = flight_.send(transport_); ret != 0)
        return outcome_of(ret);
    const bool must_verify =
        (context().settings().verify != Verify::none || !context().settings().pins().empty()) &&
        !context().settings().uses_psk;
    const bool may_be_absent = context().settings().role == Role::server &&
                               context().settings().verify == Verify::optional;
    const bool is_absent =
        (mbedtls_ssl_get_verify_result(&ssl_) & MBEDTLS_X509_BADCERT_MISSING) != 0;
    // The scope of a resumed session includes its verification settings (ussl::StoredSession).
    if (must_verify && !was_verified_ && !(may_be_absent && is_absent) && !resumed_)
        return fail(MBEDTLS_ERR_SSL_INTERNAL_ERROR);
    flight_.end();
    // In TLS 1.3, only the ticket that was already used could be stored here (RFC 8446 §C.4).
    if (version() != Version::tls1_3)
        keep_session();
    if (!has_extended_secret_)
        forget_cached_session();
    let_go_of_the_handshake();
    return Outcome::done();
}

// Evaluates the verification result for the peer's certificate.
Outcome MbedSession::judge_peer() {
    const bool client = context().settings().role == Role::client;
    if (take_lack_of_memory()) {
        lacked_memory_ = true;
        if (was_verified_) {
            Error error;
            error.code = Code::NO_MEMORY;
            return refuse(error, MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR);
        }
    }
    if (callbacks_.failure())
        return refuse(callbacks_.failure(), callbacks_.alert());
    if (certificate_failures_ != 0) {
        const Error error = policy::certificate_error(certificate_failures_);
        return refuse(error, alert_of(error.code));
    }
    if (!client && context().settings().verify == Verify::required &&
        ssl_.session_negotiate != nullptr &&
        mbedtls_ssl_get_verify_result(&ssl_) == MBEDTLS_X509_BADCERT_MISSING) {
        Error error;
        error.code = Code::CERT_MISSING;
        constexpr std::uint8_t certificate_required = 116;  // RFC 8446 §6.2
        return refuse(error, version() == Version::tls1_3
                                 ? certificate_required
                                 : MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
    }
    return Outcome::done();
}

#ifdef USSL_PATCHED_MBEDTLS

bool MbedSession::lacks_group() const {
    return ussl_mbedtls_lacks_group(&ssl_) != 0;
}

// Releases memory that only the handshake needs.
void MbedSession::let_go_of_the_handshake() {
    ussl_mbedtls_end_handshake(&ssl_);
    records_.release_idle_buffers();
    shorten_peer_certificate();
#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
    if (wanted_fragment_code_ != 0)
        ssl_.session->mfl_code = wanted_fragment_code_;
#endif
}

// Programs can only read the first certificate of the peer's chain, so the others are released.
// Parsed certificates take several times the memory of their DER.
void MbedSession::shorten_peer_certificate() {
    const mbedtls_x509_crt* certificate = mbedtls_ssl_get_peer_cert(&ssl_);
    if (certificate == nullptr ||
        !keep_peer_certificate({certificate->raw.p, certificate->raw.len}))
        return;
    mbedtls_x509_crt_free(ssl_.session->peer_cert);
    mbedtls_free(ssl_.session->peer_cert);
    ssl_.session->peer_cert = nullptr;
}

#else

bool MbedSession::lacks_group() const {
    return false;
}
void MbedSession::let_go_of_the_handshake() {}

#endif

int MbedSession::read_some(MutableBytes into) {
    for (;;) {
        if (waits_for_ticket())
            if (const int ret = take_ticket(); ret != 0)
                return ret;
        const int ret =
            with_room([&] { return mbedtls_ssl_read(&ssl_, into.data(), into.size()); });
        // Mbed TLS may have read an alert that is ignored, and more data may be available.
        const bool goes_on = waits_for_ticket() || ssl_.in_msgtype == MBEDTLS_SSL_MSG_ALERT;
        if (ret != MBEDTLS_ERR_SSL_WANT_READ || !goes_on)
            return ret;
    }
}

Outcome MbedSession::read(MutableBytes into) {
    take_lack_of_memory();
    // Records may be empty, but many empty records without plaintext are an attack. OpenSSL has the
    // same limit.
    constexpr int max_empty_records = 32;
    int ret = 0;
    do {
        // Mbed TLS would report an error after four empty records.
        ssl_.nb_zero = 0;
        ret = read_some(into);
        // nb_zero increases by one or two in each call.
        empty_records_ = static_cast<std::uint8_t>(empty_records_ + ssl_.nb_zero);
        if (ret > 0 || pending() != 0)
            empty_records_ = 0;
        if (empty_records_ > max_empty_records)
            ret = MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    } while (ret == 0 && !transport_.ended() && pending() == 0 && ssl_.nb_zero != 0);
    Outcome outcome = Outcome::done();
    if (ret > 0)
        outcome = Outcome::done(static_cast<std::size_t>(ret));
    else if (ret < 0)
        outcome = records_.take_lack_of_room() ? Outcome::no_memory() : outcome_of(ret);
    else if (transport_.ended())
        outcome = Outcome::end();
    else if (pending() == 0)
        outcome = fail(MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE);
    records_.record_is_done();
    return outcome;
}

Outcome MbedSession::write(Bytes from) {
    // An earlier read may have left an unsent alert. Mbed TLS would send only the alert, and report
    // success for the data.
    if (const Outcome outcome = flush(); outcome.kind != Outcome::Kind::done)
        return outcome;
    // If more data were passed, Mbed TLS could send only a part of it without reporting this.
    const int most = mbedtls_ssl_get_max_out_record_payload(&ssl_);
    if (most <= 0)
        return fail(most);
    from = from.first(std::min(from.size(), static_cast<std::size_t>(most)));
    // If memory runs out for a large record, use a smaller one.
    constexpr std::size_t least = 64;
    while (!records_.room_to_write(from.size())) {
        if (from.size() <= least)
            return fail(MBEDTLS_ERR_SSL_ALLOC_FAILED);
        from = from.first(from.size() / 2);
    }
    const int ret = mbedtls_ssl_write(&ssl_, from.data(), from.size());
    records_.record_is_done();
    if (ret == MBEDTLS_ERR_SSL_WANT_WRITE)
        return Outcome::want_write(from.size());
    return ret > 0 ? Outcome::done(static_cast<std::size_t>(ret)) : outcome_of(ret);
}

Outcome MbedSession::flush() {
    take_lack_of_memory();
    // A ticket that could not be processed earlier, because unsent data had to be flushed first.
    if (waits_for_ticket())
        if (const int ret = take_ticket(); ret != 0)
            return outcome_of(ret);
    if (ssl_.out_left == 0)
        return Outcome::done();
    // While there is unsent data, Mbed TLS ignores the data that is passed.
    const std::uint8_t unused = 0;
    const int ret = mbedtls_ssl_write(&ssl_, &unused, 1);
    records_.record_is_done();
    return ret > 0 ? Outcome::done() : outcome_of(ret);
}

Outcome MbedSession::close_notify() {
    // Sends data before close_notify. If Mbed TLS has started close_notify, it continues by itself.
    if (!goodbye_begun_)
        if (const Outcome outcome = flush(); outcome.kind != Outcome::Kind::done)
            return outcome;
    goodbye_begun_ = true;
    return outcome_of(mbedtls_ssl_close_notify(&ssl_));
}

Outcome MbedSession::outcome_of(int ret) {
    switch (ret) {
        case 0:
            return Outcome::done();
        case MBEDTLS_ERR_SSL_WANT_READ:
            return Outcome::want_read();
        case MBEDTLS_ERR_SSL_WANT_WRITE:
            return Outcome::want_write();
        case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        case MBEDTLS_ERR_SSL_CONN_EOF:
            return Outcome::end();
        case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
            // RFC 8446 §6: close_notify has the same meaning at every level.
            if (is_tls1_3() && ssl_.in_msg[1] == MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY)
                return Outcome::end();
            [[fallthrough]];
        default:
            return fail(ret);
    }
}

std::size_t MbedSession::pending() const {
    return mbedtls_ssl_get_bytes_avail(&ssl_);
}

SessionFacts MbedSession::facts() const {
    SessionFacts facts;
    facts.version = version();
    facts.resumed = resumed_;
    facts.group = group_;
    const int id = mbedtls_ssl_get_ciphersuite_id_from_ssl(&ssl_);
    if (const mbedtls_ssl_ciphersuite_t* suite = mbedtls_ssl_ciphersuite_from_id(id))
        facts.cipher = {suite_name(id, cipher_name_),
                        static_cast<int>(mbedtls_ssl_ciphersuite_get_cipher_key_bitlen(suite))};
#if USSL_HAS_ALPN
    if (const char* protocol = mbedtls_ssl_get_alpn_protocol(&ssl_))
        facts.alpn = {reinterpret_cast<const std::uint8_t*>(protocol), std::strlen(protocol)};
#endif
    return facts;
}

bool MbedSession::keep_peer_certificate(Bytes certificate) {
    auto* der = static_cast<std::uint8_t*>(allocate(certificate.size()));
    if (der == nullptr)
        return false;
    std::memcpy(der, certificate.data(), certificate.size());
    peer_der_.reset(der);
    peer_der_size_ = certificate.size();
    return true;
}

Bytes MbedSession::peer_certificate() const {
    if (peer_der_)
        return {peer_der_.get(), peer_der_size_};
    const mbedtls_x509_crt* certificate = mbedtls_ssl_get_peer_cert(&ssl_);
    return certificate != nullptr ? Bytes{certificate->raw.p, certificate->raw.len} : Bytes{};
}

bool MbedSession::describe_peer(CertificateVisitor& visitor) const {
    const Bytes der = peer_certificate();
    Certificates certificate;
    return !der.empty() &&
           mbedtls_x509_crt_parse_der_nocopy(&certificate, der.data(), der.size()) == 0 &&
           mbedtls::describe(certificate, visitor);
}

}  // namespace ussl::mbedtls

#ifdef USSL_PATCHED_MBEDTLS

int ussl_mbedtls_may_skip(mbedtls_ssl_context* ssl, std::size_t size) {
    return static_cast<ussl::mbedtls::MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))
        ->may_skip(size);
}

#endif
