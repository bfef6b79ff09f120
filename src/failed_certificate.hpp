#pragma once

// The certificate that a verification error names, for all engines.

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>

#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

/// Collects all failures of a verification, and the certificate with the worst one. If several have
/// it, the certificate nearest to the peer's own. Needed because engines find failures in different
/// orders.
template <class Certificate>
class Failures {
  public:
    void add(std::uint16_t failures, Certificate* certificate, int depth) {
        all_ |= failures;
        const int rank = std::countr_zero(failures);
        if (failures == 0 || rank > rank_ || (rank == rank_ && depth >= depth_))
            return;
        rank_ = rank;
        depth_ = depth;
        worst_ = certificate;
    }
    /// Returns a bit mask as in Error::certificate_failures.
    [[nodiscard]] std::uint16_t all() const { return all_; }
    [[nodiscard]] Certificate* worst() const { return worst_; }

  private:
    Certificate* worst_ = nullptr;
    std::uint16_t all_ = 0;
    int rank_ = 16;
    int depth_ = 0;
};

/// The description of the failed certificate. Outlives the certificate.
class FailedCertificate {
  public:
    struct Facts {
        Bytes subject, issuer;  ///< Name (RFC 5280 §4.1.2.4), DER
        CertificateTime not_before, not_after;
        std::optional<std::int64_t> clock;  ///< seconds since 1970, if the failure concerns dates
    };

    /// Stores the description. If memory runs out, there is no description, and the call continues.
    void keep(const Facts& facts);
    void forget() { text_.reset(); }
    /// Returns `subject "CN=…", issuer "…", valid … to …, clock …` in printable ASCII. Empty: no
    /// description.
    [[nodiscard]] std::string_view text() const {
        return text_ ? std::string_view{text_.get(), size_} : std::string_view{};
    }

  private:
    std::unique_ptr<char, Release> text_;
    std::uint16_t size_ = 0;
};

}  // namespace ussl
