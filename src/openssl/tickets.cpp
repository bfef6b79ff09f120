// Session tickets of TLS 1.2 (RFC 5077): sessions that clients store, encrypted with changing keys.

#include "tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>

#include "../policy/limits.hpp"
#include "openssl.hpp"

namespace ussl::openssl {

bool TicketKeys::Key::make(Clock::time_point now) {
    made = now;
    is_made = RAND_bytes(name, sizeof name) == 1 && RAND_priv_bytes(cipher.data(), key_size) == 1 &&
              RAND_priv_bytes(mac.data(), key_size) == 1;
    return is_made;
}

bool TicketKeys::Key::is_named(const unsigned char* other) const {
    return is_made && std::equal(name, name + sizeof name, other);
}

// A key encrypts tickets for the lifetime of a ticket, and then decrypts them for the same time.
bool TicketKeys::change_keys(Clock::time_point now) {
    constexpr std::chrono::seconds lifetime{policy::ticket_lifetime};
    if (keys_[newest_].is_made && now - keys_[newest_].made < lifetime)
        return true;
    if (now - keys_[newest_].made >= 2 * lifetime)
        keys_[newest_].forget();
    newest_ = 1 - newest_;
    if (keys_[newest_].make(now))
        return true;
    keys_[newest_].forget();
    return false;
}

int TicketKeys::use(unsigned char name[name_size], unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, bool seals, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (!change_keys(now))
        return -1;
    Key* key = &keys_[newest_];
    if (seals) {
        std::copy_n(key->name, name_size, name);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            return -1;
    } else if (!key->is_named(name)) {
        key = &keys_[1 - newest_];
        if (!key->is_named(name))
            return 0;  // the key is too old or of another server: full handshake
    }
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac.data(), key_size),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    const bool good = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv,
                                        seals ? 1 : 0) == 1 &&
                      EVP_MAC_CTX_set_params(mac, parameters) == 1;
    return good ? 1 : -1;
}

int use_ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac, int seals) {
    return OpenSslSession::of(ssl)->context().ticket_keys().use(name, iv, cipher, mac, seals != 0,
                                                                TicketKeys::Clock::now());
}

// If the connection will use TLS 1.3, makes OpenSSL send numbers instead of encrypted tickets. That
// is the case if both the client and this server support TLS 1.3.
int choose_tickets(SSL* ssl, int* /*alert*/, void* /*unused*/) {
    const unsigned char* versions = nullptr;
    std::size_t size = 0;
    if (SSL_get_max_proto_version(ssl) != TLS1_3_VERSION ||
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &versions, &size) != 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    // RFC 8446 §4.2.1: the length of the list, then versions of two bytes.
    for (std::size_t at = 1; at + 1 < size; at += 2)
        if ((versions[at] << 8 | versions[at + 1]) == TLS1_3_VERSION)
            SSL_set_options(ssl, SSL_OP_NO_TICKET);
    return SSL_CLIENT_HELLO_SUCCESS;
}

}  // namespace ussl::openssl
