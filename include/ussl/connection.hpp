#pragma once

#include "ussl/context.hpp"

namespace ussl {

class EngineSession;
class CertificateVisitor;
class HostName;
struct Outcome;
struct SessionResources;

/// What a call on a connection came to.
struct Progress {
    enum class Kind : std::uint8_t {
        done,     ///< it is done; `count` bytes were moved, where bytes are moved
        blocked,  ///< the stream must become ready (Connection::poll_interest) before it can go on
        timed_out,    ///< as blocked, after waiting as long as the stream itself waits
        interrupted,  ///< as blocked: the stream ended the call (IoResult::aborted)
        end,          ///< read: the peer sends nothing more
        no_memory,    ///< read: there is no memory for a record; a later call goes on with it
        failed,       ///< Connection::error says why, now and ever after
        misuse,       ///< the call does not fit the connection's state (BAD_USE); nothing happened
        closed,       ///< the connection was closed by this side
    };
    Kind kind;
    std::size_t count = 0;

    /// Whether it is done.
    constexpr explicit operator bool() const { return kind == Kind::done; }
};

/// What a read (or write) waits for.
enum class PollInterest : std::uint8_t {
    nothing,  ///< it makes progress, or fails, without the stream
    stream_readable,
    stream_writable,
};

/// One TLS connection over a stream that the program owns.
///
/// Every call is handed the Host to work with, blocks only where the stream blocks, and never
/// waits in a loop. The first fatal error is kept; later calls fail with it again.
///
/// One call at a time uses the connection. A call that finds another thread's under way waits for
/// it as Callbacks::wait_for_turn() says; so, over a stream that does not block, one thread may
/// read while another one writes. A call from within a callback is misuse and changes nothing. What
/// a poll asks (poll_interest(), unsent(), pending() and the like) may be called by any thread at
/// any time, and says what was true at the end of the last call; everything else that is read of
/// the connection beside other threads needs hold().
class Connection final : public OnHeap {
  public:
    struct Settings {
        /// Client: the server's DNS name or IP address; sent as SNI unless it is an address
        /// (RFC 6066 §3), and checked against the certificate (RFC 9525). Empty: none.
        std::string_view server_hostname{};
        /// End of stream without close_notify: true gives TRUNCATED, false an ordinary end.
        /// During the handshake or inside a record it is an error in any case.
        bool report_truncation = false;
        /// The stream gives what is there, however much is asked for, as a socket does: fewer and
        /// larger reads, of up to 32 KB, which are held until they are read. See
        /// trailing_plaintext().
        bool read_ahead = false;
        /// Client: what session() gave on an earlier connection; empty: whatever the context has of
        /// this server, if Options::resumption says so.
        Bytes session{};
    };

    /// Does no I/O.
    static std::expected<Owned<Connection>, ConfigError> make(Ref<Context> context,
                                                              const Settings& settings);
    ~Connection();

    Progress handshake(Callbacks& callbacks);
    /// Reads 1 to `into.size()` bytes of plaintext; runs the handshake first if it is not done.
    Progress read(Callbacks& callbacks, MutableBytes into);
    /// Takes 1 to `from.size()` bytes, at most one record. What was taken is sent, once, in order:
    /// `done` with a count means that the caller never hands those bytes in again.
    Progress write(Callbacks& callbacks, Bytes from);
    /// Sends accepted data that is still unsent; after close(), also close_notify.
    Progress flush(Callbacks& callbacks);
    /// Says goodbye (close_notify) and waits for the peer's; the stream may then carry other
    /// things, of which trailing_plaintext() may have come already. Plaintext that was not read yet
    /// is BAD_USE: read to the end first.
    Progress shutdown(Callbacks& callbacks);
    /// Encrypts unsent data and close_notify, releases the engine's memory, and writes as much of
    /// the ciphertext as the stream accepts without blocking. The rest is sent by flush(); until
    /// that is done, the stream must stay open.
    void close(Callbacks& callbacks);
    /// Closes without touching the stream: all of the ciphertext is left for flush(), or for
    /// take_unsent().
    void close();
    /// After close(): hands over the ciphertext that the stream has not accepted yet, to be written
    /// to it in order. Empty: nothing is left.
    [[nodiscard]] SecretBytes take_unsent();
    /// After close(): accepted data was discarded, because memory ran out or because the connection
    /// failed before it was sent. The stream must be aborted (reset), not ended in order.
    [[nodiscard]] bool discarded() const { return discarded_; }
    /// After close(): close_notify was sent, or is the end of the ciphertext. Otherwise the
    /// handshake was not complete, or the connection had failed.
    [[nodiscard]] bool closed_in_order() const { return closed_in_order_; }
    /// Releases everything without touching the stream (for a collector's finaliser).
    void discard();

    [[nodiscard]] bool closed() const { return facts().state == State::closed; }
    [[nodiscard]] bool handshake_done() const { return facts().state == State::open; }
    /// Why the last call failed; no error while none has.
    [[nodiscard]] const Error& error() const { return error_; }
    /// As describe(), with the certificate that failed verification, if that is why.
    std::size_t describe_error(std::span<char> into) const;
    /// Reads and writes both fail from now on.
    [[nodiscard]] bool failed() const { return (facts().flags & is_failed) != 0; }
    /// Something was taken that has not left yet: flush() once the stream is writable.
    [[nodiscard]] bool unsent() const { return (facts().flags & is_unsent) != 0; }
    /// The last call was `blocked` because it had processed 32 records or 64 KB without plaintext:
    /// it can go on at once. A program that waits in a loop of its own looks at its time limit
    /// first.
    [[nodiscard]] bool paused() const { return (facts().flags & is_paused) != 0; }
    /// Whether a call is under way right now.
    [[nodiscard]] bool busy() const;

    /// What a poll has to wait for, before a read or a write makes progress. Does no I/O.
    [[nodiscard]] PollInterest poll_interest(Direction direction) const {
        return direction == Direction::read ? facts().read_interest : facts().write_interest;
    }
    /// Bytes of plaintext that are there. Records that are held may hold more: poll_interest()
    /// knows.
    [[nodiscard]] std::size_t pending() const { return pending_.load(std::memory_order_relaxed); }

    enum class Held : std::uint8_t {
        yes,      ///< until let_go()
        already,  ///< a call of this thread is under way; not to be let go of
        no,       ///< Callbacks::wait_for_turn() did not wait for another thread's call
    };
    /// Keeps calls of other threads from beginning, and from closing the connection, while what
    /// follows is read of it.
    Held hold(Callbacks& callbacks);
    void let_go();

    /// Nothing moves for now, a poll says: lets go of memory that only bytes under way need (65 KB
    /// at the most). A read that finds nothing does so by itself. A call of another thread is let
    /// through.
    void release_idle_buffers();

    /// Version::none and an empty name before the handshake is done.
    [[nodiscard]] Version version() const;
    [[nodiscard]] Cipher cipher() const;
    /// IANA's name of the key exchange group (see Options::groups). Empty before the handshake is
    /// done, without a key exchange (a pre-shared key or a session alone) or one in a named group
    /// (RSA, DHE of TLS 1.2), and with an Mbed TLS that lacks ussl's patches.
    [[nodiscard]] std::string_view group() const;
    /// After shutdown(), with Settings::read_ahead: what the peer sent behind its goodbye, before
    /// it had ours; the stream goes on after it. Valid until the connection closes.
    [[nodiscard]] Bytes trailing_plaintext() const;
    /// What both ends agreed to speak (ALPN, RFC 7301); empty: nothing.
    [[nodiscard]] Bytes alpn() const;
    /// Client: what another connection can resume with, which may come with the first reads only
    /// (TLS 1.3), and may come again. Empty: nothing yet. Secret: whoever has it can read what was,
    /// or will be, said with it. Valid until the next call.
    [[nodiscard]] Bytes session() const;
    /// Whether this connection has resumed another.
    [[nodiscard]] bool session_reused() const;
    /// The peer's certificate, DER; empty if there is none. Valid until the connection closes.
    [[nodiscard]] Bytes peer_certificate() const;
    [[nodiscard]] bool peer_verified() const;
    /// Walks through the peer's certificate (see certificate.hpp); false if there is none, or no
    /// memory to look into it.
    bool describe_peer(CertificateVisitor& visitor) const;
    [[nodiscard]] Context& context() const { return *context_; }

  private:
    enum class State : std::uint8_t { handshaking, open, closed };
    /// Our close_notify: nothing may be written once it is begun.
    enum class CloseState : std::uint8_t { none, begun, sent };

    /// What other threads may know, as of the end of the last call.
    struct Facts {
        State state;
        PollInterest read_interest;
        PollInterest write_interest;
        std::uint8_t flags;  ///< FactFlag
    };
    enum FactFlag : std::uint8_t { is_failed = 1, is_unsent = 2, is_paused = 4 };
    enum class Begun : std::uint8_t { yes, misuse, interrupted };

    class CallGuard;

    Connection();
    friend struct OnHeap;

    Progress run_handshake(Callbacks& callbacks);
    Progress flush_unsent(Callbacks& callbacks);
    Progress settle(Callbacks& callbacks, Outcome outcome);
    Progress fail(Callbacks& callbacks, const Error& error);
    Progress look_for_alert(Callbacks& callbacks);
    [[nodiscard]] Error explain() const;
    void collect_unsent();
    void release_session();
    Progress send_collected(Callbacks& callbacks);
    void keep_session();
    Begun begin(Callbacks& callbacks);
    bool try_begin(const void* mark);
    void end();
    void release_buffers_if_idle();
    [[nodiscard]] bool has_failed() const { return error_ && !only_writes_fail_; }
    [[nodiscard]] Facts facts() const { return facts_.load(std::memory_order_acquire); }
    void publish_facts();
    std::optional<ConfigError> resume(Bytes session, std::string_view name);
    bool resume(const Ref<StoredSession>& session);
    bool find_not_after();

    Ref<Context> context_;
    Owned<HostName> name_;
    Owned<SessionResources> resources_;
    Owned<EngineSession> session_;  ///< uses resources_
    Ref<StoredSession> saved_;
    Ref<StoredSession> resuming_;  ///< until the handshake is done
    std::uint8_t scope_[32] = {};
    SessionTimes times_;      ///< of the sessions that this connection gets
    SecretBytes ciphertext_;  ///< after close(): what the stream has not accepted
    std::size_t ciphertext_sent_ = 0;
    Error error_;
    /// The thread whose call is under way (Callbacks::thread()), or a mark; nullptr: none.
    std::atomic<const void*> user_{nullptr};
    /// A thread that waits for its turn: the one that ends a call lets it go first.
    std::atomic<const void*> next_user_{nullptr};
    std::atomic<Facts> facts_{Facts{}};
    std::atomic<std::size_t> pending_{0};
    /// close() was called. Sequentially consistent with user_: either close() itself or the end of
    /// a call beside it closes.
    std::atomic<bool> close_requested_{false};
    State state_ = State::handshaking;
    PollInterest read_interest_ = PollInterest::stream_readable;
    PollInterest write_interest_ = PollInterest::stream_writable;
    bool paused_ = false;
    bool unsent_ = false;  ///< taken, not flushed
    bool ended_ = false;   ///< the peer sends nothing more
    CloseState close_state_ = CloseState::none;
    bool only_writes_fail_ = false;  ///< error_ is the stream's that takes no more bytes
    bool buffers_released_ = false;  ///< and no call since
    bool discarded_ = false;
    bool closed_in_order_ = false;
    bool report_truncation_ = false;
    bool keeps_sessions_ = false;
    bool is_named_ = false;
};

}  // namespace ussl
