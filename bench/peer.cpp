// The other end of every measurement: quick enough that the contestant is what limits it, and
// strict about what is negotiated, so that every contestant does the same cryptography.
//
//   peer serve CERTIFICATE KEY   prints the port it listens on; one connection after the other:
//                                "w" takes in what comes and answers once a message ends with 1,
//                                "r SIZE" sends messages of SIZE bytes until the client has gone,
//                                "e" answers with the same,
//                                nothing at all is a client that came for the handshake
//   peer resume CERTIFICATE KEY  the same, and gives each client a ticket to resume with
//   peer connect PORT            one handshake after the other until nobody listens any more

#include <sys/prctl.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "tls.hpp"

using namespace bench;

namespace {

constexpr std::size_t batch = 64 * 1024;

void pin(const Context& context) {
    SSL_CTX* ctx = context.get();
    need(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
             SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1 &&
             SSL_CTX_set1_groups_list(ctx, "X25519") == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1,
         "suite and group");
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

void serve_one(const Context& context, const Socket& socket) {
    limit_time(socket);
    const Ssl ssl = make_ssl(context, socket);
    // A buffer between OpenSSL, which would write each record by itself, and the socket.
    BIO* buffer = BIO_new(BIO_f_buffer());
    need(buffer != nullptr && BIO_set_write_buffer_size(buffer, batch) == 1, "BIO_f_buffer");
    BIO_up_ref(SSL_get_rbio(ssl.get()));
    SSL_set0_wbio(ssl.get(), BIO_push(buffer, SSL_get_rbio(ssl.get())));
    char command[32] = {};
    if (SSL_accept(ssl.get()) != 1 || SSL_read(ssl.get(), command, sizeof command - 1) <= 0)
        return;
    if (command[0] == 'w')
        take_in(ssl.get());
    else if (command[0] == 'r')
        send_out(ssl.get(), std::strtoul(command + 1, nullptr, 10));
    else if (command[0] == 'e' && SSL_write(ssl.get(), "e", 1) == 1)
        BIO_flush(SSL_get_wbio(ssl.get()));
}

int serve(const char* certificate, const char* key, std::size_t tickets) {
    const Context context(SSL_CTX_new(TLS_server_method()));
    need(context && SSL_CTX_use_certificate_chain_file(context.get(), certificate) == 1 &&
             SSL_CTX_use_PrivateKey_file(context.get(), key, SSL_FILETYPE_PEM) == 1,
         "certificate and key");
    pin(context);
    need(SSL_CTX_set_num_tickets(context.get(), tickets) == 1, "tickets");
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

int connect_again_and_again(std::uint16_t port) {
    const Context context(SSL_CTX_new(TLS_client_method()));
    need(static_cast<bool>(context), "SSL_CTX_new");
    pin(context);
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

}  // namespace

int main(int argc, char** argv) {
    end_with_parent();
    if (argc == 4 && std::strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3], 0);
    if (argc == 4 && std::strcmp(argv[1], "resume") == 0)
        return serve(argv[2], argv[3], 1);
    if (argc == 3 && std::strcmp(argv[1], "connect") == 0)
        return connect_again_and_again(static_cast<std::uint16_t>(std::atoi(argv[2])));
    std::fputs("usage: peer serve|resume CERTIFICATE KEY | peer connect PORT\n", stderr);
    return 2;
}
