#include "ussl/error.hpp"

#include <algorithm>
#include <cstring>

namespace ussl {
namespace {

struct Row {
    Code code;
    std::string_view name;
    std::string_view text;
};

constexpr Row rows[] = {
#define USSL_ERROR(name, number, error_class, text) {Code::name, #name, text},
#include "errors.def"
#undef USSL_ERROR
};

constexpr bool hundreds_say_the_class() {
#define USSL_ERROR(name, number, error_class, text)                \
    if (number / 100 != static_cast<int>(ErrorClass::error_class)) \
        return false;
#include "errors.def"
#undef USSL_ERROR
    return true;
}
static_assert(hundreds_say_the_class());
static_assert(std::is_sorted(std::begin(rows), std::end(rows),
                             [](const Row& a, const Row& b) { return a.code < b.code; }));

const Row* find(Code code) {
    for (const Row& row : rows)
        if (row.code == code)
            return &row;
    return nullptr;
}

// Bounded text, cut off at the end.
class Writer {
  public:
    explicit Writer(std::span<char> into) : into_(into) {}
    void add(std::string_view text) {
        const std::size_t n = std::min(text.size(), into_.size() - used_);
        std::memcpy(into_.data() + used_, text.data(), n);
        used_ += n;
    }
    void add_hex(std::uint32_t value) {
        char digits[10] = {'0', 'x'};
        for (int i = 0; i < 8; ++i)
            digits[2 + i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15U];
        add({digits, sizeof digits});
    }
    [[nodiscard]] std::size_t size() const { return used_; }

  private:
    std::span<char> into_;
    std::size_t used_ = 0;
};

}  // namespace

ErrorClass class_of(Code code) {
    return static_cast<ErrorClass>(static_cast<unsigned>(code) / 100);
}

int Error::number() const {
    return code == Code::stream ? static_cast<int>(detail) : -static_cast<int>(code);
}

std::string_view name_of(Code code) {
    const Row* row = find(code);
    return row != nullptr ? row->name : std::string_view{};
}

std::string_view text_of(Code code) {
    const Row* row = find(code);
    return row != nullptr ? row->text : std::string_view{};
}

// RFC 8446 §6, RFC 5246 §7.2, RFC 4279 §2 and RFC 7301 §3.2.
std::string_view alert_name(std::uint8_t number) {
    switch (number) {
        case 0:
            return "close_notify";
        case 10:
            return "unexpected_message";
        case 20:
            return "bad_record_mac";
        case 21:
            return "decryption_failed";
        case 22:
            return "record_overflow";
        case 30:
            return "decompression_failure";
        case 40:
            return "handshake_failure";
        case 42:
            return "bad_certificate";
        case 43:
            return "unsupported_certificate";
        case 44:
            return "certificate_revoked";
        case 45:
            return "certificate_expired";
        case 46:
            return "certificate_unknown";
        case 47:
            return "illegal_parameter";
        case 48:
            return "unknown_ca";
        case 49:
            return "access_denied";
        case 50:
            return "decode_error";
        case 51:
            return "decrypt_error";
        case 70:
            return "protocol_version";
        case 71:
            return "insufficient_security";
        case 80:
            return "internal_error";
        case 86:
            return "inappropriate_fallback";
        case 90:
            return "user_canceled";
        case 100:
            return "no_renegotiation";
        case 109:
            return "missing_extension";
        case 110:
            return "unsupported_extension";
        case 112:
            return "unrecognized_name";
        case 113:
            return "bad_certificate_status_response";
        case 115:
            return "unknown_psk_identity";
        case 116:
            return "certificate_required";
        case 120:
            return "no_application_protocol";
        default:
            return "unknown";
    }
}

std::size_t describe(const Error& error, std::span<char> into) {
    Writer out(into);
    const Row* row = find(error.code);
    if (row == nullptr)
        return 0;
    out.add(row->name);
    out.add(": ");
    out.add(row->text);
    if (class_of(error.code) == ErrorClass::certificate) {
        for (const Row& other : rows) {
            const unsigned number = static_cast<unsigned>(other.code);
            if (class_of(other.code) != ErrorClass::certificate || other.code == error.code ||
                (error.certificate_failures >> (number - 201U) & 1U) == 0)
                continue;
            out.add("; ");
            out.add(other.name);
            out.add(": ");
            out.add(other.text);
        }
    }
    if (error.alert != Error::Alert::none) {
        out.add(error.alert == Error::Alert::sent ? " (alert sent: " : " (alert received: ");
        out.add(alert_name(error.alert_number));
        out.add(")");
    }
    if (error.code == Code::ENGINE && error.detail != 0) {
        out.add(" (engine code ");
        out.add_hex(error.detail);
        out.add(")");
    }
    return out.size();
}

}  // namespace ussl
