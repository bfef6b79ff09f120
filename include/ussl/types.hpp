#pragma once

// The words that every layer speaks: of a context, a connection, its stream and an engine.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ussl {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

enum class Role : std::uint8_t { client, server };

enum class Direction : std::uint8_t { read, write };

/// What is checked of the peer's certificate; the numbers are Python's.
enum class Verify : std::uint8_t {
    none = 0,      ///< client: accepts any certificate; server: requests none
    optional = 1,  ///< client: as required; server: accepts a client without a certificate
    required = 2,  ///< chain, dates, purpose and (client) host name must be valid
};

/// Which certificates of a chain must be known not to be revoked (RFC 5280 §6.3): by a CRL of their
/// issuer that is in date. The numbers are Python's verify_flags.
enum class CrlCheck : std::uint8_t {
    none = 0,
    leaf = 4,    ///< the peer's own
    chain = 12,  ///< and all up to the trusted one
};

/// Protocol versions as they stand on the wire.
enum class Version : std::uint16_t { none = 0, tls1_2 = 0x0303, tls1_3 = 0x0304 };

/// The cipher suite in use.
struct Cipher {
    std::string_view name;  ///< IANA's name, "TLS_AES_128_GCM_SHA256"
    int secret_bits = 0;
};

inline constexpr std::size_t min_record_size = 512;
/// RFC 8446 §5.1.
inline constexpr std::size_t max_record_size = 16384;

/// A date and time of day in a certificate.
struct CertificateTime {
    int year, month, day, hour, minute, second;  ///< UTC; month and day from 1
};

}  // namespace ussl
