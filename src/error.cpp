#include "ussl/error.hpp"

#include <algorithm>

#include "switches.h"
#include "text_writer.hpp"

namespace ussl {
namespace {

struct Row {
    std::string_view name;
    std::string_view text;
};

constexpr std::uint16_t numbers[] = {
#define USSL_ERROR(name, number, error_class, text) number,
#include "ussl/errors.def"
#undef USSL_ERROR
};

// Name, text, name, text, … of the rows in their order. An array of pointers would need more flash;
// a search is only needed once per failed connection. If a build omits the texts, they are empty.
constexpr char names_and_texts[] =
#if USSL_WITHOUT_ERROR_TEXTS
#define USSL_ERROR(name, number, error_class, text) #name "\0\0"
#else
#define USSL_ERROR(name, number, error_class, text) #name "\0" text "\0"
#endif
#include "ussl/errors.def"
#undef USSL_ERROR
    ;

constexpr bool hundreds_say_the_class() {
#define USSL_ERROR(name, number, error_class, text)                \
    if (number / 100 != static_cast<int>(ErrorClass::error_class)) \
        return false;
#include "ussl/errors.def"
#undef USSL_ERROR
    return true;
}
static_assert(hundreds_say_the_class());
static_assert(std::is_sorted(std::begin(numbers), std::end(numbers)));

// Calls take(number, row) for each row.
template <class Take>
void for_each_row(Take take) {
    const char* at = names_and_texts;
    for (const std::uint16_t number : numbers) {
        const std::string_view name = at;
        const std::string_view text = at + name.size() + 1;
        at = text.data() + text.size() + 1;
        take(number, Row{name, text});
    }
}

Row find(Code code) {
    Row found;
    for_each_row([&](std::uint16_t number, const Row& row) {
        if (number == static_cast<std::uint16_t>(code))
            found = row;
    });
    return found;
}

// The alerts of RFC 8446 §6, RFC 5246 §7.2, RFC 4279 §2 and RFC 7301 §3.2.
#define USSL_ALERTS(ALERT)                      \
    ALERT(0, close_notify)                      \
    ALERT(10, unexpected_message)               \
    ALERT(20, bad_record_mac)                   \
    ALERT(21, decryption_failed)                \
    ALERT(22, record_overflow)                  \
    ALERT(30, decompression_failure)            \
    ALERT(40, handshake_failure)                \
    ALERT(42, bad_certificate)                  \
    ALERT(43, unsupported_certificate)          \
    ALERT(44, certificate_revoked)              \
    ALERT(45, certificate_expired)              \
    ALERT(46, certificate_unknown)              \
    ALERT(47, illegal_parameter)                \
    ALERT(48, unknown_ca)                       \
    ALERT(49, access_denied)                    \
    ALERT(50, decode_error)                     \
    ALERT(51, decrypt_error)                    \
    ALERT(70, protocol_version)                 \
    ALERT(71, insufficient_security)            \
    ALERT(80, internal_error)                   \
    ALERT(86, inappropriate_fallback)           \
    ALERT(90, user_canceled)                    \
    ALERT(100, no_renegotiation)                \
    ALERT(109, missing_extension)               \
    ALERT(110, unsupported_extension)           \
    ALERT(112, unrecognized_name)               \
    ALERT(113, bad_certificate_status_response) \
    ALERT(115, unknown_psk_identity)            \
    ALERT(116, certificate_required)            \
    ALERT(120, no_application_protocol)

constexpr std::uint8_t alert_numbers[] = {
#define USSL_ALERT(number, name) number,
    USSL_ALERTS(USSL_ALERT)
#undef USSL_ALERT
};
constexpr char alert_names[] =
#define USSL_ALERT(number, name) #name "\0"
    USSL_ALERTS(USSL_ALERT)
#undef USSL_ALERT
    ;

void add_hex(TextWriter& out, std::uint32_t value) {
    char digits[10] = {'0', 'x'};
    for (int i = 0; i < 8; ++i)
        digits[2 + i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15U];
    out.add({digits, sizeof digits});
}

// Writes the bytes in quotes; bytes outside printable ASCII become "\\x0d".
void add_bytes(TextWriter& out, std::span<const std::uint8_t> bytes) {
    out.add("\"");
    for (const std::uint8_t byte : bytes) {
        const char character = static_cast<char>(byte);
        if (byte >= 0x20 && byte < 0x7F && character != '"' && character != '\\')
            out.add({&character, 1});
        else
            out.add_escaped(byte);
    }
    out.add("\"");
}

}  // namespace

ErrorClass class_of(Code code) {
    return static_cast<ErrorClass>(static_cast<unsigned>(code) / 100);
}

int Error::number() const {
    return code == Code::stream ? static_cast<int>(detail) : -static_cast<int>(code);
}

std::string_view name_of(Code code) {
    return find(code).name;
}

std::string_view text_of(Code code) {
    return find(code).text;
}

std::string_view alert_name(std::uint8_t number) {
    const char* name = alert_names;
    for (const std::uint8_t known : alert_numbers) {
        if (known == number)
            return name;
        name += std::string_view(name).size() + 1;
    }
    return "unknown";
}

std::size_t describe(const Error& error, std::span<char> into, std::string_view certificate) {
    TextWriter out(into, TextWriter::Overflow::truncate);
    const auto add_row = [&](const Row& row) {
        out.add(row.name);
        if constexpr (features::error_texts) {
            out.add(": ");
            out.add(row.text);
        }
    };
    const Row row = find(error.code);
    if (row.name.empty())
        return 0;
    add_row(row);
    if (class_of(error.code) == ErrorClass::certificate) {
        for_each_row([&](std::uint16_t number, const Row& other) {
            const auto code = static_cast<Code>(number);
            if (class_of(code) != ErrorClass::certificate || code == error.code ||
                (error.certificate_failures >> (number - 201U) & 1U) == 0)
                return;
            out.add("; ");
            add_row(other);
        });
        if (!certificate.empty()) {
            out.add(" (certificate: ");
            out.add(certificate);
            out.add(")");
        }
    }
    if (error.alert != Error::Alert::none) {
        out.add(error.alert == Error::Alert::sent ? " (alert sent: " : " (alert received: ");
        if constexpr (features::error_texts)
            out.add(alert_name(error.alert_number));
        else
            out.add_number(error.alert_number);
        out.add(")");
    }
    if (features::error_texts && error.received_size != 0) {
        out.add(" (received: ");
        add_bytes(out, {error.received, error.received_size});
        out.add(")");
    }
    if (error.code == Code::ENGINE && error.detail != 0) {
        out.add(" (engine code ");
        add_hex(out, error.detail);
        out.add(")");
    }
    return out.size();
}

}  // namespace ussl
