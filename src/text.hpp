#pragma once

#include <algorithm>
#include <string_view>

#include "ussl/transport.hpp"

namespace ussl {

// Used in place of substr(), which would link the exceptions of the standard library.
inline std::string_view from(std::string_view text, std::size_t at) {
    text.remove_prefix(std::min(at, text.size()));
    return text;
}

inline std::string_view up_to(std::string_view text, std::size_t at) {
    text.remove_suffix(text.size() - std::min(at, text.size()));
    return text;
}

// For ASCII only.
inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// Returns true if this is a character of Unicode, and not half a surrogate pair.
inline bool is_unicode(std::uint32_t character) {
    return character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF);
}

// UTF-8 as defined in RFC 3629 §3.
inline bool is_utf8(Bytes text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::uint8_t first = text[at++];
        if (first < 0x80)
            continue;
        const int more = first < 0xC0   ? -1
                         : first < 0xE0 ? 1
                         : first < 0xF0 ? 2
                         : first < 0xF8 ? 3
                                        : -1;
        if (more < 0 || text.size() - at < static_cast<std::size_t>(more))
            return false;
        std::uint32_t character = first & (0x3FU >> more);
        for (int i = 0; i < more; ++i, ++at) {
            if ((text[at] & 0xC0) != 0x80)
                return false;
            character = character << 6 | (text[at] & 0x3FU);
        }
        constexpr std::uint32_t smallest[] = {0x80, 0x800, 0x10000};
        if (character < smallest[more - 1] || !is_unicode(character))
            return false;
    }
    return true;
}

}  // namespace ussl
