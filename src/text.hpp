#pragma once

#include <algorithm>
#include <string_view>

namespace ussl {

// substr() would drag in the exceptions of the standard library.
inline std::string_view from(std::string_view text, std::size_t at) {
    text.remove_prefix(std::min(at, text.size()));
    return text;
}

inline std::string_view up_to(std::string_view text, std::size_t at) {
    text.remove_suffix(text.size() - std::min(at, text.size()));
    return text;
}

// Of ASCII.
inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

}  // namespace ussl
