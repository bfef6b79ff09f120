#pragma once

// Cipher suites: the supported ones, the defaults, and their names.

#include <array>

#include "ussl/context.hpp"

namespace ussl::policy {

// Cipher suites by their IANA numbers, best first. docs/explanation/security.md gives the reasons
// for the choice and the order.

/// TLS 1.3 with certificates.
inline constexpr std::uint16_t suites_tls1_3[] = {
    0x1301,  // TLS_AES_128_GCM_SHA256
    0x1303,  // TLS_CHACHA20_POLY1305_SHA256
    0x1302,  // TLS_AES_256_GCM_SHA384
};

/// TLS 1.2 with certificates: AEAD and forward secrecy only.
inline constexpr std::uint16_t suites_tls1_2[] = {
    0xC02B,  // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    0xC02F,  // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    0xCCA9,  // TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    0xCCA8,  // TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    0xC02C,  // TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
    0xC030,  // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
    0xC0AC,  // TLS_ECDHE_ECDSA_WITH_AES_128_CCM
    0xC0AD,  // TLS_ECDHE_ECDSA_WITH_AES_256_CCM
};

/// TLS 1.3 with a pre-shared key: the suites with SHA-256, which is the hash of an external
/// pre-shared key (RFC 8446 §4.2.11).
inline constexpr std::uint16_t suites_tls1_3_psk[] = {
    0x1301,  // TLS_AES_128_GCM_SHA256
    0x1303,  // TLS_CHACHA20_POLY1305_SHA256
};

/// TLS 1.2 with a pre-shared key: first suites with forward secrecy, then plain PSK suites, which
/// small devices and mosquitto use.
inline constexpr std::uint16_t suites_tls1_2_psk[] = {
    0xCCAC,  // TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256
    0x00AA,  // TLS_DHE_PSK_WITH_AES_128_GCM_SHA256
    0x00AB,  // TLS_DHE_PSK_WITH_AES_256_GCM_SHA384
    0xCCAD,  // TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256
    0x00A8,  // TLS_PSK_WITH_AES_128_GCM_SHA256
    0x00A9,  // TLS_PSK_WITH_AES_256_GCM_SHA384
    0xCCAB,  // TLS_PSK_WITH_CHACHA20_POLY1305_SHA256
    0xC0A4,  // TLS_PSK_WITH_AES_128_CCM
    0xC0A5,  // TLS_PSK_WITH_AES_256_CCM
};

/// Suites that are only used if Options::suites names them: short tags, CBC, no forward secrecy.
inline constexpr std::uint16_t opt_in_suites[] = {
    0x1304,  // TLS_AES_128_CCM_SHA256
    0x1305,  // TLS_AES_128_CCM_8_SHA256
    0xC0AE,  // TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8
    0xC0AF,  // TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8
    0xC024,  // TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384
    0xC028,  // TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384
    0xC00A,  // TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA
    0xC014,  // TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA
    0xC023,  // TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256
    0xC027,  // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256
    0xC009,  // TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
    0xC013,  // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
    0x009D,  // TLS_RSA_WITH_AES_256_GCM_SHA384
    0x009C,  // TLS_RSA_WITH_AES_128_GCM_SHA256
    0x003D,  // TLS_RSA_WITH_AES_256_CBC_SHA256
    0x0035,  // TLS_RSA_WITH_AES_256_CBC_SHA
    0x003C,  // TLS_RSA_WITH_AES_128_CBC_SHA256
    0x002F,  // TLS_RSA_WITH_AES_128_CBC_SHA
};
inline constexpr std::uint16_t opt_in_psk_suites[] = {
    0xC0A8,  // TLS_PSK_WITH_AES_128_CCM_8
    0xC0A9,  // TLS_PSK_WITH_AES_256_CCM_8
    0xC037,  // TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256
    0x00AE,  // TLS_PSK_WITH_AES_128_CBC_SHA256
    0x00AF,  // TLS_PSK_WITH_AES_256_CBC_SHA384
    0x008C,  // TLS_PSK_WITH_AES_128_CBC_SHA
    0x008D,  // TLS_PSK_WITH_AES_256_CBC_SHA
};

/// All suites of the lists above, each once.
inline constexpr auto every_suite = [] {
    std::array<std::uint16_t, std::size(suites_tls1_3) + std::size(suites_tls1_2) +
                                  std::size(suites_tls1_2_psk) + std::size(opt_in_suites) +
                                  std::size(opt_in_psk_suites)>
        all{};
    std::size_t at = 0;
    for (const std::span<const std::uint16_t> list :
         {std::span<const std::uint16_t>(suites_tls1_3),
          std::span<const std::uint16_t>(suites_tls1_2),
          std::span<const std::uint16_t>(suites_tls1_2_psk),
          std::span<const std::uint16_t>(opt_in_suites),
          std::span<const std::uint16_t>(opt_in_psk_suites)})
        for (const std::uint16_t suite : list)
            all[at++] = suite;
    return all;
}();

/// The suites that a context offers or accepts, TLS 1.3 first, and the versions that have suites.
struct Offer {
    std::array<std::uint16_t, every_suite.size()> suites;
    std::size_t count = 0;
    std::size_t count_tls1_3 = 0;
    Version minimum_version = Version::none;
    Version maximum_version = Version::none;

    [[nodiscard]] std::span<const std::uint16_t> tls1_3() const {
        return {suites.data(), count_tls1_3};
    }
    [[nodiscard]] std::span<const std::uint16_t> tls1_2() const {
        return {suites.data() + count_tls1_3, count - count_tls1_3};
    }
};

/// Returns true for a TLS 1.3 suite (RFC 8446 §B.4).
constexpr bool is_tls1_3(std::uint16_t suite) {
    return suite >> 8 == 0x13;
}

/// Returns the offer of a context. `count` is 0 if no suite fits the options.
Offer offer_of(const Options& options);

/// Returns true if `name`, in any library's spelling, is the suite with the IANA name `iana`.
bool is_suite(std::string_view iana, std::string_view name);

}  // namespace ussl::policy
