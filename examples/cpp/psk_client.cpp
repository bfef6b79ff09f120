// A client with a pre-shared key: psk_client HOST PORT IDENTITY KEY_IN_HEX
//
// It sends its standard input, then prints the first answer. Try it with
// openssl s_server -psk 00112233445566778899aabbccddeeff -psk_identity me -nocert -accept 8443 -rev

#include <cstdio>
#include <string>
#include <ussl/socket.hpp>

namespace {

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    return bytes;
}

ussl::Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5)
        return std::fputs("usage: psk_client HOST PORT IDENTITY KEY_IN_HEX\n", stderr), 2;
    const std::string identity = argv[3];
    const std::string key = from_hex(argv[4]);

    // The key authenticates both sides: there are no certificates to verify.
    const auto context = ussl::Context::make(
        ussl::default_engine(), {.psk_identity = bytes_of(identity), .psk_key = bytes_of(key)});
    if (!context)
        return std::fprintf(stderr, "%s\n", context.error().reason), 1;

    ussl::TlsSocket tls;
    const auto fail = [&] {
        std::fprintf(stderr, "%s\n", tls.error_text().data());
        return 1;
    };
    if (!tls.connect(*context, argv[1], argv[2]))
        return fail();
    char buffer[4096];
    const std::size_t size = std::fread(buffer, 1, sizeof buffer, stdin);
    if (!tls.write_all(std::string_view(buffer, size)))
        return fail();
    const ussl::Progress got = tls.read(buffer);
    if (!got)
        return fail();
    std::fwrite(buffer, 1, got.count, stdout);
    return tls.close() ? 0 : fail();
}
