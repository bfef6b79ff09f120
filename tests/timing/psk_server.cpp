// A server with pre-shared keys, and clients that it does not let in: for tests/timing/run, which
// counts the instructions of server_turn().
//
//     psk_server openssl|mbedtls 1.2|1.3 wrong_key|unknown|good COUNT

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "../contract/contract.hpp"

extern "C" {
[[gnu::noinline]] void server_turn(ussl::Connection& server, ussl::Host& host);
void server_turn(ussl::Connection& server, ussl::Host& host) {
    (void)server.handshake(host);
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
        std::cerr << "psk_server openssl|mbedtls 1.2|1.3 wrong_key|unknown|good COUNT\n";
        return 2;
    }
    const std::string_view what = words[3];
    Plan plan = plan_of(words[1], words[2], what);
    const auto context = Context::make(*plan.server_engine, plan.server);
    plan.server_context = *context;
    const Code expected = what == "unknown"     ? Code::PSK_IDENTITY
                          : what == "wrong_key" ? Code::PSK_KEY
                                                : Code::none;
    for (int i = std::atoi(words[4]); i > 0; --i) {
        Pair pair(plan);
        for (int round = 0; round < 6; ++round) {
            (void)pair.client->handshake(pair.client_host);
            server_turn(*pair.server, pair.server_host);
        }
        if (pair.server->error().code != expected ||
            pair.server->handshake_done() != (what == "good")) {
            std::cerr << "not " << what << ": " << describe(pair.server->error()) << "\n";
            return 1;
        }
    }
    return 0;
}
