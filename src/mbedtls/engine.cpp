#include <algorithm>
#include <array>
#include <cstring>

#include "../engines.hpp"
#include "../groups.hpp"
#include "../policy.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

// Mbed TLS computes fastest with P-256.
constexpr std::uint16_t best_groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1};
constexpr std::uint16_t signature_algorithms[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,       MBEDTLS_TLS1_3_SIG_NONE,
};

// Everything passes here; strength is judged by find_failures(), so that it is one failure of many.
constexpr mbedtls_x509_crt_profile any_profile = {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0};

int receive_hook(void* session, unsigned char* into, std::size_t size) {
    return static_cast<MbedSession*>(session)->receive({into, size});
}

int send_hook(void* session, const unsigned char* from, std::size_t size) {
    return static_cast<MbedSession*>(session)->send({from, size});
}

int verify_hook(void* session, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
    return static_cast<MbedSession*>(session)->verify(*certificate, depth, *flags);
}

#ifdef MBEDTLS_SSL_HANDSHAKE_WITH_PSK_ENABLED
int psk_hook(void*, mbedtls_ssl_context* ssl, const unsigned char* identity, std::size_t size) {
    return static_cast<MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))->find_psk({identity, size});
}
#endif

// The label of a secret in the NSS Key Log Format.
std::string_view label_of(mbedtls_ssl_key_export_type type) {
    switch (type) {
        case MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET:
            return "CLIENT_RANDOM";
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET:
            return "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET:
            return "SERVER_HANDSHAKE_TRAFFIC_SECRET";
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET:
            return "CLIENT_TRAFFIC_SECRET_0";
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET:
            return "SERVER_TRAFFIC_SECRET_0";
#endif
        default:
            return {};
    }
}

void key_hook(void* session, mbedtls_ssl_key_export_type type, const unsigned char* secret,
              std::size_t size, const unsigned char client_random[32], const unsigned char*,
              mbedtls_tls_prf_types) {
    static_cast<MbedSession*>(session)->log_key(label_of(type), {client_random, 32},
                                                {secret, size});
}

int name_hook(mbedtls_ssl_context* ssl) {
    return static_cast<MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))->choose_context();
}

bool has_group(std::uint16_t number) {
    mbedtls_ecp_group_id curve = MBEDTLS_ECP_DP_NONE;
    switch (number) {
        case MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1:
            curve = MBEDTLS_ECP_DP_SECP256R1;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1:
            curve = MBEDTLS_ECP_DP_SECP384R1;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1:
            curve = MBEDTLS_ECP_DP_SECP521R1;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_X25519:
            curve = MBEDTLS_ECP_DP_CURVE25519;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_X448:
            curve = MBEDTLS_ECP_DP_CURVE448;
            break;
        default:
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(PSA_WANT_ALG_FFDH)
            return number >= MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE2048 &&
                   number <= MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE8192;
#else
            return false;
#endif
    }
    return mbedtls_ecp_curve_info_from_grp_id(curve) != nullptr;
}

std::optional<std::uint32_t> find_groups() {
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < std::size(groups::all); ++i)
        if (has_group(groups::all[i].number))
            found |= std::uint32_t{1} << i;
    return found;
}

bool for_each_suite(SuiteVisitor& visitor) {
    char name[64];
    for (const std::uint16_t suite : policy::every_suite)
        if (const std::string_view iana = suite_name(suite, name); !iana.empty())
            visitor.suite(suite, iana);
    return true;
}

}  // namespace

bool start_up() {
#ifdef MBEDTLS_PSA_CRYPTO_C
    return psa_crypto_init() == PSA_SUCCESS;
#else
    return true;
#endif
}

// The key store is in Mbed TLS's own variables and points to the heap. Of a connection that is
// destroyed later, it rejects the keys. The Mbed TLS of a port has its own memory, and other users.
void shut_down() {
#if defined(MBEDTLS_PSA_CRYPTO_C) && defined(USSL_MBEDTLS_PLATFORM)
    mbedtls_psa_crypto_free();
#endif
}

bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) {
    Holder<mbedtls_md_context_t, mbedtls_md_init, mbedtls_md_free> hash;
    bool good = mbedtls_md_setup(&hash, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) == 0 &&
                mbedtls_md_starts(&hash) == 0;
    for (const Bytes part : parts)
        good = good && mbedtls_md_update(&hash, part.data(), part.size()) == 0;
    return good && mbedtls_md_finish(&hash, out.data()) == 0;
}

// "TLS1-3-AES-128-GCM-SHA256", "TLS-PSK-WITH-…": IANA's name but for the hyphens and the number.
std::string_view suite_name(int suite, std::span<char> into) {
    const mbedtls_ssl_ciphersuite_t* known = mbedtls_ssl_ciphersuite_from_id(suite);
    if (known == nullptr)
        return {};
    constexpr std::string_view tls1_3 = "TLS1-3-";
    std::string_view name = mbedtls_ssl_get_ciphersuite_name(suite);
    std::size_t size = 0;
    if (name.starts_with(tls1_3)) {
        size = sizeof "TLS-" - 1;
        std::memcpy(into.data(), "TLS-", size);
        name.remove_prefix(tls1_3.size());
    }
    const std::size_t n = std::min(name.size(), into.size() - size);
    std::memcpy(into.data() + size, name.data(), n);
    size += n;
    std::replace(into.begin(), into.begin() + static_cast<std::ptrdiff_t>(size), '-', '_');
    return {into.data(), size};
}

// --- Context

std::expected<Owned<EngineContext>, ConfigError> MbedContext::make(const Options& options) {
    static constexpr ConfigError no_memory{"out of memory", true};
    Owned<MbedContext> context{new MbedContext};
    if (!context)
        return std::unexpected(no_memory);
    context->role_ = options.role;
    context->verify_ = options.verify;
    context->psk_ = policy::uses_psk(options);
    context->signs_by_program_ = options.sign_by_program;
    context->checks_hostname_ = options.check_hostname;
    context->by_program_ = options.verify_by_program;
    context->verify_time_ = {options.verify_time, options.build_time};
    context->logs_keys_ = options.key_log;
    if (options.pins) {
        context->pins_.reset(static_cast<std::uint8_t*>(allocate(options.pins->size())));
        if (!context->pins_)
            return std::unexpected(no_memory);
        context->pins_size_ = options.pins->size();
        std::memcpy(context->pins_.get(), options.pins->data(), context->pins_size_);
    }
    take_lack_of_memory();
    std::optional<ConfigError> config_error;
    if (!context->set_up(options))
        config_error = ConfigError{"the TLS engine could not be set up"};
    if (!config_error)
        config_error = context->load_identity(options);
    if (!config_error)
        config_error = context->load_trusted(options);
    if (!config_error)
        context->crl_check_ = policy::crl_check_of(options, context->store_stats());
    if (!config_error)
        context->limit_records(options.record_size_limit);
    if (take_lack_of_memory())
        return std::unexpected(no_memory);
    if (config_error)
        return std::unexpected(*config_error);
    return context;
}

static_assert(option_count == 30, "does this engine need the new option?");
bool MbedContext::set_up(const Options& options) {
    const bool client = role_ == Role::client;
    mbedtls_ssl_config* config = &config_;
    if (!start_up() ||
        mbedtls_ssl_config_defaults(config, client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return false;
    mbedtls_ssl_conf_rng(config, random_bytes, nullptr);
    using MbedVersion = mbedtls_ssl_protocol_version;
    const policy::Offer offer = policy::offer_of(options);
    mbedtls_ssl_conf_min_tls_version(config, static_cast<MbedVersion>(offer.minimum_version));
    const Version newest = USSL_HAS_TLS1_3 != 0 ? Version::tls1_3 : Version::tls1_2;
    mbedtls_ssl_conf_max_tls_version(
        config, static_cast<MbedVersion>(std::min(offer.maximum_version, newest)));
    mbedtls_ssl_conf_sig_algs(config, signature_algorithms);
    if (!set_up_groups(options) || !set_up_suites(offer) ||
        (options.alpn && !set_up_alpn(*options.alpn)))
        return false;
    mbedtls_ssl_conf_cert_profile(config, &any_profile);
    // RFC 5746 §4.1: a server that does not say how it renegotiates can be made to take somebody
    // else's data for ours.
    if (client)
        mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
#ifdef MBEDTLS_DHM_C
    mbedtls_ssl_conf_dhm_min_bitlen(config, policy::minimum_dh_bits);
#endif
    if (!set_up_sessions(options))
        return false;
    if (options.choose_by_name)
        mbedtls_ssl_conf_cert_cb(config, name_hook);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    // To TLS 1.3 a session is a pre-shared key.
    const int with_key = psk_ || resumes_ ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL : 0;
    const int without_key = psk_ ? 0 : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL;
    mbedtls_ssl_conf_tls13_key_exchange_modes(config, with_key | without_key);
#endif
    // Mbed TLS shows what it finds and goes on; judge_peer() decides, after every step, and
    // chooses the alert.
    const bool looks = (verify_ != Verify::none || pins_) && !psk_;
    mbedtls_ssl_conf_authmode(config,
                              looks ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_NONE);
#ifdef MBEDTLS_SSL_HANDSHAKE_WITH_PSK_ENABLED
    if (psk_ && !client)
        mbedtls_ssl_conf_psk_cb(config, psk_hook, nullptr);
    if (options.psk_key && options.psk_identity) {
        const Bytes key = *options.psk_key;
        const Bytes identity = *options.psk_identity;
        return mbedtls_ssl_conf_psk(config, key.data(), key.size(), identity.data(),
                                    identity.size()) == 0;
    }
#endif
    return true;
}

// Not with the Mbed TLS of a port: it keeps what it needs of the handshake to itself.
bool MbedContext::set_up_sessions([[maybe_unused]] const Options& options) {
#if USSL_HAS_RESUMPTION
    const bool client = role_ == Role::client;
    resumes_ = policy::resumes(options);
    if (client) {
        mbedtls_ssl_conf_session_tickets(&config_, resumes_ ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                            : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
        mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
            &config_, resumes_ ? MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
                               : MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_DISABLED);
#endif
        return true;
    }
    if (!resumes_)
        return true;
#ifdef MBEDTLS_SSL_CACHE_C
    // Each takes some 200 bytes, once there is a client that needs it.
#ifdef USSL_BOARD
    constexpr int max_sessions = 8;
#else
    constexpr int max_sessions = 1024;
#endif
    mbedtls_ssl_cache_set_max_entries(&cache_, max_sessions);
    mbedtls_ssl_cache_set_timeout(
        &cache_, static_cast<int>(std::min(policy::ticket_lifetime, options.session_lifetime)));
    mbedtls_ssl_conf_session_cache(&config_, &cache_, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
#endif
#ifdef MBEDTLS_SSL_TICKET_C
    // Mbed TLS changes the key once in the lifetime of a ticket, and has two. From the last but one
    // no ticket comes of another (ussl_mbedtls_parse_ticket), so that the key's end is the end of
    // all sessions that come of one full handshake.
    if (mbedtls_ssl_ticket_setup(
            &tickets_, random_bytes, nullptr, MBEDTLS_CIPHER_AES_128_GCM,
            std::min(policy::ticket_lifetime, (options.session_lifetime + 1) / 2)) != 0)
        return false;
    mbedtls_ssl_conf_session_tickets_cb(&config_, mbedtls_ssl_ticket_write,
                                        ussl_mbedtls_parse_ticket, &tickets_);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    mbedtls_ssl_conf_new_session_tickets(&config_, options.tickets);
#endif
#endif
#endif
    return true;
}

bool MbedContext::set_up_groups(const Options& options) {
    std::uint16_t storage[max_groups];
    const std::span<const std::uint16_t> wanted = groups::of(mbedtls_engine, options, storage);
    auto* list = static_cast<std::uint16_t*>(allocate((wanted.size() + 1) * sizeof(std::uint16_t)));
    groups_.reset(list);
    if (list == nullptr)
        return false;
    *std::ranges::copy(wanted, list).out = MBEDTLS_SSL_IANA_TLS_GROUP_NONE;
    mbedtls_ssl_conf_groups(&config_, list);
    return true;
}

bool MbedContext::set_up_suites(const policy::Offer& offer) {
    auto* list = static_cast<int*>(allocate((offer.count + 1) * sizeof(int)));
    suites_.reset(list);
    if (list == nullptr)
        return false;
    std::copy_n(offer.suites.begin(), offer.count, list);
    list[offer.count] = 0;
    mbedtls_ssl_conf_ciphersuites(&config_, list);
    return true;
}

bool MbedContext::set_up_alpn([[maybe_unused]] Bytes alpn) {
#ifdef MBEDTLS_SSL_ALPN
    std::size_t count = 0;
    policy::for_each_protocol(alpn, [&](Bytes) { ++count; });
    // The bytes of lengths become those of NULs.
    const std::size_t pointers = (count + 1) * sizeof(const char*);
    protocols_.reset(static_cast<const char**>(allocate(pointers + alpn.size())));
    const char** entry = protocols_.get();
    if (entry == nullptr)
        return false;
    char* at = reinterpret_cast<char*>(entry) + pointers;
    policy::for_each_protocol(alpn, [&](Bytes protocol) {
        *entry++ = at;
        at = std::copy(protocol.begin(), protocol.end(), at);
        *at++ = '\0';
    });
    *entry = nullptr;
    return mbedtls_ssl_conf_alpn_protocols(&config_, protocols_.get()) == 0;
#else
    return false;
#endif
}

static bool has_long_key_exchange(const int* suites) {
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

// Mbed TLS does not divide its messages of the handshake, so that a size which it agreed on with
// the peer must be one that they fit into.
void MbedContext::limit_records(std::optional<std::size_t> limit) {
    // A client's key exchange with DHE or RSA; a server's, and its tickets. With ECDHE and a
    // pre-shared key, a client's is much shorter.
    longest_message_ = role_ == Role::server || has_long_key_exchange(suites_.get()) ? 600 : 300;
    constexpr std::size_t with_ffdhe = 1300;  // ffdhe8192: a share of 1024 bytes
    for (const std::uint16_t* group = groups_.get(); *group != 0; ++group)
        if (*group >= MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE2048)
            longest_message_ = with_ffdhe;
    std::size_t certificates = 0;
    for (const mbedtls_x509_crt* at = &chain_; at != nullptr; at = at->next)
        certificates += at->raw.len + 16;
    std::size_t names = 0;  // of the roots, in a server's request for a certificate
    if (role_ == Role::server && verify_ != Verify::none)
        for (const mbedtls_x509_crt* at = &trusted_; at != nullptr; at = at->next)
            names += at->subject_raw.len + 16;
    longest_message_ = std::max({longest_message_, certificates, names});

#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#ifdef USSL_PATCHED_MBEDTLS
    const bool can_be_told = true;
#else
    // Mbed TLS itself forgets in TLS 1.3 that it has asked, and does not divide what it sends.
    const bool can_be_told =
        role_ == Role::client && config_.max_tls_version == MBEDTLS_SSL_VERSION_TLS1_2;
#endif
    std::uint8_t code = can_be_told ? policy::max_fragment_code(limit) : 0;
    while (code != 0 && policy::max_fragment_size(code) < longest_message_)
        code = policy::max_fragment_size(code + 1) != 0 ? code + 1 : 0;
    (void)mbedtls_ssl_conf_max_frag_len(&config_, code);
#endif
    // patches/mbedtls-record-size-limit.patch reads it.
    mbedtls_ssl_conf_set_user_data_n(&config_, limit.value_or(max_record_size));
}

Owned<EngineSession> MbedContext::make_session(SessionResources& resources, const HostName* name) {
    return MbedSession::make(*this, resources, name);
}

// --- Session

Owned<EngineSession> MbedSession::make(const MbedContext& context, SessionResources& resources,
                                       const HostName* name) {
    Owned<MbedSession> session{new MbedSession(context, resources, name)};
    if (!session)
        return nullptr;
    mbedtls_ssl_context* ssl = &session->ssl_;
    if (mbedtls_ssl_setup(ssl, &context.config_) != 0)
        return nullptr;
    // The name goes into SNI; is_for() is what checks it.
    const bool says_name = name != nullptr && !name->is_address();
    if (context.role() == Role::client &&
        mbedtls_ssl_set_hostname(ssl, says_name ? name->dns_c_str() : nullptr) != 0)
        return nullptr;
    mbedtls_ssl_set_user_data_p(ssl, session.get());
    mbedtls_ssl_set_verify(ssl, verify_hook, session.get());
    mbedtls_ssl_set_bio(ssl, session.get(), send_hook, receive_hook, nullptr);
    if (context.logs_keys())
        mbedtls_ssl_set_export_keys_cb(ssl, key_hook, session.get());
    return session;
}

int MbedSession::receive(MutableBytes into) {
    if (const int ret = flight_.send(transport_); ret != 0)
        return ret;
    if (!records_.within_a_record()) {
        // A client of TLS 1.3 expects certificates also instead of a request for its own.
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
    // Before that, it may be a number that a peer has made up.
    return ssl_.state > MBEDTLS_SSL_SERVER_HELLO && ssl_.tls_version == MBEDTLS_SSL_VERSION_TLS1_3;
}

// Mbed TLS passes over every alert that is not called fatal, and in TLS 1.3 over every
// ChangeCipherSpec, for as long as they come. The last of them is still there when it asks for the
// next record.
int MbedSession::judge_passed_over() {
    constexpr std::uint8_t max_in_a_row = 5;
    const bool tls1_3 = is_tls1_3();
    if (ssl_.in_msgtype == MBEDTLS_SSL_MSG_ALERT) {
        const std::uint8_t level = ssl_.in_msg[0];
        const std::uint8_t number = ssl_.in_msg[1];
        // RFC 8446 §6: in TLS 1.3 the level says nothing, and what is unknown is an error.
        constexpr std::uint8_t user_canceled = 90;
        if (tls1_3 && number != user_canceled)
            return MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
        if (level != MBEDTLS_SSL_ALERT_LEVEL_WARNING && !tls1_3)
            return MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
        // An answer to what nobody has asked for (RFC 5246 §7.2.2).
        if (number == MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION)
            return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    } else if (ssl_.in_msgtype == MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC &&
               (tls1_3 || ssl_.state <= MBEDTLS_SSL_SERVER_HELLO)) {
        // RFC 8446 §5: as it is, and before the peer's Finished message; also while the version is
        // not known yet.
        if (ssl_.in_hdr[0] != MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC ||
            mbedtls_ssl_is_handshake_over(&ssl_) != 0)
            return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    } else {
        if (ssl_.in_msgtype != 0)
            passed_over_ = 0;
        return 0;
    }
    ssl_.in_msgtype = 0;  // it has been looked at
    return ++passed_over_ > max_in_a_row ? MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE : 0;
}

// When a callback ends the handshake, Mbed TLS blames the peer, or its own certificate.
std::uint8_t MbedSession::choose_alert(std::uint8_t alert) {
    use_application_keys();
    const std::uint8_t instead = callbacks_.alert();
    return instead != 0 ? instead : alert;
}

// A server of TLS 1.3 that has sent its Finished sends with the application's keys (RFC 8446
// appendix A.2), which Mbed TLS takes up only when the client has finished, too.
void MbedSession::use_application_keys() {
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    if (context().role() == Role::server && ssl_.transform_application != nullptr &&
        ssl_.transform_out != ssl_.transform_application) {
        ssl_.transform_out = ssl_.transform_application;
        std::memset(ssl_.cur_out_ctr, 0, sizeof ssl_.cur_out_ctr);
    }
#endif
}

// As much as most servers take; and what each record adds to it.
bool MbedSession::may_skip(std::size_t early_data) {
    constexpr std::size_t most = max_record_size + 1024;
    skipped_ = static_cast<std::uint16_t>(std::min(skipped_ + early_data, most + 1));
    return skipped_ <= most;
}

int MbedSession::send(Bytes from) {
    return mbedtls_ssl_is_handshake_over(&ssl_) == 0 ? flight_.write(transport_, from)
                                                     : Flight::write_now(transport_, from);
}

// A step of Mbed TLS's, and again once there is room for the record that it stopped at.
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

// A port's Mbed TLS may have a fixed number of places for keys, and forgotten connections hold
// some.
#if defined(MBEDTLS_PSA_CRYPTO_C) && !defined(MBEDTLS_PSA_KEY_STORE_DYNAMIC)
static bool has_key_slots() {
    // A key exchange, the keys of the handshake and of the connection, one in passing; twice, for
    // another handshake may have begun.
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
    // A server's tickets follow when the handshake is over already.
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
        if (at_server_hello && context().role() == Role::server && !may_resume())
            return refuse_resumption();
        const int ret = with_room([this] { return mbedtls_ssl_handshake_step(&ssl_); });
        note_resumption();
#ifdef USSL_PATCHED_MBEDTLS
        // The last step of TLS 1.2 frees the handshake.
        if (const std::uint16_t group = ussl_mbedtls_group(&ssl_))
            group_ = group;
#endif
        if (ret == 0 && at_server_hello && context().role() == Role::client &&
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
        // Mbed TLS may go on with what it had no memory to compute.
        if (lacked_memory_)
            return fail(MBEDTLS_ERR_SSL_ALLOC_FAILED);
    }
    if (const int ret = flight_.send(transport_); ret != 0)
        return outcome_of(ret);
    const bool must_verify =
        (context().verify() != Verify::none || !context().pins().empty()) && !context().uses_psk();
    const bool may_be_absent =
        context().role() == Role::server && context().verify() == Verify::optional;
    const bool is_absent =
        (mbedtls_ssl_get_verify_result(&ssl_) & MBEDTLS_X509_BADCERT_MISSING) != 0;
    // Of the session that is resumed, the tag says how it was verified (ussl::StoredSession).
    if (must_verify && !was_verified_ && !(may_be_absent && is_absent) && !resumed_)
        return fail(MBEDTLS_ERR_SSL_INTERNAL_ERROR);
    flight_.end();
    // In TLS 1.3 what could be kept here is the ticket that was used already (RFC 8446 §C.4).
    if (version() != Version::tls1_3)
        keep_session();
    if (!has_extended_secret_)
        forget_cached_session();
    let_go_of_the_handshake();
    return Outcome::done();
}

// What Mbed TLS has found of the peer's certificate so far.
Outcome MbedSession::judge_peer() {
    const bool client = context().role() == Role::client;
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
    if (!client && context().verify() == Verify::required && ssl_.session_negotiate != nullptr &&
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

Outcome MbedSession::refuse(const Error& error, std::uint8_t alert) {
    failure_ = error;
    failure_.alert = Error::Alert::sent;
    failure_.alert_number = alert;
    use_application_keys();
    // When a callback refuses, Mbed TLS may have sent an alert, which choose_alert() has changed.
    if (!callbacks_.failure() || ssl_.out_msgtype != MBEDTLS_SSL_MSG_ALERT)
        (void)mbedtls_ssl_send_alert_message(&ssl_, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert);
    (void)flight_.send(transport_);
    return Outcome::failed();
}

#ifdef USSL_PATCHED_MBEDTLS

// Between ClientHello and what the server says to it.
void MbedSession::agree_on_record_size() {
#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
    if (context().role() == Role::client && ssl_.conf->mfl_code != MBEDTLS_SSL_MAX_FRAG_LEN_NONE)
        ussl_mbedtls_offered_max_fragment_length(&ssl_);
#endif
    // Where the messages that follow do not fit, a server does not agree. What it sends later keeps
    // to the wish all the same.
    if (context().role() == Role::client)
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

bool MbedSession::lacks_group() const {
    return ussl_mbedtls_lacks_group(&ssl_) != 0;
}

// What only the handshake needed.
void MbedSession::let_go_of_the_handshake() {
    ussl_mbedtls_end_handshake(&ssl_);
    records_.release_idle_buffers();
    shorten_peer_certificate();
#ifdef MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
    if (wanted_fragment_code_ != 0)
        ssl_.session->mfl_code = wanted_fragment_code_;
#endif
}

// Of the peer's chain, what a program may still ask for is its first certificate. Parsed, all of it
// takes several times the room.
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

void MbedSession::agree_on_record_size() {}
bool MbedSession::lacks_group() const {
    return false;
}
void MbedSession::let_go_of_the_handshake() {}

#endif

#if USSL_HAS_RESUMPTION

// A session as bytes: the length of the peer's certificate (2 bytes), the certificate, and what
// Mbed TLS makes of the rest.
void MbedSession::keep_session() {
    if (!context().resumes() || context().role() != Role::client || ssl_.session == nullptr)
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
    if (session.size() < 2)
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
        // Half of a session would be offered.
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
    if (ussl_mbedtls_resumes(&ssl_) == 0 || !context().resumes())
        return;
    resumed_ = true;
    if (context().role() == Role::server)
        ussl_mbedtls_limit_tickets(&ssl_);
}

// Every session of TLS 1.2 that is kept, and every ticket, is of a handshake with
// extended_master_secret, so that nothing is resumed without (RFC 7627 §5.3). For a server before
// its ServerHello, for a client behind it.
bool MbedSession::may_resume() {
    has_extended_secret_ = ussl_mbedtls_has_extended_master_secret(&ssl_) != 0;
    if (version() == Version::tls1_3 || has_extended_secret_)
        return true;
    if (context().role() == Role::server) {
        ussl_mbedtls_send_no_ticket(&ssl_);
        if (ussl_mbedtls_resumes(&ssl_) == 0)
            ssl_.session_negotiate->id_len = 0;  // so that no session is looked for
    }
    return ussl_mbedtls_resumes(&ssl_) == 0;
}

Outcome MbedSession::refuse_resumption() {
    Error error;
    error.code = Code::PROTOCOL;
    return refuse(error, MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
}

// Of a server, the session of this connection.
void MbedSession::forget_cached_session() {
#ifdef MBEDTLS_SSL_CACHE_C
    const mbedtls_ssl_session* session = ssl_.session;
    if (context().role() == Role::server && session != nullptr && session->id_len != 0)
        (void)mbedtls_ssl_cache_remove(&context().cache_, session->id, session->id_len);
#endif
}

// The server has not resumed. Mbed TLS would keep the ticket, beside the secret of a new session.
void MbedSession::forget_declined_session() {
    mbedtls_ssl_session* session = ssl_.session_negotiate;
    if (session == nullptr || ussl_mbedtls_resumes(&ssl_) != 0 || session->ticket == nullptr)
        return;
    wipe(session->ticket, session->ticket_len);
    mbedtls_free(session->ticket);
    session->ticket = nullptr;
    session->ticket_len = 0;
}

// The message is there, and Mbed TLS has taken it for the beginning of a handshake.
int MbedSession::take_ticket() {
    int ret = ussl_mbedtls_begin_message(&ssl_);
    if (ret == 0)
        ret = mbedtls_ssl_handshake_step(&ssl_);
    // A ticket is only for later connections: this one goes on without.
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

#else

void MbedSession::keep_session() {}
Outcome MbedSession::resume(Bytes) {
    return Outcome::failed();
}
void MbedSession::note_resumption() {}
bool MbedSession::may_resume() {
    return true;
}
Outcome MbedSession::refuse_resumption() {
    return Outcome::failed();
}
void MbedSession::forget_declined_session() {}
void MbedSession::forget_cached_session() {}
int MbedSession::take_ticket() {
    return 0;
}
bool MbedSession::waits_for_ticket() const {
    return false;
}

#endif

int MbedSession::read_some(MutableBytes into) {
    for (;;) {
        if (waits_for_ticket())
            if (const int ret = take_ticket(); ret != 0)
                return ret;
        const int ret =
            with_room([&] { return mbedtls_ssl_read(&ssl_, into.data(), into.size()); });
        // It may have read an alert that comes to nothing, and there is more.
        const bool goes_on = waits_for_ticket() || ssl_.in_msgtype == MBEDTLS_SSL_MSG_ALERT;
        if (ret != MBEDTLS_ERR_SSL_WANT_READ || !goes_on)
            return ret;
    }
}

Outcome MbedSession::read(MutableBytes into) {
    take_lack_of_memory();
    // Records may be empty, but a peer that sends nothing else wants to keep us busy. OpenSSL
    // tolerates as many.
    constexpr int max_empty_records = 32;
    int ret = 0;
    do {
        // Mbed TLS would take four of them for a forged record.
        ssl_.nb_zero = 0;
        ret = read_some(into);
        // One or two at a time.
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
    // An alert that a read could not send: Mbed TLS would send that alone, and call it a success.
    if (const Outcome outcome = flush(); outcome.kind != Outcome::Kind::done)
        return outcome;
    // A longer piece would be cut off here without a word if it does not leave at once.
    const int most = mbedtls_ssl_get_max_out_record_payload(&ssl_);
    if (most <= 0)
        return fail(most);
    from = from.first(std::min(from.size(), static_cast<std::size_t>(most)));
    // Smaller records where there is no memory for a large one.
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
    // It could not be looked at because something had to leave first.
    if (waits_for_ticket())
        if (const int ret = take_ticket(); ret != 0)
            return outcome_of(ret);
    if (ssl_.out_left == 0)
        return Outcome::done();
    // While something has not left yet, nothing of what is handed in is looked at.
    const std::uint8_t unused = 0;
    const int ret = mbedtls_ssl_write(&ssl_, &unused, 1);
    records_.record_is_done();
    return ret > 0 ? Outcome::done() : outcome_of(ret);
}

Outcome MbedSession::close_notify() {
    // What stands before the goodbye; once that is begun, Mbed TLS goes on with it by itself.
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
            // RFC 8446 §6: a goodbye, whatever its level.
            if (is_tls1_3() && ssl_.in_msg[1] == MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY)
                return Outcome::end();
            [[fallthrough]];
        default:
            return fail(ret);
    }
}

Outcome MbedSession::fail(int ret) {
    // RFC 5246 §7.2.2: it cannot be resumed.
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
    // A client of TLS 1.3 that refuses what it was shown may not have keys yet: its alert comes as
    // it is, where Mbed TLS expects it encrypted.
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
    // Only what is protected is as the peer made it: a header is not, and a record of TLS 1.3 that
    // has no protection.
    const bool bad_header =
        records_.within_a_record() &&
        (ret == MBEDTLS_ERR_SSL_INVALID_RECORD || ret == MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION);
    const bool bare = is_tls1_3() && ret == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE &&
                      ssl_.in_hdr[0] != MBEDTLS_SSL_MSG_APPLICATION_DATA;
    if (established && (bad_header || bare))
        failure_.code = Code::RECORD_CORRUPT;
    const bool finished =
        ssl_.state == MBEDTLS_SSL_SERVER_FINISHED || ssl_.state == MBEDTLS_SSL_CLIENT_FINISHED;
    // The server went on with a certificate.
    if (context().role() == Role::client && context().uses_psk() && !finished &&
        failure_.code == Code::NO_SHARED_CIPHER && version() == Version::tls1_3)
        failure_.code = Code::PSK_REFUSED;
    failure_.alert = Error::Alert::sent;
    if (ssl_.alert_type != 0 && ssl_.alert_reason == ret) {
        failure_.alert_number = ssl_.alert_type;
        // A binder that does not verify; a hello that lacks what this side's credentials need.
        if (context().uses_psk() && context().role() == Role::server &&
            ssl_.alert_type == MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR)
            failure_.code = Code::PSK_KEY;
        else if (ssl_.alert_type == MBEDTLS_SSL_ALERT_MSG_MISSING_EXTENSION)
            failure_.code = Code::NO_SHARED_CIPHER;
    } else if (ret == MBEDTLS_ERR_SSL_INVALID_MAC) {
        failure_.alert_number = MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC;
    } else if (ret == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE && finished) {
        // It has left, encrypted.
        failure_.alert_number = MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR;
    } else if (ssl_.out_msgtype == MBEDTLS_SSL_MSG_ALERT && ssl_.out_msglen == 2) {
        failure_.alert_number = ssl_.out_msg[1];
    } else {
        // Mbed TLS leaves without a word.
        failure_.alert_number =
            ret == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE     ? MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE
            : ret == MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION ? MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION
            : ret == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER    ? MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER
            : ret == MBEDTLS_ERR_ECP_VERIFY_FAILED || ret == MBEDTLS_ERR_RSA_VERIFY_FAILED
                ? MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR  // a client's CertificateVerify
            : failure_.code == Code::ENGINE || failure_.code == Code::NO_MEMORY
                ? MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR
                : MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR;
        (void)mbedtls_ssl_send_alert_message(&ssl_, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             failure_.alert_number);
    }
    // What Mbed TLS calls a failed handshake, or nothing in particular; its alert says more.
    const bool vague =
        ret == MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE && failure_.code == Code::NO_SHARED_CIPHER;
    switch (failure_.alert_number) {
        case MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR:
            // Or the key of the certificate is none that this version has a signature for.
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
            // A ServerHello of TLS 1.3 chooses among what was offered; or its share is none.
            if (vague && version() == Version::tls1_3 && ssl_.state == MBEDTLS_SSL_SERVER_HELLO)
                failure_.code = Code::PROTOCOL;
            // One of TLS 1.2 without renegotiation_info.
            if (vague && version() == Version::tls1_2 && context().role() == Role::client &&
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

// From the topmost of the path on, which ends at the first trusted certificate (RFC 5280 §6.1): if
// that is the peer's own, what else it has shown does not matter.
void MbedSession::judge_path(int depth, Found& found) {
    const Link* path = path_.get();
    const bool alone = is_among_trusted(context(), *path->certificate);
    if (!alone && depth != 0)
        judge_age(*path[depth].certificate, found);
    for (int i = alone ? 0 : depth; i >= 0; --i) {
        const mbedtls_x509_crt& certificate = *path[i].certificate;
        const mbedtls_x509_crt* issuer = i != depth && !alone ? path[i + 1].certificate : nullptr;
        const std::uint32_t untrusted = alone ? MBEDTLS_X509_BADCERT_NOT_TRUSTED : 0;
        find_failures(context(), certificate, issuer,
                      issuers_ != nullptr ? *issuers_ : context().trusted(), i,
                      path[i].flags | untrusted, found);
        const bool is_shown = i != depth || alone || !root_of(context(), certificate);
        if (context().verifies_by_program() && is_shown)
            found.add(callbacks_.verify_certificate({certificate.raw.p, certificate.raw.len}, i),
                      &certificate, i);
    }
}

// Mozilla ends the trust in a root for certificates that are valid from a later time on.
void MbedSession::judge_age(const mbedtls_x509_crt& anchor, Found& found) const {
    const mbedtls_x509_crt& certificate = *path_.get()->certificate;
    const auto root = root_of(context(), anchor);
    if (!root || !root->distrusted_after)
        return;
    const mbedtls_x509_time until = x509_time(*root->distrusted_after);
    if (mbedtls_x509_time_cmp(&certificate.valid_from, &until) > 0)
        found.add(policy::failure_bit(Code::CERT_UNKNOWN_ISSUER), &certificate, 0);
}

int MbedSession::find_issuers(const mbedtls_x509_crt& certificate, mbedtls_x509_crt*& found) {
    issuers_ = nullptr;
    auto* list = static_cast<mbedtls_x509_crt*>(mbedtls_calloc(1, sizeof(mbedtls_x509_crt)));
    if (list == nullptr)
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    mbedtls_x509_crt_init(list);
    found = list;
    context().add_named(certificate.issuer_raw, *list);
    if (list->version != 0)
        issuers_ = list;
    return 0;
}

#ifndef USSL_PATCHED_MBEDTLS

// The signatures that Mbed TLS may verify to find a path: of each certificate, with each that has
// the name of its issuer.
bool MbedSession::limit_signatures(const mbedtls_x509_crt& chain, const mbedtls_x509_crt* trusted) {
    signatures_are_limited_ = true;
    int checks = 0;
    const auto count = [&](const mbedtls_x509_buf& issuer, const mbedtls_x509_crt* among) {
        for (; among != nullptr; among = among->next)
            if (among->subject_raw.len == issuer.len &&
                std::memcmp(among->subject_raw.p, issuer.p, issuer.len) == 0)
                ++checks;
    };
    for (const mbedtls_x509_crt* at = &chain; at != nullptr; at = at->next) {
        count(at->issuer_raw, at->next);
        count(at->issuer_raw, trusted);
    }
    return checks <= policy::max_signature_checks;
}

#endif

int MbedSession::verify(mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags) {
#ifndef USSL_PATCHED_MBEDTLS
    // The firmware was linked without --wrap.
    if (!signatures_are_limited_)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
#endif
    const bool verifies = context().verify() != Verify::none;
    if (verifies && !path_) {  // the topmost
        path_.reset(
            static_cast<Link*>(allocate((static_cast<std::size_t>(depth) + 1) * sizeof(Link))));
        if (!path_)
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        path_depth_ = depth;
    }
    if (verifies)
        path_.get()[depth] = {&certificate, flags};
    flags = 0;
    if (depth != 0)
        return 0;
    was_verified_ = true;
    Found found;
    if (verifies) {
        judge_path(path_depth_, found);
        path_.reset();
        issuers_ = nullptr;
    }
    if (!context().pins().empty() && !is_pinned(context().pins(), certificate))
        found.add(policy::failure_bit(Code::CERT_PIN), &certificate, 0);
#ifndef MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
    if (!keep_peer_certificate({certificate.raw.p, certificate.raw.len}))
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
#endif
    if (verifies && context().checks_hostname() && name_ != nullptr && !is_for(certificate, *name_))
        found.add(policy::failure_bit(Code::CERT_HOSTNAME), &certificate, 0);
    keep_found(found);
    return 0;
}

void MbedSession::keep_found(const Found& found) {
    certificate_failures_ = found.all();
    if (found.worst() == nullptr)
        return;
    const mbedtls_x509_crt& certificate = *found.worst();
    std::optional<std::int64_t> clock;
    if (policy::concerns_dates(certificate_failures_))
        clock = context().verify_time().at(now());
    failed_.keep({.subject = {certificate.subject_raw.p, certificate.subject_raw.len},
                  .issuer = {certificate.issuer_raw.p, certificate.issuer_raw.len},
                  .not_before = time_of(certificate.valid_from),
                  .not_after = time_of(certificate.valid_to),
                  .clock = clock});
}

int MbedSession::choose_context() {
    std::size_t size = 0;
    const unsigned char* name = mbedtls_ssl_get_hs_sni(&ssl_, &size);
    const std::string_view text{reinterpret_cast<const char*>(name), name != nullptr ? size : 0};
    if (callbacks_.choose_context(text, context().uses_psk()) != 0)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    const auto* instead = static_cast<const MbedContext*>(callbacks_.chosen_engine_context());
    // With a second ClientHello, nothing is left to do.
    if (instead == nullptr || context_ == instead)
        return 0;
    context_ = instead;
    // Mbed TLS does not change what it is given here.
    auto& others = const_cast<MbedContext&>(*instead);
    mbedtls_ssl_set_hs_ca_chain(&ssl_, &others.trusted_, nullptr);
    mbedtls_ssl_set_hs_authmode(&ssl_, instead->config_.authmode);
    return mbedtls_ssl_set_hs_own_cert(&ssl_, &others.chain_, &others.signer());
}

int MbedSession::sign(mbedtls_pk_type_t type, mbedtls_pk_context& key, mbedtls_md_type_t hash,
                      Bytes digest, MutableBytes signature, std::size_t& length) {
    const auto sign_here = [&] {
        return mbedtls_pk_sign_ext(type, &key, hash, digest.data(), digest.size(), signature.data(),
                                   signature.size(), &length, random_bytes, nullptr);
    };
    if (!context().signs_by_program())
        return sign_here();
    if (digest.empty())  // its size goes without saying
        digest = {digest.data(), mbedtls_md_get_size(mbedtls_md_info_from_type(hash))};
    SignatureScheme scheme = SignatureScheme::ecdsa;
    if (type == MBEDTLS_PK_RSASSA_PSS)
        scheme = SignatureScheme::rsa_pss;
    else if (mbedtls_pk_can_do(&key, MBEDTLS_PK_RSA) != 0)
        scheme = SignatureScheme::rsa_pkcs1;
    const std::size_t longest = scheme == SignatureScheme::ecdsa
                                    ? MBEDTLS_ECDSA_MAX_SIG_LEN(mbedtls_pk_get_bitlen(&key))
                                    : mbedtls_pk_get_len(&key);
    signature = signature.first(std::min({signature.size(), longest, max_signature}));
    switch (callbacks_.sign(scheme, digest, context().scalar(), signature, length)) {
        case SignAnswer::made:
            return 0;
        case SignAnswer::own_key:
            lacked_key_ = !context().has_key();
            return lacked_key_ ? MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED : sign_here();
        case SignAnswer::aborted:
            break;
    }
    return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

void MbedSession::log_key(std::string_view label, Bytes client_random, Bytes secret) {
    constexpr std::size_t max_secret = 64;
    if (label.empty() || secret.size() > max_secret)
        return;
    constexpr std::size_t longest = 40 + 2 * 32 + 2 * max_secret + 2;
    Secret<longest> line;
    std::size_t size = label.size();
    std::memcpy(line.data(), label.data(), size);
    for (const Bytes part : {client_random, secret}) {
        line.data()[size++] = ' ';
        for (const std::uint8_t byte : part) {
            constexpr char digits[] = "0123456789abcdef";
            line.data()[size++] = static_cast<unsigned char>(digits[byte >> 4]);
            line.data()[size++] = static_cast<unsigned char>(digits[byte & 15]);
        }
    }
    callbacks_.log_key({reinterpret_cast<const char*>(line.data()), size});
}

#ifdef MBEDTLS_SSL_HANDSHAKE_WITH_PSK_ENABLED

// Mbed TLS takes the first identity that has a key, and every one has; it asks for further ones if
// it cannot use the first.
int MbedSession::find_psk(Bytes identity) {
    const bool is_first = std::exchange(identity_is_first_, false);
    if (!is_first || callbacks_.check_first_identity(identity) != 0)
        return MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY;
    const Bytes key = callbacks_.find_psk(identity, [](MutableBytes into) {
        return random_bytes(nullptr, into.data(), into.size()) == 0;
    });
    return key.empty() ? MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY
                       : mbedtls_ssl_set_hs_psk(&ssl_, key.data(), key.size());
}

#endif

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
#ifdef MBEDTLS_SSL_ALPN
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

namespace ussl {

const Engine mbedtls_engine{
    .version = [] { return std::string_view{MBEDTLS_VERSION_STRING_FULL}; },
#ifdef USSL_HAS_SYSTEM_STORE
    .has_system_store = true,
#else
    .has_system_store = false,
#endif
    .has_root_store = USSL_HAS_ROOT_STORE != 0,
    .has_tls1_3 = USSL_HAS_TLS1_3 != 0,
    .has_psk = USSL_HAS_PSK != 0,
    .has_alpn = USSL_HAS_ALPN != 0,
    .has_crls = USSL_HAS_CRLS != 0,
    .has_signing_by_program = USSL_HAS_SIGNING_BY_PROGRAM != 0,
    .for_each_suite = mbedtls::for_each_suite,
    .best_groups = mbedtls::best_groups,
    .find_groups = mbedtls::find_groups,
    .sha256 = mbedtls::sha256,
    .now = mbedtls::now,
    .random =
        [](MutableBytes out) {
            return mbedtls::random_bytes(nullptr, out.data(), out.size()) == 0;
        },
    .crypto = &mbedtls::crypto,
    .describe = mbedtls::describe_first,
    .make_self_signed = mbedtls::make_self_signed,
    .make_context = mbedtls::MbedContext::make,
    .shut_down = mbedtls::shut_down,
    .wipe_released_memory = [] { return true; },  // Mbed TLS wipes its secrets itself
};

}  // namespace ussl

#ifdef USSL_PATCHED_MBEDTLS

unsigned char ussl_mbedtls_choose_alert(mbedtls_ssl_context* ssl, unsigned char alert) {
    return static_cast<ussl::mbedtls::MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))
        ->choose_alert(alert);
}

#ifdef MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK

int ussl_mbedtls_looks_up_issuers(const mbedtls_ssl_context* ssl) {
    return static_cast<const ussl::mbedtls::MbedSession*>(
               mbedtls_ssl_get_user_data_p(const_cast<mbedtls_ssl_context*>(ssl)))
                   ->looks_up_issuers()
               ? 1
               : 0;
}

int ussl_mbedtls_find_issuers(void* ssl, const mbedtls_x509_crt* certificate,
                              mbedtls_x509_crt** found) {
    return static_cast<ussl::mbedtls::MbedSession*>(
               mbedtls_ssl_get_user_data_p(static_cast<mbedtls_ssl_context*>(ssl)))
        ->find_issuers(*certificate, *found);
}

#endif

int ussl_mbedtls_may_skip(mbedtls_ssl_context* ssl, std::size_t size) {
    return static_cast<ussl::mbedtls::MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))
        ->may_skip(size);
}

int ussl_mbedtls_sign(mbedtls_ssl_context* ssl, mbedtls_pk_type_t type, mbedtls_pk_context* key,
                      mbedtls_md_type_t hash, const unsigned char* digest, std::size_t digest_size,
                      unsigned char* signature, std::size_t capacity, std::size_t* length) {
    return static_cast<ussl::mbedtls::MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))
        ->sign(type, *key, hash, {digest, digest_size}, {signature, capacity}, *length);
}

#else

// Without patches/mbedtls-signature-limit.patch: the linker leads Mbed TLS's call here (--wrap, in
// micropython.mk and micropython.cmake).
extern "C" {

int __real_mbedtls_x509_crt_verify_restartable(
    mbedtls_x509_crt*, mbedtls_x509_crt*, mbedtls_x509_crl*, const mbedtls_x509_crt_profile*,
    const char*, std::uint32_t*, int (*)(void*, mbedtls_x509_crt*, int, std::uint32_t*), void*,
    mbedtls_x509_crt_restart_ctx*);

int __wrap_mbedtls_x509_crt_verify_restartable(
    mbedtls_x509_crt* chain, mbedtls_x509_crt* trusted, mbedtls_x509_crl* crls,
    const mbedtls_x509_crt_profile* profile, const char* name, std::uint32_t* flags,
    int (*verify)(void*, mbedtls_x509_crt*, int, std::uint32_t*), void* session,
    mbedtls_x509_crt_restart_ctx* restart) {
    if (verify == ussl::mbedtls::verify_hook &&
        !static_cast<ussl::mbedtls::MbedSession*>(session)->limit_signatures(*chain, trusted)) {
        *flags = UINT32_MAX;
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    return __real_mbedtls_x509_crt_verify_restartable(chain, trusted, crls, profile, name, flags,
                                                      verify, session, restart);
}
}

#endif
