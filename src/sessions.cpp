#include "sessions.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "context_internals.hpp"
#include "policy/limits.hpp"
#include "policy/rules.hpp"
#include "ussl/certificate.hpp"

namespace ussl {

Sessions::Sessions(const Engine& engine, const ContextSettings& settings)
    : settings_(settings), sha256_(engine.sha256), now_(engine.now) {}

Owned<Sessions> Sessions::make(const Engine& engine, const EngineContext& engine_context,
                               const ContextSettings& settings, const Options& options) {
    Owned<Sessions> sessions{new Sessions(engine, settings)};
    if (sessions && !sessions->set_scope(engine, engine_context, options))
        sessions.reset();
    return sessions;
}

// A resumed session relies on the verification of its full handshake, so it is only valid for the
// same options. Options are excluded if they only change the time of the verification, or have no
// effect on the session.
bool Sessions::set_scope(const Engine& engine, const EngineContext& engine_context,
                         const Options& options) {
    Options lasting = options;
    lasting.verify_time.reset();
    lasting.build_time.reset();
    lasting.session_lifetime = {};  // a session stores its age
    if (!policy::uses_system_roots(options))
        lasting.system_roots.reset();
    lasting.key_log = false;
    std::uint8_t digest[32];
    // The content of a system store can change. The result of a callback is unpredictable, so each
    // context with one has its own scope.
    std::uint8_t store[32] = {};
    std::uint8_t callback[16] = {};
    const Bytes parts[] = {digest, store, callback};
    return options_digest(engine, lasting, digest) &&
           (!policy::uses_system_store(options) || engine_context.store_digest(store)) &&
           (!options.verify_by_program || engine.random(MutableBytes{callback})) &&
           sha256(parts, scope_);
}

std::optional<SessionScope> Sessions::scope_of(std::string_view server_hostname) const {
    const Bytes parts[] = {
        scope_,
        {reinterpret_cast<const std::uint8_t*>(server_hostname.data()), server_hostname.size()}};
    SessionScope scope;
    return sha256(parts, scope) ? std::optional(scope) : std::nullopt;
}

// Several threads may use the sessions. Nothing is allocated or computed while the lock is held.
class Sessions::Lock {
  public:
    explicit Lock(Sessions& sessions) : flag_(sessions.lock_) {
        while (flag_.test_and_set(std::memory_order_acquire)) {
        }
    }
    ~Lock() { flag_.clear(std::memory_order_release); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

  private:
    std::atomic_flag& flag_;
};

Ref<StoredSession> Sessions::take(const SessionScope& scope) {
    const Lock lock(*this);
    for (Ref<StoredSession>* at = &newest_; *at; at = &(*at)->next_)
        if ((*at)->scope_ == scope) {
            Ref<StoredSession> taken = std::move(*at);
            *at = std::exchange(taken->next_, {});
            return taken;
        }
    return {};
}

void Sessions::forget(const Ref<StoredSession>& session, const SessionScope& scope) {
    // Another connection may have stored a newer session.
    if (Ref<StoredSession> known = take(scope); known && known.get() != session.get())
        remember(std::move(known));
}

void Sessions::remember(Ref<StoredSession> session) {
    const Ref<StoredSession> before = take(session->scope_);
    Ref<StoredSession> gone;  // released after the lock
    const Lock lock(*this);
    session->next_ = std::move(newest_);
    newest_ = std::move(session);
    std::size_t count = 0;
    for (StoredSession* at = newest_.get(); at != nullptr; at = at->next_.get())
        if (++count == policy::max_sessions)
            gone = std::exchange(at->next_, {});
}

std::int64_t Sessions::now() const {
    const std::optional<std::int64_t> given = settings_.verify_time.given;
    return given ? *given : now_();
}

// If the clock was set back, the age of a session is unknown.
bool Sessions::is_in_time(const SessionTimes& times) const {
    const std::int64_t at = now();
    return at >= times.verified_at && at - times.verified_at < settings_.session_lifetime &&
           at <= times.not_after && at <= times.until;
}

namespace {

constexpr std::int64_t SessionTimes::* all_times[] = {
    &SessionTimes::verified_at, &SessionTimes::not_after, &SessionTimes::until};
static_assert(sizeof(SessionTimes) == StoredSession::times_size);

}  // namespace

SessionTimes StoredSession::times() const {
    SessionTimes times;
    const std::uint8_t* at = content_.data() + hash_size;
    for (const auto time : all_times) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof value; ++i)
            value = value << 8 | *at++;
        times.*time = static_cast<std::int64_t>(value);
    }
    return times;
}

Ref<StoredSession> Sessions::create(const SessionScope& scope, const SessionTimes& times,
                                    Bytes engine_data) const {
    constexpr std::size_t hash_size = StoredSession::hash_size;
    SecretBytes content(hash_size + StoredSession::times_size + engine_data.size());
    if (content.empty())
        return {};
    std::uint8_t* at = content.data() + hash_size;
    for (const auto time : all_times)
        for (int shift = 56; shift >= 0; shift -= 8)
            *at++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(times.*time) >> shift);
    std::memcpy(at, engine_data.data(), engine_data.size());
    return seal(scope, std::move(content));
}

// Writes the hash to the front.
Ref<StoredSession> Sessions::seal(const SessionScope& scope, SecretBytes content) const {
    constexpr std::size_t hash_size = StoredSession::hash_size;
    const Bytes parts[] = {scope, Bytes{content.data(), content.size()}.subspan(hash_size)};
    if (!sha256(parts, std::span<std::uint8_t, 32>(content.data(), hash_size)))
        return {};
    return Ref<StoredSession>{new StoredSession(scope, std::move(content))};
}

Ref<StoredSession> Sessions::load(const SessionScope& scope, Bytes bytes) const {
    if (bytes.size() <= StoredSession::hash_size + StoredSession::times_size)
        return {};
    SecretBytes content(bytes.size());
    if (content.empty())
        return {};
    std::memcpy(content.data(), bytes.data(), bytes.size());
    const Ref<StoredSession> session = seal(scope, std::move(content));
    return session && std::ranges::equal(session->bytes(), bytes) ? session : Ref<StoredSession>{};
}

std::optional<ConfigError> Resumption::offer(const Context& context, EngineSession& engine,
                                             Bytes session, std::string_view server_hostname) {
    const bool client = context.role() == Role::client;
    if (!features::session_export && !session.empty())
        return ConfigError{USSL_OMITTED("`session`", "session_export")};
    if (!session.empty() && (!client || !context.resumes()))
        return ConfigError{client ? "`session`: this context does not resume sessions"
                                  : "`session` is only valid for a client"};
    Sessions* const sessions = ContextInternals::sessions(context);
    if (!features::resumption || sessions == nullptr)
        return std::nullopt;
    const std::optional<SessionScope> scope = sessions->scope_of(server_hostname);
    if (!scope)
        return std::nullopt;
    sessions_ = sessions;
    scope_ = *scope;
    is_named_ = !server_hostname.empty();
    if (features::session_export && !session.empty()) {
        static constexpr ConfigError of_no_use{
            "`session` is damaged, or of another context or `server_hostname`"};
        const Ref<StoredSession> given = sessions->load(scope_, session);
        if (!given || !offer(engine, given))
            return of_no_use;
    } else if (is_named_) {
        // The connection removes the session from the context, so that no other connection uses it.
        // An observer who sees a ticket twice knows that both connections are from the same client
        // (RFC 8446 §C.4).
        if (const Ref<StoredSession> known = sessions->take(scope_))
            (void)offer(engine, known);
    }
    return std::nullopt;
}

// Offers the session to the server if it is not too old. Returns false if the engine cannot use it.
bool Resumption::offer(EngineSession& engine, const Ref<StoredSession>& session) {
    if (!sessions_->is_in_time(session->times()))
        return true;
    const Outcome outcome = engine.resume(session->engine_data());
    if (outcome.kind == Outcome::Kind::done)
        offered_ = session;
    return outcome.kind != Outcome::Kind::failed;
}

namespace {

// Extracts the end of a certificate's validity period, in seconds since 1970.
class NotAfter final : public CertificateVisitor {
  public:
    void identity(int, const Serial&) noexcept override {}
    void attribute(Party, bool, std::string_view, std::string_view) noexcept override {}
    void alternative_name(AltName, Bytes) noexcept override {}
    void validity(const Time&, const Time& end) noexcept override {
        using namespace std::chrono;
        const sys_days date = year{end.year} / month(static_cast<unsigned>(end.month)) /
                              day(static_cast<unsigned>(end.day));
        const sys_seconds at =
            date + hours{end.hour} + minutes{end.minute} + std::chrono::seconds{end.second};
        seconds = at.time_since_epoch().count();
    }
    std::int64_t seconds = 0;
};

}  // namespace

// Returns false if memory runs out.
bool Resumption::find_not_after(const EngineSession& engine) {
    if (times_.not_after != 0)
        return true;
    NotAfter end;
    end.seconds = INT64_MAX;
    if (sessions_->verifies() && !engine.describe_peer(end))
        return false;
    times_.not_after = end.seconds;
    return true;
}

void Resumption::end_handshake(const SessionFacts& facts) {
    if (!features::resumption || sessions_ == nullptr)
        return;
    // A session of a resumed connection is as old as the original session.
    times_ = offered_ && facts.resumed ? offered_->times()
                                       : SessionTimes{.verified_at = sessions_->now()};
}

void Resumption::keep(EngineSession& engine) {
    if (!features::resumption || sessions_ == nullptr)
        return;
    const NewSession news = engine.take_session();
    Ref<StoredSession> saved;
    times_.until = news.lifetime != 0 ? sessions_->now() + news.lifetime : INT64_MAX;
    if (!news.data.empty() && find_not_after(engine)) {
        saved = sessions_->create(scope_, times_, {news.data.data(), news.data.size()});
    } else if (offered_) {
        const SessionFacts facts = engine.facts();
        // Sessions of TLS 1.2 may be used more than once.
        if (facts.version == Version::tls1_2 && facts.resumed)
            saved = offered_;
    }
    offered_ = {};
    if (!saved)
        return;
    newest_ = saved;
    if (is_named_)
        sessions_->remember(std::move(saved));
}

void Resumption::forget() {
    if (features::resumption && newest_)
        sessions_->forget(newest_, scope_);
}

}  // namespace ussl
