// An HTTPS client that prints the answer: client HOST PORT [CA_FILE]
//
// It verifies the server: chain, dates and host name, with the system's CA certificates or those of
// CA_FILE (PEM or DER).

#include <cstdio>
#include <string>
#include <ussl/socket.hpp>

int main(int argc, char** argv) {
    if (argc < 3)
        return std::fputs("usage: client HOST PORT [CA_FILE]\n", stderr), 2;
    const std::string host = argv[1];

    ussl::Options options;
    ussl::SecretBytes trusted;
    if (argc > 3) {
        auto content = ussl::read_file(argv[3]);
        if (!content)
            return std::fprintf(stderr, "%s: cannot be read\n", argv[3]), 1;
        trusted = std::move(*content);
        options.trusted = trusted;
    }
    const auto context = ussl::Context::make(ussl::default_engine(), options);
    if (!context)
        return std::fprintf(stderr, "%s\n", context.error().reason), 1;

    ussl::TlsSocket tls;
    const auto fail = [&] {
        std::fprintf(stderr, "%s\n", tls.error_text().data());
        return 1;
    };
    if (!tls.connect(*context, host.c_str(), argv[2]))
        return fail();
    if (!tls.write_all("GET / HTTP/1.0\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"))
        return fail();
    char buffer[4096];
    ussl::Progress got;
    while ((got = tls.read(buffer)))
        std::fwrite(buffer, 1, got.count, stdout);
    if (got.kind != ussl::Progress::Kind::end)
        return fail();
    return tls.close() ? 0 : fail();
}
