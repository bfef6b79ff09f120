// Passes OpenSSL's callbacks during a handshake on to the program.

#include "openssl.hpp"

namespace ussl::openssl {

std::uint8_t OpenSslSession::choose_context() {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (const std::uint8_t alert =
            callbacks_.choose_context(name != nullptr ? name : "", context_->settings().uses_psk))
        return alert;
    const auto* other = static_cast<const OpenSslContext*>(callbacks_.chosen_engine_context());
    // On a second ClientHello, the context was already replaced.
    if (other == nullptr || context_ == other)
        return 0;
    context_ = other;
    return use_identity(*other) ? 0 : SSL_AD_INTERNAL_ERROR;
}

// Uses the certificate of another context, and its verification of clients. SSL_set_SSL_CTX() would
// also use its cipher suites: in TLS 1.2 some of them, and others after HelloRetryRequest.
bool OpenSslSession::use_identity(const OpenSslContext& other) {
    SSL* ssl = ssl_.get();
    SSL_CTX* ctx = other.ctx_.get();
    STACK_OF(X509)* chain = nullptr;
    SSL_certs_clear(ssl);
    if (SSL_CTX_get0_chain_certs(ctx, static_cast<void*>(&chain)) != 1 ||
        SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(ctx), SSL_CTX_get0_privatekey(ctx),
                             chain, 1) != 1 ||
        !use_signer(other) || SSL_set1_verify_cert_store(ssl, SSL_CTX_get_cert_store(ctx)) != 1)
        return false;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), nullptr);
    STACK_OF(X509_NAME)* authorities = SSL_dup_CA_list(SSL_CTX_get_client_CA_list(ctx));
    SSL_set_client_CA_list(ssl, authorities);  // takes ownership
    return authorities != nullptr;
}

// If the program signs for the context, the session needs its own key object.
bool OpenSslSession::use_signer(const OpenSslContext& context) {
    if (!context.signers_)
        return true;
    EVP_PKEY* public_key = X509_get0_pubkey(SSL_get_certificate(ssl_.get()));
    const Key signer = make_signer(context.signers_.get(), *this, public_key);
    return signer && SSL_use_PrivateKey(ssl_.get(), signer.get()) == 1;
}

bool OpenSslSession::sign(SignatureScheme scheme, Bytes digest, MutableBytes signature,
                          std::size_t& length) {
    const Secret<max_scalar>& scalar = context().scalar_;
    switch (callbacks_.sign(scheme, digest, {scalar.data(), scalar.size()}, signature, length)) {
        case SignAnswer::made:
            return true;
        case SignAnswer::own_key:
            return sign_with(context().own_key_.get(), scheme, digest, signature, length);
        case SignAnswer::aborted:
            break;
    }
    return false;
}

std::uint16_t OpenSslSession::verify_certificate(X509* certificate, int depth) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    if (size <= 0) {
        handshake_.verification_lacked_memory = true;
        return 0;
    }
    const std::uint16_t failures =
        callbacks_.verify_certificate({der, static_cast<std::size_t>(size)}, depth);
    OPENSSL_free(der);
    return failures;
}

}  // namespace ussl::openssl
