#include "ussl/context.hpp"

#include <algorithm>
#include <cstring>

#include "engine.hpp"
#include "policy.hpp"
#include "text.hpp"

namespace ussl {

Context::~Context() = default;

namespace {

std::optional<Bytes> suites_of(const Options& options) {
    if (!options.suites)
        return std::nullopt;
    const auto bytes = std::as_bytes(*options.suites);
    return Bytes{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

std::expected<Ref<Context>, Refusal> Context::make(const Engine& engine, const Options& options) {
    const TrimAtEnd trim;
    if (const std::optional<Refusal> refusal = policy::check(engine, options))
        return std::unexpected(*refusal);
    Ref<Context> context{new Context};
    if (!context)
        return std::unexpected(Refusal{"out of memory", true});
    auto made = engine.make_context(options);
    if (!made)
        return std::unexpected(made.error());
    context->engine_ = std::move(*made);
    context->role_ = options.role;
    context->verify_ = options.verify;
    context->psk_ = policy::uses_psk(options);
    context->checks_hostname_ =
        options.verify != Verify::none && options.check_hostname && !context->psk_;
    context->sha256_ = engine.sha256;
    context->resumes_ = policy::resumes(options);
    if (context->resumes_ && options.role == Role::client) {
        // What a session is worth is how its server was verified, not when, or in which records.
        Options lasting = options;
        lasting.verify_time.reset();
        lasting.record_size_limit.reset();
        lasting.key_log = false;
        if (!fingerprint(engine, lasting, context->fingerprint_))
            return std::unexpected(Refusal{"out of memory", true});
    }
    context->record_size_ =
        static_cast<std::uint16_t>(options.record_size_limit.value_or(max_record_size));
    return context;
}

std::size_t describe(const Refusal& refusal, std::string_view argument, std::string_view file,
                     std::span<char> into) {
    std::size_t size = 0;
    const auto add = [&](std::string_view text) {
        const std::size_t n = std::min(text.size(), into.size() - size);
        std::memcpy(into.data() + size, text.data(), n);
        size += n;
    };
    const auto add_number = [&](std::string_view before, std::uint32_t number) {
        char digits[10];
        std::size_t at = sizeof digits;
        do
            digits[--at] = static_cast<char>('0' + number % 10);
        while ((number /= 10) != 0);
        add(before);
        add({digits + at, sizeof digits - at});
    };
    const bool has_place = refusal.line != 0 || refusal.offset != 0;
    if (!argument.empty() && (has_place || !file.empty() || refusal.hint != nullptr)) {
        add(argument);
        if (!file.empty()) {
            add(" '");
            add(file);
            add("'");
        }
        if (refusal.line != 0)
            add_number(", line ", refusal.line);
        else if (refusal.offset != 0)
            add_number(", byte ", refusal.offset);
        add(": ");
    }
    add(refusal.reason);
    if (refusal.named[0] != '\0') {
        add(": ");
        add(refusal.named);
    }
    if (refusal.hint != nullptr) {
        add(": ");
        add(refusal.hint);
        if (std::string_view(refusal.hint).ends_with(' '))
            add(file.empty() ? "FILE" : file);
    }
    return size;
}

bool fingerprint(const Engine& engine, const Options& options, std::span<std::uint8_t, 32> out) {
    const std::optional<Bytes> contents[] = {
        options.key,          options.key_password, options.certificate, options.trusted,
        options.psk_identity, options.psk_key,      options.psk_hint,    options.alpn,
        options.pins,         suites_of(options),
    };
    constexpr std::size_t count = std::size(contents);
    // The lengths go first (-1: not given), so that no two sets of options read the same.
    struct {
        std::uint64_t sizes[count];
        std::uint64_t rest[16];
    } numbers = {};
    Bytes parts[count + 1];
    for (std::size_t i = 0; i < count; ++i) {
        parts[i + 1] = contents[i].value_or(Bytes{});
        numbers.sizes[i] = contents[i] ? parts[i + 1].size() : ~std::uint64_t{0};
    }
    numbers.rest[0] = static_cast<std::uint64_t>(options.role);
    numbers.rest[1] = static_cast<std::uint64_t>(options.verify);
    numbers.rest[2] = options.psk_server ? 1 : 0;
    numbers.rest[3] = static_cast<std::uint64_t>(options.minimum_version);
    numbers.rest[4] = static_cast<std::uint64_t>(options.maximum_version);
    numbers.rest[5] = options.record_size_limit.value_or(0);
    numbers.rest[6] = options.check_hostname ? 1 : 0;
    numbers.rest[7] = options.system_store ? 1 : 0;
    numbers.rest[8] = options.verify_by_program ? 1 : 0;
    numbers.rest[9] = options.verify_time ? 1 : 0;
    numbers.rest[10] = static_cast<std::uint64_t>(options.verify_time.value_or(0));
    numbers.rest[11] = options.resumption ? std::uint64_t{1} + options.tickets : 0;
    numbers.rest[12] = options.key_log ? 1 : 0;
    numbers.rest[13] = options.choose_by_name ? 1 : 0;
    numbers.rest[14] =
        options.crl_check ? std::uint64_t{1} + static_cast<unsigned>(*options.crl_check) : 0;
    numbers.rest[15] = options.sign_by_program ? 1 : 0;
    parts[0] = {reinterpret_cast<const std::uint8_t*>(&numbers), sizeof numbers};
    return engine.sha256(std::span<const Bytes>{parts, count + 1}, out);
}

Stored Context::stored() const {
    return engine_->stored();
}

bool Context::sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) const {
    return sha256_(parts, out);
}

bool Context::tag_of(std::string_view server_hostname, std::span<std::uint8_t, 32> tag) const {
    const Bytes parts[] = {
        fingerprint_,
        {reinterpret_cast<const std::uint8_t*>(server_hostname.data()), server_hostname.size()}};
    return sha256(parts, tag);
}

// Several threads may be at it. Nothing is allocated or computed while it is held.
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

Ref<SavedSession> Context::take(std::span<const std::uint8_t, 32> tag) {
    const SessionsLock lock(*this);
    for (Ref<SavedSession>* at = &sessions_; *at; at = &(*at)->next_)
        if (std::ranges::equal((*at)->tag_, tag)) {
            Ref<SavedSession> taken = std::move(*at);
            *at = std::exchange(taken->next_, {});
            return taken;
        }
    return {};
}

void Context::remember(Ref<SavedSession> session) {
    const Ref<SavedSession> before = take(session->tag_);
    Ref<SavedSession> gone;  // released after the lock
    const SessionsLock lock(*this);
    session->next_ = std::move(sessions_);
    sessions_ = std::move(session);
    std::size_t count = 0;
    for (SavedSession* at = sessions_.get(); at != nullptr; at = at->next_.get())
        if (++count == policy::most_sessions)
            gone = std::exchange(at->next_, {});
}

Ref<SavedSession> SavedSession::make(const Context& context, std::span<const std::uint8_t, 32> tag,
                                     Bytes of_engine) {
    SecretBytes content(hash_size + of_engine.size());
    if (content.empty())
        return {};
    std::memcpy(content.data() + hash_size, of_engine.data(), of_engine.size());
    const Bytes parts[] = {tag, of_engine};
    if (!context.sha256(parts, std::span<std::uint8_t, 32>(content.data(), hash_size)))
        return {};
    Ref<SavedSession> session{new SavedSession(std::move(content))};
    if (session)
        std::ranges::copy(tag, session->tag_);
    return session;
}

Ref<SavedSession> SavedSession::load(const Context& context, std::span<const std::uint8_t, 32> tag,
                                     Bytes bytes) {
    if (bytes.size() <= hash_size)
        return {};
    const Ref<SavedSession> session = make(context, tag, bytes.subspan(hash_size));
    return session && std::ranges::equal(session->bytes(), bytes) ? session : Ref<SavedSession>{};
}

bool for_each_suite(const Engine& engine, SuiteVisitor& visitor) {
    return engine.for_each_suite(visitor);
}

std::uint16_t suite_of(const Engine& engine, std::string_view name) {
    struct Search final : SuiteVisitor {
        explicit Search(std::string_view wanted) : name(wanted) {}
        void suite(std::uint16_t number, std::string_view iana) override {
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
    // As in CPython, a list of suites of TLS 1.2 leaves those of TLS 1.3 as they are.
    std::size_t count = 0;
    bool any_tls1_3 = false;
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
        any_tls1_3 = any_tls1_3 || policy::is_tls1_3(suite);
        into[count++] = suite;
    }
    if (!any_tls1_3 && count != defaults)
        return count;
    const auto named = into.first(count).subspan(defaults);
    std::ranges::copy(named, into.begin());
    return named.size();
}

std::string_view engine_version(const Engine& engine) {
    return engine.version();
}
bool has_system_store(const Engine& engine) {
    return engine.has_system_store;
}
void shut_down(const Engine& engine) {
    engine.shut_down();
}

}  // namespace ussl
