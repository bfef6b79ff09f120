#pragma once

#include "ussl/context.hpp"

namespace ussl {

/// Receives the parts of a certificate in this order: version and serial, subject, issuer,
/// validity, alternative names. Texts are UTF-8 and valid during the call only.
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

    /// `version` as it is called, 3 for X.509v3.
    virtual void identity(int version, const Serial& serial) = 0;
    /// One attribute; `starts_rdn` is false for the further ones of a multi-valued RDN.
    virtual void attribute(Party party, bool starts_rdn, std::string_view name,
                           std::string_view value) = 0;
    virtual void validity(const Time& not_before, const Time& not_after) = 0;
    /// `value` is text, or 4 or 16 bytes for an address.
    virtual void alternative_name(AltName kind, Bytes value) = 0;
    /// The certificate and its SubjectPublicKeyInfo in DER: what Options::pins are hashes of.
    virtual void encoded(Bytes certificate, Bytes public_key) {
        (void)certificate, (void)public_key;
    }

  protected:
    ~CertificateVisitor() = default;
};

struct Engine;

/// Walks through the first certificate of `data`, PEM or DER; false: there is none that can be read
/// (or no memory).
bool describe_certificate(const Engine& engine, Bytes data, CertificateVisitor& visitor);

/// A certificate that nobody else has signed, for a first server; see make_self_signed().
struct SelfSigned {
    SecretBytes key;          ///< ECDSA with P-256, DER (RFC 5915)
    SecretBytes certificate;  ///< DER
};

inline constexpr std::size_t max_self_signed_names = 8;

/// What a self-signed certificate says.
struct SelfSignedFor {
    /// DNS names and IP addresses, 1 to max_self_signed_names; the first is the subject's common
    /// name, too.
    std::span<const std::string_view> names;
    /// Seconds since 1970: from 2000 to the end of time (RFC 5280 §4.1.2.5), for a device may not
    /// know what day it is.
    std::int64_t since = 946684800;
    std::int64_t until = 253402300799;
};

/// A new key and a certificate for it.
std::expected<SelfSigned, ConfigError> make_self_signed(const Engine& engine,
                                                        const SelfSignedFor& what);

}  // namespace ussl
