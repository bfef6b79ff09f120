#include "ussl/connection.hpp"

#include <algorithm>
#include <cstring>

#include "context_internals.hpp"
#include "engine.hpp"
#include "policy/alerts.hpp"
#include "sessions.hpp"

namespace ussl {
namespace {

using Kind = Progress::Kind;

Error stream_error(int positive_errno) {
    Error error;
    error.code = Code::stream;
    error.detail = static_cast<std::uint32_t>(positive_errno);
    return error;
}

Error plain_error(Code code) {
    Error error;
    error.code = code;
    return error;
}

/// A view of the stream for places where the program does not expect to wait: never blocks.
class NeverBlocking final : public Callbacks {
  public:
    explicit NeverBlocking(Callbacks& callbacks) : callbacks_(callbacks) {}
    IoResult read(MutableBytes into) noexcept override {
        return callbacks_.ready(Direction::read) ? callbacks_.read(into) : IoResult::would_block();
    }
    IoResult write(Bytes from) noexcept override {
        if (!callbacks_.ready(Direction::write))
            return IoResult::would_block();
        return callbacks_.write(from.first(std::min(from.size(), ready_piece)));
    }
    bool ready(Direction direction) noexcept override { return callbacks_.ready(direction); }

    const void* thread() noexcept override { return callbacks_.thread(); }
    TurnAnswer wait_for_turn() noexcept override { return callbacks_.wait_for_turn(); }

  private:
    Callbacks& callbacks_;
};

// Markers in place of a thread.
constexpr char resting = 0;
constexpr char closing = 0;

}  // namespace

struct Connection::Resources final : SessionResources {
    Resumption resumption;
};

/// Reserves the connection and its stream for one call.
class Connection::CallGuard {
  public:
    CallGuard(Connection& connection, Callbacks& callbacks) : connection_(connection) {
        const Begun begun = connection.begin(callbacks);
        if (begun != Begun::yes) {
            refused_ = begun == Begun::misuse ? Kind::misuse : Kind::interrupted;
            return;
        }
        holds_ = true;
        // The call may allocate buffers again.
        connection.buffers_released_ = false;
        connection.paused_ = false;
        if (connection.state_ == State::closed || connection.close_requested_)
            refused_ = Kind::closed;
        else
            connection.resources_->transport.attach(callbacks);
    }
    ~CallGuard() {
        if (!holds_)
            return;
        if (connection_.resources_)
            connection_.resources_->transport.detach();
        trim();
        connection_.end();
    }
    CallGuard(const CallGuard&) = delete;
    CallGuard& operator=(const CallGuard&) = delete;

    [[nodiscard]] bool refused() const { return refused_ != Kind::done; }
    [[nodiscard]] Progress result() const { return {refused_}; }

  private:
    Connection& connection_;
    Kind refused_ = Kind::done;
    bool holds_ = false;
};

Connection::Connection() = default;
Connection::~Connection() = default;

std::expected<Owned<Connection>, ConfigError> Connection::make(Ref<Context> context,
                                                               const Settings& settings) {
    static constexpr ConfigError no_memory{"out of memory", true};
    const TrimAtEnd trim;
    Owned<Connection> connection{new Connection};
    if (!connection)
        return std::unexpected(no_memory);
    connection->context_ = std::move(context);
    const Context& made_from = *connection->context_;
    const bool client = made_from.role() == Role::client;
    if (!settings.server_hostname.empty()) {
        if (!client)
            return std::unexpected(
                ConfigError{USSL_ARGUMENT("`server_hostname` is only valid for a client",
                                          "`server_hostname`: invalid for a server")});
        connection->name_.reset(new HostName);
        if (!connection->name_)
            return std::unexpected(no_memory);
        if (!connection->name_->parse(settings.server_hostname))
            return std::unexpected(ConfigError{USSL_ARGUMENT(
                "`server_hostname` must be a DNS name (ASCII, xn-- for others) or an IP "
                "address",
                "`server_hostname` is malformed")});
    } else if (client && made_from.checks_hostname()) {
        return std::unexpected(
            ConfigError{USSL_ARGUMENT("verification (`verify`) requires `server_hostname`",
                                      "`verify` requires `server_hostname`")});
    }
    connection->resources_.reset(new Resources);
    if (!connection->resources_)
        return std::unexpected(no_memory);
    connection->session_ = ContextInternals::engine(made_from).make_session(
        *connection->resources_, connection->name_.get());
    if (!connection->session_)
        return std::unexpected(no_memory);
    connection->report_truncation_ = settings.report_truncation;
    connection->resources_->transport.reads_ahead(settings.read_ahead);
    if (const auto config_error = connection->resources_->resumption.offer(
            made_from, *connection->session_, settings.session, settings.server_hostname))
        return std::unexpected(*config_error);
    // In a handshake, the client writes first.
    if (client)
        connection->read_interest_ = PollInterest::stream_writable;
    else
        connection->write_interest_ = PollInterest::stream_readable;
    connection->publish_facts();
    return connection;
}

Progress Connection::handshake(Callbacks& callbacks) {
    const CallGuard guard(*this, callbacks);
    if (guard.refused())
        return guard.result();
    if (has_failed())
        return {Kind::failed};
    const Progress progress = run_handshake(callbacks);
    // A callback may have closed the connection.
    return close_requested_ ? Progress{Kind::closed} : progress;
}

Progress Connection::read(Callbacks& callbacks, MutableBytes into) {
    const CallGuard guard(*this, callbacks);
    if (guard.refused())
        return guard.result();
    if (has_failed())
        return {Kind::failed};
    if (ended_)
        return {Kind::end};
    Progress progress = run_handshake(callbacks);
    if (progress.kind != Kind::done || into.empty())
        return progress;
    if (unsent_) {
        // Both ends may be writing. If they waited until their writes are complete, none would
        // read, so unsent data must not prevent reads.
        progress = flush_unsent(callbacks);
        if (progress.kind == Kind::failed && has_failed())
            return progress;
    }
    const Outcome outcome = session_->read(into);
    resources_->resumption.keep(*session_);
    read_interest_ = outcome.kind == Outcome::Kind::want_write ? PollInterest::stream_writable
                                                               : PollInterest::stream_readable;
    if (outcome.kind == Outcome::Kind::want_read && !resources_->transport.paused())
        release_buffers_if_idle();
    progress = settle(callbacks, outcome);
    // Accepted data may be lost, so the peer may never answer: do not wait.
    if (error_ && (progress.kind == Kind::blocked || progress.kind == Kind::timed_out))
        return {Kind::failed};
    return progress;
}

Progress Connection::write(Callbacks& callbacks, Bytes from) {
    const CallGuard guard(*this, callbacks);
    if (guard.refused())
        return guard.result();
    if (error_)
        return {Kind::failed};
    Progress progress = run_handshake(callbacks);
    if (progress.kind != Kind::done || from.empty())
        return progress;
    if (close_state_ != CloseState::none)
        return {Kind::misuse};
    progress = flush_unsent(callbacks);
    if (progress.kind != Kind::done)
        return progress;

    from = from.first(std::min(from.size(), context_->record_size()));
    const Outcome outcome = session_->write(from);
    write_interest_ = outcome.kind == Outcome::Kind::want_read ? PollInterest::stream_readable
                                                               : PollInterest::stream_writable;
    if (resources_->transport.write_errno() != 0)
        return look_for_alert(callbacks);
    if (outcome.kind == Outcome::Kind::want_write && outcome.count != 0) {
        unsent_ = true;
        return {Kind::done, outcome.count};
    }
    return settle(callbacks, outcome);
}

Progress Connection::flush(Callbacks& callbacks) {
    const CallGuard guard(*this, callbacks);
    if (!ciphertext_.empty() && guard.result().kind == Kind::closed)
        return send_collected(callbacks);
    if (guard.refused())
        return guard.result();
    if (error_)
        return {Kind::failed};
    return flush_unsent(callbacks);
}

Progress Connection::shutdown(Callbacks& callbacks) {
    const CallGuard guard(*this, callbacks);
    if (guard.refused())
        return guard.result();
    if (error_)
        return {Kind::failed};
    if (state_ == State::handshaking)
        return {Kind::misuse};
    const Progress progress = flush_unsent(callbacks);
    if (progress.kind != Kind::done)
        return progress;
    if (close_state_ != CloseState::sent) {
        if (session_->pending() != 0)
            return {Kind::misuse};
        // After the peer has received close_notify, it may send data that is not TLS.
        resources_->transport.reads_ahead(false);
        close_state_ = CloseState::begun;
        // The peer answers close_notify after it has received it. Until then there is nothing to
        // read.
        const Outcome outcome = session_->close_notify();
        read_interest_ = outcome.kind == Outcome::Kind::want_write ? PollInterest::stream_writable
                                                                   : PollInterest::stream_readable;
        if (resources_->transport.write_errno() != 0)
            return look_for_alert(callbacks);
        if (outcome.kind != Outcome::Kind::done)
            return settle(callbacks, outcome);
        close_state_ = CloseState::sent;
    }
    if (!ended_) {
        const Outcome outcome = session_->read({});
        if (outcome.kind == Outcome::Kind::done)
            return {Kind::misuse};
        if (outcome.kind != Outcome::Kind::end)
            return settle(callbacks, outcome);
        ended_ = true;
    }
    // The caller needs to know whether the peer's close_notify is authentic.
    if (resources_->transport.ended())
        return fail(callbacks, plain_error(Code::TRUNCATED));
    return {Kind::done};
}

void Connection::close(Callbacks& callbacks) {
    close();
    NeverBlocking stream(callbacks);
    flush(stream);
}

void Connection::close() {
    close_requested_ = true;
    // Within a call, the engine is still on the stack below this function; in another thread, it is
    // in use. That call closes the connection when it ends.
    if (try_begin(&closing))
        end();
}

void Connection::collect_unsent() {
    if (state_ == State::closed)
        return;
    RecordTransport& wire = resources_->transport;
    const bool was_unsent = unsent_;
    const bool is_usable = state_ == State::open && !error_;
    if (is_usable) {
        wire.collect();
        // The engine now writes into memory, so these calls never wait for the stream.
        const bool flushed = !unsent_ || session_->flush().kind == Outcome::Kind::done;
        unsent_ = !flushed;
        if (flushed && close_state_ != CloseState::sent)
            session_->close_notify();
        closed_in_order_ = flushed && !wire.lost();
    } else {
        wire.collect_alert();
    }
    ciphertext_ = wire.collected();
    discarded_ = wire.lost() || (was_unsent && (unsent_ || !is_usable));
    release_session();
}

Progress Connection::send_collected(Callbacks& callbacks) {
    while (ciphertext_sent_ != ciphertext_.size()) {
        const IoResult result = callbacks.write(
            {ciphertext_.data() + ciphertext_sent_, ciphertext_.size() - ciphertext_sent_});
        switch (result.kind) {
            case IoResult::Kind::bytes:
                ciphertext_sent_ += result.count;
                break;
            case IoResult::Kind::timed_out:
                return {Kind::timed_out};
            case IoResult::Kind::would_block:
                return {Kind::blocked};
            case IoResult::Kind::aborted:
                return {Kind::interrupted};
            case IoResult::Kind::failed:
            case IoResult::Kind::end:
                error_ = stream_error(result.error);
                discarded_ = true;
                ciphertext_ = {};
                return {Kind::failed};
        }
    }
    ciphertext_ = {};
    return {Kind::done};
}

SecretBytes Connection::take_unsent() {
    SecretBytes rest;
    if (ciphertext_sent_ == 0 || ciphertext_.empty()) {
        rest = std::move(ciphertext_);
    } else {
        rest = SecretBytes(ciphertext_.size() - ciphertext_sent_);
        if (rest.empty())
            discarded_ = true;
        else
            std::memcpy(rest.data(), ciphertext_.data() + ciphertext_sent_, rest.size());
    }
    ciphertext_ = {};
    publish_facts();
    return rest;
}

void Connection::discard() {
    release_session();
    ciphertext_ = {};
    publish_facts();
}

void Connection::release_session() {
    state_ = State::closed;
    unsent_ = false;
    session_.reset();
    resources_.reset();
    name_.reset();
    trim();
}

void Connection::release_idle_buffers() {
    if (!try_begin(&resting))
        return;
    release_buffers_if_idle();
    user_.store(nullptr, std::memory_order_release);
}

Connection::Held Connection::hold(Callbacks& callbacks) {
    if (user_.load(std::memory_order_relaxed) == callbacks.thread())
        return Held::already;
    return begin(callbacks) == Begun::yes ? Held::yes : Held::no;
}

void Connection::let_go() {
    end();
}

bool Connection::busy() const {
    const void* user = user_.load(std::memory_order_acquire);
    return user != nullptr && user != &resting;
}

// Waits until the connection is free. A thread that waited before has priority.
Connection::Begun Connection::begin(Callbacks& callbacks) {
    const void* const thread = callbacks.thread();
    for (;;) {
        const void* next = next_user_.load(std::memory_order_relaxed);
        const void* user = nullptr;
        const bool is_free = next == nullptr || next == thread;
        if (is_free && user_.compare_exchange_strong(user, thread)) {
            if (next == thread)
                next_user_.store(nullptr, std::memory_order_relaxed);
            return Begun::yes;
        }
        if (user == thread)
            return Begun::misuse;
        const TurnAnswer answer = user == &resting ? TurnAnswer::again : callbacks.wait_for_turn();
        if (answer == TurnAnswer::again) {
            if (next == nullptr)
                next_user_.compare_exchange_strong(next, thread, std::memory_order_relaxed);
            continue;
        }
        next = thread;
        next_user_.compare_exchange_strong(next, nullptr, std::memory_order_relaxed);
        return answer == TurnAnswer::refused ? Begun::misuse : Begun::interrupted;
    }
}

// Returns false if a call is under way.
bool Connection::try_begin(const void* mark) {
    for (;;) {
        const void* user = nullptr;
        if (user_.compare_exchange_weak(user, mark))
            return true;
        if (user != nullptr && user != &resting)
            return false;
        // Another thread is only releasing idle buffers, which ends soon.
    }
}

void Connection::end() {
    // close() was called within this call, or by another thread.
    if (close_requested_ && state_ != State::closed)
        collect_unsent();
    publish_facts();
    user_.store(nullptr);
    // close() may have been called after the check above.
    if (close_requested_ && !closed())
        close();
}

void Connection::release_buffers_if_idle() {
    // A poll calls this for each idle connection, and an engine checks all of its buffers every
    // time.
    if (buffers_released_ || state_ != State::open || error_ || unsent_ ||
        read_interest_ != PollInterest::stream_readable)
        return;
    session_->release_idle_buffers();
    resources_->transport.release_idle_buffers();
    buffers_released_ = true;
}

void Connection::publish_facts() {
    const bool is_open = state_ == State::open;
    const std::size_t pending = is_open ? session_->pending() : 0;
    const bool is_over = state_ == State::closed || error_;
    Facts now{state_, read_interest_, write_interest_, 0};
    if (is_over || ended_ || pending != 0)
        now.read_interest = PollInterest::nothing;
    if (is_over)
        now.write_interest = PollInterest::nothing;
    // An engine may have to send a message first, such as an answer to a HelloRequest (RFC 5246
    // §7.4.1.1). It then waits until the stream is writable, even if there are buffered records.
    constexpr PollInterest readable = PollInterest::stream_readable;
    if ((now.read_interest == readable || now.write_interest == readable) && (is_open || paused_) &&
        resources_->transport.holds_record()) {
        if (now.read_interest == readable)
            now.read_interest = PollInterest::nothing;
        if (now.write_interest == readable)
            now.write_interest = PollInterest::nothing;
    }
    if (has_failed())
        now.flags |= is_failed;
    if (unsent_ || !ciphertext_.empty())
        now.flags |= is_unsent;
    if (paused_)
        now.flags |= is_paused;
    facts_.store(now, std::memory_order_release);
    pending_.store(pending, std::memory_order_relaxed);
}

Version Connection::version() const {
    return state_ == State::open ? session_->facts().version : Version::none;
}

Cipher Connection::cipher() const {
    return state_ == State::open ? session_->facts().cipher : Cipher{};
}

std::string_view Connection::group() const {
    return state_ == State::open ? group_name(session_->facts().group) : std::string_view{};
}

Bytes Connection::alpn() const {
    return state_ == State::open ? session_->facts().alpn : Bytes{};
}

std::size_t Connection::describe_error(std::span<char> into) const {
    return describe(error_, into,
                    resources_ ? resources_->failed_certificate.text() : std::string_view{});
}

Bytes Connection::trailing_plaintext() const {
    return state_ == State::open && ended_ ? resources_->transport.ahead() : Bytes{};
}

Bytes Connection::session() const {
    return resources_ ? resources_->resumption.newest() : Bytes{};
}

bool Connection::session_reused() const {
    return state_ == State::open && context_->resumes() && session_->facts().resumed;
}

Bytes Connection::peer_certificate() const {
    return state_ == State::open ? session_->peer_certificate() : Bytes{};
}

bool Connection::peer_verified() const {
    if (state_ != State::open)
        return false;
    const Context* chosen = resources_->callbacks.chosen();
    return (chosen != nullptr ? chosen : context_.get())->verify() != Verify::none &&
           !session_->peer_certificate().empty();
}

bool Connection::describe_peer(CertificateVisitor& visitor) const {
    const TrimAtEnd trim;
    return state_ == State::open && session_->describe_peer(visitor);
}

Progress Connection::run_handshake(Callbacks& callbacks) {
    if (state_ == State::open)
        return {Kind::done};
    const Outcome outcome = session_->handshake();
    const bool wants_write = outcome.kind == Outcome::Kind::want_write;
    read_interest_ = write_interest_ =
        wants_write ? PollInterest::stream_writable : PollInterest::stream_readable;
    // The stream accepts no more bytes. The engine continued only to read an alert with the reason.
    if (resources_->transport.write_errno() != 0 && outcome.kind == Outcome::Kind::want_read)
        return fail(callbacks, stream_error(resources_->transport.write_errno()));
    if (outcome.kind == Outcome::Kind::end) {
        // The end of the stream, or a close_notify, which engines do not report as an error.
        const Error error = explain();
        return fail(callbacks, error ? error : plain_error(Code::PEER_CLOSED));
    }
    // Engines wait for a whole header. A peer of another protocol may wait for an answer instead.
    if (outcome.kind == Outcome::Kind::want_read && resources_->transport.not_tls() &&
        resources_->transport.first_bytes().size() < sizeof Error::received)
        return fail(callbacks, explain());
    if (outcome.kind != Outcome::Kind::done)
        return settle(callbacks, outcome);
    state_ = State::open;
    const SessionFacts facts = session_->facts();
    if (facts.version == Version::tls1_3)
        resources_->transport.reject_change_cipher_spec();
    name_.reset();
    resources_->callbacks.end_handshake();
    resources_->resumption.end_handshake(facts);
    resources_->resumption.keep(*session_);
    read_interest_ = PollInterest::stream_readable;
    write_interest_ = PollInterest::stream_writable;
    if (resources_->transport.write_errno() == 0)
        return {Kind::done};
    const Progress progress = look_for_alert(callbacks);
    only_writes_fail_ = false;
    return progress;
}

Progress Connection::flush_unsent(Callbacks& callbacks) {
    if (!unsent_)
        return {Kind::done};
    const Outcome outcome = session_->flush();
    if (resources_->transport.write_errno() != 0)
        return look_for_alert(callbacks);
    unsent_ = outcome.kind != Outcome::Kind::done;
    return settle(callbacks, outcome);
}

/// The stream accepts no more bytes. If the peer sent an alert before it closed, the alert is the
/// reason. Received plaintext stays readable.
Progress Connection::look_for_alert(Callbacks& callbacks) {
    unsent_ = false;
    const int write_errno = resources_->transport.write_errno();
    if (!ended_ && session_->pending() == 0 &&
        (resources_->transport.holds_record() || callbacks.ready(Direction::read))) {
        // The first message may be a ticket without data after it.
        NeverBlocking stream(callbacks);
        resources_->transport.attach(stream);
        const Outcome outcome = session_->read({});
        resources_->transport.attach(callbacks);
        // read() handles the end of the stream: it distinguishes truncation from close_notify.
        if (outcome.kind == Outcome::Kind::failed) {
            const Error error = explain();
            return fail(callbacks, error.code == Code::stream ? stream_error(write_errno) : error);
        }
    }
    error_ = stream_error(write_errno);
    only_writes_fail_ = true;
    return {Kind::failed};
}

Progress Connection::settle(Callbacks& callbacks, Outcome outcome) {
    const RecordTransport& wire = resources_->transport;
    switch (outcome.kind) {
        case Outcome::Kind::done:
            return {Kind::done, outcome.count};
        case Outcome::Kind::want_read:
        case Outcome::Kind::want_write:
            if (wire.interrupted())
                return {Kind::interrupted};
            paused_ = wire.paused();
            return {wire.timed_out() ? Kind::timed_out : Kind::blocked};
        case Outcome::Kind::no_memory:
            read_interest_ = PollInterest::nothing;  // the buffered data may be the last
            return {Kind::no_memory};
        case Outcome::Kind::end:
            if (wire.ended() && (wire.inside_record() || report_truncation_))
                return fail(callbacks, plain_error(Code::TRUNCATED));
            ended_ = true;
            return {Kind::end};
        case Outcome::Kind::failed:
            break;
    }
    return fail(callbacks, explain());
}

Progress Connection::fail(Callbacks& callbacks, const Error& error) {
    // A stream that fails in both directions keeps the errno of the first failure.
    if (!only_writes_fail_ || error.code != Code::stream)
        error_ = error;
    only_writes_fail_ = false;
    resources_->transport.send_rest(callbacks);
    resources_->transport.drop_ahead();
    // The session must not be resumed after an alert (RFC 5246 §7.2.2, RFC 8446 §6.2).
    if (error.alert != Error::Alert::none)
        resources_->resumption.forget();
    return {Kind::failed};
}

/// Returns the engine's reason for a failure, corrected by facts of the transport and the policy.
Error Connection::explain() const {
    const RecordTransport& wire = resources_->transport;
    const bool handshaking = state_ == State::handshaking;
    Error error = session_->failure();
    if (wire.aborted()) {
        error.code = Code::CALLBACK;
        error.certificate_failures = 0;
        error.detail = 0;
        return error;
    }
    if (wire.first_alert() != 0) {
        error.alert = Error::Alert::received;
        error.alert_number = wire.first_alert();
    }
    if (error.alert == Error::Alert::received) {
        error.code = policy::code_of_alert(error.alert_number, handshaking, context_->uses_psk());
        // This side has sent an empty Certificate instead (RFC 5246 §7.4.6, RFC 8446 §4.4.2).
        if (session_->withholds_certificate() &&
            (error.code == Code::HANDSHAKE_FAILED || error.code == Code::CERT_REFUSED))
            error.code = Code::NO_SHARED_CIPHER;
        return error;
    }
    if (wire.read_errno() != 0)
        return stream_error(wire.read_errno());
    const bool speaks_tls = !wire.not_tls() || class_of(error.code) == ErrorClass::certificate;
    if (wire.ended() && speaks_tls) {
        if (wire.write_errno() != 0)
            return stream_error(wire.write_errno());
        return plain_error(handshaking ? Code::PEER_CLOSED : Code::TRUNCATED);
    }
    if (!speaks_tls) {
        error.code = Code::NOT_TLS;
        const Bytes received = wire.first_bytes();
        std::memcpy(error.received, received.data(), received.size());
        error.received_size = static_cast<std::uint8_t>(received.size());
    }
    // With a wrong key, the peer's first encrypted record cannot be decrypted. A record that is too
    // long is an error with any key.
    constexpr std::uint8_t record_overflow = 22;  // RFC 8446 §6.2
    const bool psk_server = context_->uses_psk() && context_->role() == Role::server &&
                            error.alert_number != record_overflow;
    if (handshaking && psk_server &&
        (error.code == Code::RECORD_CORRUPT || error.code == Code::PSK_KEY))
        error.code =
            resources_->callbacks.psk_identity_unknown() ? Code::PSK_IDENTITY : Code::PSK_KEY;
    return error;
}

}  // namespace ussl
