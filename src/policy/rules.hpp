#pragma once

// The rules for options: which are invalid, and the settings that follow from them.

#include "../context_settings.hpp"
#include "../switches.h"
#include "ussl/context.hpp"

namespace ussl::policy {

/// Returns true if pre-shared keys replace certificates.
bool uses_psk(const Options& options);
/// Returns the settings of a context, except crl_check, which is set later (crl_check_of()).
/// nullptr: out of memory.
Owned<ContextSettings> settings_of(const Options& options);

/// Returns the effective CRL check. If there are CRLs, the peer's certificate is checked by
/// default.
inline CrlCheck crl_check_of(const Options& options, bool has_crls) {
    return options.crl_check.value_or(has_crls ? CrlCheck::leaf : CrlCheck::none);
}

/// Returns true if connections can be resumed.
bool resumes(const Options& options);

/// Returns true if there are Options::root_stores.
bool has_root_stores(const Options& options);
/// Returns true if the system's store is trusted, and not replaced by Options::system_roots.
bool uses_system_store(const Options& options);
/// Returns true if Options::system_roots are trusted.
bool uses_system_roots(const Options& options);
/// Returns true if a server sends the names of the CAs in Options::trusted to its clients. If there
/// are other trust anchors, it sends no names, since a client without a certificate of a named CA
/// may send none (RFC 5246 §7.4.4, RFC 8446 §4.2.4).
bool sends_authorities(const Options& options);

/// Calls `take` with each protocol of Options::alpn.
template <class Take>
void for_each_protocol(Bytes alpn, Take take) {
    for (std::size_t at = 0; at < alpn.size(); at += 1 + alpn[at])
        take(alpn.subspan(at + 1, alpn[at]));
}

/// Returns the effective Options::verify for the role: none, optional or required.
Verify verification_of(const Options& options);
/// Rejects a client without verification that does not request this explicitly. Returns nullopt if
/// the options are valid.
std::optional<ConfigError> check_verify(const Options& options);
/// Checks all rules that need no parsing, after verification_of() was applied. Returns nullopt if
/// the options are valid.
std::optional<ConfigError> check(const Engine& engine, const Options& options);

/// CRLs and crl_check have no effect without verification, so they are an error.
inline constexpr ConfigError crls_without_verification{USSL_ARGUMENT(
    "CRLs (`trusted`, `crl_check`) require verification (`verify`)", "CRLs require `verify`")};

}  // namespace ussl::policy
