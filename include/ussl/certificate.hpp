#pragma once

#include <string_view>

#include "ussl/transport.hpp"

namespace ussl {

/// Receives the parts of a certificate in this order: version and serial, subject, issuer,
/// validity, alternative names. Texts are UTF-8 and valid during the call only.
class CertificateVisitor {
  public:
    enum class Party : std::uint8_t { subject, issuer };
    enum class AltName : std::uint8_t { dns, ip, email, uri };
    struct Time {
        int year, month, day, hour, minute, second;  ///< UTC; month and day from 1
    };

    /// `version` as it is called, 3 for X.509v3; `serial` big-endian.
    virtual void identity(int version, Bytes serial) = 0;
    /// One attribute; `starts_rdn` is false for the further ones of a multi-valued RDN.
    virtual void attribute(Party party, bool starts_rdn, std::string_view name,
                           std::string_view value) = 0;
    virtual void validity(const Time& not_before, const Time& not_after) = 0;
    /// `value` is text, or 4 or 16 bytes for an address.
    virtual void alternative_name(AltName kind, Bytes value) = 0;

  protected:
    ~CertificateVisitor() = default;
};

}  // namespace ussl
