#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ussl {

/// The rows of ussl/errors.def by their positive number, and two further codes.
enum class Code : std::uint16_t {
    none = 0,
    /// The stream failed; Error::detail is its errno (positive).
    stream = 1,
#define USSL_ERROR(name, number, error_class, text) name = number,
#include "ussl/errors.def"
#undef USSL_ERROR
};

/// The cause of an error: the first digit of the row's number (see errors.def).
enum class ErrorClass : std::uint8_t { stream, peer, certificate, psk, record, local };

ErrorClass class_of(Code code);

/// The reason why a connection failed. Copyable; contains no text and no secrets.
struct Error {
    Code code = Code::none;

    enum class Alert : std::uint8_t { none, sent, received };
    Alert alert = Alert::none;
    /// The alert's number (RFC 8446 §6), if `alert` is not none.
    std::uint8_t alert_number = 0;
    /// ErrorClass::certificate: a bit mask of all failures that were found; the bit of a row is
    /// (number - 201).
    std::uint16_t certificate_failures = 0;
    /// Code::NOT_TLS: the first received bytes.
    std::uint8_t received[5] = {};
    std::uint8_t received_size = 0;
    /// Code::stream: the errno. Otherwise the engine's error code, or 0.
    std::uint32_t detail = 0;

    constexpr explicit operator bool() const { return code != Code::none; }

    /// Returns the number that bindings show: the positive errno of the stream, or the negative
    /// number of the row.
    [[nodiscard]] int number() const;
};

/// Return the row's name ("CERT_EXPIRED") and text; empty for a code without a row.
std::string_view name_of(Code code);
std::string_view text_of(Code code);
/// Returns the name of a TLS alert ("bad_certificate"), or "unknown".
std::string_view alert_name(std::uint8_t number);

/// Buffer sizes that are sufficient for describe(), and for its description of a certificate.
inline constexpr std::size_t max_description = 1536;
inline constexpr std::size_t max_certificate_description = 304;

/// Writes "NAME: text (certificate: …) (alert sent: …)". Returns the length. The text is not
/// NUL-terminated, and is truncated to the size of `into`. `certificate` describes the certificate
/// that failed verification; Connection::describe_error() fills it in.
std::size_t describe(const Error& error, std::span<char> into, std::string_view certificate = {});

}  // namespace ussl
