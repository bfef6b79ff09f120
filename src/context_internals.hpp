#pragma once

#include "engine.hpp"
#include "sessions.hpp"
#include "ussl/context.hpp"

namespace ussl {

/// Access to the parts of a Context that only the library uses.
struct ContextInternals {
    static EngineContext& engine(const Context& context) { return *context.engine_; }
    /// Returns nullptr if connections of the context do not store sessions: a server, or a client
    /// without resumption.
    static Sessions* sessions(const Context& context) { return context.sessions_.get(); }
};

}  // namespace ussl
