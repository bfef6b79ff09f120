#pragma once

// What ussl decides for every engine: the defaults and the option rules, each in one place.

#include <array>

#include "engine.hpp"
#include "ussl/context.hpp"

namespace ussl::policy {

// Cipher suites by their IANA number, best first. docs/security.md says why these and this order.

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

/// TLS 1.3 with a pre-shared key: those with SHA-256, the hash of a key that was agreed upon
/// outside of TLS (RFC 8446 §4.2.11).
inline constexpr std::uint16_t suites_tls1_3_psk[] = {
    0x1301,  // TLS_AES_128_GCM_SHA256
    0x1303,  // TLS_CHACHA20_POLY1305_SHA256
};

/// TLS 1.2 with a pre-shared key: forward secrecy first, then the plain ones that small devices
/// and mosquitto use.
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

/// Those that are there for whoever names them: short tags, CBC, no forward secrecy.
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

/// All of the above, each once.
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

/// What a context offers, or takes: its suites, those of TLS 1.3 first, and the versions that there
/// are suites for.
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
/// RFC 8446 §B.4.
constexpr bool is_tls1_3(std::uint16_t suite) {
    return suite >> 8 == 0x13;
}
/// Whether pre-shared keys replace certificates.
bool uses_psk(const Options& options);
/// What holds for every connection of the context; its crl_check is known later (crl_check_of()).
/// nullptr: out of memory.
Owned<ContextSettings> settings_of(const Options& options);

/// count is 0 if nothing fits.
Offer offer_of(const Options& options);

/// Whoever gives CRLs wants them looked at.
inline CrlCheck crl_check_of(const Options& options, const StoreStats& stats) {
    return options.crl_check.value_or(stats.crls != 0 ? CrlCheck::leaf : CrlCheck::none);
}

/// Whether connections are resumed.
bool resumes(const Options& options);

/// Whether the system's store is trusted.
bool uses_system_store(const Options& options);

/// Whether `name`, in anybody's spelling, is the suite that IANA calls `iana`.
bool is_suite(std::string_view iana, std::string_view name);

/// Calls `take` with each protocol of Options::alpn.
template <class Take>
void for_each_protocol(Bytes alpn, Take take) {
    for (std::size_t at = 0; at < alpn.size(); at += 1 + alpn[at])
        take(alpn.subspan(at + 1, alpn[at]));
}

/// SHA-256 of a certificate or public key: whether it is one of the pinned ones.
bool is_pinned(Bytes pins, std::span<const std::uint8_t, 32> hash);

/// How many servers' sessions a client's context remembers.
inline constexpr std::size_t max_sessions = 8;
/// How long one of a server's sessions can be resumed, in seconds; those that come of it, until
/// Options::session_lifetime has passed.
inline constexpr std::uint32_t ticket_lifetime = 7200;

/// Of the random key that stands for an unknown identity's, in bytes: as long as tools/psk_new.py
/// makes them, because in TLS 1.2 the time that a key takes depends on its length.
inline constexpr std::size_t random_psk = 32;

/// The weakest that is accepted from a peer whose certificate is checked.
inline constexpr int minimum_rsa_bits = 2048;
inline constexpr int minimum_ec_bits = 256;
inline constexpr int minimum_hash_bits = 256;
/// The weakest group of a DHE key exchange.
inline constexpr int minimum_dh_bits = 2048;

/// How many certificates may stand between a peer's and a trusted one. Mbed TLS has room for no
/// more.
inline constexpr int max_intermediates = 8;
/// How many signatures are verified at most to find the chain of a peer: it may send many
/// certificates with the name of an issuer, before it is authenticated.
inline constexpr int max_signature_checks = 16;
/// The longest message with certificates, in bytes, without its header of 4: a message fits into
/// one record.
inline constexpr std::size_t longest_chain = 16380;
/// Why this side's own is rejected.
inline constexpr char chain_is_long[] = "certificate chain too long: the limit is 16380 bytes";
/// The size of such a message in TLS 1.3 (RFC 8446 §4.4.2): before the certificates, and around
/// each.
inline constexpr std::size_t before_chain = 4;
inline constexpr std::size_t around_certificate = 5;

/// Whether a certificate may have this extension (the content of its OID) as a critical one: what
/// both engines look at and, as is usual, what says nothing of who the certificate is for:
/// policies, and where its CRL is.
bool may_be_critical(Bytes oid);

/// Checks what can be checked without parsing; nullopt: nothing to refuse.
std::optional<ConfigError> check(const Engine& engine, const Options& options);

/// CRLs, or the wish to check them, have no effect if nothing is verified.
inline constexpr ConfigError crls_without_verification{
    "CRLs (`trusted`, `crl_check`) require verification (`verify`)"};

/// Why a CRL is refused.
inline constexpr char crl_is_special[] =
    "unsupported crl: it is not about all certificates of its issuer, and no others'";
inline constexpr char crl_is_unsupported[] =
    "unsupported crl: this engine does not have its signature algorithm";
inline constexpr char crl_has_no_end[] = "invalid crl: it does not say when the next one is due";
inline constexpr char crl_is_weak[] = "invalid crl: its signature is weaker than SHA-256";

/// The largest max_fragment_length (RFC 6066 §4) that is not above `limit`: its code, or 0 if there
/// is nothing to ask for.
std::uint8_t max_fragment_code(std::optional<std::size_t> limit);
/// The size that a code stands for; 0: there is no such code.
std::size_t max_fragment_size(int code);

/// The error of a received alert, as a handshake (`psk`: with pre-shared keys) or later.
Code code_of_alert(std::uint8_t alert, bool handshaking, bool psk);

/// The bit of a certificate row in Error::certificate_failures.
constexpr std::uint16_t failure_bit(Code code) {
    return static_cast<std::uint16_t>(1U << (static_cast<unsigned>(code) - 201U));
}
/// Whether one of the failures is one of the clock, too.
constexpr bool concerns_dates(std::uint16_t failures) {
    return (failures & (failure_bit(Code::CERT_EXPIRED) | failure_bit(Code::CERT_NOT_YET_VALID) |
                        failure_bit(Code::CERT_CLOCK))) != 0;
}

/// The worst of several failures, and all of them kept.
Error certificate_error(std::uint16_t failures);

}  // namespace ussl::policy
