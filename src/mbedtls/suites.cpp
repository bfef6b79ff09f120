// Cipher suites by their IANA numbers.

#include <algorithm>
#include <cstring>

#include "../policy/suites.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {

// Returns IANA's name. Mbed TLS's names, such as "TLS1-3-AES-128-GCM-SHA256" or "TLS-PSK-WITH-…",
// differ in the hyphens and the version.
std::string_view suite_name(int suite, std::span<char> into) {
    const mbedtls_ssl_ciphersuite_t* known = mbedtls_ssl_ciphersuite_from_id(suite);
    if (known == nullptr)
        return {};
    constexpr std::string_view tls1_3 = "TLS1-3-";
    std::string_view name = mbedtls_ssl_get_ciphersuite_name(suite);
    std::size_t size = 0;
    if (name.starts_with(tls1_3)) {
        size = sizeof "TLS-" - 1;
        std::memcpy(into.data(), "TLS-", size);
        name.remove_prefix(tls1_3.size());
    }
    const std::size_t n = std::min(name.size(), into.size() - size);
    std::memcpy(into.data() + size, name.data(), n);
    size += n;
    std::replace(into.begin(), into.begin() + static_cast<std::ptrdiff_t>(size), '-', '_');
    return {into.data(), size};
}

bool for_each_suite(SuiteVisitor& visitor) {
    char name[64];
    for (const std::uint16_t suite : policy::every_suite)
        if (const std::string_view iana = suite_name(suite, name); !iana.empty())
            visitor.suite(suite, iana);
    return true;
}

bool MbedContext::set_up_suites(const policy::Offer& offer) {
    auto* list = static_cast<int*>(allocate((offer.count + 1) * sizeof(int)));
    suites_.reset(list);
    if (list == nullptr)
        return lacks_memory();
    std::copy_n(offer.suites.begin(), offer.count, list);
    list[offer.count] = 0;
    mbedtls_ssl_conf_ciphersuites(&config_, list);
    return true;
}

}  // namespace ussl::mbedtls
