#include "hostname.hpp"

#include <cstring>

namespace ussl {
namespace {

// substr() would drag in the exceptions of the standard library.
std::string_view from(std::string_view text, std::size_t at) {
    text.remove_prefix(at);
    return text;
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool same_name(std::string_view a, std::string_view b) {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool is_label_char(char c) {
    const char l = lower(c);
    // The underscore is no host name's, but stands in names that are in use.
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Labels of 1 to 63 letters, digits and hyphens, between single dots.
bool is_dns_name(std::string_view name) {
    std::size_t label = 0;
    for (const char c : name) {
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_label_char(c) || ++label > 63) {
            return false;
        }
    }
    return label != 0;
}

int digit(char c, int base) {
    const char l = lower(c);
    const int value = l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : base;
    return value < base ? value : -1;
}

// Four decimal numbers without leading zeros (which some would read as octal).
bool parse_ipv4(std::string_view text, std::uint8_t* out) {
    std::size_t at = 0;
    for (int part = 0; part < 4; ++part) {
        if (part != 0 && (at >= text.size() || text[at++] != '.'))
            return false;
        int value = 0;
        const std::size_t start = at;
        while (at < text.size() && at - start < 3 && digit(text[at], 10) >= 0)
            value = value * 10 + digit(text[at++], 10);
        if (at == start || value > 255 || (text[start] == '0' && at - start > 1))
            return false;
        out[part] = static_cast<std::uint8_t>(value);
    }
    return at == text.size();
}

// RFC 4291 §2.2: eight groups of hexadecimal digits, one run of zero groups as "::", the last two
// groups also as an IPv4 address.
bool parse_ipv6(std::string_view text, std::uint8_t* out) {
    std::uint8_t bytes[16] = {};
    std::size_t filled = 0;
    std::optional<std::size_t> gap;
    std::size_t at = 0;
    if (text.starts_with("::")) {
        gap = 0;
        at = 2;
    }
    while (at < text.size()) {
        const std::string_view rest = from(text, at);
        const std::size_t end = rest.find(':');
        const std::string_view group =
            std::string_view{rest.data(), end < rest.size() ? end : rest.size()};
        if (end == std::string_view::npos && group.find('.') != std::string_view::npos) {
            if (filled > 12 || !parse_ipv4(group, bytes + filled))
                return false;
            filled += 4;
            at = text.size();
            break;
        }
        if (group.empty() || group.size() > 4 || filled > 14)
            return false;
        unsigned value = 0;
        for (const char c : group) {
            const int d = digit(c, 16);
            if (d < 0)
                return false;
            value = value * 16 + static_cast<unsigned>(d);
        }
        bytes[filled++] = static_cast<std::uint8_t>(value >> 8);
        bytes[filled++] = static_cast<std::uint8_t>(value);
        at += group.size();
        if (at == text.size())
            break;
        ++at;
        if (at < text.size() && text[at] == ':') {
            if (gap)
                return false;
            gap = filled;
            ++at;
        } else if (at == text.size()) {
            return false;
        }
    }
    if (gap ? filled > 14 : filled != 16)
        return false;
    const std::size_t head = gap.value_or(filled);
    std::memcpy(out, bytes, head);
    std::memset(out + head, 0, 16 - filled);
    std::memcpy(out + head + (16 - filled), bytes + head, filled - head);
    return true;
}

// A pattern of a certificate against a DNS name. A wildcard is the whole left-most label, stands
// for exactly one label, and must be followed by two labels at least (RFC 9525 §6.3; "*.com" is
// nobody's to have).
bool pattern_matches(std::string_view pattern, std::string_view name) {
    if (pattern.ends_with('.'))
        pattern.remove_suffix(1);
    if (!pattern.starts_with("*."))
        return is_dns_name(pattern) && same_name(pattern, name);
    pattern.remove_prefix(1);
    const std::size_t dot = name.find('.');
    return is_dns_name(from(pattern, 1)) && pattern.find('.', 1) != std::string_view::npos &&
           dot != std::string_view::npos && same_name(pattern, from(name, dot));
}

}  // namespace

bool HostName::parse(std::string_view text) {
    std::uint8_t address[16];
    address_size_ = dns_size_ = 0;
    if (parse_ipv4(text, address))
        address_size_ = 4;
    else if (parse_ipv6(text, address))
        address_size_ = 16;
    if (address_size_ != 0) {
        std::memcpy(address_, address, address_size_);
        return true;
    }
    if (text.ends_with('.'))
        text.remove_suffix(1);
    if (text.size() >= sizeof dns_ || !is_dns_name(text))
        return false;
    // A last label of digits only is a mistyped address, not a name (RFC 1123 §2.1).
    bool all_digits = true;
    for (const char c : from(text, text.rfind('.') + 1))
        all_digits = all_digits && c >= '0' && c <= '9';
    if (all_digits)
        return false;
    std::memcpy(dns_, text.data(), text.size());
    dns_[text.size()] = '\0';
    dns_size_ = static_cast<std::uint8_t>(text.size());
    return true;
}

void HostNameCheck::alternative_dns(std::string_view pattern) {
    has_alternatives_ = true;
    matches_ = matches_ || (!name_.is_address() && pattern_matches(pattern, name_.dns()));
}

void HostNameCheck::alternative_address(Bytes address) {
    has_alternatives_ = true;
    const Bytes wanted = name_.address();
    matches_ = matches_ || (name_.is_address() && address.size() == wanted.size() &&
                            std::memcmp(address.data(), wanted.data(), wanted.size()) == 0);
}

void HostNameCheck::common_name(std::string_view pattern) {
    matches_ = matches_ ||
               (!has_alternatives_ && !name_.is_address() && pattern_matches(pattern, name_.dns()));
}

}  // namespace ussl
