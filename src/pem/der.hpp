#pragma once

// A minimal DER reader (X.690) for keys, certificates and CRLs.

#include <optional>
#include <string_view>

#include "ussl/types.hpp"

namespace ussl::pem {

/// Reads DER values (X.690 §8.1), one after the other.
class Der {
  public:
    static constexpr std::uint8_t integer = 0x02, bit_string = 0x03, octets = 0x04, oid = 0x06,
                                  sequence = 0x30, set = 0x31, context_0 = 0xA0;

    explicit Der(Bytes der) : rest_(der) {}
    /// Returns the content of the next value and advances. nullopt: the next value has another tag.
    std::optional<Bytes> take(std::uint8_t tag);
    [[nodiscard]] bool is_next(std::uint8_t tag) const { return !rest_.empty() && rest_[0] == tag; }
    /// Returns the tag of the next value; 0: there is none.
    [[nodiscard]] std::uint8_t tag() const { return rest_.empty() ? 0 : rest_[0]; }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] std::size_t left() const { return rest_.size(); }

  private:
    Bytes rest_;
};

/// Returns the size of the DER value at the start of `data`. Only supports the sizes of
/// certificates, CRLs and keys, which have one to three length bytes. Text never continues after a
/// "0" in this way, so it is not mistaken for DER. SIZE_MAX: not such a value.
std::size_t der_size(Bytes data);
/// Returns true if `der` is exactly one SEQUENCE.
bool is_one_value(Bytes der);
/// Returns the first value of `der`, including its header.
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
