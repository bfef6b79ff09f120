// The plain program over Mbed TLS: the limit of a program with this library. It has the same
// version and options as in ussl (src/mbedtls/ussl_mbedtls_config.h), but not ussl's patches.

#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include <cstring>

#include "client.hpp"

using namespace bench;

// Functions that ussl provides to Mbed TLS elsewhere.
extern "C" void* ussl_mbedtls_calloc(std::size_t count, std::size_t size) {
    return std::calloc(count, size);
}
extern "C" void ussl_mbedtls_free(void* memory) {
    std::free(memory);
}
extern "C" psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t*,
                                                        std::uint8_t* into, std::size_t size,
                                                        std::size_t* length) {
    for (*length = 0; *length < size;) {
        const std::size_t n = std::min<std::size_t>(size - *length, 256);
        if (getentropy(into + *length, n) != 0)
            return PSA_ERROR_INSUFFICIENT_ENTROPY;
        *length += n;
    }
    return PSA_SUCCESS;
}

namespace {

constexpr const char psk_identity[] = "bench";
constexpr const char psk_key[] = "0123456789abcdef0123456789abcdef";

const unsigned char* bytes(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
}

int random_bytes(void*, unsigned char* into, std::size_t size) {
    std::size_t length = 0;
    return mbedtls_psa_external_get_random(nullptr, into, size, &length) == PSA_SUCCESS ? 0 : -1;
}

enum class Role : std::uint8_t { client, server };

/// Where it stays: Mbed TLS keeps pointers to it.
class Context {
  public:
    explicit Context(Role as) : role(as) {
        const int endpoint = role == Role::client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER;
        mbedtls_ssl_config_init(&config);
        mbedtls_x509_crt_init(&roots_);
        mbedtls_x509_crt_init(&own_);
        mbedtls_pk_init(&key_);
        need(psa_crypto_init() == PSA_SUCCESS &&
                 mbedtls_ssl_config_defaults(&config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                             MBEDTLS_SSL_PRESET_DEFAULT) == 0,
             "configuration");
        mbedtls_ssl_conf_rng(&config, random_bytes, nullptr);
        // The quickest first, with which a client begins; its default is X25519.
        static constexpr std::uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                                   MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                                   MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
        mbedtls_ssl_conf_groups(&config, groups);
        if (role == Role::server)
            mbedtls_ssl_conf_new_session_tickets(&config, 0);
    }
    Context(Context&&) = delete;
    ~Context() {
        mbedtls_ssl_config_free(&config);
        mbedtls_x509_crt_free(&roots_);
        mbedtls_x509_crt_free(&own_);
        mbedtls_pk_free(&key_);
    }
    void load_roots(const std::string& folder) {
        need(mbedtls_x509_crt_parse_file(&roots_, (folder + "/ca.pem").c_str()) == 0, "ca.pem");
        mbedtls_ssl_conf_ca_chain(&config, &roots_, nullptr);
        mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    }
    void load_own(const std::string& folder, const std::string& who) {
        const std::string path = folder + "/" + who;
        need(mbedtls_x509_crt_parse_file(&own_, (path + ".pem").c_str()) == 0 &&
                 mbedtls_pk_parse_keyfile(&key_, (path + ".key").c_str(), nullptr, random_bytes,
                                          nullptr) == 0 &&
                 mbedtls_ssl_conf_own_cert(&config, &own_, &key_) == 0,
             "certificate and key");
    }
    void use_psk() {
        need(mbedtls_ssl_conf_psk(&config, bytes(psk_key), sizeof psk_key - 1, bytes(psk_identity),
                                  sizeof psk_identity - 1) == 0,
             "pre-shared key");
        mbedtls_ssl_conf_tls13_key_exchange_modes(
            &config, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
    }

    Role role;
    mbedtls_ssl_config config;

  private:
    mbedtls_x509_crt roots_;
    mbedtls_x509_crt own_;
    mbedtls_pk_context key_;
};

int send_bytes(void* socket, const unsigned char* data, std::size_t size) {
    const ssize_t n = ::send(static_cast<Socket*>(socket)->fd(), data, size, 0);
    return n >= 0 ? static_cast<int>(n) : MBEDTLS_ERR_NET_SEND_FAILED;
}

int receive_bytes(void* socket, unsigned char* data, std::size_t size) {
    const ssize_t n = ::recv(static_cast<Socket*>(socket)->fd(), data, size, 0);
    return n >= 0 ? static_cast<int>(n) : MBEDTLS_ERR_NET_RECV_FAILED;
}

class Connection {
  public:
    Connection(const Context& context, Socket from) : socket(std::move(from)) {
        mbedtls_ssl_init(&ssl);
        need(mbedtls_ssl_setup(&ssl, &context.config) == 0, "setup");
        need(context.role == Role::server || mbedtls_ssl_set_hostname(&ssl, "localhost") == 0,
             "host name");
        mbedtls_ssl_set_bio(&ssl, &socket, send_bytes, receive_bytes, nullptr);
        need(mbedtls_ssl_handshake(&ssl) == 0, "handshake");
    }
    Connection(Connection&&) = delete;
    ~Connection() { mbedtls_ssl_free(&ssl); }

    void write(const char* data, int size) {
        for (int done = 0; done < size;) {
            const int n =
                mbedtls_ssl_write(&ssl, bytes(data + done), static_cast<std::size_t>(size - done));
            need(n > 0, "write");
            done += n;
        }
    }
    int read(char* into, int size) {
        int n = 0;
        do {
            n = mbedtls_ssl_read(&ssl, reinterpret_cast<unsigned char*>(into),
                                 static_cast<std::size_t>(size));
        } while (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
        need(n > 0, "read");
        return n;
    }
    void say_goodbye() { mbedtls_ssl_close_notify(&ssl); }
    [[nodiscard]] std::string negotiated() const {
        // Mbed TLS's names of suites, "TLS1-3-AES-128-GCM-SHA256", are not IANA's.
        std::string suite = mbedtls_ssl_get_ciphersuite(&ssl);
        std::replace(suite.begin(), suite.end(), '-', '_');
        if (suite.rfind("TLS1_3_", 0) == 0)
            suite = "TLS_" + suite.substr(7);
        return std::string(mbedtls_ssl_get_version(&ssl)) + " " + suite;
    }

    Socket socket;
    mbedtls_ssl_context ssl;
};

struct MbedTls {
    using Role = ::Role;
    using Context = ::Context;
    using Connection = ::Connection;
    static const char* version() { return MBEDTLS_VERSION_STRING_FULL; }
};

}  // namespace

int main(int argc, char** argv) {
    return Client<MbedTls>::run(argc, argv);
}
