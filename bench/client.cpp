// The plain program over OpenSSL: what a program can reach at most with this TLS library, used the
// usual way (blocking sockets, OpenSSL's own socket BIO, its default settings).
//
//   client QUESTION PORT SIZE SECONDS FOLDER
//
// All contestants take these arguments and do the same:
//
//   write, read               messages of SIZE bytes to and from the counterpart
//   bounce                    messages of SIZE bytes there and back
//   connect, accept           full handshakes, as client and as server
//   …-mutual, …-psk           the same with certificates on both sides, with a pre-shared key
//
// They print one line of JSON: how much (bytes, round trips or handshakes) in how many seconds, of
// which how many on the processor. And, with SIZE as the number of connections or contexts:
//
//   memory-idle               connections over which a byte has come
//   memory-active             connections of whose 16 KB message one byte has been read
//   memory-context            clients' contexts with a root, of which each has made a connection
//   that is gone
//
// these print by how many bytes each lets the process grow.

#include <csignal>

#include "tls.hpp"

using namespace bench;

namespace {

constexpr int record = 16384;

Context client_context(const Job& job) {
    Context context(SSL_CTX_new(TLS_client_method()));
    need(static_cast<bool>(context), "SSL_CTX_new");
    load_roots(context, job.folder, SSL_VERIFY_PEER);
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
    send_at_once(connection.socket);
    char byte = 1;
    need(SSL_write(ssl, &byte, 1) == 1 && SSL_read(ssl, &byte, 1) == 1, "answer");
    watch.report(count, connection.negotiated());
}

/// Tells the counterpart what to do.
void command(SSL* ssl, char what, int size) {
    const std::string text = what + (" " + std::to_string(size));
    need(SSL_write(ssl, text.data(), static_cast<int>(text.size())) > 0, "write");
}

void read_messages(const Job& job) {
    const Context context = client_context(job);
    const Connection connection = connected(context, job);
    SSL* ssl = connection.ssl.get();
    command(ssl, 'r', job.size);
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

void bounce_messages(const Job& job) {
    const Context context = client_context(job);
    const Connection connection = connected(context, job);
    SSL* ssl = connection.ssl.get();
    send_at_once(connection.socket);
    std::vector<char> message(static_cast<std::size_t>(job.size));
    command(ssl, 'b', job.size);
    need(SSL_read(ssl, message.data(), 1) == 1, "read");
    double count = 0;
    const Stopwatch watch(job.seconds);
    do {
        need(SSL_write(ssl, message.data(), job.size) == job.size &&
                 SSL_read(ssl, message.data(), job.size) == job.size,
             "round trip");
        ++count;
    } while (!watch.over());
    watch.report(count, connection.negotiated());
}

void connect_many(const Job& job) {
    const Context context = client_context(job);
    make_many(job, [&] { return connected(context, job); });
}

void connect_mutual(const Job& job) {
    const Context context = client_context(job);
    load_own(context, job.folder, "client");
    make_many(job, [&] { return connected(context, job); });
}

void connect_psk(const Job& job) {
    const Context context(SSL_CTX_new(TLS_client_method()));
    use_psk_as_client(context);
    make_many(job, [&] { return connected(context, job); });
}

Connection accepted(const Context& context, const Socket& listener) {
    Socket socket = accept_from(listener);
    Ssl ssl = make_ssl(context, socket);
    need(SSL_accept(ssl.get()) == 1, "handshake");
    return {std::move(socket), std::move(ssl)};
}

void accept_with(const Job& job, const Context& context) {
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    const Socket listener = listen_on(job.port);
    std::puts("listening");
    std::fflush(stdout);
    make_many(job, [&] { return accepted(context, listener); });
}

void accept_many(const Job& job) {
    const Context context(SSL_CTX_new(TLS_server_method()));
    load_own(context, job.folder, "server");
    accept_with(job, context);
}

void accept_mutual(const Job& job) {
    const Context context(SSL_CTX_new(TLS_server_method()));
    load_own(context, job.folder, "server");
    load_roots(context, job.folder, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    accept_with(job, context);
}

void accept_psk(const Job& job) {
    const Context context(SSL_CTX_new(TLS_server_method()));
    use_psk_as_server(context);
    accept_with(job, context);
}

void held(const Job& job, int message) {
    const Context context = client_context(job);
    report_memory(job.size, [&] {
        Connection connection = connected(context, job);
        send_at_once(connection.socket);
        command(connection.ssl.get(), 'h', message);
        char byte = 0;
        need(SSL_read(connection.ssl.get(), &byte, 1) == 1, "read");
        return connection;
    });
}

}  // namespace

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && std::strcmp(argv[1], "version") == 0) {
        std::puts(OpenSSL_version(OPENSSL_VERSION));
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
                            Context context = client_context(job);
                            connected(context, job);
                            return context;
                        });
                    }}});
}
