#pragma once

// Rules for certificates and CRLs, and the errors of verification.

#include <span>

#include "ussl/error.hpp"
#include "ussl/types.hpp"

namespace ussl::policy {

/// Returns true if `hash`, the SHA-256 of a certificate or public key, is one of `pins`.
bool is_pinned(Bytes pins, std::span<const std::uint8_t, 32> hash);

/// Returns true if this extension may be critical. `oid` is the content of its OID. Accepted are
/// the extensions that both engines evaluate. As is common, policies and CRL distribution points
/// are accepted as well: they do not restrict the use of a certificate.
bool may_be_critical(Bytes oid);

/// The reasons why a CRL is rejected.
inline constexpr char crl_is_special[] =
    "unsupported crl: it must cover all certificates of its issuer, and no others";
inline constexpr char crl_is_unsupported[] =
    "unsupported crl: this engine does not have its signature algorithm";
inline constexpr char crl_has_no_end[] =
    "invalid crl: the date of the next one (nextUpdate) is missing";
inline constexpr char crl_is_weak[] = "invalid crl: its signature is weaker than SHA-256";

/// Returns the bit of a certificate error in Error::certificate_failures.
constexpr std::uint16_t failure_bit(Code code) {
    return static_cast<std::uint16_t>(1U << (static_cast<unsigned>(code) - 201U));
}
/// Returns true if one of the failures concerns the clock.
constexpr bool concerns_dates(std::uint16_t failures) {
    return (failures & (failure_bit(Code::CERT_EXPIRED) | failure_bit(Code::CERT_NOT_YET_VALID) |
                        failure_bit(Code::CERT_CLOCK))) != 0;
}

/// Returns an error with the worst failure as its code, and all failures in certificate_failures.
Error certificate_error(std::uint16_t failures);

}  // namespace ussl::policy
