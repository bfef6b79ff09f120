// Passes Mbed TLS's callbacks during a handshake on to the program.

#include <algorithm>
#include <cstring>

#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

// Returns the label of a secret in the NSS Key Log Format.
std::string_view label_of(mbedtls_ssl_key_export_type type) {
    switch (type) {
        case MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET:
            return "CLIENT_RANDOM";
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET:
            return "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET:
            return "SERVER_HANDSHAKE_TRAFFIC_SECRET";
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET:
            return "CLIENT_TRAFFIC_SECRET_0";
        case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET:
            return "SERVER_TRAFFIC_SECRET_0";
#endif
        default:
            return {};
    }
}

}  // namespace

int name_hook(mbedtls_ssl_context* ssl) {
    return static_cast<MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))->choose_context();
}

int MbedSession::choose_context() {
    std::size_t size = 0;
    const unsigned char* name = mbedtls_ssl_get_hs_sni(&ssl_, &size);
    const std::string_view text{reinterpret_cast<const char*>(name), name != nullptr ? size : 0};
    if (callbacks_.choose_context(text, context().settings().uses_psk) != 0)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    const auto* instead = static_cast<const MbedContext*>(callbacks_.chosen_engine_context());
    // On a second ClientHello, the context was already replaced.
    if (instead == nullptr || context_ == instead)
        return 0;
    context_ = instead;
    // The const_cast is safe: Mbed TLS does not change these objects.
    auto& others = const_cast<MbedContext&>(*instead);
    mbedtls_ssl_set_hs_ca_chain(&ssl_, &others.trusted_, nullptr);
#if USSL_SENDS_AUTHORITIES
    mbedtls_ssl_set_hs_dn_hints(
        &ssl_, instead->no_authorities_ ? instead->no_authorities_.get() : &instead->trusted_);
#endif
    mbedtls_ssl_set_hs_authmode(&ssl_, instead->config_.authmode);
    return mbedtls_ssl_set_hs_own_cert(&ssl_, &others.chain_, &others.signer());
}

int MbedSession::sign(mbedtls_pk_type_t type, mbedtls_pk_context& key, mbedtls_md_type_t hash,
                      Bytes digest, MutableBytes signature, std::size_t& length) {
    const auto sign_here = [&] {
        return mbedtls_pk_sign_ext(type, &key, hash, digest.data(), digest.size(), signature.data(),
                                   signature.size(), &length, random_bytes, nullptr);
    };
    if (!features::sign_callback || !context().settings().signs_by_program)
        return sign_here();
    if (digest.empty())  // Mbed TLS omits the size if the hash implies it
        digest = {digest.data(), mbedtls_md_get_size(mbedtls_md_info_from_type(hash))};
    SignatureScheme scheme = SignatureScheme::ecdsa;
    if (type == MBEDTLS_PK_RSASSA_PSS)
        scheme = SignatureScheme::rsa_pss;
    else if (mbedtls_pk_can_do(&key, MBEDTLS_PK_RSA) != 0)
        scheme = SignatureScheme::rsa_pkcs1;
    const std::size_t longest = scheme == SignatureScheme::ecdsa
                                    ? MBEDTLS_ECDSA_MAX_SIG_LEN(mbedtls_pk_get_bitlen(&key))
                                    : mbedtls_pk_get_len(&key);
    signature = signature.first(std::min({signature.size(), longest, max_signature}));
    switch (callbacks_.sign(scheme, digest, context().scalar(), signature, length)) {
        case SignAnswer::made:
            return 0;
        case SignAnswer::own_key:
            lacked_key_ = !context().has_key();
            return lacked_key_ ? MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED : sign_here();
        case SignAnswer::aborted:
            break;
    }
    return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

void key_hook(void* session, mbedtls_ssl_key_export_type type, const unsigned char* secret,
              std::size_t size, const unsigned char client_random[32], const unsigned char*,
              mbedtls_tls_prf_types) {
    static_cast<MbedSession*>(session)->log_key(label_of(type), {client_random, 32},
                                                {secret, size});
}

void MbedSession::log_key(std::string_view label, Bytes client_random, Bytes secret) {
    constexpr std::size_t max_secret = 64;
    if (label.empty() || secret.size() > max_secret)
        return;
    constexpr std::size_t longest = 40 + 2 * 32 + 2 * max_secret + 2;
    Secret<longest> line;
    std::size_t size = label.size();
    std::memcpy(line.data(), label.data(), size);
    for (const Bytes part : {client_random, secret}) {
        line.data()[size++] = ' ';
        for (const std::uint8_t byte : part) {
            constexpr char digits[] = "0123456789abcdef";
            line.data()[size++] = static_cast<unsigned char>(digits[byte >> 4]);
            line.data()[size++] = static_cast<unsigned char>(digits[byte & 15]);
        }
    }
    callbacks_.log_key({reinterpret_cast<const char*>(line.data()), size});
}

}  // namespace ussl::mbedtls

#ifdef USSL_PATCHED_MBEDTLS

int ussl_mbedtls_sign(mbedtls_ssl_context* ssl, mbedtls_pk_type_t type, mbedtls_pk_context* key,
                      mbedtls_md_type_t hash, const unsigned char* digest, std::size_t digest_size,
                      unsigned char* signature, std::size_t capacity, std::size_t* length) {
    return static_cast<ussl::mbedtls::MbedSession*>(mbedtls_ssl_get_user_data_p(ssl))
        ->sign(type, *key, hash, {digest, digest_size}, {signature, capacity}, *length);
}

#endif
