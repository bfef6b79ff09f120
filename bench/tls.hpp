#pragma once

// OpenSSL's handles, for the plain program over OpenSSL and for the counterpart.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>
#include <memory>

#include "job.hpp"

namespace bench {

template <auto release>
struct Release {
    template <class T>
    void operator()(T* handle) const {
        release(handle);
    }
};
using Context = std::unique_ptr<SSL_CTX, Release<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Release<SSL_free>>;

inline const bool explains = (explain = [] { ERR_print_errors_fp(stderr); }, true);

/// A connection of either role, before its handshake.
inline Ssl make_ssl(const Context& context, const Socket& socket) {
    Ssl ssl(SSL_new(context.get()));
    need(ssl && SSL_set_fd(ssl.get(), socket.fd()) == 1, "SSL_new");
    return ssl;
}

inline void load_own(const Context& context, const std::string& folder, const std::string& who) {
    need(SSL_CTX_use_certificate_chain_file(context.get(), (folder + "/" + who + ".pem").c_str()) ==
                 1 &&
             SSL_CTX_use_PrivateKey_file(context.get(), (folder + "/" + who + ".key").c_str(),
                                         SSL_FILETYPE_PEM) == 1,
         "certificate and key");
}

inline void load_roots(const Context& context, const std::string& folder, int mode) {
    need(SSL_CTX_load_verify_locations(context.get(), (folder + "/ca.pem").c_str(), nullptr) == 1,
         "ca.pem");
    SSL_CTX_set_verify(context.get(), mode, nullptr);
}

/// The pre-shared key of everybody; make_certificates() of the bench has the same.
inline constexpr const char psk_identity[] = "bench";
inline constexpr const char psk_key[] = "0123456789abcdef0123456789abcdef";

inline void use_psk_as_client(const Context& context) {
    SSL_CTX_set_psk_client_callback(context.get(), [](SSL*, const char*, char* identity,
                                                      unsigned most, unsigned char* key, unsigned) {
        std::snprintf(identity, most, "%s", psk_identity);
        std::memcpy(key, psk_key, sizeof psk_key - 1);
        return static_cast<unsigned>(sizeof psk_key - 1);
    });
}

inline void use_psk_as_server(const Context& context) {
    SSL_CTX_set_psk_server_callback(context.get(),
                                    [](SSL*, const char* identity, unsigned char* key, unsigned) {
                                        if (std::strcmp(identity, psk_identity) != 0)
                                            return 0U;
                                        std::memcpy(key, psk_key, sizeof psk_key - 1);
                                        return static_cast<unsigned>(sizeof psk_key - 1);
                                    });
}

}  // namespace bench
