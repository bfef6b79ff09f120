// wolfSSL as a peer of the interop matrix; peers.py has the arguments and the output.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

namespace {

std::string psk_identity, psk_key;

[[noreturn]] void die(const char* what, int code = 0) {
    char text[200] = "";
    if (code != 0) {
        wolfSSL_ERR_error_string_n(static_cast<unsigned long>(code), text, sizeof text);
    }
    std::fprintf(stderr, "%s: %d %s\n", what, code, text);
    std::exit(1);
}

void check(bool good, const char* what) {
    if (!good) {
        die(what);
    }
}

unsigned key_to(unsigned char* out, unsigned size) {
    check(psk_key.size() <= size, "a key that is too long");
    psk_key.copy(reinterpret_cast<char*>(out), size);
    return static_cast<unsigned>(psk_key.size());
}

unsigned client_psk(WOLFSSL*, const char*, char* identity, unsigned identity_size,
                    unsigned char* key, unsigned size) {
    check(psk_identity.size() < identity_size, "an identity that is too long");
    identity[psk_identity.copy(identity, identity_size)] = 0;
    return key_to(key, size);
}

unsigned server_psk(WOLFSSL*, const char* identity, unsigned char* key, unsigned size) {
    return identity == psk_identity ? key_to(key, size) : 0;
}

sockaddr_in address(const char* port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(static_cast<unsigned short>(std::atoi(port)));
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return out;
}

int listener(const char* port) {
    const int sock = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    const sockaddr_in at = address(port);
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    check(
        bind(sock, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 && listen(sock, 5) == 0,
        "listen");
    std::puts("listening");
    std::fflush(stdout);
    return sock;
}

int connected(const char* port) {
    const int sock = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in at = address(port);
    check(connect(sock, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0, "connect");
    return sock;
}

void say(WOLFSSL* ssl, const std::string& line) {
    const int size = static_cast<int>(line.size());
    if (wolfSSL_write(ssl, line.data(), size) != size) {
        die("write", wolfSSL_get_error(ssl, 0));
    }
}

std::string hear_line(WOLFSSL* ssl) {
    std::string line;
    char data[1000];
    while (line.empty() || line.back() != '\n') {
        const int size = wolfSSL_read(ssl, data, sizeof data);
        if (size <= 0) {
            die("read", wolfSSL_get_error(ssl, size));
        }
        line.append(data, static_cast<size_t>(size));
    }
    return line;
}

void tell(WOLFSSL* ssl, bool server) {
    char* protocol = nullptr;
    unsigned short size = 0;
    std::string alpn = "-";
    if (wolfSSL_ALPN_GetProtocol(ssl, &protocol, &size) == WOLFSSL_SUCCESS) {
        alpn.assign(protocol, size);
    }
    std::printf("version=%s alpn=%s reused=%s", wolfSSL_get_version(ssl), alpn.c_str(),
                wolfSSL_session_reused(ssl) != 0 ? "yes" : "no");
    if (server) {
        WOLFSSL_X509* peer = wolfSSL_get_peer_certificate(ssl);
        std::printf(" peer=%s", peer != nullptr ? wolfSSL_X509_get_subjectCN(peer) : "-");
        wolfSSL_X509_free(peer);
    }
    std::puts("");
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    check(argc > 3, "usage: wolfssl server|client PORT TIMES NAME=VALUE...");
    const bool server = argv[1] == std::string("server");
    std::map<std::string, std::string> given;
    for (int i = 4; i < argc; ++i) {
        const std::string argument = argv[i];
        const size_t at = argument.find('=');
        given[argument.substr(0, at)] = argument.substr(at + 1);
    }

    alarm(60);  // nobody waits for ever
    wolfSSL_Init();
    const bool old = given.contains("old");  // TLS 1.2 and P-256, and nothing else
    WOLFSSL_CTX* ctx = wolfSSL_CTX_new(server ? wolfSSLv23_server_method()
                                       : old  ? wolfTLSv1_2_client_method()
                                              : wolfSSLv23_client_method());
    check(ctx != nullptr, "CTX_new");
    if (old) {
        wolfSSL_CTX_UseSupportedCurve(ctx, WOLFSSL_ECC_SECP256R1);
    }
    if (given.contains("cert")) {
        check(wolfSSL_CTX_use_certificate_chain_file(ctx, given["cert"].c_str()) == WOLFSSL_SUCCESS,
              "cert");
        check(wolfSSL_CTX_use_PrivateKey_file(ctx, given["key"].c_str(), WOLFSSL_FILETYPE_PEM) ==
                  WOLFSSL_SUCCESS,
              "key");
    }
    if (given.contains("ca")) {
        check(
            wolfSSL_CTX_load_verify_locations(ctx, given["ca"].c_str(), nullptr) == WOLFSSL_SUCCESS,
            "ca");
        wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                               nullptr);
    }
    if (given.contains("psk")) {
        const std::string both = given["psk"];
        const size_t at = both.find(':');
        psk_identity = both.substr(0, at);
        for (size_t i = at + 1; i + 1 < both.size(); i += 2) {
            psk_key += static_cast<char>(std::stoi(both.substr(i, 2), nullptr, 16));
        }
        if (server) {
            wolfSSL_CTX_set_psk_server_callback(ctx, server_psk);
            wolfSSL_CTX_use_psk_identity_hint(ctx, "a hint");
        } else {
            wolfSSL_CTX_set_psk_client_callback(ctx, client_psk);
        }
    }

    const int listening = server ? listener(argv[2]) : -1;
    WOLFSSL_SESSION* session = nullptr;
    for (int left = std::atoi(argv[3]); left > 0; --left) {
        const int sock = server ? accept(listening, nullptr, nullptr) : connected(argv[2]);
        WOLFSSL* ssl = wolfSSL_new(ctx);
        check(ssl != nullptr, "new");
        wolfSSL_set_fd(ssl, sock);
        if (given.contains("alpn")) {
            std::string names = given["alpn"];
            check(wolfSSL_UseALPN(ssl, names.data(), static_cast<unsigned>(names.size()),
                                  WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS,
                  "alpn");
        }
        if (!server) {
            if (given.contains("ca")) {
                wolfSSL_check_domain_name(ssl, "localhost");
            }
            if (session != nullptr) {
                check(wolfSSL_set_session(ssl, session) == WOLFSSL_SUCCESS, "session");
            }
            const std::string line = given["line"] + "\n";
            say(ssl, line);  // which does the handshake
            check(hear_line(ssl) == line, "something else came back");
            wolfSSL_SESSION_free(session);
            session = wolfSSL_get1_session(ssl);
        } else {
            say(ssl, hear_line(ssl));
        }
        tell(ssl, server);
        wolfSSL_shutdown(ssl);
        wolfSSL_free(ssl);
        close(sock);
    }
    wolfSSL_SESSION_free(session);
    wolfSSL_CTX_free(ctx);
    return 0;
}
