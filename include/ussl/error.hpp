#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ussl {

/// The rows of ussl/errors.def by their positive number, and two codes that are not rows.
enum class Code : std::uint16_t {
    none = 0,
    /// The stream beneath failed; Error::detail is its errno (positive).
    stream = 1,
#define USSL_ERROR(name, number, error_class, text) name = number,
#include "ussl/errors.def"
#undef USSL_ERROR
};

/// The hundreds of a code: whose fault it is.
enum class ErrorClass : std::uint8_t { stream, peer, certificate, psk, record, local };

ErrorClass class_of(Code code);

/// Why a connection failed. Small, copyable, holds no text and no secrets.
struct Error {
    Code code = Code::none;

    enum class Alert : std::uint8_t { none, sent, received };
    Alert alert = Alert::none;
    /// The alert's number (RFC 8446 §6), if there was one.
    std::uint8_t alert_number = 0;
    /// ErrorClass::certificate: every failure that was found, bit (number - 201) per row.
    std::uint16_t certificate_failures = 0;
    /// Code::NOT_TLS: the first bytes that arrived.
    std::uint8_t received[5] = {};
    std::uint8_t received_size = 0;
    /// Code::stream: the errno. Otherwise the engine's own code, or 0.
    std::uint32_t detail = 0;

    constexpr explicit operator bool() const { return code != Code::none; }

    /// What a binding shows: the positive errno of the stream, or the row's number, negative.
    [[nodiscard]] int number() const;
};

/// The row's name ("CERT_EXPIRED") and text; empty for a code that is no row.
std::string_view name_of(Code code);
std::string_view text_of(Code code);
/// The name of a TLS alert ("bad_certificate"), or "unknown".
std::string_view alert_name(std::uint8_t number);

/// Long enough for every text that describe() makes, and for its part about a certificate.
inline constexpr std::size_t max_description = 1536;
inline constexpr std::size_t max_certificate_description = 304;

/// Writes "NAME: what happened (certificate: …) (alert sent: …)" and returns its length; never
/// NUL-terminated, cut off at the end of `into`. `certificate` describes the one that failed, if
/// the error is a certificate's; Connection::describe_error() knows it.
std::size_t describe(const Error& error, std::span<char> into, std::string_view certificate = {});

}  // namespace ussl
