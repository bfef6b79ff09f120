#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <chrono>
#include <mutex>

#include "ussl/memory.hpp"

namespace ussl::openssl {

/// The keys of a server's tickets. Each encrypts tickets for the lifetime of a ticket, then only
/// decrypts for the same time, and is then wiped. Several threads may use it.
class TicketKeys {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t name_size = 16;
    /// Prepares `cipher` and `mac` to encrypt a ticket (and chooses `name` and `iv`), or to decrypt
    /// one. Returns 1 on success, 0 for an unknown key, -1 on failure, as
    /// SSL_CTX_set_tlsext_ticket_key_evp_cb() requires.
    int use(unsigned char name[name_size], unsigned char* iv, EVP_CIPHER_CTX* cipher,
            EVP_MAC_CTX* mac, bool seals, Clock::time_point now);

  private:
    static constexpr std::size_t key_size = 32;

    struct Key {
        unsigned char name[name_size] = {};
        Secret<key_size> cipher, mac;
        Clock::time_point made;
        bool is_made = false;

        bool make(Clock::time_point now);
        [[nodiscard]] bool is_named(const unsigned char* other) const;
        void forget() {
            wipe(cipher.data(), key_size);
            wipe(mac.data(), key_size);
            is_made = false;
        }
    };

    bool change_keys(Clock::time_point now);

    std::mutex mutex_;
    Key keys_[2];
    int newest_ = 0;
};

/// The callbacks of a context with session resumption (SSL_CTX_set_tlsext_ticket_key_evp_cb,
/// SSL_CTX_set_client_hello_cb).
int use_ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac, int seals);
int choose_tickets(SSL* ssl, int* alert, void* unused);

}  // namespace ussl::openssl
