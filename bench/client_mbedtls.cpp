// The plain program over Mbed TLS: what a program can reach at most with this library, of the same
// version and built with the same options as for ussl (src/mbedtls/ussl_mbedtls_config.h), but with
// none of its files amended. client.cpp says what the arguments and the answer mean.

#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include <csignal>
#include <cstring>
#include <memory>

#include "job.hpp"

using namespace bench;

// What Mbed TLS gets from ussl elsewhere.
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

constexpr int record = 16384;
constexpr const char psk_identity[] = "bench";
constexpr const char psk_key[] = "0123456789abcdef0123456789abcdef";

const unsigned char* bytes(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
}

int random_bytes(void*, unsigned char* into, std::size_t size) {
    std::size_t length = 0;
    return mbedtls_psa_external_get_random(nullptr, into, size, &length) == PSA_SUCCESS ? 0 : -1;
}

/// Where it stays: Mbed TLS keeps pointers to it.
class Context {
  public:
    explicit Context(int endpoint) {
        mbedtls_ssl_config_init(&config);
        mbedtls_x509_crt_init(&roots_);
        mbedtls_x509_crt_init(&own_);
        mbedtls_pk_init(&key_);
        need(psa_crypto_init() == PSA_SUCCESS &&
                 mbedtls_ssl_config_defaults(&config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                             MBEDTLS_SSL_PRESET_DEFAULT) == 0,
             "configuration");
        mbedtls_ssl_conf_rng(&config, random_bytes, nullptr);
        if (endpoint == MBEDTLS_SSL_IS_SERVER)
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
    Connection(const Context& context, Socket from, const char* host) : socket(std::move(from)) {
        need(static_cast<bool>(socket), "connect");
        mbedtls_ssl_init(&ssl);
        need(mbedtls_ssl_setup(&ssl, &context.config) == 0, "setup");
        need(host == nullptr || mbedtls_ssl_set_hostname(&ssl, host) == 0, "host name");
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
    void command(char what, int size) {
        const std::string text = what + (" " + std::to_string(size));
        write(text.data(), static_cast<int>(text.size()));
    }
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
using Held = std::unique_ptr<Connection>;

void make_many(const Job& job, auto make) {
    const auto one = [&] {
        const Held connection = make();
        mbedtls_ssl_close_notify(&connection->ssl);
        return connection->negotiated();
    };
    const std::string tls = one();
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        one();
        ++count;
    } while (!watch.over());
    watch.report(count, tls);
}

Held connected(const Context& context, const Job& job) {
    return std::make_unique<Connection>(context, connect_to(job.port), "localhost");
}

struct Client : Context {
    explicit Client(const Job& job) : Context(MBEDTLS_SSL_IS_CLIENT) { load_roots(job.folder); }
};

void write_messages(const Job& job) {
    const Client context(job);
    const Held connection = connected(context, job);
    connection->write("w", 1);
    const std::vector<char> message(static_cast<std::size_t>(job.size));
    const int batch = batch_of(job.size);
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        for (int i = 0; i < batch; ++i)
            connection->write(message.data(), job.size);
        count += static_cast<double>(batch) * job.size;
    } while (!watch.over());
    send_at_once(connection->socket);
    char byte = 1;
    connection->write(&byte, 1);
    connection->read(&byte, 1);
    watch.report(count, connection->negotiated());
}

void read_messages(const Job& job) {
    const Client context(job);
    const Held connection = connected(context, job);
    connection->command('r', job.size);
    std::vector<char> message(static_cast<std::size_t>(job.size));
    connection->read(message.data(), job.size);
    const int batch = batch_of(job.size);
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        for (int i = 0; i < batch; ++i)
            count += connection->read(message.data(), job.size);
    } while (!watch.over());
    watch.report(count, connection->negotiated());
}

void bounce_messages(const Job& job) {
    const Client context(job);
    const Held connection = connected(context, job);
    send_at_once(connection->socket);
    std::vector<char> message(static_cast<std::size_t>(job.size));
    connection->command('b', job.size);
    connection->read(message.data(), 1);
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        connection->write(message.data(), job.size);
        need(connection->read(message.data(), job.size) == job.size, "round trip");
        ++count;
    } while (!watch.over());
    watch.report(count, connection->negotiated());
}

void connect_many(const Job& job) {
    const Client context(job);
    make_many(job, [&] { return connected(context, job); });
}

void connect_mutual(const Job& job) {
    Client context(job);
    context.load_own(job.folder, "client");
    make_many(job, [&] { return connected(context, job); });
}

void connect_psk(const Job& job) {
    Context context(MBEDTLS_SSL_IS_CLIENT);
    context.use_psk();
    make_many(job, [&] { return connected(context, job); });
}

void accept_with(const Job& job, const Context& context) {
    const Socket listener = listen_on(job.port);
    std::puts("listening");
    std::fflush(stdout);
    make_many(
        job, [&] { return std::make_unique<Connection>(context, accept_from(listener), nullptr); });
}

void accept_many(const Job& job) {
    Context context(MBEDTLS_SSL_IS_SERVER);
    context.load_own(job.folder, "server");
    accept_with(job, context);
}

void accept_mutual(const Job& job) {
    Context context(MBEDTLS_SSL_IS_SERVER);
    context.load_own(job.folder, "server");
    context.load_roots(job.folder);
    accept_with(job, context);
}

void accept_psk(const Job& job) {
    Context context(MBEDTLS_SSL_IS_SERVER);
    context.use_psk();
    accept_with(job, context);
}

void held(const Job& job, int message) {
    const Client context(job);
    report_memory(job.size, [&] {
        Held connection = connected(context, job);
        send_at_once(connection->socket);
        connection->command('h', message);
        char byte = 0;
        connection->read(&byte, 1);
        return connection;
    });
}

}  // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && std::strcmp(argv[1], "version") == 0) {
        std::puts(MBEDTLS_VERSION_STRING_FULL);
        return 0;
    }
    return answer(argc, argv,
                  {{"write", write_messages},
                   {"read", read_messages},
                   {"bounce", bounce_messages},
                   {"connect", connect_many},
                   {"connect-mutual", connect_mutual},
                   {"connect-psk", connect_psk},
                   {"accept", accept_many},
                   {"accept-mutual", accept_mutual},
                   {"accept-psk", accept_psk},
                   {"memory-idle", [](const Job& job) { held(job, 1); }},
                   {"memory-active", [](const Job& job) { held(job, record); }},
                   {"memory-context", [](const Job& job) {
                        report_memory(job.size, [&] {
                            auto context = std::make_unique<Client>(job);
                            connected(*context, job);
                            return context;
                        });
                    }}});
}
