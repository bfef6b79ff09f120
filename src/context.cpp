#include "ussl/context.hpp"

#include "engine.hpp"
#include "policy.hpp"

namespace ussl {

Context::~Context() = default;

std::expected<Ref<Context>, Refusal> Context::make(const Engine& engine, const Options& options) {
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
    return context;
}

std::string_view engine_version(const Engine& engine) { return engine.version(); }
bool has_system_store(const Engine& engine) { return engine.has_system_store; }

}  // namespace ussl
