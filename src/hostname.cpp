#include "hostname.hpp"

#include <cstring>

#include "text.hpp"

namespace ussl {
namespace {

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
    // The underscore is not valid in host names, but is used in practice.
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

// Removes the part before the separator from the front of `text`, and the separator. `more`: there
// was a separator.
std::string_view take(std::string_view& text, char separator, bool& more) {
    const std::size_t at = text.find(separator);
    more = at != std::string_view::npos;
    const std::string_view part = up_to(text, more ? at : text.size());
    text.remove_prefix(more ? at + 1 : text.size());
    return part;
}

// Returns a number of 1 to `most` digits, or -1.
int number(std::string_view text, int base, std::size_t most) {
    if (text.empty() || text.size() > most)
        return -1;
    int value = 0;
    for (const char c : text) {
        const int d = digit(c, base);
        if (d < 0)
            return -1;
        value = value * base + d;
    }
    return value;
}

// Parses four decimal numbers without leading zeros (which some parsers read as octal).
bool parse_ipv4(std::string_view text, std::uint8_t* out) {
    for (int i = 0; i < 4; ++i) {
        bool more = false;
        const std::string_view part = take(text, '.', more);
        const int value = number(part, 10, 3);
        if (value < 0 || value > 255 || (part.size() > 1 && part[0] == '0') || more != (i < 3))
            return false;
        out[i] = static_cast<std::uint8_t>(value);
    }
    return true;
}

// Parses groups of hexadecimal digits between colons. At the end of an address, an IPv4 address may
// replace the last two groups. Returns the number of bytes, or -1.
int parse_groups(std::string_view text, bool at_end, std::uint8_t* out) {
    int size = 0;
    for (bool more = !text.empty(); more;) {
        const std::string_view group = take(text, ':', more);
        if (at_end && !more && size <= 12 && parse_ipv4(group, out + size))
            return size + 4;
        const int value = number(group, 16, 4);
        if (value < 0 || size > 14)
            return -1;
        out[size++] = static_cast<std::uint8_t>(value >> 8);
        out[size++] = static_cast<std::uint8_t>(value);
    }
    return size;
}

// RFC 4291 §2.2: eight groups; "::" replaces one run of zeros.
bool parse_ipv6(std::string_view text, std::uint8_t* out) {
    const std::size_t gap = text.find("::");
    if (gap == std::string_view::npos)
        return parse_groups(text, true, out) == 16;
    std::uint8_t tail[16];
    const int before = parse_groups(up_to(text, gap), false, out);
    const int after = parse_groups(from(text, gap + 2), true, tail);
    if (before < 0 || after < 0 || before + after > 14)
        return false;
    std::memset(out + before, 0, static_cast<std::size_t>(16 - before));
    std::memcpy(out + 16 - after, tail, static_cast<std::size_t>(after));
    return true;
}

// Matches a pattern of a certificate against a DNS name. A wildcard must be the whole left-most
// label and matches exactly one label (RFC 9525 §6.3). At least two labels must follow: "*.com"
// matches nothing.
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
