#pragma once

// Declarations shared by the files of this engine. Only this header includes Mbed TLS's headers.

// There are no accessors for sent and received alerts, and for the constraints of a certificate.
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <mbedtls/base64.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pkcs12.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>
#ifdef MBEDTLS_SSL_CACHE_C
#include <mbedtls/ssl_cache.h>
#endif
#ifdef MBEDTLS_SSL_TICKET_C
#include <mbedtls/ssl_ticket.h>
#endif
#include <mbedtls/version.h>
#ifdef MBEDTLS_X509_CRL_PARSE_C
#include <mbedtls/x509_crl.h>
#endif
#include <mbedtls/x509_crt.h>
#ifdef MBEDTLS_PSA_CRYPTO_C
#include <psa/crypto.h>
#endif

#include "../engine.hpp"
#include "../engine_crypto.hpp"
#include "../root_store.hpp"
#include "internals.h"
#include "mbedtls_features.h"
#include "ussl/certificate.hpp"

namespace ussl {
extern const Engine mbedtls_engine;
}
namespace ussl::policy {
struct Offer;
}

namespace ussl::mbedtls {

/// A structure of Mbed TLS that is initialised and freed by Mbed TLS's functions.
template <class T, auto initialise, auto free_it>
struct Holder : T {
    Holder() { initialise(this); }
    ~Holder() { free_it(this); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
};

using SslConfig = Holder<mbedtls_ssl_config, mbedtls_ssl_config_init, mbedtls_ssl_config_free>;
using Ssl = Holder<mbedtls_ssl_context, mbedtls_ssl_init, mbedtls_ssl_free>;
using Certificates = Holder<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;
using SslSession = Holder<mbedtls_ssl_session, mbedtls_ssl_session_init, mbedtls_ssl_session_free>;
#if USSL_HAS_CRLS
using Crls = Holder<mbedtls_x509_crl, mbedtls_x509_crl_init, mbedtls_x509_crl_free>;
#endif
#ifdef MBEDTLS_SSL_CACHE_C
using SessionCache =
    Holder<mbedtls_ssl_cache_context, mbedtls_ssl_cache_init, mbedtls_ssl_cache_free>;
#endif
#ifdef MBEDTLS_SSL_TICKET_C
using Tickets =
    Holder<mbedtls_ssl_ticket_context, mbedtls_ssl_ticket_init, mbedtls_ssl_ticket_free>;
#endif
using Key = Holder<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;

class MbedSession;

class MbedContext final : public EngineContext {
  public:
    static std::expected<Owned<EngineContext>, ConfigError> make(const ContextSettings& settings,
                                                                 const Options& options);
    Owned<EngineSession> make_session(SessionResources& resources, const HostName* name) override;
    [[nodiscard]] StoreStats store_stats() const override;
    [[nodiscard]] bool has_crls() const override;
    bool store_digest(std::span<std::uint8_t, 32> out) const override;

    [[nodiscard]] bool resumes() const {
        return features::resumption && USSL_HAS_RESUMPTION != 0 && settings().resumes;
    }
    [[nodiscard]] const mbedtls_x509_crt& trusted() const { return trusted_; }
    [[nodiscard]] const RootStores& root_stores() const { return root_stores_; }
    /// Appends copies of the trusted certificates with that name to `list`, including those of the
    /// root store and of the system's folder. take_lack_of_memory() returns true if memory ran out.
    void add_named(const mbedtls_x509_buf& name, mbedtls_x509_crt& list) const;
#if USSL_HAS_SYSTEM_FOLDER
    /// Appends the certificates of the system's folder to `list` whose name has the same hash, as
    /// add_named().
    void add_of_folder(const mbedtls_x509_buf& name, mbedtls_x509_crt& list) const;
#endif
    /// Returns true if trusted certificates are looked up by name.
    [[nodiscard]] bool looks_up_issuers() const {
#if USSL_HAS_SYSTEM_FOLDER
        if (replaced_file_ != nullptr)
            return true;
#endif
        return !root_stores_.empty();
    }
#if USSL_HAS_CRLS
    [[nodiscard]] const mbedtls_x509_crl& crls() const { return crls_; }
#endif
    [[nodiscard]] Bytes scalar() const { return {scalar_.data(), scalar_.size()}; }
    [[nodiscard]] bool has_key() const { return mbedtls_pk_get_type(&key_) != MBEDTLS_PK_NONE; }
    /// Returns an upper limit for the size in bytes of this side's handshake messages.
    [[nodiscard]] std::size_t longest_message() const { return longest_message_; }

  private:
    friend class MbedSession;
    friend struct OnHeap;
    using EngineContext::EngineContext;

    bool set_up(const Options& options);
    bool set_up_groups(const Options& options);
    bool set_up_suites(const policy::Offer& offer);
    bool set_up_alpn(Bytes alpn);
    bool set_up_sessions(const Options& options);
    bool set_up_psk(const Options& options);
    std::optional<ConfigError> load_identity(const Options& options);
    std::optional<ConfigError> load_trusted(const Options& options);
    bool add_system_store();
    std::optional<ConfigError> set_up_signing();
    mbedtls_pk_context& signer();
    void limit_records(std::optional<std::size_t> limit);

    // The order matters: the configuration contains pointers to the others.
    Certificates trusted_;
    RootStores root_stores_;
    Certificates chain_;
#if USSL_HAS_CRLS
    Crls crls_;
#endif
    Key key_;
    SecretBytes scalar_;
#ifdef MBEDTLS_SSL_CACHE_C
    mutable SessionCache cache_;
#endif
#ifdef MBEDTLS_SSL_TICKET_C
    Tickets tickets_;
#endif
    SslConfig config_;
    /// Arrays that the configuration points to. Groups and suites end with a 0. Protocols are an
    /// array of pointers that ends with a null, followed by the names, each with a NUL.
    std::unique_ptr<std::uint16_t, Release> groups_;
    std::unique_ptr<int, Release> suites_;
    std::unique_ptr<const char*, Release> protocols_;
    std::size_t unsupported_ = 0;  ///< ignored certificates
#if USSL_SENDS_AUTHORITIES
    /// An empty list of the certificates whose names a server sends. nullptr: those of trusted_.
    std::unique_ptr<mbedtls_x509_crt, Release> no_authorities_;
#endif
    std::size_t longest_message_ = 0;
#if USSL_HAS_SYSTEM_FOLDER
    /// The system's file, if names are looked up in the system's folder instead.
    const char* replaced_file_ = nullptr;
#endif
};

/// Converts a result of the transport to a return value of Mbed TLS's hooks. `when_blocked` is the
/// code for "would block".
int result_of(const IoResult& result, int when_blocked);

/// The two buffers of a connection. The input buffer grows with the received part of a record, and
/// an idle connection has no buffers. Mbed TLS gets a record only when it is complete. Before that,
/// the hook returns "would block". If the reason is lack of room, make_room() must be called.
///
/// An Mbed TLS without ussl's patches (USSL_PATCHED_MBEDTLS) has its own buffers.
class Records {
  public:
    explicit Records(mbedtls_ssl_context& ssl) : ssl_(ssl) {}
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;
    ~Records();

    /// Receives data for Mbed TLS's hook.
    int receive(RecordTransport& wire, MutableBytes into);
    /// Returns true if a record has been received in part.
    [[nodiscard]] bool within_a_record() const;
#ifdef USSL_PATCHED_MBEDTLS
    /// Returns true if an incomplete message contains certificates and is longer than
    /// policy::longest_chain.
    [[nodiscard]] bool chain_is_too_long() const;
    /// Returns true if Mbed TLS waits for room instead of the stream.
    [[nodiscard]] bool wants_room() const { return wanted_ != 0; }
    /// Enlarges the input buffer. Returns false if memory runs out; received data is kept for the
    /// next call.
    bool make_room();
    /// Returns true if memory for a record ran out since the last call of this function.
    bool take_lack_of_room() { return std::exchange(lacks_room_, false); }
    /// Enlarges the output buffer for a record of that many bytes. Returns false if memory runs
    /// out.
    bool room_to_write(std::size_t bytes);
    /// Releases empty buffers.
    void release_idle_buffers();
    /// On a board, releases empty buffers after each record, to save memory. On a host, buffers are
    /// kept until the connection is idle. An allocation would take a tenth of the time of a short
    /// record.
    void record_is_done() {
#ifdef USSL_BOARD
        release_idle_buffers();
#endif
    }

  private:
    void use_input(unsigned char* buffer, std::size_t size);
    void use_output(unsigned char* buffer, std::size_t size);
    void let_go(unsigned char* buffer, std::size_t size);
    [[nodiscard]] bool version_fits() const;
    [[nodiscard]] bool is_rejected(std::size_t body) const;
    [[nodiscard]] std::size_t body_begin() const;
    int receive_body(RecordTransport& wire, std::size_t body);
    [[nodiscard]] bool can_decrypt() const;

    /// Sequence number, header, and the maximum overhead of protection (nonce, MAC, padding of
    /// CBC).
    static constexpr std::size_t around_a_record = 8 + 5 + 16 + 48 + 16;
    static constexpr std::size_t alert_bytes = 2;

    mbedtls_ssl_context& ssl_;
    std::size_t wanted_ = 0;
    bool lacks_room_ = false;
    /// The received part of a record that Mbed TLS has not read yet.
    std::uint8_t header_size_ = 0;
    std::size_t body_size_ = 0;
    std::uint8_t header_[5];
    /// The buffers between records: they always have room for a header, or an alert.
    unsigned char smallest_input_[USSL_SMALLEST_INPUT] = {};
    unsigned char smallest_output_[around_a_record + alert_bytes] = {};
#else
    static bool chain_is_too_long() { return false; }
    static bool wants_room() { return false; }
    static bool make_room() { return true; }
    static bool take_lack_of_room() { return false; }
    static bool room_to_write(std::size_t) { return true; }
    static void release_idle_buffers() {}
    static void record_is_done() {}

  private:
    mbedtls_ssl_context& ssl_;
#endif
};

/// Combines the handshake messages of Mbed TLS, which writes each one separately. One write saves
/// energy of a radio, and avoids delays of Nagle's algorithm (RFC 896). Functions return the codes
/// of Mbed TLS's hooks.
class Flight {
  public:
    Flight() = default;
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;
    ~Flight();

    int write(RecordTransport& wire, Bytes from);
    /// Sends buffered messages.
    int send(RecordTransport& wire);
    /// Releases the buffer after the handshake; it must be empty.
    void end();
    static int write_now(RecordTransport& wire, Bytes from);

  private:
    bool make_room(std::size_t bytes);

    static constexpr std::size_t most = 1400;  // the payload of one TCP segment

    std::uint8_t* held_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
};

using Found = Failures<const mbedtls_x509_crt>;

class MbedSession final : public EngineSession {
  public:
    static Owned<EngineSession> make(const MbedContext& context, SessionResources& resources,
                                     const HostName* name);

    Outcome handshake() override;
    Outcome read(MutableBytes into) override;
    Outcome write(Bytes from) override;
    Outcome flush() override;
    Outcome close_notify() override;
    void release_idle_buffers() override { records_.release_idle_buffers(); }
    Outcome resume(Bytes session) override;
    [[nodiscard]] std::size_t pending() const override;
    [[nodiscard]] SessionFacts facts() const override;
    [[nodiscard]] Bytes peer_certificate() const override;
    bool describe_peer(CertificateVisitor& visitor) const override;

    // Called by Mbed TLS.
    int receive(MutableBytes into);
    int send(Bytes from);
    /// Called before an alert is sent; returns the one to send.
    std::uint8_t choose_alert(std::uint8_t alert);
    /// Returns true if that many bytes of early data, which this side rejects, may be skipped.
    bool may_skip(std::size_t early_data);
    /// Called for each certificate of a chain, from the topmost one down to the peer's own.
#ifndef USSL_PATCHED_MBEDTLS
    /// Called before verify(). Returns false if the chain could need more signature checks than
    /// policy::max_signature_checks.
    bool limit_signatures(const mbedtls_x509_crt& chain, const mbedtls_x509_crt* trusted);
#endif
    int verify(mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags);
    /// If looks_up_issuers(): called to get the trusted certificates that may have issued a
    /// certificate. Mbed TLS frees them.
    int find_issuers(const mbedtls_x509_crt& certificate, mbedtls_x509_crt*& found);
    [[nodiscard]] bool looks_up_issuers() const { return context().looks_up_issuers(); }
    /// Called for each ClientHello.
    int choose_context();
    /// Called for each secret if secrets are logged.
    void log_key(std::string_view label, Bytes client_random, Bytes secret);
    /// Makes this side's signature, in place of mbedtls_pk_sign_ext().
    int sign(mbedtls_pk_type_t type, mbedtls_pk_context& key, mbedtls_md_type_t hash, Bytes digest,
             MutableBytes signature, std::size_t& length);
    /// Called for each identity in a ClientHello.
    int find_psk(Bytes identity);

  private:
    friend struct OnHeap;
    MbedSession(const MbedContext& context, SessionResources& resources, const HostName* name)
        : EngineSession(resources), context_(&context), name_(name) {}
    template <class Step>
    int with_room(Step step);
    Outcome outcome_of(int ret);
    Outcome fail(int ret);
    Outcome refuse(const Error& error, std::uint8_t alert);
    void use_application_keys();
    [[nodiscard]] bool peer_can_sign() const;
    Outcome judge_peer();
    void agree_on_record_size();
    [[nodiscard]] bool lacks_group() const;
    void let_go_of_the_handshake();
    void shorten_peer_certificate();
    void judge_path(int depth, Found& found);
    void judge_age(const mbedtls_x509_crt& anchor, Found& found) const;
    void keep_found(const Found& found);
    void keep_session();
    void note_resumption();
    bool may_resume();
    Outcome refuse_resumption();
    void forget_declined_session();
    void forget_cached_session();
    [[nodiscard]] bool waits_for_ticket() const;
    int take_ticket();
    int read_some(MutableBytes into);
    /// Returns true if TLS 1.3 was negotiated.
    [[nodiscard]] bool is_tls1_3() const;
    int judge_passed_over();
    bool keep_peer_certificate(Bytes der);

    [[nodiscard]] const MbedContext& context() const { return *context_; }
    [[nodiscard]] Version version() const {
        return static_cast<Version>(mbedtls_ssl_get_version_number(&ssl_));
    }

    const MbedContext* context_;
    const HostName* name_;
    Ssl ssl_;
    Records records_{ssl_};
    Flight flight_;
    /// All verification errors, as bits of Error::certificate_failures.
    std::uint16_t certificate_failures_ = 0;
    /// The certificates that verify() was called for, by their depth. They are valid until it is
    /// called for the peer's own certificate.
    struct Link {
        const mbedtls_x509_crt* certificate;
        std::uint32_t flags;
    };
    std::unique_ptr<Link, Release> path_;
    /// The last result of find_issuers(). nullptr: no certificate, or no look-up.
    const mbedtls_x509_crt* issuers_ = nullptr;
    int path_depth_ = 0;
    bool was_verified_ = false;
#ifndef USSL_PATCHED_MBEDTLS
    bool signatures_are_limited_ = false;
#endif
    bool lacked_memory_ = false;
    bool lacked_key_ = false;  ///< needed for a signature that the program left to this side
    bool chain_is_too_long_ = false;
    bool goodbye_begun_ = false;
    std::uint8_t empty_records_ = 0;  ///< since the last plaintext
    bool resumed_ = false;
    bool has_extended_secret_ = false;  ///< TLS 1.2: RFC 7627
    std::uint8_t passed_over_ = 0;      ///< consecutive records
    std::uint16_t skipped_ = 0;         ///< bytes of early data
    std::uint16_t group_ = 0;
    bool identity_is_first_ = false;  ///< in the current message
    /// The client's max_fragment_length, if this server does not agree to it.
    std::uint8_t wanted_fragment_code_ = 0;
    std::unique_ptr<std::uint8_t, Release> peer_der_;
    std::size_t peer_der_size_ = 0;
    mutable char cipher_name_[64];
};

/// One extension of a certificate or CRL.
struct Extension {
    Bytes oid;
    bool critical = false;
    Bytes value;  ///< the OCTET STRING; empty: malformed
};

/// Calls `take` with each extension of a list (RFC 5280 §4.2), which may be null. Returns false if
/// `take` does, or if the list is malformed. Data after the list is ignored.
bool for_each_extension(unsigned char* at, const unsigned char* end,
                        bool (*take)(void* data, const Extension& extension), void* data);
template <class Take>
bool for_each_extension(unsigned char* at, const unsigned char* end, Take take) {
    const auto call = [](void* data, const Extension& extension) {
        return (*static_cast<Take*>(data))(extension);
    };
    return for_each_extension(at, end, call, &take);
}

// verify.cpp
/// Returns true if a certificate that Mbed TLS has parsed conforms to RFC 5280. Mbed TLS is less
/// strict.
bool is_readable(const mbedtls_x509_crt& certificate);
/// Returns true if the text of both names is valid for its type (UTF8String, BMPString).
bool names_are_readable(const mbedtls_x509_crt& certificate);
/// Prevents trusted certificates that are not CA certificates from issuing others.
void restrict_issuers(mbedtls_x509_crt& trusted);
/// Adds the failures of one certificate of a chain. `issuer` is null for the topmost one. `roots`
/// are the trusted certificates that may have issued the topmost one.
void find_failures(const MbedContext& context, const mbedtls_x509_crt& certificate,
                   const mbedtls_x509_crt* issuer, const mbedtls_x509_crt& roots, int depth,
                   std::uint32_t flags, Found& found);
/// Returns the root store's entry that a trust anchor was made of. nullopt: it is not from the root
/// store.
std::optional<RootStore::Root> root_of(const MbedContext& context,
                                       const mbedtls_x509_crt& certificate);
bool is_among_trusted(const MbedContext& context, const mbedtls_x509_crt& certificate);
bool is_for(const mbedtls_x509_crt& certificate, const HostName& name);
/// Returns true if the certificate or its public key is one of `pins`.
bool is_pinned(Bytes pins, const mbedtls_x509_crt& certificate);
std::uint8_t alert_of(Code worst);
/// The callback for mbedtls_ssl_set_verify().
int verify_hook(void* session, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags);

// certificate.cpp
CertificateVisitor::Time time_of(const mbedtls_x509_time& time);
/// Returns false if memory runs out.
bool describe(const mbedtls_x509_crt& certificate, CertificateVisitor& visitor);
bool describe_first(Bytes data, CertificateVisitor& visitor);

// credentials.cpp
/// Returns true if TLS can sign with a key, with the offered groups.
bool can_sign(const mbedtls_pk_context& key);
/// Returns false if there is no readable certificate.
bool parse_first_certificate(Bytes data, mbedtls_x509_crt& certificate);

// self_signed.cpp
std::optional<ConfigError> make_self_signed(const SelfSignedFor& what, SelfSigned& made);

// engine.cpp
/// Initialises Mbed TLS's cryptography; may be called repeatedly. Returns false on failure.
bool start_up();
void shut_down();
bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);
/// Returns the clock's time in seconds since 1970 (clock.cpp).
std::int64_t now();
/// Converts a time to Mbed TLS's type for certificates (clock.cpp).
mbedtls_x509_time x509_time(std::int64_t seconds_since_1970);

// suites.cpp
/// Writes IANA's name of a suite to `into`. Empty: Mbed TLS does not have the suite.
std::string_view suite_name(int suite, std::span<char> into);
/// As Engine::for_each_suite().
bool for_each_suite(SuiteVisitor& visitor);

// groups.cpp
/// As Engine::best_groups: P-256 is the fastest group in Mbed TLS.
inline constexpr std::uint16_t best_groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1};
/// As Engine::find_groups().
std::optional<std::uint32_t> find_groups();

// callbacks.cpp, for mbedtls_ssl_conf_cert_cb() and mbedtls_ssl_set_export_keys_cb()
int name_hook(mbedtls_ssl_context* ssl);
void key_hook(void* session, mbedtls_ssl_key_export_type type, const unsigned char* secret,
              std::size_t size, const unsigned char client_random[32], const unsigned char*,
              mbedtls_tls_prf_types);

// random.cpp
/// Writes random bytes; a callback for Mbed TLS.
int random_bytes(void*, unsigned char* into, std::size_t size);

// error.cpp
/// Returns the module's code in an error of the layers below TLS and X.509: a sum of this and a
/// low-level code.
constexpr int module_of(int ret) {
    return -(-ret & ~0x7F);
}

// memory.cpp
/// Returns true if memory ran out in this thread since the last call of this function.
bool take_lack_of_memory();
/// Records that memory ran out in an allocation of ussl itself. Returns false, for the caller to
/// return.
bool lacks_memory();

// crypto.cpp
extern const EngineCrypto crypto;

}  // namespace ussl::mbedtls
