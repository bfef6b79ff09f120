#pragma once

// Key exchange groups (RFC 8446 §4.2.7), by their IANA numbers and names.

#include "engine.hpp"
#include "ussl/context.hpp"

namespace ussl::groups {

struct Group {
    std::string_view name;   ///< IANA's
    std::string_view alias;  ///< another name that OpenSSL has for it
    std::uint16_t number;
    /// Whether a client that offers it also sends a share of the best other group: few servers know
    /// it, and all others would answer with HelloRetryRequest.
    bool needs_second_share = false;
};

/// All that ussl knows.
inline constexpr Group all[] = {
    {"X25519MLKEM768", {}, 0x11EC, true},
    {"SecP256r1MLKEM768", {}, 0x11EB, true},
    {"SecP384r1MLKEM1024", {}, 0x11ED, true},
    {"x25519", {}, 29},
    {"secp256r1", "P-256", 23},
    {"secp384r1", "P-384", 24},
    {"secp521r1", "P-521", 25},
    {"x448", {}, 30},
    {"ffdhe2048", {}, 256},
    {"ffdhe3072", {}, 257},
    {"ffdhe4096", {}, 258},
    {"ffdhe6144", {}, 259},
    {"ffdhe8192", {}, 260},
};
static_assert(std::size(all) <= max_groups);

/// The group of that number; nullptr: ussl does not know it.
const Group* find(std::uint16_t number);

/// The groups of a context, best first: those of Options::groups, or the default ones, which
/// `storage` then holds. Empty: no memory.
std::span<const std::uint16_t> of(const Engine& engine, const Options& options,
                                  std::span<std::uint16_t, max_groups> storage);

/// Checks Options::groups; nullopt: nothing to refuse.
std::optional<ConfigError> check(const Engine& engine, const Options& options);

}  // namespace ussl::groups
