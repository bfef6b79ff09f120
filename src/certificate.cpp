#include "ussl/certificate.hpp"

#include "engine.hpp"

namespace ussl {

bool describe_certificate(const Engine& engine, Bytes data, CertificateVisitor& visitor) {
    if constexpr (!features::cert_dict)
        return false;
    const TrimAtEnd trim;
    return engine.describe(data, visitor);
}

std::expected<SelfSigned, ConfigError> make_self_signed(const Engine& engine,
                                                        const SelfSignedFor& what) {
    if constexpr (!features::self_signed)
        return std::unexpected(ConfigError{USSL_OMITTED("make_self_signed()", "self_signed")});
    const TrimAtEnd trim;
    if (what.names.empty() || what.names.size() > max_self_signed_names)
        return std::unexpected(ConfigError{"a self-signed certificate has 1 to 8 names"});
    for (const std::string_view text : what.names)
        if (HostName name; !name.parse(text))
            return std::unexpected(ConfigError{
                "a name must be a DNS name or an IP address: a letter, digit, '-' or '.'"});
    // RFC 5280 §4.1.2.5: from 1950 to 9999.
    if (what.since < -631152000 || what.until > 253402300799)
        return std::unexpected(ConfigError{"a certificate's dates are from 1950 to 9999"});
    if (what.since >= what.until)
        return std::unexpected(ConfigError{"a certificate must end after it begins"});
    SelfSigned made;
    if (const std::optional<ConfigError> config_error = engine.make_self_signed(what, made))
        return std::unexpected(*config_error);
    return made;
}

}  // namespace ussl
