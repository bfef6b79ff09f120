// The plain program over OpenSSL: what a program can reach at most with this TLS library, used the
// usual way (blocking sockets, OpenSSL's own socket BIO, its default settings).
//
//   client write|read|connect|accept PORT SIZE SECONDS FOLDER
//
// All contestants take these arguments and do the same: `write` and `read` move messages of SIZE
// bytes, `connect` and `accept` make full handshakes as client and as server. They print one line
// of JSON: how much (bytes or handshakes) in how many seconds, of which how many on the processor.

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "tls.hpp"

using namespace bench;

namespace {

struct Job {
    std::uint16_t port;
    int size;
    double seconds;
    std::string folder;
};

class Stopwatch {
  public:
    explicit Stopwatch(double limit) : end_(wall_ + limit) {}
    [[nodiscard]] bool over() const { return seconds_of(CLOCK_MONOTONIC) >= end_; }
    void report(double count, const std::string& tls) const {
        std::printf("{\"count\": %.0f, \"seconds\": %.9f, \"cpu\": %.9f, \"tls\": \"%s\"}\n", count,
                    seconds_of(CLOCK_MONOTONIC) - wall_,
                    seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_, tls.c_str());
    }

  private:
    double wall_ = seconds_of(CLOCK_MONOTONIC);
    double cpu_ = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    double end_;
};

/// The clock is read once in so many messages, so that this costs nobody anything.
int batch_of(int size) {
    return std::max(64, (1 << 20) / size);
}

Context client_context(const Job& job) {
    Context context(SSL_CTX_new(TLS_client_method()));
    need(context && SSL_CTX_load_verify_locations(context.get(), (job.folder + "/ca.pem").c_str(),
                                                  nullptr) == 1,
         "ca.pem");
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    return context;
}

struct Connection {
    Socket socket;
    Ssl ssl;

    [[nodiscard]] std::string negotiated() const {
        return std::string(SSL_get_version(ssl.get())) + " " +
               SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl.get()));
    }
};

/// Connections that are made, closed politely and forgotten, one after the other.
void make_many(const Job& job, auto make) {
    const auto one = [&] {
        const Connection connection = make();
        SSL_shutdown(connection.ssl.get());
        return connection.negotiated();
    };
    const std::string tls = one();  // the first one may have things to set up
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        one();
        ++count;
    } while (!watch.over());
    watch.report(count, tls);
}

Connection connected(const Context& context, const Job& job) {
    Socket socket = connect_to(job.port);
    need(static_cast<bool>(socket), "connect");
    Ssl ssl = make_ssl(context, socket);
    need(SSL_set1_host(ssl.get(), "localhost") == 1 &&
             SSL_set_tlsext_host_name(ssl.get(), "localhost") == 1 && SSL_connect(ssl.get()) == 1,
         "handshake");
    return {std::move(socket), std::move(ssl)};
}

void write_messages(const Job& job) {
    const Context context = client_context(job);
    const Connection connection = connected(context, job);
    SSL* ssl = connection.ssl.get();
    need(SSL_write(ssl, "w", 1) == 1, "write");
    const std::vector<char> message(static_cast<std::size_t>(job.size));
    const int batch = batch_of(job.size);
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        for (int i = 0; i < batch; ++i)
            need(SSL_write(ssl, message.data(), job.size) == job.size, "write");
        count += static_cast<double>(batch) * job.size;
    } while (!watch.over());
    // What was written counts once it has arrived; Nagle's algorithm must not keep the last byte.
    const int on = 1;
    setsockopt(connection.socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char byte = 1;
    need(SSL_write(ssl, &byte, 1) == 1 && SSL_read(ssl, &byte, 1) == 1, "answer");
    watch.report(count, connection.negotiated());
}

void read_messages(const Job& job) {
    const Context context = client_context(job);
    const Connection connection = connected(context, job);
    SSL* ssl = connection.ssl.get();
    const std::string command = "r " + std::to_string(job.size);
    need(SSL_write(ssl, command.data(), static_cast<int>(command.size())) > 0, "write");
    std::vector<char> message(static_cast<std::size_t>(job.size));
    need(SSL_read(ssl, message.data(), job.size) == job.size, "read");
    const int batch = batch_of(job.size);
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        for (int i = 0; i < batch; ++i) {
            const int n = SSL_read(ssl, message.data(), job.size);
            need(n > 0, "read");
            count += n;
        }
    } while (!watch.over());
    watch.report(count, connection.negotiated());
}

void connect_many(const Job& job) {
    const Context context = client_context(job);
    make_many(job, [&] { return connected(context, job); });
}

Connection accepted(const Context& context, const Socket& listener) {
    Socket socket = accept_from(listener);
    Ssl ssl = make_ssl(context, socket);
    need(SSL_accept(ssl.get()) == 1, "handshake");
    return {std::move(socket), std::move(ssl)};
}

void accept_many(const Job& job) {
    const Context context(SSL_CTX_new(TLS_server_method()));
    need(context &&
             SSL_CTX_use_certificate_chain_file(context.get(),
                                                (job.folder + "/server.pem").c_str()) == 1 &&
             SSL_CTX_use_PrivateKey_file(context.get(), (job.folder + "/server.key").c_str(),
                                         SSL_FILETYPE_PEM) == 1,
         "certificate and key");
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    const Socket listener = listen_on(job.port);
    std::puts("listening");
    std::fflush(stdout);
    make_many(job, [&] { return accepted(context, listener); });
}

}  // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && std::strcmp(argv[1], "version") == 0) {
        std::puts(OpenSSL_version(OPENSSL_VERSION));
        return 0;
    }
    if (argc != 6) {
        std::fputs("usage: client write|read|connect|accept PORT SIZE SECONDS FOLDER\n", stderr);
        return 2;
    }
    const std::string question = argv[1];
    const Job job{static_cast<std::uint16_t>(std::atoi(argv[2])), std::atoi(argv[3]),
                  std::atof(argv[4]), argv[5]};
    if (question == "write")
        write_messages(job);
    else if (question == "read")
        read_messages(job);
    else if (question == "connect")
        connect_many(job);
    else if (question == "accept")
        accept_many(job);
    else
        return 2;
    return 0;
}
