// Cipher suites by their IANA numbers.

#include <cstdio>

#include "../policy/suites.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

const SSL_CIPHER* find_suite(SSL* ssl, std::uint16_t suite) {
    const unsigned char id[2] = {static_cast<unsigned char>(suite >> 8),
                                 static_cast<unsigned char>(suite & 0xFF)};
    return SSL_CIPHER_find(ssl, id);
}

// Writes "A:B:C" with the suites that this version of OpenSSL has.
bool write_names(SSL* ssl, std::span<const std::uint16_t> suites, std::span<char> into) {
    std::size_t used = 0;
    into[0] = '\0';
    for (const std::uint16_t suite : suites) {
        const SSL_CIPHER* cipher = find_suite(ssl, suite);
        if (cipher == nullptr)
            continue;
        const int n = std::snprintf(into.data() + used, into.size() - used, "%s%s",
                                    used != 0 ? ":" : "", SSL_CIPHER_get_name(cipher));
        if (n < 0 || used + static_cast<std::size_t>(n) >= into.size())
            return false;
        used += static_cast<std::size_t>(n);
    }
    return used != 0 || suites.empty();
}

}  // namespace

bool for_each_suite(SuiteVisitor& visitor) {
    const SslCtx ctx{SSL_CTX_new(TLS_method())};
    const Ssl probe{ctx ? SSL_new(ctx.get()) : nullptr};
    if (!probe) {
        ERR_clear_error();
        return false;
    }
    for (const std::uint16_t suite : policy::every_suite)
        if (const SSL_CIPHER* cipher = find_suite(probe.get(), suite))
            visitor.suite(suite, SSL_CIPHER_standard_name(cipher));
    return true;
}

bool OpenSslContext::set_suites(const policy::Offer& offer) {
    // OpenSSL can only look up a suite by its number in a connection.
    const Ssl probe{SSL_new(ctx_.get())};
    if (!probe)
        return false;
    constexpr std::size_t longest_name = 40;
    char tls1_2[policy::every_suite.size() * longest_name];
    char tls1_3[policy::every_suite.size() * longest_name];
    // If there are no TLS 1.2 suites, TLS 1.2 is not offered, and its list is not used.
    return write_names(probe.get(), offer.tls1_2(), tls1_2) &&
           write_names(probe.get(), offer.tls1_3(), tls1_3) &&
           (tls1_2[0] == '\0' || SSL_CTX_set_cipher_list(ctx_.get(), tls1_2) == 1) &&
           SSL_CTX_set_ciphersuites(ctx_.get(), tls1_3) == 1;
}

}  // namespace ussl::openssl
