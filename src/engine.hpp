#pragma once

// THE seam: all that ussl asks of a TLS library. A third engine is one new folder that implements
// these two classes and one table; nothing else changes. docs/design.md says why it is cut here.

#include "callbacks.hpp"
#include "failed_certificate.hpp"
#include "hostname.hpp"
#include "ussl/certificate.hpp"
#include "ussl/connection.hpp"
#include "ussl/crypto.hpp"

namespace ussl {

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

/// One connection inside an engine. Moves bytes through wire() and nothing else; never waits.
class EngineSession : public OnHeap {
  public:
    virtual ~EngineSession() = default;

    virtual Outcome handshake() = 0;
    /// Plaintext into `into`. An empty `into` takes in one record at the most and says done when
    /// plaintext is held. `end` is the peer's close_notify only. After `no_memory`, the next read
    /// goes on: nothing is lost.
    virtual Outcome read(MutableBytes into) = 0;
    /// One record at the most, never empty. `done` with a count: taken and sent. `want_write` with
    /// a count: taken, not all of it sent; flush() before any other write. `want_write` without
    /// one: something of the engine's own must leave first, nothing was taken.
    virtual Outcome write(Bytes from) = 0;
    /// Sends what write() took.
    virtual Outcome flush() = 0;
    /// Sends close_notify.
    virtual Outcome close_notify() = 0;
    /// After the handshake, with nothing held back: lets go of memory that only records under way
    /// need.
    virtual void release_idle_buffers() = 0;

    /// Client, before the handshake: what take_session() gave. `failed`: it cannot be used;
    /// `no_memory`: a full handshake is made.
    virtual Outcome resume(Bytes session) = 0;
    /// After the handshake: an earlier session was resumed.
    [[nodiscard]] virtual bool resumed() const = 0;
    /// Client: what a later connection can be resumed with, if something has come since this was
    /// last called. Empty: nothing, or no memory.
    virtual NewSession take_session() = 0;

    /// Why the last step failed, as far as the engine knows: its own view, before the wire and the
    /// policy have had their say.
    [[nodiscard]] virtual Error failure() const = 0;
    /// The certificate that failed, if the failure is one of verification.
    [[nodiscard]] std::string_view failed_certificate() const { return failed_.text(); }
    /// Client: it has a certificate, but the server asks for none that it could sign with.
    [[nodiscard]] virtual bool withholds_certificate() const { return false; }

    [[nodiscard]] virtual std::size_t pending() const = 0;
    [[nodiscard]] virtual Version version() const = 0;
    [[nodiscard]] virtual Cipher cipher() const = 0;
    [[nodiscard]] virtual Bytes alpn() const = 0;
    [[nodiscard]] virtual Bytes peer_certificate() const = 0;
    virtual bool describe_peer(CertificateVisitor& visitor) const = 0;

    RecordTransport& transport() { return transport_; }
    [[nodiscard]] const RecordTransport& transport() const { return transport_; }
    EngineCallbacks& callbacks() { return callbacks_; }
    [[nodiscard]] const EngineCallbacks& callbacks() const { return callbacks_; }

  protected:
    RecordTransport transport_;
    EngineCallbacks callbacks_{transport_};
    FailedCertificate failed_;
};

/// What connections of one kind share inside an engine. Used by several threads at once.
class EngineContext : public OnHeap {
  public:
    virtual ~EngineContext() = default;
    /// `name` (may be null) outlives the session's handshake. nullptr: out of memory.
    virtual Owned<EngineSession> make_session(const HostName* name) = 0;
    [[nodiscard]] virtual StoreStats store_stats() const = 0;
    /// SHA-256 over what is trusted, the content of the system's store if that is in use. false: it
    /// could not be computed.
    virtual bool store_digest(std::span<std::uint8_t, 32> out) const = 0;
};

/// The table of an engine, one constant each.
struct Engine {
    std::string_view (*version)();
    bool has_system_store;
    bool has_tls1_3;
    bool has_psk;
    bool has_alpn;
    bool has_crls;
    bool has_signing_by_program;
    /// Those of policy::every_suite() that the engine has, in that order; false: no memory.
    bool (*for_each_suite)(SuiteVisitor& visitor);
    /// SHA-256 over the parts, one after the other; false: it could not be computed.
    bool (*sha256)(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);
    /// Seconds since 1970, of the clock that certificates are checked with.
    std::int64_t (*now)();
    /// Random bytes, from a generator that is fit for keys; false: there are none.
    bool (*random)(MutableBytes out);
    /// As make_hasher() and make_aes() of ussl/crypto.hpp.
    Owned<Hasher> (*make_hasher)(Hash hash);
    Owned<BlockCipher> (*make_aes)(Bytes key, BlockMode mode, Bytes iv, bool encrypt);
    /// As describe_certificate() and make_self_signed() of ussl/certificate.hpp; of good names.
    bool (*describe)(Bytes data, CertificateVisitor& visitor);
    std::optional<ConfigError> (*make_self_signed)(const SelfSignedFor& what, SelfSigned& made);
    /// Parses and keeps what `options` says; option rules that need no parsing were checked.
    std::expected<Owned<EngineContext>, ConfigError> (*make_context)(const Options& options);
    /// As shut_down() of ussl/context.hpp.
    void (*shut_down)();
};

}  // namespace ussl
