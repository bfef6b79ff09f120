// Pre-shared keys.

#include "mbedtls.hpp"

namespace ussl::mbedtls {

#ifdef MBEDTLS_SSL_HANDSHAKE_WITH_PSK_ENABLED

namespace {

int psk_hook(void*, mbedtls_ssl_context* ssl, const unsigned char* identity, std::size_t size) {
    return static_cast<MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))->find_psk({identity, size});
}

}  // namespace

bool MbedContext::set_up_psk(const Options& options) {
    if (settings().uses_psk && settings().role == Role::server)
        mbedtls_ssl_conf_psk_cb(&config_, psk_hook, nullptr);
    if (!options.psk_key || !options.psk_identity)
        return true;
    const Bytes key = *options.psk_key;
    const Bytes identity = *options.psk_identity;
    return mbedtls_ssl_conf_psk(&config_, key.data(), key.size(), identity.data(),
                                identity.size()) == 0;
}

// Mbed TLS takes the first identity with a key, and here every identity has one. It calls this for
// further identities if it cannot use the first.
int MbedSession::find_psk(Bytes identity) {
    const bool is_first = std::exchange(identity_is_first_, false);
    if (!is_first || callbacks_.check_first_identity(identity) != 0)
        return MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY;
    const Bytes key = callbacks_.find_psk(identity, [](MutableBytes into) {
        return random_bytes(nullptr, into.data(), into.size()) == 0;
    });
    return key.empty() ? MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY
                       : mbedtls_ssl_set_hs_psk(&ssl_, key.data(), key.size());
}

#else

bool MbedContext::set_up_psk(const Options&) {
    return true;
}

#endif

}  // namespace ussl::mbedtls
