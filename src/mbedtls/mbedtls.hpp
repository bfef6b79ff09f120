#pragma once

// Shared by the files of this engine; the only header of ours that includes Mbed TLS's.

// Alerts that came in or went out, and what a certificate's constraints say, have no accessors.
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

/// One of Mbed TLS's structures, initialised and freed by its own functions.
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
#ifdef MBEDTLS_X509_CRL_PARSE_C
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
    bool store_digest(std::span<std::uint8_t, 32> out) const override;

    [[nodiscard]] bool resumes() const { return USSL_HAS_RESUMPTION != 0 && settings().resumes; }
    [[nodiscard]] const mbedtls_x509_crt& trusted() const { return trusted_; }
    [[nodiscard]] const RootStore& root_store() const { return root_store_; }
    /// Adds copies of the trusted certificates with that name to `list`, those of the root store as
    /// well. take_lack_of_memory() says whether there was memory for all.
    void add_named(const mbedtls_x509_buf& name, mbedtls_x509_crt& list) const;
#ifdef MBEDTLS_X509_CRL_PARSE_C
    [[nodiscard]] const mbedtls_x509_crl& crls() const { return crls_; }
#endif
    [[nodiscard]] Bytes scalar() const { return {scalar_.data(), scalar_.size()}; }
    [[nodiscard]] bool has_key() const { return mbedtls_pk_get_type(&key_) != MBEDTLS_PK_NONE; }
    /// The longest message of the handshake that this side may send, or a little more.
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

    // In this order: the configuration points to the others.
    Certificates trusted_;
    RootStore root_store_;
    Certificates chain_;
#ifdef MBEDTLS_X509_CRL_PARSE_C
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
    /// What the configuration points to: groups and a 0; suites and a 0; names of protocols, each
    /// with a NUL behind it, after the pointers to them and a null.
    std::unique_ptr<std::uint16_t, Release> groups_;
    std::unique_ptr<int, Release> suites_;
    std::unique_ptr<const char*, Release> protocols_;
    std::size_t unsupported_ = 0;  ///< certificates that were passed over
    std::size_t longest_message_ = 0;
};

/// What Mbed TLS's hooks return for a result of the wire; `when_blocked` is the name of waiting.
int result_of(const IoResult& result, int when_blocked);

/// The two buffers of a connection: that for input grows with what has been received of a record,
/// and neither is there when the connection is at rest. Mbed TLS gets a record when all of it has
/// been received. Until then it waits, as for a stream that has no more; where that is for lack of
/// room, until make_room() has been called.
///
/// An Mbed TLS without ussl's patches (USSL_PATCHED_MBEDTLS) has its own.
class Records {
  public:
    explicit Records(mbedtls_ssl_context& ssl) : ssl_(ssl) {}
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;
    ~Records();

    /// For Mbed TLS's hook.
    int receive(RecordTransport& wire, MutableBytes into);
    /// Something of a record has come, and not yet all of it.
    [[nodiscard]] bool within_a_record() const;
#ifdef USSL_PATCHED_MBEDTLS
    /// The message of which the first records have been received has certificates, and is longer
    /// than policy::longest_chain.
    [[nodiscard]] bool chain_is_too_long() const;
    /// Mbed TLS waits for room, not for the stream.
    [[nodiscard]] bool wants_room() const { return wanted_ != 0; }
    /// false: there is no memory. What has been received stays, for the next call.
    bool make_room();
    /// Whether there was no memory for a record since this was last asked.
    bool take_lack_of_room() { return std::exchange(lacks_room_, false); }
    /// Room for a record of so many bytes. false: there is no memory.
    bool room_to_write(std::size_t bytes);
    /// Lets go of what holds nothing.
    void release_idle_buffers();
    /// The same on a board, which lacks memory. On a host, making room anew takes a tenth of the
    /// time of a short record: what is there stays until the connection is at rest.
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

    /// Sequence number, header, and what protection adds at the most (nonce, MAC, padding of CBC).
    static constexpr std::size_t around_a_record = 8 + 5 + 16 + 48 + 16;
    static constexpr std::size_t alert_bytes = 2;

    mbedtls_ssl_context& ssl_;
    std::size_t wanted_ = 0;
    bool lacks_room_ = false;
    /// What has been received of a record that Mbed TLS has not got yet.
    std::uint8_t header_size_ = 0;
    std::size_t body_size_ = 0;
    std::uint8_t header_[5];
    /// Between records: a header always has its place, and an alert.
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

/// Mbed TLS writes every message of the handshake by itself. Gathered, they leave in one piece: a
/// radio is switched on once, and Nagle's algorithm (RFC 896) has nothing to wait for. The results
/// are those of Mbed TLS's hooks.
class Flight {
  public:
    Flight() = default;
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;
    ~Flight();

    int write(RecordTransport& wire, Bytes from);
    /// Sends what is held.
    int send(RecordTransport& wire);
    /// The handshake is over, and nothing is held.
    void end();
    static int write_now(RecordTransport& wire, Bytes from);

  private:
    bool make_room(std::size_t bytes);

    static constexpr std::size_t most = 1400;  // what one TCP segment carries

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
    /// Whether that much early data, which this side does not take, is skipped.
    bool may_skip(std::size_t early_data);
    /// Called for each certificate of a chain, the topmost first.
#ifndef USSL_PATCHED_MBEDTLS
    /// Called before that; false: there would be too many (policy::max_signature_checks).
    bool limit_signatures(const mbedtls_x509_crt& chain, const mbedtls_x509_crt* trusted);
#endif
    int verify(mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags);
    /// Called, where there is a root store, for the trusted certificates that may have issued a
    /// certificate. Mbed TLS releases them.
    int find_issuers(const mbedtls_x509_crt& certificate, mbedtls_x509_crt*& found);
    [[nodiscard]] bool looks_up_issuers() const { return !context().root_store().empty(); }
    /// Called for each ClientHello.
    int choose_context();
    /// Called for each secret, where they are logged.
    void log_key(std::string_view label, Bytes client_random, Bytes secret);
    /// Called for this side's signature, in place of mbedtls_pk_sign_ext().
    int sign(mbedtls_pk_type_t type, mbedtls_pk_context& key, mbedtls_md_type_t hash, Bytes digest,
             MutableBytes signature, std::size_t& length);
    /// Called for each identity that a client offers.
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
    /// Both have agreed on it.
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
    /// What verification found, as bits of Error::certificate_failures.
    std::uint16_t certificate_failures_ = 0;
    /// The certificates that verify() was called for, by their depth; they are alive until the
    /// leaf's turn.
    struct Link {
        const mbedtls_x509_crt* certificate;
        std::uint32_t flags;
    };
    std::unique_ptr<Link, Release> path_;
    /// What find_issuers() found last; null: nothing, or there is no root store.
    const mbedtls_x509_crt* issuers_ = nullptr;
    int path_depth_ = 0;
    bool was_verified_ = false;
#ifndef USSL_PATCHED_MBEDTLS
    bool signatures_are_limited_ = false;
#endif
    bool lacked_memory_ = false;
    bool lacked_key_ = false;  ///< that the program left to this side to sign with
    bool chain_is_too_long_ = false;
    bool goodbye_begun_ = false;
    std::uint8_t empty_records_ = 0;  ///< since the last plaintext
    bool resumed_ = false;
    bool has_extended_secret_ = false;  ///< TLS 1.2: RFC 7627
    std::uint8_t passed_over_ = 0;      ///< records in a row
    std::uint16_t skipped_ = 0;         ///< bytes of early data
    std::uint16_t group_ = 0;
    bool identity_is_first_ = false;  ///< of the message at hand
    /// The client's max_fragment_length, where this server does not agree to it.
    std::uint8_t wanted_fragment_code_ = 0;
    std::unique_ptr<std::uint8_t, Release> peer_der_;
    std::size_t peer_der_size_ = 0;
    mutable char cipher_name_[64];
};

/// One extension of a certificate or CRL.
struct Extension {
    Bytes oid;
    bool critical = false;
    Bytes value;  ///< the OCTET STRING; empty: it cannot be read
};

/// Calls `take` with each extension of a list (RFC 5280 §4.2), which may be null, until it says
/// false. False: it did, or they cannot be read. What stands behind the list is of no matter.
template <class Take>
bool for_each_extension(unsigned char* at, const unsigned char* end, Take take) {
    constexpr int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    std::size_t size = 0;
    if (at == nullptr)
        return true;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    end = at + size;
    while (at != end) {
        if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
            return false;
        unsigned char* next = at + size;
        if (mbedtls_asn1_get_tag(&at, next, &size, MBEDTLS_ASN1_OID) != 0)
            return false;
        const Bytes oid{at, size};
        at += size;
        int critical = 0;  // and stays, where it is left out
        (void)mbedtls_asn1_get_bool(&at, next, &critical);
        Bytes value;
        if (mbedtls_asn1_get_tag(&at, next, &size, MBEDTLS_ASN1_OCTET_STRING) == 0)
            value = {at, size};
        if (!take(Extension{oid, critical != 0, value}))
            return false;
        at = next;
    }
    return true;
}

// verify.cpp
/// Whether a certificate that Mbed TLS has read is one by RFC 5280: it is not strict in everything.
bool is_readable(const mbedtls_x509_crt& certificate);
/// Returns whether the text of both names fits its type (UTF8String, BMPString).
bool names_are_readable(const mbedtls_x509_crt& certificate);
/// Keeps trusted certificates that are no authorities from issuing others.
void restrict_issuers(mbedtls_x509_crt& trusted);
/// Adds the failures of one certificate of a chain; `issuer` is null for the topmost.
/// `roots` are the trusted certificates that may have issued the topmost.
void find_failures(const MbedContext& context, const mbedtls_x509_crt& certificate,
                   const mbedtls_x509_crt* issuer, const mbedtls_x509_crt& roots, int depth,
                   std::uint32_t flags, Found& found);
/// The root that a trust anchor was made of; none: it was not made of the root store.
std::optional<RootStore::Root> root_of(const MbedContext& context,
                                       const mbedtls_x509_crt& certificate);
bool is_among_trusted(const MbedContext& context, const mbedtls_x509_crt& certificate);
bool is_for(const mbedtls_x509_crt& certificate, const HostName& name);
/// Whether the certificate, or its public key, is one of those.
bool is_pinned(Bytes pins, const mbedtls_x509_crt& certificate);
std::uint8_t alert_of(Code worst);
/// For mbedtls_ssl_set_verify().
int verify_hook(void* session, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags);

// certificate.cpp
CertificateVisitor::Time time_of(const mbedtls_x509_time& time);
/// false: no memory.
bool describe(const mbedtls_x509_crt& certificate, CertificateVisitor& visitor);
bool describe_first(Bytes data, CertificateVisitor& visitor);

// credentials.cpp
/// Whether TLS has a signature for a key, with the groups that are offered.
bool can_sign(const mbedtls_pk_context& key);
/// false: there is none that can be read.
bool parse_first_certificate(Bytes data, mbedtls_x509_crt& certificate);

// self_signed.cpp
std::optional<ConfigError> make_self_signed(const SelfSignedFor& what, SelfSigned& made);

// engine.cpp
/// What Mbed TLS needs before its cryptography is used; any number of times.
bool start_up();
void shut_down();
bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);
/// Seconds since 1970, by the clock.
std::int64_t now();
/// A time as Mbed TLS has it in certificates.
mbedtls_x509_time x509_time(std::int64_t seconds_since_1970);

// suites.cpp
/// IANA's name of a suite in `into`; empty: Mbed TLS does not know it.
std::string_view suite_name(int suite, std::span<char> into);
/// As Engine::for_each_suite().
bool for_each_suite(SuiteVisitor& visitor);

// groups.cpp
/// As Engine::best_groups: Mbed TLS computes fastest with P-256.
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
/// In the form that Mbed TLS calls.
int random_bytes(void*, unsigned char* into, std::size_t size);

// error.cpp
Code code_of(int ret);
/// Of an error from below TLS and X.509, a sum of a module's and a low-level one, the former.
constexpr int module_of(int ret) {
    return -(-ret & ~0x7F);
}

// memory.cpp
/// Whether memory ran out since this was last asked, in this thread.
bool take_lack_of_memory();
/// The same for what ussl asked for by itself; false, for the caller to return.
bool lacks_memory();

// crypto.cpp
extern const EngineCrypto crypto;

}  // namespace ussl::mbedtls
