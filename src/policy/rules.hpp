#pragma once

// What options mean, which are refused, and what holds for every connection of a context.

#include "../context_settings.hpp"
#include "ussl/context.hpp"

namespace ussl::policy {

/// Whether pre-shared keys replace certificates.
bool uses_psk(const Options& options);
/// What holds for every connection of the context; its crl_check is known later (crl_check_of()).
/// nullptr: out of memory.
Owned<ContextSettings> settings_of(const Options& options);

/// If there are CRLs, the peer's certificate is checked against them by default.
inline CrlCheck crl_check_of(const Options& options, const StoreStats& stats) {
    return options.crl_check.value_or(stats.crls != 0 ? CrlCheck::leaf : CrlCheck::none);
}

/// Whether connections are resumed.
bool resumes(const Options& options);

/// Whether the system's store is trusted.
bool uses_system_store(const Options& options);

/// Calls `take` with each protocol of Options::alpn.
template <class Take>
void for_each_protocol(Bytes alpn, Take take) {
    for (std::size_t at = 0; at < alpn.size(); at += 1 + alpn[at])
        take(alpn.subspan(at + 1, alpn[at]));
}

/// Options::verify as the role has it: none, optional or required.
Verify verification_of(const Options& options);
/// Rejects a client that verifies nothing without saying so; nullopt: it is valid.
std::optional<ConfigError> check_verify(const Options& options);
/// Checks what can be checked without parsing, of options with verification_of() applied; nullopt:
/// they are valid.
std::optional<ConfigError> check(const Engine& engine, const Options& options);

/// CRLs, or the wish to check them, have no effect if nothing is verified.
inline constexpr ConfigError crls_without_verification{
    "CRLs (`trusted`, `crl_check`) require verification (`verify`)"};

}  // namespace ussl::policy
