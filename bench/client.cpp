// The plain program over OpenSSL: the limit of a program with this TLS library, used in the usual
// way (blocking sockets, OpenSSL's own socket BIO, its default settings).

#include "client.hpp"
#include "tls.hpp"

namespace {

struct OpenSsl {
    enum class Role : std::uint8_t { client, server };

    static const char* version() { return OpenSSL_version(OPENSSL_VERSION); }

    struct Context {
        explicit Context(Role as)
            : role(as),
              ctx(SSL_CTX_new(as == Role::client ? TLS_client_method() : TLS_server_method())) {
            bench::need(static_cast<bool>(ctx), "SSL_CTX_new");
            if (role == Role::client)
                return;
            SSL_CTX_set_num_tickets(ctx.get(), 0);
            SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
        }
        void load_roots(const std::string& folder) const {
            // The second means nothing to a client.
            bench::load_roots(ctx, folder, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
        }
        void load_own(const std::string& folder, const std::string& who) const {
            bench::load_own(ctx, folder, who);
        }
        void use_psk() const {
            role == Role::client ? bench::use_psk_as_client(ctx) : bench::use_psk_as_server(ctx);
        }

        Role role;
        bench::Context ctx;
    };

    class Connection {
      public:
        Connection(const Context& context, bench::Socket from)
            : socket(std::move(from)), ssl_(bench::make_ssl(context.ctx, socket)) {
            SSL* ssl = ssl_.get();
            const bool open =
                context.role == Role::server
                    ? SSL_accept(ssl) == 1
                    : X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), "localhost", 0) == 1 &&
                          SSL_set_tlsext_host_name(ssl, "localhost") == 1 && SSL_connect(ssl) == 1;
            bench::need(open, "handshake");
        }
        void write(const char* data, int size) {
            bench::need(SSL_write(ssl_.get(), data, size) == size, "write");
        }
        int read(char* into, int size) {
            const int n = SSL_read(ssl_.get(), into, size);
            bench::need(n > 0, "read");
            return n;
        }
        void say_goodbye() { SSL_shutdown(ssl_.get()); }
        [[nodiscard]] std::string negotiated() const {
            return std::string(SSL_get_version(ssl_.get())) + " " +
                   SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl_.get()));
        }

        bench::Socket socket;

      private:
        bench::Ssl ssl_;
    };
};

}  // namespace

int main(int argc, char** argv) {
    return bench::Client<OpenSsl>::run(argc, argv);
}
