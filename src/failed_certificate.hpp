#pragma once

// The certificate that a verification error names, once for every engine.

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>

#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

/// What verification found, and the certificate with the worst failure; of several the nearest to
/// the peer's own. Engines find failures in different orders.
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
    /// As bits of Error::certificate_failures.
    [[nodiscard]] std::uint16_t all() const { return all_; }
    [[nodiscard]] Certificate* worst() const { return worst_; }

  private:
    Certificate* worst_ = nullptr;
    std::uint16_t all_ = 0;
    int rank_ = 16;
    int depth_ = 0;
};

/// Its description, which outlives the certificate.
class FailedCertificate {
  public:
    struct Facts {
        Bytes subject, issuer;  ///< Name (RFC 5280 §4.1.2.4), DER
        CertificateTime not_before, not_after;
        std::optional<std::int64_t> clock;  ///< seconds since 1970, if it matters
    };

    /// Without memory there is no description, and the call goes on.
    void keep(const Facts& facts);
    void forget() { text_.reset(); }
    /// `subject "CN=…", issuer "…", valid … to …, clock …`, in printable ASCII; empty: none is
    /// kept.
    [[nodiscard]] std::string_view text() const {
        return text_ ? std::string_view{text_.get(), size_} : std::string_view{};
    }

  private:
    std::unique_ptr<char, Release> text_;
    std::uint16_t size_ = 0;
};

}  // namespace ussl
