#include "ussl/context.hpp"

#include <algorithm>

#include "engine.hpp"
#include "policy/rules.hpp"
#include "policy/suites.hpp"
#include "root_store.hpp"
#include "sessions.hpp"
#include "text.hpp"
#include "text_writer.hpp"

namespace ussl {

ConfigError::ConfigError(const ConfigError& other) noexcept = default;
ConfigError& ConfigError::operator=(const ConfigError& other) noexcept = default;

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
    if (features::resumption && context->resumes() && options.role == Role::client) {
        context->sessions_ =
            Sessions::make(engine, *context->engine_, *context->settings_, options);
        if (!context->sessions_)
            return std::unexpected(no_memory);
    }
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
    // A short text may lack the name.
    if (!argument.empty() &&
        (!features::argument_texts || has_place || !file.empty() || config_error.hint != nullptr)) {
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

bool for_each_suite(const Engine& engine, SuiteVisitor& visitor) {
    if constexpr (!features::context)
        return false;
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
    (void)for_each_suite(engine, search);
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
