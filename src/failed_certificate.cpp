#include "failed_certificate.hpp"

#include <algorithm>

#include "pem.hpp"
#include "switches.h"
#include "text_writer.hpp"
#include "ussl/error.hpp"
#include "utc.hpp"

namespace ussl {
namespace {

using pem::Der;

struct Attribute {
    std::string_view oid;
    std::string_view name;
};
// The attributes of RFC 4514 §3, and two more of device certificates.
constexpr Attribute attributes[] = {
    {"\x55\x04\x03", "CN"},
    {"\x55\x04\x05", "serialNumber"},
    {"\x55\x04\x06", "C"},
    {"\x55\x04\x07", "L"},
    {"\x55\x04\x08", "ST"},
    {"\x55\x04\x09", "STREET"},
    {"\x55\x04\x0A", "O"},
    {"\x55\x04\x0B", "OU"},
    {"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x01", "UID"},
    {"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x19", "DC"},
    {"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01", "emailAddress"},
};

std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool add_type(TextWriter& out, Bytes oid) {
    for (const Attribute& attribute : attributes)
        if (attribute.oid == text_of(oid))
            return out.add(attribute.name);
    // X.690 §8.19: the first number encodes two components.
    std::uint64_t number = 0;
    bool is_first = true;
    for (const std::uint8_t byte : oid) {
        number = number << 7 | (byte & 0x7F);
        if (byte >= 0x80)
            continue;
        if (is_first) {
            const std::uint64_t arc = std::min<std::uint64_t>(number / 40, 2);
            if (!out.add_number(arc))
                return false;
            number -= arc * 40;
        }
        if (!out.add(".") || !out.add_number(number))
            return false;
        is_first = false;
        number = 0;
    }
    return true;
}

// Writes one character of 1, 2 or 4 bytes. Printable ASCII is unchanged, except for the backslashes
// of RFC 4514 §2.4; other bytes become hex. The peer has chosen the bytes, so the result must not
// contain control characters for a terminal.
bool add_character(TextWriter& out, Bytes character) {
    const std::uint8_t last = character.back();
    bool is_ascii = last >= 0x20 && last < 0x7F;
    for (const std::uint8_t byte : character.first(character.size() - 1))
        is_ascii = is_ascii && byte == 0;
    if (is_ascii) {
        const char escaped[] = {'\\', static_cast<char>(last)};
        constexpr std::string_view special = "\"+,;<>\\";
        const bool is_special = special.find(escaped[1]) != std::string_view::npos;
        return out.add(is_special ? std::string_view{escaped, 2}
                                  : std::string_view{escaped + 1, 1});
    }
    for (const std::uint8_t byte : character) {
        if (!out.add_escaped(byte))
            return false;
    }
    return true;
}

bool add_value(TextWriter& out, std::uint8_t type, Bytes value) {
    constexpr std::uint8_t bmp_string = 30;
    constexpr std::uint8_t universal_string = 28;
    const std::size_t width = type == bmp_string ? 2 : type == universal_string ? 4 : 1;
    while (!value.empty()) {
        const std::size_t size = std::min(width, value.size());
        if (!add_character(out, value.first(size)))
            return false;
        value = value.subspan(size);
    }
    return true;
}

bool add_rdn(TextWriter& out, Der rdn) {
    bool is_first = true;
    while (const auto attribute = rdn.take(Der::sequence)) {
        Der parts(*attribute);
        const auto oid = parts.take(Der::oid);
        const std::uint8_t type = parts.tag();
        const auto value = parts.take(type);
        if (!oid || !value)
            return true;
        if ((!is_first && !out.add("+")) || !add_type(out, *oid) || !out.add("=") ||
            !add_value(out, type, *value))
            return false;
        is_first = false;
    }
    return true;
}

// RFC 4514 §2.1: the last RDN is first. It usually contains the common name.
bool add_rdns(TextWriter& out, Bytes name) {
    const auto rdns = Der(name).take(Der::sequence);
    if (!rdns)
        return true;
    std::size_t count = 0;
    for (Der rest(*rdns); rest.take(Der::set);)
        ++count;
    for (std::size_t left = count; left != 0; --left) {
        Der rest(*rdns);
        for (std::size_t i = 1; i < left; ++i)
            (void)rest.take(Der::set);
        if ((left != count && !out.add(",")) ||
            !add_rdn(out, Der(rest.take(Der::set).value_or(Bytes{}))))
            return false;
    }
    return true;
}

void add_name(TextWriter& out, std::string_view before, Bytes name) {
    constexpr std::size_t longest = 96;
    out.add(before);
    TextWriter part(out.next(longest), TextWriter::Overflow::omit);
    const bool is_whole = add_rdns(part, name);
    out.skip(part.size());
    out.add(is_whole ? "\"" : "...\"");
}

// Writes a time as in RFC 3339.
void add_time(TextWriter& out, const CertificateTime& time) {
    const auto add_part = [&](int value, int width, std::string_view behind) {
        out.add_number(static_cast<std::uint64_t>(value), width);
        out.add(behind);
    };
    add_part(time.year, 4, "-");
    add_part(time.month, 2, "-");
    add_part(time.day, 2, "T");
    add_part(time.hour, 2, ":");
    add_part(time.minute, 2, ":");
    add_part(time.second, 2, "Z");
}

}  // namespace

void FailedCertificate::keep(const Facts& facts) {
    if constexpr (!features::error_texts)
        return;
    text_.reset(static_cast<char*>(allocate(max_certificate_description)));
    if (!text_)
        return;
    TextWriter out({text_.get(), max_certificate_description}, TextWriter::Overflow::omit);
    add_name(out, "subject \"", facts.subject);
    add_name(out, ", issuer \"", facts.issuer);
    out.add(", valid ");
    add_time(out, facts.not_before);
    out.add(" to ");
    add_time(out, facts.not_after);
    if (facts.clock) {
        out.add(", clock ");
        add_time(out, utc_of(*facts.clock));
    }
    size_ = static_cast<std::uint16_t>(out.size());
}

}  // namespace ussl
