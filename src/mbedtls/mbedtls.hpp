#pragma once

// Shared by the files of this engine; the only header of ours that includes Mbed TLS's.

// Alerts that came in or went out, and what a certificate's constraints say, have no accessors.
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
// Mbed TLS 3.6 forgot it here.
extern "C" {
#include <mbedtls/psa_util.h>
}

#include "../engine.hpp"

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
using Key = Holder<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;

class Session;

class Context final : public EngineContext {
  public:
    static std::expected<Owned<EngineContext>, Refusal> make(const Options& options);
    Owned<EngineSession> make_session(const HostName* name) override;

    [[nodiscard]] Role role() const { return role_; }
    [[nodiscard]] Verify verify() const { return verify_; }
    [[nodiscard]] bool uses_psk() const { return psk_; }
    [[nodiscard]] const mbedtls_x509_crt& trusted() const { return trusted_; }

  private:
    friend class Session;
    friend struct OnHeap;
    Context() = default;

    bool set_up(const Options& options);
    std::optional<Refusal> load_identity(const Options& options);
    std::optional<Refusal> load_trusted(const Options& options);

    // In this order: the configuration points to the others.
    Certificates trusted_;
    Certificates chain_;
    Key key_;
    SslConfig config_;
    Role role_ = Role::client;
    Verify verify_ = Verify::none;
    bool psk_ = false;
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

    int write(Wire& wire, Bytes from);
    /// Sends what is held.
    int send(Wire& wire);
    /// The handshake is over, and nothing is held.
    void end();
    static int write_now(Wire& wire, Bytes from);

  private:
    static constexpr std::size_t capacity = 1400;  // what one TCP segment carries

    std::uint8_t* held_ = nullptr;
    std::size_t size_ = 0;
};

class Session final : public EngineSession {
  public:
    static Owned<EngineSession> make(const Context& context, const HostName* name);

    Outcome handshake() override;
    Outcome read(MutableBytes into) override;
    Outcome write(Bytes from) override;
    Outcome flush() override;
    Outcome close_notify() override;
    [[nodiscard]] Error failure() const override { return failure_; }
    [[nodiscard]] bool psk_identity_unknown() const override { return psk_identity_unknown_; }
    [[nodiscard]] std::size_t pending() const override;
    [[nodiscard]] Version version() const override;
    [[nodiscard]] Cipher cipher() const override;
    [[nodiscard]] Bytes peer_certificate() const override;
    bool describe_peer(CertificateVisitor& visitor) const override;

    // Called by Mbed TLS.
    int receive(MutableBytes into);
    int send(Bytes from);
    /// Called for each certificate of a chain, the topmost first.
    int verify(mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags);
    /// Called for each identity that a client offers.
    int find_psk(Bytes identity);

  private:
    friend struct OnHeap;
    explicit Session(const Context& context, const HostName* name)
        : context_(context), name_(name) {}
    Outcome outcome_of(int ret);
    Outcome fail(int ret);
    Outcome refuse(const Error& error, std::uint8_t alert);
    Outcome judge_peer();

    const Context& context_;
    const HostName* name_;
    Ssl ssl_;
    Flight flight_;
    Error failure_;
    /// What verification found, as bits of Error::certificate_failures.
    std::uint16_t certificate_failures_ = 0;
    bool seen_topmost_ = false;
    bool was_verified_ = false;
    bool lacked_memory_ = false;
    bool psk_identity_unknown_ = false;
    const std::uint8_t* identities_end_ = nullptr;
    mutable char cipher_name_[64];
};

// verify.cpp
/// The failures of one certificate of a chain, as bits; `trusted`: it is a root of ours.
std::uint16_t failures_of(const Context& context, const mbedtls_x509_crt& certificate, int depth,
                          std::uint32_t flags, bool trusted);
bool is_for(const mbedtls_x509_crt& certificate, const HostName& name);
std::uint8_t alert_of(Code worst);

// certificate.cpp
void describe(const mbedtls_x509_crt& certificate, CertificateVisitor& visitor);

// error.cpp
Code code_of(int ret);

// memory.cpp
/// Whether memory ran out since this was last asked, in this thread.
bool take_lack_of_memory();

}  // namespace ussl::mbedtls
