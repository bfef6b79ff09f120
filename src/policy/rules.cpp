#include "rules.hpp"

#include <algorithm>
#include <cstring>

#include "../engine.hpp"
#include "../groups.hpp"
#include "suites.hpp"

namespace ussl::policy {

namespace {

bool out_of_bounds(const std::optional<Bytes>& bytes, std::size_t most) {
    return bytes && (bytes->empty() || bytes->size() > most);
}

// RFC 7301 §3.1. NULs are rejected, because Mbed TLS stores protocol names as C strings.
bool is_alpn(Bytes alpn) {
    if (alpn.empty() || alpn.size() > 65535)
        return false;
    for (std::size_t at = 0; at < alpn.size(); at += 1 + alpn[at])
        if (alpn[at] == 0 || at + alpn[at] >= alpn.size())
            return false;
    return std::ranges::find(alpn, 0) == alpn.end();
}

// Returns true if an option is set that only an SSLContext has. A build without contexts has no
// code for these options.
bool has_context_options(const Options& options) {
    return options.verify_by_program || options.pins || options.suites || options.groups ||
           options.minimum_version != Version::tls1_2 ||
           options.maximum_version != Version::tls1_3 ||
           options.session_lifetime != default_session_lifetime;
}

// Returns the feature of an option that is set although this build omits it, or nullptr.
const char* omitted_feature(const Options& options) {
    if (!features::context && has_context_options(options))
        return "context";
    if (!features::sign_callback && options.sign_by_program)
        return "sign_callback";
    if (!features::crl && options.crl_check.value_or(CrlCheck::none) != CrlCheck::none)
        return "crl";
    if (!features::sni_callback && options.choose_by_name)
        return "sni_callback";
    if (!features::alpn && options.alpn)
        return "alpn";
    if (!features::keylog && options.key_log)
        return "keylog";
    return nullptr;
}

}  // namespace

bool uses_psk(const Options& options) {
    return options.psk_identity || options.psk_server;
}

Owned<ContextSettings> settings_of(const Options& options) {
    Owned<ContextSettings> settings{new ContextSettings};
    if (!settings)
        return nullptr;
    settings->role = options.role;
    settings->verify = options.verify;
    settings->uses_psk = uses_psk(options);
    settings->checks_hostname =
        options.verify != Verify::none && options.check_hostname && !settings->uses_psk;
    settings->verifies_by_program = features::context && options.verify_by_program;
    settings->signs_by_program = options.sign_by_program;
    settings->logs_keys = options.key_log;
    settings->resumes = resumes(options);
    settings->record_size =
        static_cast<std::uint16_t>(options.record_size_limit.value_or(max_record_size));
    settings->session_lifetime = options.session_lifetime;
    settings->verify_time = {.given = options.verify_time, .build = options.build_time};
    if (features::context && options.pins) {
        settings->pin_hashes = SecretBytes(options.pins->size());
        if (settings->pin_hashes.empty())
            return nullptr;
        std::memcpy(settings->pin_hashes.data(), options.pins->data(), options.pins->size());
    }
    return settings;
}

bool resumes(const Options& options) {
    if constexpr (!features::resumption)
        return false;
    const bool psk = uses_psk(options);
    // Clients must send their certificate in every handshake, so there is no resumption. With
    // choose_by_name, the chosen context may request certificates.
    const bool asks = options.verify != Verify::none || options.choose_by_name;
    if (options.role == Role::server && (asks || options.tickets == 0))
        return false;
    return options.resumption && !psk;
}

bool has_root_stores(const Options& options) {
    return std::ranges::any_of(options.root_stores,
                               [](const auto& store) { return store.has_value(); });
}

namespace {

bool trusts_system(const Options& options) {
    return options.system_store || (!options.trusted && !has_root_stores(options) &&
                                    options.verify != Verify::none && !uses_psk(options));
}

}  // namespace

bool uses_system_store(const Options& options) {
    return trusts_system(options) && !options.system_roots;
}

bool uses_system_roots(const Options& options) {
    return trusts_system(options) && options.system_roots;
}

bool sends_authorities(const Options& options) {
    return options.role == Role::server && !trusts_system(options) && !has_root_stores(options);
}

Verify verification_of(const Options& options) {
    switch (options.verify) {
        case Verify::insecure_no_verification:
            return Verify::none;
        case Verify::by_role:
            return options.role == Role::client && !uses_psk(options) ? Verify::required
                                                                      : Verify::none;
        default:
            return options.verify;
    }
}

std::optional<ConfigError> check_verify(const Options& options) {
    const bool server = options.role == Role::server;
    if (!server && options.verify == Verify::none)
        return ConfigError{USSL_ARGUMENT(
            "`verify` of a client must not be Verify::none: a client that accepts every "
            "certificate requires Verify::insecure_no_verification",
            "`verify`: Verify::none is invalid for a client")};
    if (server && options.verify == Verify::insecure_no_verification)
        return ConfigError{
            USSL_ARGUMENT("`verify`: Verify::insecure_no_verification is only valid for a client",
                          "`verify`: invalid for a server")};
    return std::nullopt;
}

// The reasons name members of Options: see ConfigError.
std::optional<ConfigError> check(const Engine& engine, const Options& o) {
    const bool server = o.role == Role::server;
    const bool psk_client = o.psk_identity || o.psk_key;
    const bool psk = psk_client || o.psk_server;
    const bool verifies = o.verify != Verify::none && !psk;

    if (USSL_OMITS_FEATURES)
        if (const char* feature = omitted_feature(o)) {
            ConfigError config_error{"an option is not in this build, USSL_WITH"};
            std::strncpy(config_error.named, feature, sizeof config_error.named - 1);
            return config_error;
        }
    if (out_of_bounds(o.psk_identity, max_psk_identity))
        return ConfigError{
            USSL_ARGUMENT("`psk_identity` must be 1 to 128 bytes", "`psk_identity`: size")};
    if (out_of_bounds(o.psk_key, max_psk_key))
        return ConfigError{USSL_ARGUMENT("`psk_key` must be 1 to 48 bytes", "`psk_key`: size")};
    if (out_of_bounds(o.psk_hint, max_psk_identity))
        return ConfigError{USSL_ARGUMENT("`psk_hint` must be 1 to 128 bytes", "`psk_hint`: size")};
    if (o.psk_hint && std::ranges::find(*o.psk_hint, 0) != o.psk_hint->end())
        return ConfigError{USSL_ARGUMENT("`psk_hint` must not contain NUL", "`psk_hint`: NUL")};
    if (o.psk_identity && !o.psk_key)
        return ConfigError{"`psk_identity` requires `psk_key`"};
    if (o.psk_key && !o.psk_identity)
        return ConfigError{"`psk_key` requires `psk_identity`"};
    if (psk_client && server)
        return ConfigError{USSL_ARGUMENT(
            "`psk_identity` and `psk_key` are only valid for a client; a server requires "
            "`psk_server`",
            "`psk_identity`: invalid for a server")};
    if (o.psk_server && !server)
        return ConfigError{USSL_ARGUMENT(
            "`psk_server` is only valid for a server; a client requires `psk_identity` and "
            "`psk_key`",
            "`psk_server`: invalid for a client")};
    if (o.psk_hint && !o.psk_server)
        return ConfigError{"`psk_hint` requires `psk_server`"};
    if (psk && (o.key || o.certificate || o.trusted || has_root_stores(o)))
        return ConfigError{
            server ? USSL_ARGUMENT("`psk_server` excludes `key`, `certificate` and `trusted`",
                                   "`psk_server` excludes certificates")
                   : USSL_ARGUMENT("`psk_identity` excludes `key`, `certificate` and `trusted`",
                                   "`psk_identity` excludes certificates")};
    if (features::context && psk && o.pins)
        return ConfigError{server ? "`psk_server` excludes `pins`"
                                  : "`psk_identity` excludes `pins`"};

    if (psk && !engine.has_psk)
        return ConfigError{"this build's TLS library has no pre-shared keys"};

    if (o.certificate && !o.key && !o.sign_by_program)
        return ConfigError{"`certificate` requires `key`"};
    if (o.key && !o.certificate)
        return ConfigError{"`key` requires `certificate`"};
    if (features::sign_callback && o.sign_by_program && !o.certificate)
        return ConfigError{"`sign_by_program` requires `certificate`"};
    if (features::sign_callback && o.sign_by_program && !engine.has_signing_by_program)
        return ConfigError{"this build's TLS library cannot sign with a callback"};
    const bool checks_crls =
        features::crl && o.crl_check.value_or(CrlCheck::none) != CrlCheck::none;
    if (checks_crls && !engine.has_crls)
        return ConfigError{"this build's TLS library has no CRLs"};
    if (server && !psk && !o.certificate)
        return ConfigError{
            USSL_ARGUMENT("a server requires `key` and `certificate`, or `psk_server`",
                          "a server requires `key` or `psk_server`")};
    if (features::sni_callback && o.choose_by_name && !server)
        return ConfigError{"`choose_by_name` is only valid for a server"};
    if (o.key_password && !o.key)
        return ConfigError{"`key_password` requires `key`"};
    // Public CAs issue client certificates to anybody.
    if (server && verifies && !o.trusted && !o.system_store && !has_root_stores(o))
        return ConfigError{
            USSL_ARGUMENT("`verify` of a server requires `trusted` or `system_store`",
                          "`verify` requires `trusted`")};
    if (!features::root_store && (has_root_stores(o) || o.system_roots))
        return ConfigError{USSL_OMITTED("`root_stores`", "root_store")};
    if ((has_root_stores(o) || uses_system_roots(o)) && !engine.has_root_store)
        return ConfigError{"root stores are not in this build"};
    if (uses_system_store(o) && !engine.has_system_store)
        return ConfigError{USSL_ARGUMENT(
            "`verify` requires `trusted`: this build has no root store and no system store",
            "`verify` requires `trusted`")};
    if (features::context && o.verify_by_program && !verifies && !psk)
        return ConfigError{"`verify_by_program` requires verification (`verify`)"};
    if (checks_crls && !verifies)
        return crls_without_verification;
    if (features::context && o.pins && (o.pins->empty() || o.pins->size() % 32 != 0))
        return ConfigError{"`pins` must be SHA-256 hashes, 32 bytes each"};
    if (features::context && o.pins && server && o.verify == Verify::none)
        return ConfigError{"`pins` of a server require `verify`: it requests no certificates"};
    if (features::alpn && o.alpn && !engine.has_alpn)
        return ConfigError{"this build's TLS library has no ALPN"};
    if (features::alpn && o.alpn && !is_alpn(*o.alpn))
        return ConfigError{
            "`alpn`: a protocol must be 1 to 255 bytes, without NUL; all of them 65535"};
    if (features::context &&
        (o.minimum_version < Version::tls1_2 || o.maximum_version > Version::tls1_3))
        return ConfigError{"`minimum_version` and `maximum_version` must be TLS 1.2 or 1.3"};
    if (features::context && o.minimum_version > o.maximum_version)
        return ConfigError{"`minimum_version` must not be above `maximum_version`"};
    if (features::context && o.minimum_version > Version::tls1_2 && !engine.has_tls1_3)
        return ConfigError{"this build's TLS library has no TLS 1.3"};
    if (features::context && o.suites && o.suites->empty())
        return ConfigError{"`suites` must not be empty"};
    if (features::context && offer_of(o).count == 0)
        return ConfigError{
            "`suites`: none of these cipher suites fits the versions, and certificates or "
            "pre-shared keys"};
    if constexpr (features::context)
        if (std::optional<ConfigError> config_error = groups::check(engine, o))
            return config_error;
    if (features::context && (o.session_lifetime == 0 || o.session_lifetime > max_session_lifetime))
        return ConfigError{"`session_lifetime` must be 1 to 604800 seconds"};
    if (o.record_size_limit &&
        (*o.record_size_limit < min_record_size || *o.record_size_limit > max_record_size))
        return ConfigError{USSL_ARGUMENT("`record_size_limit` must be 512 to 16384",
                                         "`record_size_limit`: 512 to 16384")};
    return std::nullopt;
}

}  // namespace ussl::policy
