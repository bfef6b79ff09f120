#pragma once

// THE seam: all that ussl asks of a TLS library. An engine is one folder that implements these two
// classes and one table. docs/design.md explains why the seam is here. Nothing above it is
// included.

#include <expected>
#include <optional>

#include "callbacks.hpp"
#include "context_settings.hpp"
#include "failed_certificate.hpp"
#include "hostname.hpp"
#include "ussl/error.hpp"
#include "ussl/types.hpp"

namespace ussl {

class CertificateVisitor;
class SuiteVisitor;
struct ConfigError;
struct EngineCrypto;
struct Options;
struct SelfSigned;
struct SelfSignedFor;
struct StoreStats;

/// What one step of an engine came to.
struct Outcome {
    enum class Kind : std::uint8_t { done, want_read, want_write, end, no_memory, failed };
    Kind kind;
    std::size_t count = 0;

    static constexpr Outcome done(std::size_t n = 0) { return {Kind::done, n}; }
    static constexpr Outcome want_read() { return {Kind::want_read}; }
    static constexpr Outcome want_write(std::size_t n = 0) { return {Kind::want_write, n}; }
    static constexpr Outcome end() { return {Kind::end}; }
    static constexpr Outcome no_memory() { return {Kind::no_memory}; }
    static constexpr Outcome failed() { return {Kind::failed}; }
};

/// What a server gave to resume with.
struct NewSession {
    SecretBytes data;
    std::uint32_t lifetime = 0;  ///< seconds, as the server says (RFC 5077 §3.3); 0: it does not
};

/// What is known of a connection once its handshake is done.
struct SessionFacts {
    Version version = Version::none;
    Cipher cipher;
    std::uint16_t group = 0;  ///< of the key exchange; 0: none with a number, or it is not known
    Bytes alpn;
    bool resumed = false;  ///< an earlier session was resumed
};

/// What a connection owns and its session uses; it outlives the session.
struct SessionResources final : OnHeap {
    RecordTransport transport;
    EngineCallbacks callbacks{transport};
    FailedCertificate failed_certificate;  ///< if the failure is one of verification
};

/// One connection inside an engine. Moves bytes through the transport and nothing else; never
/// waits.
class EngineSession : public OnHeap {
  public:
    explicit EngineSession(SessionResources& resources)
        : transport_(resources.transport),
          callbacks_(resources.callbacks),
          failed_(resources.failed_certificate) {}
    virtual ~EngineSession() = default;

    virtual Outcome handshake() = 0;
    /// Reads plaintext into `into`. If `into` is empty, it processes one record at most and returns
    /// done when plaintext is buffered. `end` is the peer's close_notify only. After `no_memory`,
    /// the next read continues: nothing is lost.
    virtual Outcome read(MutableBytes into) = 0;
    /// One record at most, never empty. `done` with a count: accepted and sent. `want_write` with a
    /// count: accepted, not all of it sent; flush() before any other write. `want_write` without a
    /// count: the engine must send something of its own first, nothing was accepted.
    virtual Outcome write(Bytes from) = 0;
    /// Sends what write() accepted.
    virtual Outcome flush() = 0;
    /// Sends close_notify.
    virtual Outcome close_notify() = 0;
    /// After the handshake, with nothing buffered: releases memory that only active records need.
    virtual void release_idle_buffers() = 0;
    /// Client, before the handshake: what take_session() returned. `failed`: it cannot be used;
    /// `no_memory`: a full handshake is made.
    virtual Outcome resume(Bytes session) = 0;

    /// Bytes of plaintext that are buffered; asked after every call.
    [[nodiscard]] virtual std::size_t pending() const = 0;
    [[nodiscard]] virtual SessionFacts facts() const = 0;
    /// The peer's certificate, DER; empty: none. Valid until the session ends.
    [[nodiscard]] virtual Bytes peer_certificate() const = 0;
    /// false: there is none, or no memory.
    virtual bool describe_peer(CertificateVisitor& visitor) const = 0;

    /// Why the last step failed, as far as the engine knows, before the transport and the policy
    /// correct it.
    [[nodiscard]] const Error& failure() const { return failure_; }
    /// Client: it has a certificate, but the server requests none that it could sign with.
    [[nodiscard]] bool withholds_certificate() const { return withholds_certificate_; }
    /// Client: what a later connection can be resumed with, if the server has sent something since
    /// the last call. Empty: nothing, or no memory.
    NewSession take_session() { return std::exchange(new_session_, {}); }

  protected:
    RecordTransport& transport_;
    EngineCallbacks& callbacks_;
    FailedCertificate& failed_;
    // The engine sets these.
    Error failure_;
    NewSession new_session_;
    bool withholds_certificate_ = false;
};

/// What connections of one kind share inside an engine. Used by several threads at once.
class EngineContext : public OnHeap {
  public:
    /// `settings` outlive the context.
    explicit EngineContext(const ContextSettings& settings) : settings_(settings) {}
    virtual ~EngineContext() = default;
    [[nodiscard]] const ContextSettings& settings() const { return settings_; }
    /// `resources` outlive the session, and `name` (may be null) its handshake. nullptr: out of
    /// memory.
    virtual Owned<EngineSession> make_session(SessionResources& resources,
                                              const HostName* name) = 0;
    [[nodiscard]] virtual StoreStats store_stats() const = 0;
    /// SHA-256 over what is trusted, the content of the system's store if that is in use. false: it
    /// could not be computed.
    virtual bool store_digest(std::span<std::uint8_t, 32> out) const = 0;

  private:
    const ContextSettings& settings_;
};

/// The table of an engine, one constant each.
struct Engine {
    std::string_view (*version)();
    bool has_system_store;
    bool has_root_store;
    bool has_tls1_3;
    bool has_psk;
    bool has_alpn;
    bool has_crls;
    bool has_signing_by_program;
    /// Those of policy::every_suite() that the engine has, in that order; false: no memory.
    bool (*for_each_suite)(SuiteVisitor& visitor);
    /// The default key exchange groups, best first; those that the engine lacks are left out.
    std::span<const std::uint16_t> best_groups;
    /// Which of groups::all the engine has: bit 0 is the first. nullopt: no memory.
    std::optional<std::uint32_t> (*find_groups)();
    /// SHA-256 over the parts, one after the other; false: it could not be computed.
    bool (*sha256)(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);
    /// Seconds since 1970, of the clock that certificates are checked with.
    std::int64_t (*now)();
    /// Random bytes, from a generator that is fit for keys; false: there are none.
    bool (*random)(MutableBytes out);
    /// What MicroPython's hashlib and cryptolib need (engine_crypto.hpp); nullptr: nothing.
    const EngineCrypto* crypto;
    /// As describe_certificate() and make_self_signed() of ussl/certificate.hpp; of good names.
    bool (*describe)(Bytes data, CertificateVisitor& visitor);
    std::optional<ConfigError> (*make_self_signed)(const SelfSignedFor& what, SelfSigned& made);
    /// Parses and keeps what `options` says; option rules that need no parsing were checked.
    std::expected<Owned<EngineContext>, ConfigError> (*make_context)(
        const ContextSettings& settings, const Options& options);
    /// As shut_down() of ussl/context.hpp.
    void (*shut_down)();
    /// As wipe_released_memory() of ussl/context.hpp.
    bool (*wipe_released_memory)();
};

}  // namespace ussl
