#pragma once

// THE seam: everything that ussl needs from a TLS library. An engine is one folder that implements
// these two classes and one table. docs/explanation/design.md explains why the seam is here.
// Includes no header of the layers above it.

#include <expected>
#include <optional>

#include "callbacks.hpp"
#include "context_settings.hpp"
#include "failed_certificate.hpp"
#include "hostname.hpp"
#include "switches.h"
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

/// The result of one call of an engine.
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

/// A session that a server sent for resumption.
struct NewSession {
    SecretBytes data;
    std::uint32_t lifetime = 0;  ///< seconds, from the server (RFC 5077 §3.3); 0: not given
};

/// The properties of a connection after its handshake.
struct SessionFacts {
    Version version = Version::none;
    Cipher cipher;
    std::uint16_t group = 0;  ///< of the key exchange; 0: no group with a number, or unknown
    Bytes alpn;
    bool resumed = false;  ///< an earlier session was resumed
};

/// Objects that the Connection owns and its EngineSession uses; they outlive the EngineSession.
struct SessionResources : OnHeap {
    RecordTransport transport;
    EngineCallbacks callbacks{transport};
    FailedCertificate failed_certificate;  ///< set if verification failed
};

/// One connection inside an engine. Its only I/O is through the transport, and it never waits.
class EngineSession : public OnHeap {
  public:
    explicit EngineSession(SessionResources& resources)
        : transport_(resources.transport),
          callbacks_(resources.callbacks),
          failed_(resources.failed_certificate) {}
    virtual ~EngineSession() = default;

    virtual Outcome handshake() = 0;
    /// Reads plaintext into `into`. If `into` is empty, processes at most one record, and returns
    /// `done` when plaintext is buffered. `end` only means the peer's close_notify. After
    /// `no_memory`, the next read continues without loss of data.
    virtual Outcome read(MutableBytes into) = 0;
    /// Writes at most one record; `from` is never empty. `done` with a count: accepted and sent.
    /// `want_write` with a count: accepted, but partly unsent; call flush() before any other write.
    /// `want_write` without a count: nothing was accepted, because the engine must first send a
    /// message of its own.
    virtual Outcome write(Bytes from) = 0;
    /// Sends data that write() accepted.
    virtual Outcome flush() = 0;
    /// Sends close_notify.
    virtual Outcome close_notify() = 0;
    /// Called after the handshake, without buffered data: releases memory that only active records
    /// need.
    virtual void release_idle_buffers() = 0;
    /// Client, before the handshake: offers a session of take_session(). `failed`: the session is
    /// unusable; `no_memory`: a full handshake follows.
    virtual Outcome resume(Bytes session) = 0;

    /// Returns the number of bytes of buffered plaintext; called after every other call.
    [[nodiscard]] virtual std::size_t pending() const = 0;
    [[nodiscard]] virtual SessionFacts facts() const = 0;
    /// Returns the peer's certificate in DER. Empty: none. Valid until the session ends.
    [[nodiscard]] virtual Bytes peer_certificate() const = 0;
    /// Returns false if there is no certificate, or if memory runs out.
    virtual bool describe_peer(CertificateVisitor& visitor) const = 0;

    /// Returns the engine's reason for the last failure. Connection::explain() corrects it with
    /// facts of the transport and the policy.
    [[nodiscard]] const Error& failure() const { return failure_; }
    /// Client: returns true if it has a certificate, but the server's CertificateRequest does not
    /// allow a signature of its key.
    [[nodiscard]] bool withholds_certificate() const { return withholds_certificate_; }
    /// Client: returns a session for resumption, if the server has sent one since the last call.
    /// Empty: no session, or out of memory.
    NewSession take_session() { return std::exchange(new_session_, {}); }

  protected:
    RecordTransport& transport_;
    EngineCallbacks& callbacks_;
    FailedCertificate& failed_;
    // Set by the engine.
    Error failure_;
    NewSession new_session_;
    bool withholds_certificate_ = false;
};

/// The engine's shared part of connections. Several threads use it at the same time.
class EngineContext : public OnHeap {
  public:
    /// `settings` must outlive the context.
    explicit EngineContext(const ContextSettings& settings) : settings_(settings) {}
    virtual ~EngineContext() = default;
    [[nodiscard]] const ContextSettings& settings() const { return settings_; }
    /// `resources` must outlive the session; `name` (may be null) must outlive its handshake.
    /// Returns nullptr if memory runs out.
    virtual Owned<EngineSession> make_session(SessionResources& resources,
                                              const HostName* name) = 0;
    [[nodiscard]] virtual StoreStats store_stats() const = 0;
    /// Returns true if there are CRLs. store_stats() may read all of the system's store.
    [[nodiscard]] virtual bool has_crls() const = 0;
    /// Computes SHA-256 over the trust anchors and CRLs, including the system's store if it is
    /// used. Returns false on failure.
    virtual bool store_digest(std::span<std::uint8_t, 32> out) const = 0;

  private:
    const ContextSettings& settings_;
};

/// The function table of an engine, one constant per engine.
struct Engine {
    std::string_view (*version)();
    bool has_system_store;
    bool has_root_store;
    bool has_tls1_3;
    bool has_psk;
    bool has_alpn;
    bool has_crls;
    bool has_signing_by_program;
    /// Passes those of policy::every_suite that the engine has to `visitor`, in that order. Returns
    /// false if memory runs out. nullptr without features::context.
    bool (*for_each_suite)(SuiteVisitor& visitor);
    /// The default key exchange groups, best first; groups that the engine lacks are ignored.
    std::span<const std::uint16_t> best_groups;
    /// Returns a bit mask of the groups in groups::all that the engine has: bit 0 is the first.
    /// nullopt: out of memory.
    std::optional<std::uint32_t> (*find_groups)();
    /// Computes SHA-256 over the concatenated parts. Returns false on failure.
    bool (*sha256)(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);
    /// Returns the time that certificates are checked against, in seconds since 1970.
    std::int64_t (*now)();
    /// Writes random bytes of a generator that is suitable for keys. Returns false on failure.
    bool (*random)(MutableBytes out);
    /// The functions for MicroPython's hashlib and cryptolib (engine_crypto.hpp), or nullptr.
    const EngineCrypto* crypto;
    /// As describe_certificate() and make_self_signed() of ussl/certificate.hpp, with valid names.
    /// Without features::cert_dict and features::self_signed, they are nullptr.
    bool (*describe)(Bytes data, CertificateVisitor& visitor);
    std::optional<ConfigError> (*make_self_signed)(const SelfSignedFor& what, SelfSigned& made);
    /// Parses and copies the content of `options`. Rules that need no parsing were already checked.
    std::expected<Owned<EngineContext>, ConfigError> (*make_context)(
        const ContextSettings& settings, const Options& options);
    /// As shut_down() of ussl/context.hpp.
    void (*shut_down)();
    /// As wipe_released_memory() of ussl/context.hpp.
    bool (*wipe_released_memory)();
};

}  // namespace ussl
