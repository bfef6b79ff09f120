#pragma once

// What holds for every connection of a context, once for the Context and for its engine.

#include <optional>

#include "ussl/error.hpp"
#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

/// When the dates of certificates and CRLs are checked.
struct VerifyTime {
    std::optional<std::int64_t> given;  ///< Options::verify_time
    std::optional<std::int64_t> build;  ///< Options::build_time

    [[nodiscard]] std::int64_t at(std::int64_t clock) const { return given.value_or(clock); }
    /// The failure of a certificate or CRL that is not valid yet: `otherwise`, unless the clock is
    /// not set.
    [[nodiscard]] Code not_yet_valid(std::int64_t clock, Code otherwise) const {
        return !given && build && clock < *build ? Code::CERT_CLOCK : otherwise;
    }
};

/// Made by policy::settings_of(); the Context owns it, its engine context refers to it.
struct ContextSettings : OnHeap {
    Role role = Role::client;
    Verify verify = Verify::none;
    CrlCheck crl_check = CrlCheck::none;  ///< known once `trusted` was parsed
    bool uses_psk = false;                ///< pre-shared keys replace certificates
    bool checks_hostname = false;         ///< the peer's certificate must be for a name
    bool verifies_by_program = false;     ///< Callbacks::verify_certificate() is called
    bool signs_by_program = false;        ///< Callbacks::sign() is called
    bool logs_keys = false;               ///< Callbacks::key_log() is called
    bool resumes = false;
    std::uint16_t record_size = max_record_size;
    std::uint32_t session_lifetime = 0;  ///< seconds
    VerifyTime verify_time;
    SecretBytes pin_hashes;  ///< of SHA-256, one behind the other

    [[nodiscard]] Bytes pins() const { return {pin_hashes.data(), pin_hashes.size()}; }
};

}  // namespace ussl
