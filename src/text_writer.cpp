#include "text_writer.hpp"

#include <algorithm>
#include <cstring>

namespace ussl {

bool TextWriter::add(std::string_view text) {
    const std::size_t room = into_.size() - used_;
    const bool fits = text.size() <= room;
    if (!fits && overflow_ == Overflow::omit)
        return false;
    const std::size_t n = std::min(text.size(), room);
    std::memcpy(into_.data() + used_, text.data(), n);
    used_ += n;
    return fits;
}

bool TextWriter::add_number(std::uint64_t value, int width) {
    char digits[20];
    int at = sizeof digits;
    for (; value != 0 || width > 0; value /= 10, --width)
        digits[--at] = static_cast<char>('0' + value % 10);
    return add({digits + at, sizeof digits - static_cast<std::size_t>(at)});
}

bool TextWriter::add_escaped(std::uint8_t byte) {
    constexpr char digits[] = "0123456789abcdef";
    const char escaped[] = {'\\', 'x', digits[byte >> 4U], digits[byte & 15U]};
    return add({escaped, sizeof escaped});
}

std::span<char> TextWriter::next(std::size_t most) const {
    return into_.subspan(used_, std::min(most, into_.size() - used_));
}

}  // namespace ussl
