#pragma once

// Limits for all engines.

#include <cstddef>

#include <cstdint>

#include <optional>

#include "../switches.h"

namespace ussl::policy {

/// The maximum number of sessions that a client's context stores.
inline constexpr std::size_t max_sessions = 8;
/// The time in seconds during which a ticket of a server can be used. Sessions that are derived
/// from it by resumption end with Options::session_lifetime.
inline constexpr std::uint32_t ticket_lifetime = 7200;

/// The size in bytes of the random key for an unknown identity. It is the size of keys made by
/// tools/psk_new.py, because in TLS 1.2 the computing time depends on the size of the key.
inline constexpr std::size_t random_psk = 32;

/// The minimum strength of a peer's certificate, if it is verified.
inline constexpr int minimum_rsa_bits = 2048;
inline constexpr int minimum_ec_bits = 256;
inline constexpr int minimum_hash_bits = 256;
/// The minimum size of the group in a DHE key exchange.
inline constexpr int minimum_dh_bits = 2048;

/// The maximum number of intermediate certificates between the peer's certificate and the trust
/// anchor. Mbed TLS does not support more.
inline constexpr int max_intermediates = 8;
/// The maximum number of signature checks in the search for a peer's chain. Without a limit, an
/// unauthenticated peer could send many certificates with the same issuer name to cause work.
inline constexpr int max_signature_checks = 16;
/// The maximum size in bytes of a Certificate message without its 4-byte header. It fits into one
/// record.
inline constexpr std::size_t longest_chain = 16380;
/// The error if this side's own chain is longer.
inline constexpr char chain_is_long[] = USSL_ARGUMENT(
    "certificate chain too long: the limit is 16380 bytes", "`certificate`: too long");
/// The parts of a Certificate message of TLS 1.3 (RFC 8446 §4.4.2) in bytes: before the
/// certificates, and around each certificate.
inline constexpr std::size_t before_chain = 4;
inline constexpr std::size_t around_certificate = 5;

/// Returns the code of the largest max_fragment_length (RFC 6066 §4) up to `limit`, or 0 if the
/// extension is not needed.
std::uint8_t max_fragment_code(std::optional<std::size_t> limit);
/// Returns the size in bytes for a code; 0: invalid code.
std::size_t max_fragment_size(int code);

}  // namespace ussl::policy
