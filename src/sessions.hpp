#pragma once

// The sessions that clients can resume, and the rules for their resumption
// (docs/explanation/design.md).

#include <atomic>

#include "engine.hpp"
#include "ussl/context.hpp"

namespace ussl {

/// The times that limit the use of a session, in seconds since 1970.
struct SessionTimes {
    std::int64_t verified_at = 0;  ///< the time of the full handshake that created the session
    std::int64_t not_after = 0;    ///< the end of the validity period of the server's certificate
    std::int64_t until = 0;        ///< the server's lifetime limit (RFC 5077 §3.3, RFC 8446 §4.6.1)
};

/// A hash of the server name and of the verification settings. A session is only resumed in the
/// same scope.
using SessionScope = std::array<std::uint8_t, 32>;

/// A session that a client can resume. Contains secrets; immutable and reference-counted.
class StoredSession final : public OnHeap {
  public:
    /// `content`: a SHA-256 hash over the scope and the rest, the SessionTimes, then the engine's
    /// data.
    StoredSession(const SessionScope& scope, SecretBytes content)
        : scope_(scope), content_(std::move(content)) {}

    [[nodiscard]] Bytes bytes() const { return {content_.data(), content_.size()}; }
    [[nodiscard]] Bytes engine_data() const { return bytes().subspan(hash_size + times_size); }
    [[nodiscard]] SessionTimes times() const;

    void retain() { uses_.fetch_add(1, std::memory_order_relaxed); }
    void drop() {
        if (uses_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    static constexpr std::size_t hash_size = 32;
    static constexpr std::size_t times_size = 24;

  private:
    friend class Sessions;
    std::atomic<unsigned> uses_{1};
    SessionScope scope_;
    Ref<StoredSession> next_;
    SecretBytes content_;
};

/// The sessions of one client context. Several threads may use them.
class Sessions final : public OnHeap {
  public:
    /// `settings` must outlive the result. nullptr: out of memory, or the hash of the options could
    /// not be computed.
    static Owned<Sessions> make(const Engine& engine, const EngineContext& engine_context,
                                const ContextSettings& settings, const Options& options);

    /// Computes the scope of a session. nullopt: the hash could not be computed.
    [[nodiscard]] std::optional<SessionScope> scope_of(std::string_view server_hostname) const;
    /// Creates a session. nullptr: out of memory, or the hash could not be computed.
    [[nodiscard]] Ref<StoredSession> create(const SessionScope& scope, const SessionTimes& times,
                                            Bytes engine_data) const;
    /// Creates a session from the bytes() of another one. nullptr: the bytes are damaged, belong to
    /// another context or server, or memory ran out.
    [[nodiscard]] Ref<StoredSession> load(const SessionScope& scope, Bytes bytes) const;

    /// Returns the time in seconds since 1970: Options::verify_time, or the clock's.
    [[nodiscard]] std::int64_t now() const;
    /// Returns true if the session has not expired.
    [[nodiscard]] bool is_in_time(const SessionTimes& times) const;
    /// Returns false with CERT_NONE: validity periods are not checked.
    [[nodiscard]] bool verifies() const { return settings_.verify != Verify::none; }

    /// Removes and returns the stored session of that scope, or nullptr.
    Ref<StoredSession> take(const SessionScope& scope);
    /// Stores a session, and replaces any other one of the same scope.
    void remember(Ref<StoredSession> session);
    /// Removes the stored session of that scope, if it is `session`.
    void forget(const Ref<StoredSession>& session, const SessionScope& scope);

  private:
    class Lock;

    Sessions(const Engine& engine, const ContextSettings& settings);
    bool set_scope(const Engine& engine, const EngineContext& engine_context,
                   const Options& options);
    bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) const {
        return sha256_(parts, out);
    }
    [[nodiscard]] Ref<StoredSession> seal(const SessionScope& scope, SecretBytes content) const;

    const ContextSettings& settings_;
    bool (*const sha256_)(std::span<const Bytes>, std::span<std::uint8_t, 32>);
    std::int64_t (*const now_)();
    std::atomic_flag lock_ = ATOMIC_FLAG_INIT;
    Ref<StoredSession> newest_;
    SessionScope scope_ = {};  ///< of the context
};

/// The sessions of one client connection: the offered one, and the newest one from the server.
/// Without effect if the context does not resume sessions.
class Resumption {
  public:
    /// Before the handshake: offers `session` to the server. Empty: the context's stored session
    /// for this server, if `server_hostname` is not empty.
    std::optional<ConfigError> offer(const Context& context, EngineSession& engine, Bytes session,
                                     std::string_view server_hostname);
    /// After the handshake. Call keep() next.
    void end_handshake(const SessionFacts& facts);
    /// Stores the session that the server has sent since the last call, if any.
    void keep(EngineSession& engine);
    /// Removes the newest session from the context.
    void forget();
    /// Returns the newest session from the server. Empty: none.
    [[nodiscard]] Bytes newest() const { return newest_ ? newest_->bytes() : Bytes{}; }

  private:
    bool offer(EngineSession& engine, const Ref<StoredSession>& session);
    bool find_not_after(const EngineSession& engine);

    Sessions* sessions_ = nullptr;  ///< nullptr: the connection uses no sessions
    Ref<StoredSession> newest_;
    Ref<StoredSession> offered_;  ///< until the handshake is complete
    SessionScope scope_ = {};
    SessionTimes times_;  ///< of sessions that this connection receives
    bool is_named_ = false;
};

}  // namespace ussl
