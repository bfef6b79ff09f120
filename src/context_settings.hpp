#pragma once

// Settings of all connections of a context, shared by the Context and its engine context.

#include <optional>

#include "switches.h"
#include "ussl/error.hpp"
#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

/// The time at which certificates and CRLs must be valid.
struct VerifyTime {
    std::optional<std::int64_t> given;  ///< Options::verify_time
    std::optional<std::int64_t> build;  ///< Options::build_time

    [[nodiscard]] std::int64_t at(std::int64_t clock) const { return given.value_or(clock); }
    /// Returns the error for a certificate or CRL that is not valid yet: `otherwise`, or CERT_CLOCK
    /// if the clock is not set.
    [[nodiscard]] Code not_yet_valid(std::int64_t clock, Code otherwise) const {
        return !given && build && clock < *build ? Code::CERT_CLOCK : otherwise;
    }
};

/// Made by policy::settings_of(). The Context owns it; the engine context refers to it.
struct ContextSettings : OnHeap {
    Role role = Role::client;
    Verify verify = Verify::none;
    CrlCheck crl_check = CrlCheck::none;  ///< set after `trusted` was parsed
    bool uses_psk = false;                ///< pre-shared keys replace certificates
    bool checks_hostname = false;         ///< the peer's certificate must match a name
    bool verifies_by_program = false;     ///< Callbacks::verify_certificate() is called
    bool signs_by_program = false;        ///< Callbacks::sign() is called
    bool logs_keys = false;               ///< Callbacks::key_log() is called
    bool resumes = false;
    std::uint16_t record_size = max_record_size;
    std::uint32_t session_lifetime = 0;  ///< seconds
    VerifyTime verify_time;
    SecretBytes pin_hashes;  ///< concatenated SHA-256 hashes

    [[nodiscard]] Bytes pins() const {
        return features::context ? Bytes{pin_hashes.data(), pin_hashes.size()} : Bytes{};
    }
};

}  // namespace ussl
