#include "ussl/context.hpp"

#include <algorithm>
#include <cstring>

#include "engine.hpp"
#include "policy/limits.hpp"
#include "policy/rules.hpp"
#include "policy/suites.hpp"
#include "root_store.hpp"
#include "text.hpp"
#include "text_writer.hpp"

namespace ussl {

Context::Context() = default;
Context::~Context() = default;

std::expected<Ref<Context>, ConfigError> Context::make(const Engine& engine, const Options& given) {
    static constexpr ConfigError no_memory{"out of memory", true};
    const TrimAtEnd trim;
    if (const std::optional<ConfigError> config_error = policy::check_verify(given))
        return std::unexpected(*config_error);
    Options options = given;
    options.verify = policy::verification_of(given);
    if (const std::optional<ConfigError> config_error = policy::check(engine, options))
        return std::unexpected(*config_error);
    Ref<Context> context{new Context};
    if (!context)
        return std::unexpected(no_memory);
    context->settings_ = policy::settings_of(options);
    if (!context->settings_)
        return std::unexpected(no_memory);
    auto made = engine.make_context(*context->settings_, options);
    if (!made)
        return std::unexpected(made.error());
    context->engine_ = std::move(*made);
    const bool has_crls = context->engine_->has_crls();
    if (options.trusted && options.verify == Verify::none && has_crls)
        return std::unexpected(policy::crls_without_verification);
    context->settings_->crl_check = policy::crl_check_of(options, has_crls);
    context->sha256_ = engine.sha256;
    context->now_ = engine.now;
    if (features::resumption && context->resumes() && options.role == Role::client &&
        !context->set_session_scope(engine, options))
        return std::unexpected(no_memory);
    return context;
}

Role Context::role() const {
    return settings_->role;
}
Verify Context::verify() const {
    return settings_->verify;
}
bool Context::uses_psk() const {
    return settings_->uses_psk;
}
bool Context::checks_hostname() const {
    return settings_->checks_hostname;
}
std::size_t Context::record_size() const {
    return settings_->record_size;
}
bool Context::resumes() const {
    return settings_->resumes;
}

std::size_t describe(const ConfigError& config_error, std::string_view argument,
                     std::string_view file, std::span<char> into) {
    TextWriter out(into, TextWriter::Overflow::truncate);
    using About = ConfigError::About;
    const bool has_place = config_error.line != 0 || config_error.offset != 0 ||
                           config_error.about == About::root_store ||
                           config_error.about == About::system_roots;
    if (!argument.empty() && (has_place || !file.empty() || config_error.hint != nullptr)) {
        out.add(argument);
        if (!file.empty()) {
            out.add(" '");
            out.add(file);
            out.add("'");
        }
        const bool has_line = config_error.line != 0;
        if (has_line || config_error.offset != 0) {
            out.add(has_line ? ", line " : ", byte ");
            out.add_number(has_line ? config_error.line : config_error.offset);
        }
        out.add(": ");
    }
    out.add(config_error.reason);
    if (config_error.named[0] != '\0') {
        out.add(": ");
        out.add(config_error.named);
    }
    if (config_error.hint != nullptr) {
        out.add(": ");
        out.add(config_error.hint);
        if (std::string_view(config_error.hint).ends_with(' '))
            out.add(file.empty() ? "FILE" : file);
    }
    return out.size();
}

namespace {

// The input of a hash over options. For bytes, their length precedes them (-1: absent), so that
// different options never have the same input.
class DigestInput {
  public:
    void operator()(std::string_view, const std::optional<Bytes>& bytes) {
        number(bytes ? bytes->size() : absent);
        if (bytes)
            parts_[count_++] = *bytes;
    }
    void operator()(std::string_view name,
                    const std::optional<std::span<const std::uint16_t>>& list) {
        std::optional<Bytes> bytes;
        if (list)
            bytes.emplace(reinterpret_cast<const std::uint8_t*>(list->data()), list->size_bytes());
        operator()(name, bytes);
    }
    void operator()(std::string_view name,
                    const std::array<std::optional<Bytes>, max_root_stores>& stores) {
        for (const std::optional<Bytes>& store : stores)
            operator()(name, store);
    }
    template <class T>
    void operator()(std::string_view, const std::optional<T>& value) {
        number(value ? 1 : 0);
        number(value ? static_cast<std::uint64_t>(*value) : 0);
    }
    template <class T>
    void operator()(std::string_view, const T& value) {
        number(static_cast<std::uint64_t>(value));
    }

    [[nodiscard]] std::span<const Bytes> parts() {
        parts_[0] = {reinterpret_cast<const std::uint8_t*>(numbers_), sizeof numbers_};
        return {parts_, count_};
    }

  private:
    void number(std::uint64_t value) { numbers_[numbers_count_++] = value; }

    static constexpr std::uint64_t absent = ~std::uint64_t{0};
    std::uint64_t numbers_[2 * option_count + max_root_stores] = {};
    std::size_t numbers_count_ = 0;
    Bytes parts_[1 + option_count + max_root_stores];
    std::size_t count_ = 1;
};

}  // namespace

// A resumed session relies on the verification of its full handshake, so it is only valid for the
// same options. Options are excluded if they only change the time of the verification, or have no
// effect on the session.
bool Context::set_session_scope(const Engine& engine, const Options& options) {
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
           (!policy::uses_system_store(options) || engine_->store_digest(store)) &&
           (!options.verify_by_program || engine.random(MutableBytes{callback})) &&
           sha256(parts, session_scope_);
}

bool options_digest(const Engine& engine, const Options& options, std::span<std::uint8_t, 32> out) {
    // The header of a root store contains its digest, so the content need not be hashed.
    Options summarized = options;
    if constexpr (features::root_store) {
        for (std::optional<Bytes>& store : summarized.root_stores)
            if (store)
                store = RootStore::summary(*store);
        if (options.system_roots)
            summarized.system_roots = RootStore::summary(*options.system_roots);
    }
    DigestInput input;
    for_each_option(summarized,
                    [&](std::string_view name, const auto& value) { input(name, value); });
    return engine.sha256(input.parts(), out);
}

StoreStats Context::store_stats() const {
    return engine_->store_stats();
}

bool Context::sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) const {
    return sha256_(parts, out);
}

bool Context::session_scope(std::string_view server_hostname,
                            std::span<std::uint8_t, 32> scope) const {
    const Bytes parts[] = {
        session_scope_,
        {reinterpret_cast<const std::uint8_t*>(server_hostname.data()), server_hostname.size()}};
    return sha256(parts, scope);
}

// Several threads may use the sessions. Nothing is allocated or computed while the lock is held.
class Context::SessionsLock {
  public:
    explicit SessionsLock(Context& context) : flag_(context.sessions_lock_) {
        while (flag_.test_and_set(std::memory_order_acquire)) {
        }
    }
    ~SessionsLock() { flag_.clear(std::memory_order_release); }
    SessionsLock(const SessionsLock&) = delete;
    SessionsLock& operator=(const SessionsLock&) = delete;

  private:
    std::atomic_flag& flag_;
};

Ref<StoredSession> Context::take(std::span<const std::uint8_t, 32> scope) {
    const SessionsLock lock(*this);
    for (Ref<StoredSession>* at = &sessions_; *at; at = &(*at)->next_)
        if (std::ranges::equal((*at)->scope_, scope)) {
            Ref<StoredSession> taken = std::move(*at);
            *at = std::exchange(taken->next_, {});
            return taken;
        }
    return {};
}

void Context::forget(const Ref<StoredSession>& session, std::span<const std::uint8_t, 32> scope) {
    // Another connection may have stored a newer session.
    if (Ref<StoredSession> known = take(scope); known && known.get() != session.get())
        remember(std::move(known));
}

void Context::remember(Ref<StoredSession> session) {
    const Ref<StoredSession> before = take(session->scope_);
    Ref<StoredSession> gone;  // released after the lock
    const SessionsLock lock(*this);
    session->next_ = std::move(sessions_);
    sessions_ = std::move(session);
    std::size_t count = 0;
    for (StoredSession* at = sessions_.get(); at != nullptr; at = at->next_.get())
        if (++count == policy::max_sessions)
            gone = std::exchange(at->next_, {});
}

std::int64_t Context::now() const {
    const std::optional<std::int64_t> given = settings_->verify_time.given;
    return given ? *given : now_();
}

// If the clock was set back, the age of a session is unknown.
bool Context::is_in_time(const SessionTimes& times) const {
    const std::int64_t at = now();
    return at >= times.verified_at && at - times.verified_at < settings_->session_lifetime &&
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

Ref<StoredSession> StoredSession::make(const Context& context,
                                       std::span<const std::uint8_t, 32> scope,
                                       const SessionTimes& times, Bytes engine_data) {
    SecretBytes content(hash_size + times_size + engine_data.size());
    if (content.empty())
        return {};
    std::uint8_t* at = content.data() + hash_size;
    for (const auto time : all_times)
        for (int shift = 56; shift >= 0; shift -= 8)
            *at++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(times.*time) >> shift);
    std::memcpy(at, engine_data.data(), engine_data.size());
    return seal(context, scope, std::move(content));
}

// Writes the hash to the front.
Ref<StoredSession> StoredSession::seal(const Context& context,
                                       std::span<const std::uint8_t, 32> scope,
                                       SecretBytes content) {
    const Bytes parts[] = {scope, Bytes{content.data(), content.size()}.subspan(hash_size)};
    if (!context.sha256(parts, std::span<std::uint8_t, 32>(content.data(), hash_size)))
        return {};
    Ref<StoredSession> session{new StoredSession(std::move(content))};
    if (session)
        std::ranges::copy(scope, session->scope_);
    return session;
}

Ref<StoredSession> StoredSession::load(const Context& context,
                                       std::span<const std::uint8_t, 32> scope, Bytes bytes) {
    if (bytes.size() <= hash_size + times_size)
        return {};
    SecretBytes content(bytes.size());
    if (content.empty())
        return {};
    std::memcpy(content.data(), bytes.data(), bytes.size());
    const Ref<StoredSession> session = seal(context, scope, std::move(content));
    return session && std::ranges::equal(session->bytes(), bytes) ? session : Ref<StoredSession>{};
}

bool for_each_suite(const Engine& engine, SuiteVisitor& visitor) {
    return engine.for_each_suite(visitor);
}

std::uint16_t suite_of(const Engine& engine, std::string_view name) {
    struct Search final : SuiteVisitor {
        explicit Search(std::string_view wanted) : name(wanted) {}
        void suite(std::uint16_t number, std::string_view iana) noexcept override {
            if (found == 0 && policy::is_suite(iana, name))
                found = number;
        }
        std::string_view name;
        std::uint16_t found = 0;
    } search(name);
    (void)engine.for_each_suite(search);
    return search.found;
}

std::size_t parse_suites(const Engine& engine, std::string_view text, std::span<std::uint16_t> into,
                         std::string_view& unknown) {
    // As in CPython: the TLS 1.3 suites stay the default, even if the text names some of them.
    std::size_t count = 0;
    for (const std::uint16_t suite : policy::suites_tls1_3)
        into[count++] = suite;
    const std::size_t defaults = count;
    while (!text.empty()) {
        constexpr std::string_view separators = ":, ";
        const std::string_view name = up_to(text, text.find_first_of(separators));
        text = from(text, name.size() + 1);
        if (name.empty())
            continue;
        const std::uint16_t suite = suite_of(engine, name);
        if (suite == 0 || count == into.size()) {
            unknown = name;
            return 0;
        }
        if (!policy::is_tls1_3(suite))
            into[count++] = suite;
    }
    return count == defaults ? 0 : count;
}

std::string_view engine_version(const Engine& engine) {
    return engine.version();
}
bool is_root_store(Bytes content) {
    return RootStore::begins(content);
}
bool has_root_store(const Engine& engine) {
    return engine.has_root_store;
}
bool has_system_store(const Engine& engine) {
    return engine.has_system_store;
}
void shut_down(const Engine& engine) {
    engine.shut_down();
}

bool wipe_released_memory(const Engine& engine) {
    return engine.wipe_released_memory();
}

}  // namespace ussl
