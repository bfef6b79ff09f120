// Sessions that were stored as bytes, unchanged and changed, and the results of the engines.

#include "context_internals.hpp"
#include "edit.hpp"

namespace fuzz {
namespace {

constexpr const ussl::Engine* made_by = &ussl::mbedtls_engine;

Plan plan_for(const ussl::Engine* client, const ussl::Engine* server, Version version) {
    Plan plan = with_certificate();
    plan.client_engine = client;
    plan.server_engine = server;
    plan.client.resumption = plan.server.resumption = true;
    plan.client.verify_time = today;
    only(plan, version);
    // The one that made them has the key of its tickets still; others begin anew.
    if (server == made_by)
        plan.server_context = context_of(*server, plan.server);
    return plan;
}

/// An engine's stored session, made once.
const std::string& session_of(const ussl::Engine* client, Version version) {
    static std::map<std::pair<const ussl::Engine*, Version>, std::string> made;
    std::string& session = made[{client, version}];
    if (session.empty()) {
        Pair pair(plan_for(client, made_by, version));
        expect(pair.handshake(), "no handshake for a session");
        read_all(*pair.client, pair.client_callbacks);
        const Bytes kept = pair.client->session();
        session.assign(kept.begin(), kept.end());
        expect(!session.empty(), "no session");
    }
    return session;
}

}  // namespace

void run(Input& input) {
    const ussl::Engine* engine = input.PickValueInArray(engines);
    const Version version = input.PickValueInArray(versions);
    Plan plan = plan_for(engine, input.PickValueInArray(engines), version);
    const bool sealed = input.ConsumeBool();
    Editor editor(input);

    auto context = Context::make(*engine, plan.client);
    expect(context.has_value(), "no context");
    plan.client_context = *context;
    std::string session = session_of(engine, version);
    if (sealed) {
        // As if the attacker who changed it had also made a new hash.
        session.erase(0, ussl::StoredSession::hash_size + ussl::StoredSession::times_size);
        editor.next(session);
        const auto* sessions = ussl::ContextInternals::sessions(**context);
        const auto scope = sessions->scope_of(plan.name);
        expect(scope.has_value(), "no scope");
        const auto saved = sessions->create(*scope, {today, INT64_MAX, INT64_MAX}, bytes(session));
        session.assign(saved->bytes().begin(), saved->bytes().end());
    } else {
        editor.next(session);
    }
    const auto made =
        Connection::make(*context, {.server_hostname = plan.name, .session = bytes(session)});
    if (!made) {
        expect(editor.changed() && !made.error().out_of_memory, made.error().reason);
        return;
    }
    expect(sealed || !editor.changed() || session.empty(), "a session that is not ours is taken");
    plan.session = session;
    Pair pair(plan);
    const bool open = pair.handshake();
    expect(open || editor.changed(),
           "a good session is in the way: " + describe(pair.client->error()) + " | " +
               describe(pair.server->error()));
    for (int round = 0; round < 3; ++round) {
        converse(*pair.client, pair.client_callbacks, "from the client");
        converse(*pair.server, pair.server_callbacks, "from the server");
    }
    expect_explained(*pair.client, pair.client_callbacks);
    expect_explained(*pair.server, pair.server_callbacks);
}

}  // namespace fuzz
