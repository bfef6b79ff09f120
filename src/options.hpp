#pragma once

// The members of Options, once: what must know all of them goes through for_each_option().

#include "ussl/context.hpp"

namespace ussl {

// FIRST(name) for the first member, NEXT(name) for each of the others, in their order.
// clang-format off
#define USSL_OPTIONS(FIRST, NEXT) FIRST(role) \
    NEXT(key) NEXT(key_password) NEXT(certificate) NEXT(sign_by_program) NEXT(trusted) \
    NEXT(system_store) NEXT(root_store) NEXT(verify) NEXT(crl_check) NEXT(check_hostname) \
    NEXT(verify_by_program) NEXT(verify_time) NEXT(build_time) NEXT(pins) NEXT(psk_identity) \
    NEXT(psk_key) NEXT(psk_server) NEXT(psk_hint) NEXT(minimum_version) \
    NEXT(maximum_version) NEXT(suites) NEXT(groups) NEXT(alpn) NEXT(choose_by_name) NEXT(key_log) \
    NEXT(resumption) NEXT(tickets) NEXT(session_lifetime) NEXT(record_size_limit)
// clang-format on

/// Calls visit(name, value) for each member. Does not compile if USSL_OPTIONS lacks one.
template <class Visit>
void for_each_option(const Options& options, Visit visit) {
#define USSL_FIRST(name) name
#define USSL_NEXT(name) , name
    const auto& [USSL_OPTIONS(USSL_FIRST, USSL_NEXT)] = options;
#undef USSL_FIRST
#undef USSL_NEXT
#define USSL_VISIT(name) visit(std::string_view(#name), name);
    USSL_OPTIONS(USSL_VISIT, USSL_VISIT)
#undef USSL_VISIT
}

}  // namespace ussl
