#pragma once

// Numbers that hold for every engine.

#include <cstddef>

#include <cstdint>

#include <optional>

namespace ussl::policy {

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

/// The largest max_fragment_length (RFC 6066 §4) that is not above `limit`: its code, or 0 if there
/// is nothing to ask for.
std::uint8_t max_fragment_code(std::optional<std::size_t> limit);
/// The size that a code stands for; 0: there is no such code.
std::size_t max_fragment_size(int code);

}  // namespace ussl::policy
