#pragma once

#include "ussl/context.hpp"

namespace ussl {

class EngineSession;
class CertificateVisitor;
class HostName;
struct Outcome;

/// The result of a call on a connection.
struct Progress {
    enum class Kind : std::uint8_t {
        done,  ///< the call is complete; `count` is the number of bytes that were read or written
        blocked,    ///< the stream must become ready first (Connection::poll_interest), then repeat
                    ///< the call
        timed_out,  ///< as `blocked`, after the stream's own timeout (IoResult::timed_out)
        interrupted,  ///< as `blocked`: the stream ended the call (IoResult::aborted)
        end,          ///< read: the peer has closed its direction
        no_memory,    ///< read: out of memory for a record; the call can be repeated later
        failed,       ///< a fatal error: see Connection::error(); later calls fail, too
        misuse,       ///< the call does not fit the connection's state (BAD_USE); it has no effect
        closed,       ///< the connection was closed by this side
    };
    Kind kind;
    std::size_t count = 0;

    /// Returns true if the call is complete.
    constexpr explicit operator bool() const { return kind == Kind::done; }
};

/// The event of the stream that a read or write waits for.
enum class PollInterest : std::uint8_t {
    nothing,  ///< none: the call makes progress, or fails, without the stream
    stream_readable,
    stream_writable,
};

/// One TLS connection over a stream that the program owns.
///
/// Each call receives the Callbacks, which include the stream. A call blocks only where the stream
/// blocks, and never waits in a loop. The first fatal error is permanent: later calls fail with the
/// same error.
///
/// One call at a time uses the connection. If another thread's call is under way, a call waits with
/// Callbacks::wait_for_turn(). Over a non-blocking stream, one thread can therefore read while
/// another one writes. A call from within a callback is misuse and has no effect.
///
/// Any thread may call the functions that a poll needs (poll_interest(), unsent(), pending(),
/// paused(), failed(), closed(), handshake_done()) at any time. They return the state at the end of
/// the last call. To use the other accessors while other threads use the connection, call hold()
/// first.
class Connection final : public OnHeap {
  public:
    struct Settings {
        /// Client: the server's DNS name or IP address. A DNS name is sent as SNI (RFC 6066 §3).
        /// The certificate must match the name or address (RFC 9525). Empty: no name.
        std::string_view server_hostname{};
        /// End of stream without close_notify: if true, the error TRUNCATED; if false, an ordinary
        /// end. During the handshake or inside a record, it is always an error.
        bool report_truncation = false;
        /// Set this if a read of the stream returns the available bytes, as a socket does, even if
        /// more are requested. The connection then uses fewer and larger reads of up to 32 KB, and
        /// buffers the data. See trailing_plaintext().
        bool read_ahead = false;
        /// Client: the session() of an earlier connection. Empty: with Options::resumption, the
        /// context's stored session for this server, if there is one.
        Bytes session{};
    };

    /// Creates a connection without I/O.
    static std::expected<Owned<Connection>, ConfigError> make(Ref<Context> context,
                                                              const Settings& settings);
    ~Connection();

    Progress handshake(Callbacks& callbacks);
    /// Reads 1 to `into.size()` bytes of plaintext. Runs the handshake first if it is not complete.
    Progress read(Callbacks& callbacks, MutableBytes into);
    /// Accepts 1 to `from.size()` bytes, at most one record. If the result is `done`, the
    /// connection owns the first `count` bytes: the caller must not pass them again.
    Progress write(Callbacks& callbacks, Bytes from);
    /// Sends accepted data that is still unsent; after close(), also close_notify.
    Progress flush(Callbacks& callbacks);
    /// Sends close_notify and waits for the peer's; afterwards the stream can carry other
    /// protocols. See trailing_plaintext() for data that was already received. If there is unread
    /// plaintext, the call fails with BAD_USE: read to the end first.
    Progress shutdown(Callbacks& callbacks);
    /// Encrypts unsent data and close_notify, releases the engine's memory, and writes as much
    /// ciphertext as the stream accepts without blocking. Call flush() for the rest; the stream
    /// must stay open until then.
    void close(Callbacks& callbacks);
    /// Closes without using the stream: flush() or take_unsent() must deliver the ciphertext.
    void close();
    /// After close(): returns the ciphertext that the stream has not accepted yet, and gives up
    /// ownership of it. The caller must write it to the stream in order. Empty: no unsent
    /// ciphertext.
    [[nodiscard]] SecretBytes take_unsent();
    /// After close(): returns true if accepted data was discarded, because memory ran out or the
    /// connection failed first. The stream must then be aborted (TCP reset), not closed in order.
    [[nodiscard]] bool discarded() const { return discarded_; }
    /// After close(): returns true if close_notify was sent, or is the end of the unsent
    /// ciphertext. Returns false if the handshake was not complete or the connection had failed.
    [[nodiscard]] bool closed_in_order() const { return closed_in_order_; }
    /// Releases all resources without using the stream (for a garbage collector's finaliser).
    void discard();

    [[nodiscard]] bool closed() const { return facts().state == State::closed; }
    [[nodiscard]] bool handshake_done() const { return facts().state == State::open; }
    /// Returns the reason of the last call's failure, or Code::none.
    [[nodiscard]] const Error& error() const { return error_; }
    /// Writes the error as describe() does, including the certificate that failed verification, if
    /// any.
    std::size_t describe_error(std::span<char> into) const;
    /// Returns true if neither reads nor writes are possible any more.
    [[nodiscard]] bool failed() const { return (facts().flags & is_failed) != 0; }
    /// Returns true if accepted data is unsent: call flush() once the stream is writable.
    [[nodiscard]] bool unsent() const { return (facts().flags & is_unsent) != 0; }
    /// Returns true if the last call was `blocked` because it had processed 32 records or 64 KB
    /// without plaintext. The call can be repeated at once. The limit lets a program with its own
    /// loop check its timeout.
    [[nodiscard]] bool paused() const { return (facts().flags & is_paused) != 0; }
    /// Returns true if a call is under way.
    [[nodiscard]] bool busy() const;

    /// Returns the event that a poll must wait for before a read or a write makes progress. Does no
    /// I/O.
    [[nodiscard]] PollInterest poll_interest(Direction direction) const {
        return direction == Direction::read ? facts().read_interest : facts().write_interest;
    }
    /// Returns the number of bytes of decrypted plaintext. Buffered records may contain more;
    /// poll_interest() takes them into account.
    [[nodiscard]] std::size_t pending() const { return pending_.load(std::memory_order_relaxed); }

    enum class Held : std::uint8_t {
        yes,      ///< held until let_go()
        already,  ///< a call of this thread is under way: do not call let_go()
        no,       ///< Callbacks::wait_for_turn() did not wait for another thread's call
    };
    /// Keeps other threads from starting a call and from closing the connection, so that the caller
    /// can use accessors safely.
    Held hold(Callbacks& callbacks);
    void let_go();

    /// Releases memory that only active connections need (up to 65 KB). For a poll that finds the
    /// connection idle; a read without available data does the same. Other threads' calls can still
    /// start.
    void release_idle_buffers();

    /// Return Version::none and an empty name before the handshake is complete.
    [[nodiscard]] Version version() const;
    [[nodiscard]] Cipher cipher() const;
    /// Returns IANA's name of the key exchange group (see Options::groups). Empty before the
    /// handshake is complete, and if no named group was used: PSK or resumption alone, RSA, or DHE
    /// of TLS 1.2. Also empty if Mbed TLS lacks ussl's patches.
    [[nodiscard]] std::string_view group() const;
    /// After shutdown(), with Settings::read_ahead: returns the bytes that followed the peer's
    /// close_notify and were already received. They precede the data that the stream returns next.
    /// Valid until the connection closes.
    [[nodiscard]] Bytes trailing_plaintext() const;
    /// Returns the negotiated application protocol (ALPN, RFC 7301). Empty: none.
    [[nodiscard]] Bytes alpn() const;
    /// Client: returns a session that another connection can resume. Empty: none yet. With TLS 1.3,
    /// sessions arrive with the first reads, and several may arrive. Secret: it may allow
    /// decryption of this connection and of connections that resume it. Valid until the next call.
    [[nodiscard]] Bytes session() const;
    /// Returns true if this connection resumed a session.
    [[nodiscard]] bool session_reused() const;
    /// Returns the peer's certificate in DER. Empty: none. Valid until the connection closes.
    [[nodiscard]] Bytes peer_certificate() const;
    [[nodiscard]] bool peer_verified() const;
    /// Passes the parts of the peer's certificate to `visitor` (see certificate.hpp). Returns false
    /// if there is no certificate, or if memory runs out.
    bool describe_peer(CertificateVisitor& visitor) const;
    [[nodiscard]] Context& context() const { return *context_; }

  private:
    enum class State : std::uint8_t { handshaking, open, closed };
    /// The state of this side's close_notify: after `begun`, nothing may be written.
    enum class CloseState : std::uint8_t { none, begun, sent };

    /// The state at the end of the last call, for other threads.
    struct Facts {
        State state;
        PollInterest read_interest;
        PollInterest write_interest;
        std::uint8_t flags;  ///< a combination of FactFlag
    };
    enum FactFlag : std::uint8_t { is_failed = 1, is_unsent = 2, is_paused = 4 };
    enum class Begun : std::uint8_t { yes, misuse, interrupted };

    class CallGuard;
    struct Resources;

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
    Begun begin(Callbacks& callbacks);
    bool try_begin(const void* mark);
    void end();
    void release_buffers_if_idle();
    [[nodiscard]] bool has_failed() const { return error_ && !only_writes_fail_; }
    [[nodiscard]] Facts facts() const { return facts_.load(std::memory_order_acquire); }
    void publish_facts();

    Ref<Context> context_;
    Owned<HostName> name_;
    Owned<Resources> resources_;
    Owned<EngineSession> session_;  ///< uses resources_
    SecretBytes ciphertext_;        ///< after close(): ciphertext that the stream has not accepted
    std::size_t ciphertext_sent_ = 0;
    Error error_;
    /// The thread whose call is under way (Callbacks::thread()), or a marker of this class.
    /// nullptr: no call.
    std::atomic<const void*> user_{nullptr};
    /// A thread that waits for its turn. At the end of a call, this thread has priority.
    std::atomic<const void*> next_user_{nullptr};
    std::atomic<Facts> facts_{Facts{}};
    std::atomic<std::size_t> pending_{0};
    /// Set by close(). Sequentially consistent with user_, so that either close() itself or the end
    /// of a concurrent call closes.
    std::atomic<bool> close_requested_{false};
    State state_ = State::handshaking;
    PollInterest read_interest_ = PollInterest::stream_readable;
    PollInterest write_interest_ = PollInterest::stream_writable;
    bool paused_ = false;
    bool unsent_ = false;  ///< accepted, but not flushed
    bool ended_ = false;   ///< the peer has closed its direction
    CloseState close_state_ = CloseState::none;
    bool only_writes_fail_ = false;  ///< error_ is an error of the stream that only affects writes
    bool buffers_released_ = false;  ///< since the last call
    bool discarded_ = false;
    bool closed_in_order_ = false;
    bool report_truncation_ = false;
};

}  // namespace ussl
