// The other end of every measurement. It is so fast that only the contestant limits the result, and
// it requires certain parameters, so that every contestant does the same cryptography.
//
//   peer serve FOLDER OPTION...  prints the port it listens on; one connection after the other. The
//                                client's request selects the answer:
//     "w"       reads data, and answers when a message ends with 1
//     "r SIZE"  sends messages of SIZE bytes until the client closes
//     "b SIZE"  sends a byte, then sends each SIZE bytes back
//     "e"       answers with the same
//     "h SIZE"  sends SIZE bytes and keeps the connection open
//     none      the client only makes a handshake
//
//   peer connect PORT FOLDER OPTION...  makes handshakes until the port is closed
//
//   peer load PORT CONNECTIONS SECONDS FOLDER OPTION...
//
// Makes that many connections to a server that sends data back. Prints "connected", then sends a
// message of 64 bytes on each of them repeatedly. Prints the number of returned messages, as JSON.
//
// Options:
//   mutual   clients have certificates
//   psk      a pre-shared key, no certificates
//   tickets  for resumption
//   tls1.2   with P-256, for contestants without TLS 1.3
//   one      load: all connections but one are idle
//   idle     load: the connections are idle, and another client repeatedly connects and closes
//   flood    the same, but the connections send KeyUpdate messages without end
//
// With idle and flood, the other client receives an echo of one message before it closes.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include <csignal>

#include "tls.hpp"

using namespace bench;

namespace {

constexpr std::size_t batch = 64 * 1024;

struct Options {
    std::string folder;
    bool mutual = false;
    bool psk = false;
    bool tickets = false;
    bool tls12 = false;
    bool one = false;
    bool idle = false;
    bool flood = false;
};

Options options_of(char** argv) {
    Options options{.folder = *argv};
    while (*++argv != nullptr) {
        const std::string word = *argv;
        options.mutual |= word == "mutual";
        options.psk |= word == "psk";
        options.tickets |= word == "tickets";
        options.tls12 |= word == "tls1.2";
        options.one |= word == "one";
        options.idle |= word == "idle";
        options.flood |= word == "flood";
    }
    return options;
}

void pin(const Context& context, const Options& options) {
    SSL_CTX* ctx = context.get();
    if (options.tls12)
        need(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 &&
                 SSL_CTX_set_cipher_list(
                     ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") == 1 &&
                 SSL_CTX_set1_groups_list(ctx, "P-256") == 1,
             "suite and group");
    else
        need(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                 SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1 &&
                 SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1,
             "suite and group");
    need(SSL_CTX_set_num_tickets(ctx, options.tickets ? 1 : 0) == 1, "tickets");
    if (!options.tickets)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    // Many records for one system call, in both directions.
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, batch);
}

/// A bench that was interrupted must not leave its peer behind, nor a dead client stop it.
void end_with_parent() {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
}

void limit_time(const Socket& socket) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void take_in(SSL* ssl) {
    static char buffer[16 * 1024];
    int n = 0;
    do {
        n = SSL_read(ssl, buffer, sizeof buffer);
    } while (n > 0 && buffer[n - 1] != 1);
    if (n > 0) {
        SSL_write(ssl, buffer, 1);
        BIO_flush(SSL_get_wbio(ssl));
    }
}

void send_out(SSL* ssl, std::size_t size) {
    const std::vector<char> message(size);
    while (SSL_write(ssl, message.data(), static_cast<int>(size)) > 0) {
    }
}

void send_one(SSL* ssl, std::size_t size) {
    const std::vector<char> message(size);
    SSL_write(ssl, message.data(), static_cast<int>(size));
    BIO_flush(SSL_get_wbio(ssl));
}

void send_back(SSL* ssl, int size) {
    std::vector<char> message(static_cast<std::size_t>(size));
    send_one(ssl, 1);
    for (;;) {
        for (int held = 0; held < size;) {
            const int n = SSL_read(ssl, message.data() + held, size - held);
            if (n <= 0)
                return;
            held += n;
        }
        if (SSL_write(ssl, message.data(), size) <= 0)
            return;
        BIO_flush(SSL_get_wbio(ssl));
    }
}

void serve_one(const Context& context, Socket socket) {
    static std::vector<std::pair<Socket, Ssl>> kept;
    limit_time(socket);
    Ssl ssl = make_ssl(context, socket);
    // A buffer between OpenSSL, which would write each record by itself, and the socket.
    BIO* buffer = BIO_new(BIO_f_buffer());
    need(buffer != nullptr && BIO_set_write_buffer_size(buffer, batch) == 1, "BIO_f_buffer");
    BIO_up_ref(SSL_get_rbio(ssl.get()));
    SSL_set0_wbio(ssl.get(), BIO_push(buffer, SSL_get_rbio(ssl.get())));
    char command[32] = {};
    if (SSL_accept(ssl.get()) != 1 || SSL_read(ssl.get(), command, sizeof command - 1) <= 0)
        return;
    const std::size_t size = std::strtoul(command + 1, nullptr, 10);
    if (command[0] == 'w')
        take_in(ssl.get());
    else if (command[0] == 'r')
        send_out(ssl.get(), size);
    else if (command[0] == 'b' && (send_at_once(socket), true))
        send_back(ssl.get(), static_cast<int>(size));
    else if (command[0] == 'e' && SSL_write(ssl.get(), "e", 1) == 1)
        BIO_flush(SSL_get_wbio(ssl.get()));
    else if (command[0] == 'h') {
        send_one(ssl.get(), size);
        kept.emplace_back(std::move(socket), std::move(ssl));
    }
}

int serve(const Options& options) {
    const Context context(SSL_CTX_new(TLS_server_method()));
    need(static_cast<bool>(context), "SSL_CTX_new");
    if (options.psk)
        use_psk_as_server(context);
    else
        load_own(context, options.folder, "server");
    if (options.mutual)
        load_roots(context, options.folder, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    pin(context, options);
    const Socket listener = listen_on(0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("%u\n", ntohs(address.sin_port));
    std::fflush(stdout);
    for (;;) {
        serve_one(context, accept_from(listener));
        ERR_clear_error();
    }
}

Context client_context(const Options& options) {
    Context context(SSL_CTX_new(TLS_client_method()));
    need(static_cast<bool>(context), "SSL_CTX_new");
    if (options.psk)
        use_psk_as_client(context);
    if (options.mutual)
        load_own(context, options.folder, "client");
    pin(context, options);
    return context;
}

int connect_again_and_again(std::uint16_t port, const Options& options) {
    const Context context = client_context(options);
    while (const Socket socket = connect_to(port)) {
        limit_time(socket);
        const Ssl ssl = make_ssl(context, socket);
        char byte = 0;
        // Until the server has closed.
        if (SSL_connect(ssl.get()) == 1)
            SSL_read(ssl.get(), &byte, 1);
        ERR_clear_error();
    }
    return 0;
}

constexpr int message_size = 64;

struct Client {
    Socket socket;
    Ssl ssl;
    int held = 0;

    /// False: more data must arrive first.
    bool read() {
        static char buffer[message_size];
        while (held < message_size) {
            const int n = SSL_read(ssl.get(), buffer, message_size - held);
            if (n <= 0) {
                need(SSL_get_error(ssl.get(), n) == SSL_ERROR_WANT_READ, "the server has gone");
                return false;
            }
            held += n;
        }
        held = 0;
        return true;
    }

    void write() {
        static const char message[message_size] = {};
        need(SSL_write(ssl.get(), message, message_size) == message_size, "write");
    }
};

int load(std::uint16_t port, int connections, double seconds, const Options& options) {
    const Context context = client_context(options);
    SSL_CTX_set_default_read_buffer_len(context.get(), 0);  // one message at a time
    const int poll = epoll_create1(EPOLL_CLOEXEC);
    std::vector<Client> clients;
    for (int i = 0; i < connections; ++i) {
        Socket socket = connect_to(port);
        need(static_cast<bool>(socket), "connect");
        limit_time(socket);
        send_at_once(socket);
        Ssl ssl = make_ssl(context, socket);
        need(SSL_connect(ssl.get()) == 1, "handshake");
        clients.push_back({std::move(socket), std::move(ssl)});
        clients.back().write();
        need(clients.back().read(), "the first answer");
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const int fd = clients[i].socket.fd();
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
        need(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    }
    const std::string tls = std::string(SSL_get_version(clients[0].ssl.get())) + " " +
                            SSL_CIPHER_standard_name(SSL_get_current_cipher(clients[0].ssl.get()));
    std::puts("connected");
    std::fflush(stdout);
    const Stopwatch watch(seconds);
    for (std::size_t i = 0; i < (options.one ? 1 : clients.size()); ++i)
        clients[i].write();
    double count = 0;
    while (!watch.over()) {
        epoll_event events[64];
        const int n = epoll_wait(poll, events, 64, 20'000);
        need(n > 0, "no answers any more");
        for (int i = 0; i < n; ++i) {
            Client& client = clients[events[i].data.u64];
            if (!client.read())
                continue;
            ++count;
            client.write();
        }
    }
    watch.report(count, tls);
    return 0;
}

/// Another process, which ends with this one.
void flood(const Client& client) {
    if (fork() != 0)
        return;
    end_with_parent();
    SSL* ssl = client.ssl.get();
    while (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1) {
    }
    std::fputs("the server has ended a flood\n", stderr);
    std::_Exit(1);
}

/// An honest client beside others.
int visit(std::uint16_t port, int connections, double seconds, const Options& options) {
    const Context context = client_context(options);
    const auto connected = [&] {
        Socket socket = connect_to(port);
        need(static_cast<bool>(socket), "connect");
        limit_time(socket);
        send_at_once(socket);
        Ssl ssl = make_ssl(context, socket);
        need(SSL_connect(ssl.get()) == 1, "handshake");
        Client client{std::move(socket), std::move(ssl)};
        client.write();
        need(client.read(), "the answer");
        return client;
    };
    std::vector<Client> others;
    for (int i = 0; i < connections; ++i) {
        others.push_back(connected());
        if (options.flood)
            flood(others.back());
    }
    const std::string tls = std::string(SSL_get_version(others[0].ssl.get())) + " " +
                            SSL_CIPHER_standard_name(SSL_get_current_cipher(others[0].ssl.get()));
    std::puts("connected");
    std::fflush(stdout);
    const Stopwatch watch(seconds);
    double count = 0;
    for (; !watch.over(); ++count) {
        const Client honest = connected();
        SSL_shutdown(honest.ssl.get());
    }
    watch.report(count, tls);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    end_with_parent();
    const std::string command = argc > 1 ? argv[1] : "";
    const auto port = [&] { return static_cast<std::uint16_t>(std::atoi(argv[2])); };
    if (argc >= 3 && command == "serve")
        return serve(options_of(argv + 2));
    if (argc >= 4 && command == "connect")
        return connect_again_and_again(port(), options_of(argv + 3));
    if (argc >= 6 && command == "load") {
        const Options options = options_of(argv + 5);
        const auto job = options.idle || options.flood ? visit : load;
        return job(port(), std::atoi(argv[3]), std::atof(argv[4]), options);
    }
    std::fputs("usage: see the head of peer.cpp\n", stderr);
    return 2;
}
