#pragma once

// Types that all layers share.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ussl {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

enum class Role : std::uint8_t { client, server };

enum class Direction : std::uint8_t { read, write };

/// The verification of the peer's certificate. The numbers 0 to 2 are those of Python's ssl module.
enum class Verify : std::uint8_t {
    none = 0,      ///< server: does not request a certificate
    optional = 1,  ///< client: as `required`; server: accepts a client without a certificate
    required = 2,  ///< chain, dates, purpose and (client) host name are verified (RFC 5280 §6)
    by_role = 3,   ///< `required` for a client, `none` for a server and with pre-shared keys
    /// Client: accepts every certificate. Unless Options::pins is given, an attacker on the network
    /// can then read and change the data.
    insecure_no_verification = 4,
};

/// The certificates of a chain that need a valid CRL from their issuer (RFC 5280 §6.3). The numbers
/// are those of Python's verify_flags.
enum class CrlCheck : std::uint8_t {
    none = 0,
    leaf = 4,    ///< the peer's own certificate
    chain = 12,  ///< all certificates below the trust anchor
};

/// Protocol versions by their numbers on the wire.
enum class Version : std::uint16_t { none = 0, tls1_2 = 0x0303, tls1_3 = 0x0304 };

/// The cipher suite in use.
struct Cipher {
    std::string_view name;  ///< IANA's name, "TLS_AES_128_GCM_SHA256"
    int secret_bits = 0;
};

inline constexpr std::size_t min_record_size = 512;
/// The maximum plaintext size of a record in bytes (RFC 8446 §5.1).
inline constexpr std::size_t max_record_size = 16384;

/// A date and time in a certificate.
struct CertificateTime {
    int year, month, day, hour, minute, second;  ///< UTC; month and day from 1
};

}  // namespace ussl
