// The key exchange groups of this build of Mbed TLS, and their order.

#include "../groups.hpp"

#include <algorithm>

#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

bool has_group(std::uint16_t number) {
    mbedtls_ecp_group_id curve = MBEDTLS_ECP_DP_NONE;
    switch (number) {
        case MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1:
            curve = MBEDTLS_ECP_DP_SECP256R1;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1:
            curve = MBEDTLS_ECP_DP_SECP384R1;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1:
            curve = MBEDTLS_ECP_DP_SECP521R1;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_X25519:
            curve = MBEDTLS_ECP_DP_CURVE25519;
            break;
        case MBEDTLS_SSL_IANA_TLS_GROUP_X448:
            curve = MBEDTLS_ECP_DP_CURVE448;
            break;
        default:
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(PSA_WANT_ALG_FFDH)
            return number >= MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE2048 &&
                   number <= MBEDTLS_SSL_IANA_TLS_GROUP_FFDHE8192;
#else
            return false;
#endif
    }
    return mbedtls_ecp_curve_info_from_grp_id(curve) != nullptr;
}

}  // namespace

std::optional<std::uint32_t> find_groups() {
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < std::size(groups::all); ++i)
        if (has_group(groups::all[i].number))
            found |= std::uint32_t{1} << i;
    return found;
}

bool MbedContext::set_up_groups(const Options& options) {
    std::uint16_t storage[max_groups];
    const std::span<const std::uint16_t> wanted = groups::of(mbedtls_engine, options, storage);
    auto* list = static_cast<std::uint16_t*>(allocate((wanted.size() + 1) * sizeof(std::uint16_t)));
    groups_.reset(list);
    if (list == nullptr)
        return lacks_memory();
    *std::ranges::copy(wanted, list).out = MBEDTLS_SSL_IANA_TLS_GROUP_NONE;
    mbedtls_ssl_conf_groups(&config_, list);
    return true;
}

}  // namespace ussl::mbedtls
