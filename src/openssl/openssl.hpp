#pragma once

// Declarations shared by the files of this engine. Only this header includes OpenSSL's headers.

// Selects the API of OpenSSL 3.0, without warnings about functions that later versions deprecate.
#define OPENSSL_API_COMPAT 30000

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "../engine.hpp"
#include "../engine_crypto.hpp"
#include "../root_store.hpp"
#include "tickets.hpp"
#include "ussl/certificate.hpp"

namespace ussl {
extern const Engine openssl_engine;
}
namespace ussl::policy {
struct Offer;
}

namespace ussl::openssl {

/// Calls one of OpenSSL's free functions, as the deleter of a handle.
template <auto function>
struct Free {
    template <class T>
    void operator()(T* handle) const {
        function(handle);
    }
};
template <class T, auto function>
using Handle = std::unique_ptr<T, Free<function>>;

using SslCtx = Handle<SSL_CTX, SSL_CTX_free>;
using Ssl = Handle<SSL, SSL_free>;
using Bio = Handle<BIO, BIO_free>;
using BioMethod = Handle<BIO_METHOD, BIO_meth_free>;
using Certificate = Handle<X509, X509_free>;
using Name = Handle<X509_NAME, X509_NAME_free>;
using Crl = Handle<X509_CRL, X509_CRL_free>;
using Key = Handle<EVP_PKEY, EVP_PKEY_free>;
using LibCtx = Handle<OSSL_LIB_CTX, OSSL_LIB_CTX_free>;
using Provider = Handle<OSSL_PROVIDER, OSSL_PROVIDER_unload>;
using SslSession = Handle<SSL_SESSION, SSL_SESSION_free>;
using DigestContext = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using AlternativeNames = Handle<GENERAL_NAMES, GENERAL_NAMES_free>;

/// The size in bytes of a private key of P-521.
inline constexpr std::size_t max_scalar = 66;

class OpenSslSession;

class OpenSslContext final : public EngineContext {
  public:
    static std::expected<Owned<EngineContext>, ConfigError> make(const ContextSettings& settings,
                                                                 const Options& options);
    Owned<EngineSession> make_session(SessionResources& resources, const HostName* name) override;
    [[nodiscard]] StoreStats store_stats() const override;
    [[nodiscard]] bool has_crls() const override;
    bool store_digest(std::span<std::uint8_t, 32> out) const override;

    /// Returns true if two trusted certificates known to OpenSSL have the same name.
    [[nodiscard]] bool trusts_namesakes() const { return namesakes_; }
    [[nodiscard]] const RootStores& root_stores() const { return root_stores_; }
    /// Adds the certificates of that name, of the root stores and of the system's folder, to
    /// OpenSSL's store. Returns the first one, or nullptr.
    Certificate add_roots(X509_STORE* store, const X509_NAME* name);
    [[nodiscard]] Bytes alpn() const { return {alpn_.get(), alpn_size_}; }
    [[nodiscard]] TicketKeys& ticket_keys() const { return ticket_keys_; }
    [[nodiscard]] const Secret<max_psk_identity>& psk_identity() const { return psk_identity_; }
    [[nodiscard]] const Secret<max_psk_key>& psk_key() const { return psk_key_; }

  private:
    friend class OpenSslSession;
    friend struct OnHeap;
    using EngineContext::EngineContext;

    bool set_up(const Options& options);
    bool set_suites(const policy::Offer& offer);
    bool set_up_groups(const Options& options);
    bool set_up_alpn(Bytes alpn);
    void set_up_sessions(const Options& options);
    bool set_up_psk(const Options& options);
    static std::expected<Owned<OpenSslContext>, ConfigError> try_to_make(
        const ContextSettings& settings, const Options& options);
    std::optional<ConfigError> load_identity(const Options& options);
    std::optional<ConfigError> set_up_signing();
    std::optional<ConfigError> load_trusted(const Options& options);
    bool use_default_store(X509_STORE* store);
    bool set_up_look_up(X509_STORE* store);

    RootStores root_stores_;
    const char* folder_ = nullptr;  ///< the system's folder, if names are looked up in it
    Handle<X509_LOOKUP_METHOD, X509_LOOKUP_meth_free> look_up_;  ///< must live as long as ctx_
    SslCtx ctx_;
    /// The library context and keys for signatures by the program (signer.cpp). The order of the
    /// members matters.
    LibCtx signers_;
    Provider provider_;
    Key own_key_;
    Secret<max_scalar> scalar_;
    BioMethod bio_method_;
    std::atomic<bool> namesakes_ = false;
    std::size_t unsupported_ = 0;  ///< ignored certificates
    std::unique_ptr<std::uint8_t, Release> alpn_;
    std::size_t alpn_size_ = 0;
    Secret<max_psk_identity> psk_identity_;
    Secret<max_psk_key> psk_key_;
    mutable TicketKeys ticket_keys_;
};

/// State that the callbacks of a handshake share, and that take_error() evaluates.
struct HandshakeState {
    /// All verification errors, as bits of Error::certificate_failures.
    std::uint16_t certificate_failures = 0;
    /// The verification errors found so far while a chain is verified.
    Failures<X509> found;
    /// The number of signatures verified in the search for the issuers of the peer's certificates.
    int signature_checks = 0;
    /// While a chain is verified: the last certificate whose issuer was searched, and the key that
    /// signed it.
    const X509* signed_certificate = nullptr;
    EVP_PKEY* signed_by = nullptr;
    /// Memory ran out during verification, so its result is unknown.
    bool verification_lacked_memory = false;
    /// A certificate was received although only the pre-shared key is accepted.
    bool psk_ignored = false;
    /// The identity of a ClientKeyExchange as received, including NULs.
    std::uint8_t raw_identity[max_psk_identity];
    std::uint8_t raw_identity_size = 0;
};

class OpenSslSession final : public EngineSession {
  public:
    static Owned<EngineSession> make(const OpenSslContext& context, SessionResources& resources,
                                     const HostName* name);
    static OpenSslSession* of(const SSL* ssl) {
        return static_cast<OpenSslSession*>(
            SSL_get_ex_data(ssl, 0));  // SSL_get_app_data of a const SSL
    }
    ~OpenSslSession() override;

    Outcome handshake() override;
    Outcome read(MutableBytes into) override;
    Outcome write(Bytes from) override;
    Outcome flush() override;
    Outcome close_notify() override;
    void release_idle_buffers() override;
    Outcome resume(Bytes session) override;
    [[nodiscard]] std::size_t pending() const override;
    [[nodiscard]] SessionFacts facts() const override;
    [[nodiscard]] Bytes peer_certificate() const override;
    bool describe_peer(CertificateVisitor& visitor) const override;

    // For OpenSSL's callbacks.
    [[nodiscard]] const OpenSslContext& context() const { return *context_; }
    [[nodiscard]] RecordTransport& transport() const { return transport_; }
    [[nodiscard]] EngineCallbacks& callbacks() const { return callbacks_; }
    /// Calls the program's callback for the client's SNI name. Returns an alert, or 0.
    std::uint8_t choose_context();
    [[nodiscard]] const HostName* name() const { return name_; }
    [[nodiscard]] HandshakeState& state() { return handshake_; }
    [[nodiscard]] const HandshakeState& state() const { return handshake_; }
    /// Stores the result of verification; the certificates may then be released.
    void keep_found();

    void keep_session(SSL_SESSION* session);
    /// Server: limits the lifetime of a ticket that is about to be made.
    void limit_session();
    /// Signs a digest with the key of this side's certificate. Returns false on failure.
    bool sign(SignatureScheme scheme, Bytes digest, MutableBytes signature, std::size_t& length);
    /// Calls the program's callback for a certificate. Returns its result as bits of
    /// Error::certificate_failures.
    std::uint16_t verify_certificate(X509* certificate, int depth);
    void alert_sent(std::uint8_t number);
    /// Records that the server accepts no signature of the client's certificate.
    void withhold_certificate() { withholds_certificate_ = true; }
    /// Returns true if the current message contains the peer's certificates.
    [[nodiscard]] bool receives_certificates() const {
        const OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl_.get());
        return state == TLS_ST_CR_CERT || state == TLS_ST_SR_CERT;
    }
    /// Returns true after the handshake. OpenSSL itself loses this state when the connection fails.
    [[nodiscard]] bool established() const { return established_; }

  private:
    friend struct OnHeap;
    OpenSslSession(const OpenSslContext& context, SessionResources& resources, const HostName* name)
        : EngineSession(resources), context_(&context), name_(name) {}
    Outcome outcome_of(int ret);
    bool use_signer(const OpenSslContext& context);
    bool use_identity(const OpenSslContext& other);

    const OpenSslContext* context_;
    const HostName* name_;
    HandshakeState handshake_;
    Ssl ssl_;
    bool established_ = false;
    bool has_buffers_ = false;  ///< since release_idle_buffers()
    std::uint8_t alert_sent_ = 0;
    bool was_alert_sent_ = false;
    /// Data that OpenSSL must get again, with the same content, until it is sent.
    std::uint8_t* retry_ = nullptr;
    std::size_t retry_size_ = 0;
    mutable std::uint8_t* peer_der_ = nullptr;
    mutable int peer_der_size_ = 0;
};

// engine.cpp
bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);

// bio.cpp
/// Returns nullptr if memory runs out.
BIO_METHOD* make_bio_method();

// suites.cpp
/// As Engine::for_each_suite().
bool for_each_suite(SuiteVisitor& visitor);

// groups.cpp
/// As Engine::best_groups. The first is a hybrid group, which protects against later decryption
/// with a quantum computer. X25519 is the fastest of the others, and every peer supports the NIST
/// curves.
inline constexpr std::uint16_t best_groups[] = {0x11EC, 29, 23, 24, 25};
/// As Engine::find_groups().
std::optional<std::uint32_t> find_groups();

// credentials.cpp
/// Returns true if memory ran out while OpenSSL parsed extensions. OpenSSL then marks the
/// certificate object as invalid permanently.
bool is_spoiled(X509* certificate);

// verify.cpp
/// Returns the hash of an RSA-PSS signature algorithm. NID_undef: the parameters are malformed, or
/// name two hashes.
int hash_of_pss(const X509_ALGOR* pss);
/// Returns the root stores' entry that a trusted certificate was made of. nullopt: it is not from
/// a root store.
std::optional<RootStore::Root> root_of(const OpenSslContext& context, X509* certificate);
/// Returns the DER of a name.
Bytes encoded(const X509_NAME* name);
/// Returns true if the authority key identifier has both issuer and serial number, or neither (RFC
/// 5280 §4.2.1.1).
bool authority_is_whole(X509* certificate);
int verify_chain(X509_STORE_CTX* store, void*);
/// Decides whether a certificate can be the issuer of another one; for
/// X509_STORE_set_check_issued().
int is_issued(X509_STORE_CTX* store, X509* certificate, X509* issuer);

// certificate.cpp
CertificateVisitor::Time time_of(const ASN1_TIME* time);
void describe(X509* certificate, CertificateVisitor& visitor);
bool describe_first(Bytes data, CertificateVisitor& visitor);

// credentials.cpp
/// Returns the first certificate of `data`, or nullptr if there is no readable one.
Certificate first_certificate(Bytes data);

// self_signed.cpp
std::optional<ConfigError> make_self_signed(const SelfSignedFor& what, SelfSigned& made);

// signer.cpp
/// Signs with a key of this side. Returns false if `key` is nullptr, or on failure.
bool sign_with(EVP_PKEY* key, SignatureScheme scheme, Bytes digest, MutableBytes signature,
               std::size_t& length);
/// Returns nullptr if memory runs out.
LibCtx make_signers(Provider& provider);
/// Makes a key object that signs with `session`. Its public key is that of the certificate.
Key make_signer(OSSL_LIB_CTX* signers, OpenSslSession& session, EVP_PKEY* public_key);

// error.cpp
/// Called after a failure: empties OpenSSL's error queue. Returns true if any of its errors is a
/// lack of memory.
bool take_lack_of_memory();
/// Converts OpenSSL's error queue to an Error, and empties it.
Error take_error(const OpenSslSession& session);

// memory.cpp
/// Returns true if wipe_released_memory() was successful.
bool wipes_released_memory();
/// As wipe_released_memory() of ussl/context.hpp.
bool wipe_released_memory();

// crypto.cpp
extern const EngineCrypto crypto;

}  // namespace ussl::openssl
