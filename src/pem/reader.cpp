#include "reader.hpp"

#include <algorithm>

#include "../text.hpp"
#include "der.hpp"

namespace ussl::pem {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view end_marker = "-----END ";
constexpr std::string_view dashes = "-----";
constexpr std::string_view blanks = " \t\r\n\0"sv;

// Returns true if there are no control characters. Truncated DER contains many of them.
bool is_text(std::string_view line) {
    return std::ranges::all_of(line, [](char c) {
        return blanks.find(c) != blanks.npos || static_cast<unsigned char>(c) >= 0x20;
    });
}

// Returns the value of a digit (RFC 4648 §4) plus 1, or 0. Free of branches and table lookups that
// depend on the digit, because it may be part of a private key.
unsigned value_of(std::uint8_t digit) {
    const unsigned c = digit;
    const auto within = [c](unsigned low, unsigned high) {
        return ((low - 1 - c) & (c - high - 1)) >> 31;
    };
    return within('A', 'Z') * (c - 'A' + 1) + within('a', 'z') * (c - 'a' + 27) +
           within('0', '9') * (c - '0' + 53) + within('+', '+') * 63 + within('/', '/') * 64;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    text = from(text, std::min(text.find_first_not_of(blanks), text.size()));
    return up_to(text, text.find_last_not_of(blanks) + 1);
}

bool decode(std::string_view base64, SecretBytes& into, std::size_t& size) {
    into = SecretBytes(base64.size() / 4 * 3 + 3);
    if (into.empty())
        return false;
    unsigned group = 0, digits = 0, padding = 0;
    size = 0;
    for (const char c : base64) {
        const unsigned value = value_of(static_cast<std::uint8_t>(c));
        if (value == 0 && blanks.find(c) != blanks.npos)
            continue;
        if (c == '=' ? digits + padding < 2 || digits + padding >= 4 : value == 0 || padding != 0)
            return false;
        if (c == '=') {
            ++padding;
            continue;
        }
        group = group << 6 | (value - 1);
        if (++digits != 4)
            continue;
        for (unsigned shift = 24; shift != 0; shift -= 8)
            into.data()[size++] = static_cast<unsigned char>(group >> (shift - 8));
        group = digits = 0;
    }
    if (digits == 0)
        return padding == 0 && size != 0;
    if (digits + padding != 4)
        return false;
    group <<= 6 * padding;
    for (unsigned shift = 24; shift != 8 * padding; shift -= 8)
        into.data()[size++] = static_cast<unsigned char>(group >> (shift - 8));
    return true;
}

Reader::Reader(Bytes data)
    : all_(text_of(data)), rest_(all_), has_pem_(features::pem && contains_pem(all_)) {}

std::string_view Reader::take(std::size_t size) {
    const std::string_view taken = up_to(rest_, size);
    rest_ = from(rest_, taken.size());
    return taken;
}

ConfigError Reader::at(ConfigError config_error, const Item& item) const {
    const auto offset = static_cast<std::size_t>(item.all.data() - all_.data());
    if (item.is_pem() || (has_pem() && item.kind == Item::Kind::malformed))
        config_error.line =
            1 + static_cast<std::uint32_t>(std::ranges::count(up_to(all_, offset), '\n'));
    else
        config_error.offset = static_cast<std::uint32_t>(offset);
    return config_error;
}

// Reads a block that starts with begin_marker.
Item Reader::block() {
    const std::string_view text = from(rest_, begin_marker.size());
    const std::string_view label = up_to(text, text.find_first_of("\r\n-"sv));
    std::string_view body = from(text, label.size());
    const std::string_view next_begin = from(body, std::min(body.find(begin_marker), body.size()));
    const std::size_t end = body.find(end_marker);
    const std::string_view behind =
        from(body, end == body.npos ? body.size() : end + end_marker.size());
    if (!body.starts_with(dashes) || end == body.npos || next_begin.size() > behind.size() ||
        !behind.starts_with(label) || !from(behind, label.size()).starts_with(dashes)) {
        // The malformed item extends to the next block.
        return {Item::Kind::malformed, take(rest_.size() - next_begin.size()), label};
    }
    Item item{Item::Kind::pem, {}, label};
    item.all = take(rest_.size() - behind.size() + label.size() + dashes.size());
    body = trimmed(from(up_to(body, end), dashes.size()));
    // Skips the headers of RFC 1421 §4.6, which end with an empty line.
    item.base64 = body;
    for (;;) {
        const std::string_view line = up_to(item.base64, item.base64.find_first_of("\r\n"sv));
        if (line.find(':') == line.npos)
            break;
        item.base64 = trimmed(from(item.base64, line.size()));
    }
    item.headers = up_to(body, body.size() - item.base64.size());
    return item;
}

std::optional<Item> Reader::next() {
    for (;;) {
        take(std::min(rest_.find_first_not_of(blanks), rest_.size()));
        if (features::pem && rest_.starts_with(byte_order_mark)) {
            take(byte_order_mark.size());
            continue;
        }
        if (rest_.empty())
            return std::nullopt;
        if (const std::size_t size = der_size(bytes_of(rest_)); size <= rest_.size())
            return Item{Item::Kind::der, take(size)};
        if constexpr (!features::pem)
            return Item{Item::Kind::malformed, take(rest_.size())};
        if (rest_.starts_with(begin_marker))
            return block();
        const std::string_view line = up_to(rest_, rest_.find_first_of("\r\n"sv));
        // An end marker without a beginning is malformed, and so is a line of binary data.
        if (!has_pem() || !is_text(line) || line.starts_with(end_marker))
            return Item{Item::Kind::malformed, take(rest_.size())};
        take(line.size());
    }
}

}  // namespace ussl::pem
