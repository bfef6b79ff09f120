#pragma once

// Key exchange groups (RFC 8446 §4.2.7), by their IANA numbers and names.

#include "engine.hpp"
#include "ussl/context.hpp"

namespace ussl::groups {

struct Group {
    std::string_view name;   ///< IANA's
    std::string_view alias;  ///< another name in OpenSSL
    std::uint16_t number;
    /// If true, a client that offers it also sends a key share of the best other group. Few servers
    /// support it, and all others would answer with HelloRetryRequest.
    bool needs_second_share = false;
};

/// All groups that ussl supports.
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

/// Returns the group of that number, or nullptr.
const Group* find(std::uint16_t number);

/// Returns the groups of a context, best first: Options::groups, or the defaults, which are written
/// to `storage`. Empty: out of memory.
std::span<const std::uint16_t> of(const Engine& engine, const Options& options,
                                  std::span<std::uint16_t, max_groups> storage);

/// Checks Options::groups. Returns nullopt if they are valid.
std::optional<ConfigError> check(const Engine& engine, const Options& options);

}  // namespace ussl::groups
