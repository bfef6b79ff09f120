#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ussl {

/// Writes text into a buffer that may be too small. Each add… function returns false if its text
/// does not fit.
class TextWriter {
  public:
    /// The treatment of a text that does not fit.
    enum class Overflow : std::uint8_t { truncate, omit };
    TextWriter(std::span<char> into, Overflow overflow) : into_(into), overflow_(overflow) {}

    bool add(std::string_view text);
    /// Adds a decimal number with at least `width` digits.
    bool add_number(std::uint64_t value, int width = 1);
    /// Adds "\x" and two hexadecimal digits.
    bool add_escaped(std::uint8_t byte);

    [[nodiscard]] std::size_t size() const { return used_; }
    /// Returns the next `most` bytes for another TextWriter; skip() then passes over its output.
    [[nodiscard]] std::span<char> next(std::size_t most) const;
    void skip(std::size_t bytes) { used_ += bytes; }

  private:
    std::span<char> into_;
    std::size_t used_ = 0;
    Overflow overflow_;
};

}  // namespace ussl
