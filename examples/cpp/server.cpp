// An HTTPS server with one page: server PORT CERTIFICATE_FILE KEY_FILE
//
// It serves one client after the other. Port 0 is a free port; the server prints which.

#include <cstdio>
#include <string>
#include <ussl/socket.hpp>

int main(int argc, char** argv) {
    if (argc != 4)
        return std::fputs("usage: server PORT CERTIFICATE_FILE KEY_FILE\n", stderr), 2;
    const auto certificate = ussl::read_file(argv[2]);
    const auto key = ussl::read_file(argv[3]);
    if (!certificate || !key)
        return std::fputs("the certificate or the key cannot be read\n", stderr), 1;
    const auto context =
        ussl::Context::make(ussl::default_engine(),
                            {.role = ussl::Role::server, .key = *key, .certificate = *certificate});
    if (!context)
        return std::fprintf(stderr, "%s\n", context.error().reason), 1;
    const auto listener = ussl::Socket::listen("", argv[1]);
    if (!listener)
        return std::fprintf(stderr, "%s\n", listener.error().text().data()), 1;
    std::printf("port %d\n", listener->port());
    std::fflush(stdout);

    for (;;) {
        ussl::TlsSocket tls;
        const auto log = [&] { std::fprintf(stderr, "%s\n", tls.error_text().data()); };
        if (!tls.accept(*context, *listener)) {
            log();
            continue;
        }
        // A request ends with an empty line.
        std::string request;
        char buffer[1024];
        while (request.size() < 8192 && request.find("\r\n\r\n") == std::string::npos) {
            const ussl::Progress got = tls.read(buffer);
            if (!got)
                break;
            request.append(buffer, got.count);
        }
        const bool sent = bool(tls.write_all(
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n"
            "hello from ussl\n"));
        if (!sent || !tls.close())
            log();
    }
}
