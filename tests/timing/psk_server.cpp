// A server with pre-shared keys, and clients that it rejects: for tests/timing/run, which
// counts the instructions of server_turn().
//
//     psk_server openssl|mbedtls 1.2|1.3 wrong_key|unknown|good COUNT
//     psk_server openssl|mbedtls 1.3 known_first|unknown_first COUNT
//
// The last two offer 330 unknown identities behind the first one, as many as fit into a record.

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "../contract/contract.hpp"
#include "../contract/hello.hpp"

extern "C" {
[[gnu::noinline]] void server_turn(ussl::Connection& server, ussl::Callbacks& callbacks);
void server_turn(ussl::Connection& server, ussl::Callbacks& callbacks) {
    (void)server.handshake(callbacks);
}
}

namespace {

using namespace contract;

Plan plan_of(const char* engine, const char* version, std::string_view what) {
    // The program knows a hundred; which of them a client asks for makes no difference to it.
    static const std::string right(32, 'k');
    static const std::string wrong(32, 'x');
    Plan plan =
        with_psk(what == "unknown" ? "nobody" : "client 42", what == "wrong_key" ? wrong : right);
    plan.keys.clear();
    for (int i = 0; i < 100; ++i)
        plan.keys["client " + std::to_string(i)] = right;
    plan.server_engine =
        std::strcmp(engine, "openssl") == 0 ? &ussl::openssl_engine : &ussl::mbedtls_engine;
    only(plan, std::strcmp(version, "1.2") == 0 ? Version::tls1_2 : Version::tls1_3);
    return plan;
}

}  // namespace

int main(int count, char** words) {
    if (count != 5) {
        std::cerr << "psk_server ENGINE VERSION wrong_key|unknown|good|known_first|unknown_first "
                     "COUNT\n";
        return 2;
    }
    const std::string_view what = words[3];
    Plan plan = plan_of(words[1], words[2], what);
    const auto context = Context::make(*plan.server_engine, plan.server);
    plan.server_context = *context;
    const bool is_unknown = what == "unknown" || what == "unknown_first";
    const bool is_known = what == "wrong_key" || what == "known_first";
    const Code expected = is_unknown ? Code::PSK_IDENTITY : is_known ? Code::PSK_KEY : Code::none;
    std::vector<std::string> many;
    if (what.ends_with("_first")) {
        many.emplace_back(is_known ? "client 42" : "client XX");
        for (int i = 0; i < 330; ++i)
            many.push_back("nobody" + std::to_string(100 + i));
    }
    for (int i = std::atoi(words[4]); i > 0; --i) {
        Pair pair(plan);
        for (int round = 0; round < 6; ++round) {
            (void)pair.client->handshake(pair.client_callbacks);
            if (round == 0 && !many.empty()) {
                const std::string hello = with_identities(pair.to_server.text(), many);
                pair.to_server.bytes.assign(hello.begin(), hello.end());
            }
            server_turn(*pair.server, pair.server_callbacks);
        }
        if (pair.server->error().code != expected ||
            pair.server->handshake_done() != (what == "good")) {
            std::cerr << "not " << what << ": " << describe(pair.server->error()) << "\n";
            return 1;
        }
    }
    return 0;
}
