// GnuTLS as a server that only reads; sink.go has the explanation.
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

void check(bool good, const char* what, int code = 0) {
    if (good)
        return;
    std::fprintf(stderr, "%s: %s\n", what, code != 0 ? gnutls_strerror(code) : "failed");
    std::exit(1);
}

int accept_one(const char* port) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<unsigned short>(std::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    std::puts("listening");
    std::fflush(stdout);
    const int sock = accept(listener, nullptr, nullptr);
    check(sock >= 0, "accept");
    return sock;
}

}  // namespace

int main(int, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    const int pause_ms = std::atoi(argv[4]);
    gnutls_certificate_credentials_t credentials;
    gnutls_certificate_allocate_credentials(&credentials);
    int code =
        gnutls_certificate_set_x509_key_file(credentials, argv[2], argv[3], GNUTLS_X509_FMT_PEM);
    check(code >= 0, "certificate", code);
    gnutls_session_t session;
    gnutls_init(&session, GNUTLS_SERVER);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_datum_t tickets;
    gnutls_session_ticket_key_generate(&tickets);
    gnutls_session_ticket_enable_server(session, &tickets);
    const int sock = accept_one(argv[1]);
    gnutls_transport_set_int(session, sock);
    do
        code = gnutls_handshake(session);
    while (code < 0 && gnutls_error_is_fatal(code) == 0);
    check(code == 0, "handshake", code);
    long received = 0;
    for (;;) {
        static char buffer[8192];
        const ssize_t count = gnutls_record_recv(session, buffer, sizeof buffer);
        if (count < 0 && gnutls_error_is_fatal(static_cast<int>(count)) == 0)
            continue;
        code = static_cast<int>(count);
        if (count <= 0)
            break;
        received += count;
        std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    }
    // An end without close_notify is GNUTLS_E_PREMATURE_TERMINATION.
    if (code < 0)
        std::puts(gnutls_strerror(code));
    std::printf("received=%ld end=%s\n", received, code == 0 ? "true" : "false");
    gnutls_bye(session, GNUTLS_SHUT_WR);
    close(sock);
    gnutls_deinit(session);
    gnutls_free(tickets.data);
    gnutls_certificate_free_credentials(credentials);
}
