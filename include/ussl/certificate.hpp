#pragma once

#include "ussl/context.hpp"

namespace ussl {

/// Receives the parts of a certificate in this order: version and serial number, subject, issuer,
/// validity period, alternative names, DER. Texts are UTF-8. All arguments are valid during the
/// call only.
class CertificateVisitor {
  public:
    enum class Party : std::uint8_t { subject, issuer };
    enum class AltName : std::uint8_t { dns, ip, email, uri };
    using Time = CertificateTime;

    /// Serial numbers must be positive (RFC 5280 §4.1.2.2), but not every issuer observes that.
    struct Serial {
        Bytes magnitude;  ///< big-endian, without leading zeros; one zero byte for 0
        bool negative;
    };

    /// Receives the version of the certificate format (3 for X.509v3) and the serial number.
    virtual void identity(int version, const Serial& serial) noexcept = 0;
    /// Receives one attribute of a distinguished name. If an RDN has several attributes,
    /// `starts_rdn` is true for the first one only.
    virtual void attribute(Party party, bool starts_rdn, std::string_view name,
                           std::string_view value) noexcept = 0;
    virtual void validity(const Time& not_before, const Time& not_after) noexcept = 0;
    /// Receives a subject alternative name. `value` is text; for AltName::ip it is the address, 4
    /// or 16 bytes.
    virtual void alternative_name(AltName kind, Bytes value) noexcept = 0;
    /// Receives the DER encoding of the certificate and of its SubjectPublicKeyInfo. Options::pins
    /// holds SHA-256 hashes of either.
    virtual void encoded(Bytes certificate, Bytes public_key) noexcept {
        (void)certificate, (void)public_key;
    }

  protected:
    ~CertificateVisitor() = default;
};

struct Engine;

/// Passes the parts of the first certificate of `data` (PEM or DER) to `visitor`. Returns false if
/// `data` has no readable certificate, or if memory runs out.
bool describe_certificate(const Engine& engine, Bytes data, CertificateVisitor& visitor);

/// A self-signed certificate and its private key, for tests and for a device's first start; see
/// make_self_signed().
struct SelfSigned {
    SecretBytes key;          ///< ECDSA with P-256, DER (RFC 5915)
    SecretBytes certificate;  ///< DER
};

inline constexpr std::size_t max_self_signed_names = 8;

/// The content of a self-signed certificate.
struct SelfSignedFor {
    /// DNS names and IP addresses, 1 to max_self_signed_names. The first is also the subject's
    /// common name.
    std::span<const std::string_view> names;
    /// The validity period, in seconds since 1970 (UTC). The default is 2000-01-01 to 9999-12-31,
    /// the latest date in a certificate (RFC 5280 §4.1.2.5): a device may not know the current
    /// date.
    std::int64_t since = 946684800;
    std::int64_t until = 253402300799;
};

/// Generates a P-256 key and a self-signed certificate for it.
std::expected<SelfSigned, ConfigError> make_self_signed(const Engine& engine,
                                                        const SelfSignedFor& what);

}  // namespace ussl
