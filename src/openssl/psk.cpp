#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

// Makes a pre-shared key for TLS 1.3: a session whose suite determines the hash, SHA-256.
SslSession external_session(SSL* ssl, Bytes key) {
    const unsigned char suite[2] = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256
    const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, suite);
    SslSession session{SSL_SESSION_new()};
    if (cipher == nullptr || !session ||
        SSL_SESSION_set1_master_key(session.get(), key.data(), key.size()) != 1 ||
        SSL_SESSION_set_cipher(session.get(), cipher) != 1 ||
        SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) != 1)
        return nullptr;
    return session;
}

int client_tls1_3(SSL* ssl, const EVP_MD* md, const unsigned char** identity,
                  std::size_t* identity_size, SSL_SESSION** session) {
    *session = nullptr;
    if (md != nullptr && EVP_MD_get_type(md) != NID_sha256)
        return 1;
    const OpenSslContext& context = OpenSslSession::of(ssl)->context();
    *identity = context.psk_identity().data();
    *identity_size = context.psk_identity().size();
    *session =
        external_session(ssl, {context.psk_key().data(), context.psk_key().size()}).release();
    return *session != nullptr ? 1 : 0;
}

unsigned client_tls1_2(SSL* ssl, const char* /*hint*/, char* identity, unsigned identity_size,
                       unsigned char* key, unsigned key_size) {
    const OpenSslContext& context = OpenSslSession::of(ssl)->context();
    const auto& name = context.psk_identity();
    const auto& secret = context.psk_key();
    if (name.size() >= identity_size || secret.size() > key_size)
        return 0;
    std::memcpy(identity, name.data(), name.size());
    identity[name.size()] = '\0';
    std::memcpy(key, secret.data(), secret.size());
    return static_cast<unsigned>(secret.size());
}

bool random_bytes(MutableBytes into) {
    return RAND_bytes(into.data(), static_cast<int>(into.size())) == 1;
}

// Only the first identity of a ClientHello counts. OpenSSL takes the first identity with a key, and
// here every identity has one. The list (RFC 8446 §4.2.11) starts with its length; each identity
// follows its own length.
int see_hello(SSL* ssl, int* alert, void*) {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    constexpr std::size_t before = 4;
    Bytes first;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &data, &size) == 1 && size > before) {
        const std::size_t length = static_cast<std::size_t>(data[2]) << 8 | data[3];
        first = {data + before, std::min(length, size - before)};
    }
    *alert = OpenSslSession::of(ssl)->callbacks().check_first_identity(first);
    return *alert == 0 ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

int server_tls1_3(SSL* ssl, const unsigned char* identity, std::size_t identity_size,
                  SSL_SESSION** session) {
    *session = nullptr;
    // Otherwise OpenSSL would also call the TLS 1.2 callback for this identity.
    SSL_set_psk_server_callback(ssl, nullptr);
    const Bytes key =
        OpenSslSession::of(ssl)->callbacks().find_psk({identity, identity_size}, random_bytes);
    if (key.empty())
        return 0;
    *session = external_session(ssl, key).release();
    return *session != nullptr ? 1 : 0;
}

unsigned server_tls1_2(SSL* ssl, const char* /*identity*/, unsigned char* out, unsigned out_size) {
    OpenSslSession& session = *OpenSslSession::of(ssl);
    const Bytes key = session.callbacks().find_psk(
        {session.state().raw_identity, session.state().raw_identity_size}, random_bytes);
    if (key.empty())
        return out_size + 1;  // internal_error; 0 would reveal an unknown identity
    std::memcpy(out, key.data(), key.size());
    return static_cast<unsigned>(key.size());
}

// OpenSSL passes the identity of TLS 1.2 as a C string, so "a\0b" would be accepted as "a". The
// message itself contains the whole identity after a length of two bytes (RFC 4279 §2). An identity
// that is too long is unknown.
void see_message(int sent, int /*version*/, int type, const void* data, std::size_t size, SSL* ssl,
                 void*) {
    const auto* message = static_cast<const std::uint8_t*>(data);
    constexpr std::size_t header = 4;
    if (sent != 0 || type != SSL3_RT_HANDSHAKE || size < header + 2 ||
        message[0] != SSL3_MT_CLIENT_KEY_EXCHANGE)
        return;
    OpenSslSession& session = *OpenSslSession::of(ssl);
    const std::size_t length = static_cast<std::size_t>(message[header]) << 8 | message[header + 1];
    const bool fits = length <= max_psk_identity && length <= size - header - 2;
    session.state().raw_identity_size = static_cast<std::uint8_t>(fits ? length : 0);
    std::copy_n(message + header + 2, session.state().raw_identity_size,
                session.state().raw_identity);
}

}  // namespace

bool OpenSslContext::set_up_psk(const Options& options) {
    SSL_CTX* ctx = ctx_.get();
    if (settings().role == Role::server) {
        SSL_CTX_set_psk_find_session_callback(ctx, server_tls1_3);
        SSL_CTX_set_psk_server_callback(ctx, server_tls1_2);
        SSL_CTX_set_msg_callback(ctx, see_message);
        SSL_CTX_set_client_hello_cb(ctx, see_hello, nullptr);
        if (!options.psk_hint)
            return true;
        char hint[max_psk_identity + 1] = {};
        std::memcpy(hint, options.psk_hint->data(), options.psk_hint->size());
        return SSL_CTX_use_psk_identity_hint(ctx, hint) == 1;
    }
    const Bytes identity = *options.psk_identity;
    const Bytes key = *options.psk_key;
    std::memcpy(psk_identity_.data(), identity.data(), identity.size());
    psk_identity_.set_size(identity.size());
    std::memcpy(psk_key_.data(), key.data(), key.size());
    psk_key_.set_size(key.size());
    SSL_CTX_set_psk_use_session_callback(ctx, client_tls1_3);
    // OpenSSL cannot send a NUL in an identity of TLS 1.2, so only TLS 1.3 is offered.
    if (std::find(identity.begin(), identity.end(), std::uint8_t{0}) == identity.end()) {
        SSL_CTX_set_psk_client_callback(ctx, client_tls1_2);
        return true;
    }
    return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1;
}

}  // namespace ussl::openssl
