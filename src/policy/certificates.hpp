#pragma once

// What verification finds, and which certificates and CRLs are accepted.

#include <span>

#include "ussl/error.hpp"
#include "ussl/types.hpp"

namespace ussl::policy {

/// SHA-256 of a certificate or public key: whether it is one of the pinned ones.
bool is_pinned(Bytes pins, std::span<const std::uint8_t, 32> hash);

/// Whether a certificate may have this extension (the content of its OID) as a critical one: what
/// both engines look at and, as is usual, what says nothing of who the certificate is for:
/// policies, and where its CRL is.
bool may_be_critical(Bytes oid);

/// Why a CRL is refused.
inline constexpr char crl_is_special[] =
    "unsupported crl: it is not about all certificates of its issuer, and no others'";
inline constexpr char crl_is_unsupported[] =
    "unsupported crl: this engine does not have its signature algorithm";
inline constexpr char crl_has_no_end[] = "invalid crl: it does not say when the next one is due";
inline constexpr char crl_is_weak[] = "invalid crl: its signature is weaker than SHA-256";

/// The bit of a certificate row in Error::certificate_failures.
constexpr std::uint16_t failure_bit(Code code) {
    return static_cast<std::uint16_t>(1U << (static_cast<unsigned>(code) - 201U));
}
/// Whether one of the failures is one of the clock, too.
constexpr bool concerns_dates(std::uint16_t failures) {
    return (failures & (failure_bit(Code::CERT_EXPIRED) | failure_bit(Code::CERT_NOT_YET_VALID) |
                        failure_bit(Code::CERT_CLOCK))) != 0;
}

/// The worst of several failures, and all of them kept.
Error certificate_error(std::uint16_t failures);

}  // namespace ussl::policy
