#pragma once

// Messages of TLS, field by field.

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace contract {

using Numbers = std::vector<std::size_t>;

/// Takes fields off the front of a message.
class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    std::size_t number(std::size_t size) {
        std::size_t value = 0;
        for (const char c : bytes(size))
            value = value << 8U | static_cast<std::uint8_t>(c);
        return value;
    }
    std::string_view bytes(std::size_t size) {
        EXPECT_LE(size, rest_.size());
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(taken.size());
        return taken;
    }
    /// A field with its length in front, which has this number of bytes.
    Reader field(std::size_t length) { return Reader(bytes(number(length))); }
    Numbers numbers(std::size_t size) {
        Numbers all;
        while (!rest_.empty())
            all.push_back(number(size));
        return all;
    }
    [[nodiscard]] bool done() const { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

}  // namespace contract
