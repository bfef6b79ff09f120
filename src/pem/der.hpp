#pragma once

// DER (X.690), as far as keys, certificates and CRLs are looked into for every engine.

#include <optional>
#include <string_view>

#include "ussl/types.hpp"

namespace ussl::pem {

/// Walks over DER (X.690 §8.1), one value after the other.
class Der {
  public:
    static constexpr std::uint8_t integer = 0x02, bit_string = 0x03, octets = 0x04, oid = 0x06,
                                  sequence = 0x30, set = 0x31, context_0 = 0xA0;

    explicit Der(Bytes der) : rest_(der) {}
    /// The content of the next value, which is passed over; none: it is of another kind.
    std::optional<Bytes> take(std::uint8_t tag);
    [[nodiscard]] bool is_next(std::uint8_t tag) const { return !rest_.empty() && rest_[0] == tag; }
    /// Of the next value; 0: there is none.
    [[nodiscard]] std::uint8_t tag() const { return rest_.empty() ? 0 : rest_[0]; }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] std::size_t left() const { return rest_.size(); }

  private:
    Bytes rest_;
};

/// The size of the DER value that `data` begins with, if it is of certificates, CRLs or keys, which
/// have their size in one byte to three: no text continues after a "0" like that. Otherwise
/// SIZE_MAX.
std::size_t der_size(Bytes data);
/// Whether `der` is one SEQUENCE and nothing else.
bool is_one_value(Bytes der);
/// The first value of `der`, whole.
Bytes first_value(Bytes der);

inline std::string_view text_of(Bytes data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

inline Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline bool is(Bytes oid, std::string_view wanted) {
    return text_of(oid) == wanted;
}

}  // namespace ussl::pem
