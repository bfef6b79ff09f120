// Sets up an mbedtls_ssl_config from Options.

#include <algorithm>

#include "../policy/limits.hpp"
#include "../policy/rules.hpp"
#include "../policy/suites.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

constexpr std::uint16_t signature_algorithms[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,       MBEDTLS_TLS1_3_SIG_NONE,
};

// Accepts all algorithms and key sizes. find_failures() checks the strength, so that it is reported
// with other failures.
constexpr mbedtls_x509_crt_profile any_profile = {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0};

}  // namespace

std::expected<Owned<EngineContext>, ConfigError> MbedContext::make(const ContextSettings& settings,
                                                                   const Options& options) {
    static constexpr ConfigError no_memory{"out of memory", true};
    Owned<MbedContext> context{new MbedContext(settings)};
    if (!context)
        return std::unexpected(no_memory);
    take_lack_of_memory();
    std::optional<ConfigError> config_error;
    if (!context->set_up(options))
        config_error = ConfigError{"the TLS engine could not be set up"};
    if (!config_error)
        config_error = context->load_identity(options);
    if (!config_error)
        config_error = context->load_trusted(options);
    if (!config_error)
        context->limit_records(options.record_size_limit);
    if (take_lack_of_memory())
        return std::unexpected(no_memory);
    if (config_error)
        return std::unexpected(*config_error);
    return context;
}

static_assert(option_count == 31, "does this engine need the new option?");
bool MbedContext::set_up(const Options& options) {
    const bool client = settings().role == Role::client;
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
        (features::alpn && options.alpn && !set_up_alpn(*options.alpn)))
        return false;
    mbedtls_ssl_conf_cert_profile(config, &any_profile);
    // RFC 5746 §4.1: without renegotiation_info, an attacker can insert data before that of this
    // side.
    if (client)
        mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
#ifdef MBEDTLS_DHM_C
    mbedtls_ssl_conf_dhm_min_bitlen(config, policy::minimum_dh_bits);
#endif
    if (!set_up_sessions(options))
        return false;
    if (features::sni_callback && options.choose_by_name)
        mbedtls_ssl_conf_cert_cb(config, name_hook);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    // For TLS 1.3, a session is a pre-shared key.
    const int with_key =
        settings().uses_psk || resumes() ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL : 0;
    const int without_key =
        settings().uses_psk ? 0 : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL;
    mbedtls_ssl_conf_tls13_key_exchange_modes(config, with_key | without_key);
#endif
    // Mbed TLS reports the verification result and continues. judge_peer() decides after every
    // call, and chooses the alert.
    const bool looks =
        (settings().verify != Verify::none || !settings().pins().empty()) && !settings().uses_psk;
    mbedtls_ssl_conf_authmode(config,
                              looks ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_NONE);
    return set_up_psk(options);
}

bool MbedContext::set_up_alpn([[maybe_unused]] Bytes alpn) {
#if USSL_HAS_ALPN
    std::size_t count = 0;
    policy::for_each_protocol(alpn, [&](Bytes) { ++count; });
    // Each length byte is replaced by a NUL.
    const std::size_t pointers = (count + 1) * sizeof(const char*);
    protocols_.reset(static_cast<const char**>(allocate(pointers + alpn.size())));
    const char** entry = protocols_.get();
    if (entry == nullptr)
        return lacks_memory();
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

Owned<EngineSession> MbedContext::make_session(SessionResources& resources, const HostName* name) {
    return MbedSession::make(*this, resources, name);
}

}  // namespace ussl::mbedtls
