#include "difference.hpp"

#include <cstdio>
#include <cstdlib>

namespace fuzz {

std::string verdict_of(const Connection& connection) {
    if (connection.failed())
        return std::string(ussl::name_of(connection.error().code));
    return connection.handshake_done() ? "open" : "waits";
}

void expect_same(std::string_view where, const std::string& openssl, const std::string& mbedtls) {
    if (openssl == mbedtls)
        return;
    struct Row {
        std::string_view where;
        std::string_view openssl;
        std::string_view mbedtls;
    };
    static constexpr Row rows[] = {
#define USSL_DIFFERS(where, openssl, mbedtls) {where, openssl, mbedtls},
#include "differences.def"
#undef USSL_DIFFERS
    };
    const auto fits = [](std::string_view row, std::string_view is) {
        return row == "*" || row == is ||
               (row.ends_with('*') && is.starts_with(row.substr(0, row.size() - 1)));
    };
    for (const Row& row : rows)
        if (fits(row.where, where) && fits(row.openssl, openssl) && fits(row.mbedtls, mbedtls))
            return;
    // To see all that there is at once, rather than to stop at the first.
    static const bool survey = std::getenv("USSL_FUZZ_SURVEY") != nullptr;
    const std::string text = std::string(where) + ": OpenSSL " + openssl + ", Mbed TLS " + mbedtls;
    if (survey) {
        static auto& count = *new std::map<std::string, int>;
        if (++count[text] == 1)
            std::fprintf(stderr, "differ: %s\n", text.c_str());
        return;
    }
    expect(false, text);
}

Scene::Scene(Input& input) {
    const bool psk = input.ConsumeBool();
    const Version version = input.PickValueInArray(versions);
    victim = input.ConsumeBool() ? Role::server : Role::client;
    plan = psk ? with_psk() : with_certificate();
    plan.client.verify_time = today;
    only(plan, version);
    if (input.ConsumeBool() && !psk) {
        mutual(plan);
        plan.server.verify_time = today;
    }
    if (input.ConsumeBool())
        plan.client.alpn = plan.server.alpn = bytes("\2h2");
    const ussl::Engine* peer = input.PickValueInArray(engines);
    plan.client_engine = plan.server_engine = peer;
    where = std::string(victim == Role::client ? "client" : "server") + (psk ? " psk" : "") +
            (version == Version::tls1_2 ? " 1.2" : " 1.3");
}

std::string Scene::verdict(const ussl::Engine* engine,
                           const std::function<void(Ring& to_victim, bool before)>& tamper) const {
    forget_random();
    Plan made = plan;
    const bool is_client = victim == Role::client;
    (is_client ? made.client_engine : made.server_engine) = engine;
    made.client_context = context_of(*made.client_engine, made.client);
    made.server_context = context_of(*made.server_engine, made.server);
    Pair pair(made);
    Connection& target = is_client ? *pair.client : *pair.server;
    Connection& peer = is_client ? *pair.server : *pair.client;
    MemoryCallbacks& target_host = is_client ? pair.client_callbacks : pair.server_callbacks;
    MemoryCallbacks& peer_host = is_client ? pair.server_callbacks : pair.client_callbacks;
    for (int round = 0; round < 6; ++round) {
        tamper(target_host.in, true);
        peer.handshake(peer_host);
        tamper(target_host.in, false);
        target.handshake(target_host);
    }
    // close_notify and tickets of an open end; no more data is sent.
    if (target.handshake_done())
        read_all(target, target_host);
    expect_explained(target, target_host);
    return verdict_of(target);
}

}  // namespace fuzz
