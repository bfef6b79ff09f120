#include "ussl/context.hpp"

#include "engine.hpp"
#include "policy.hpp"

namespace ussl {

Context::~Context() = default;

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
    context->psk_ = options.psk_identity || options.psk_server;
    context->record_size_ =
        static_cast<std::uint16_t>(options.record_size_limit.value_or(max_record_size));
    return context;
}

bool fingerprint(const Engine& engine, const Options& options, std::span<std::uint8_t, 32> out) {
    const std::optional<Bytes> contents[] = {
        options.key,          options.key_password, options.certificate, options.trusted,
        options.psk_identity, options.psk_key,      options.psk_hint,
    };
    constexpr std::size_t count = std::size(contents);
    // The lengths go first (-1: not given), so that no two sets of options read the same.
    struct {
        std::uint64_t sizes[count];
        std::uint64_t rest[6];
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
    parts[0] = {reinterpret_cast<const std::uint8_t*>(&numbers), sizeof numbers};
    return engine.sha256(std::span<const Bytes>{parts, count + 1}, out);
}

std::string_view engine_version(const Engine& engine) {
    return engine.version();
}
bool has_system_store(const Engine& engine) {
    return engine.has_system_store;
}

}  // namespace ussl
