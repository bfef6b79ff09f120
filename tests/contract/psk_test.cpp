// Pre-shared keys, in both versions and both roles.

#include "contract.hpp"

namespace contract {
namespace {

class Psk : public testing::TestWithParam<Version> {
  protected:
    static Plan setup(std::string_view identity = "me", std::string_view key = "0123456789abcdef") {
        Plan made = with_psk(identity, key);
        only(made, GetParam());
        return made;
    }
};
INSTANTIATE_TEST_SUITE_P(Versions, Psk, testing::Values(Version::tls1_2, Version::tls1_3),
                         [](const auto& info) {
                             return info.param == Version::tls1_2 ? "tls1_2" : "tls1_3";
                         });

TEST_P(Psk, ConnectsAndIsForwardSecret) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake()) << describe(pair.server->error());
    EXPECT_EQ(pair.server_host.asked, std::vector<std::string>{"me"});
    const std::string_view suite = pair.client->cipher().name;
    EXPECT_TRUE(GetParam() == Version::tls1_3 || suite.starts_with("TLS_ECDHE_PSK_")) << suite;
    EXPECT_TRUE(pair.client->peer_certificate().empty());
}

TEST_P(Psk, TakesKeysAndIdentitiesOfEveryLength) {
    for (const std::size_t identity : {1U, 64U, 128U}) {
        for (const std::size_t key : {1U, 16U, 32U, 48U}) {
            const std::string name(identity, 'i');
            const std::string secret = pattern(key);
            Pair pair(setup(name, secret));
            EXPECT_TRUE(pair.handshake())
                << identity << " " << key << " " << describe(pair.server->error());
        }
    }
}

TEST_P(Psk, AWrongKeyAndAnUnknownIdentityLookTheSameFromOutside) {
    Error seen[2];
    std::size_t bytes_down[2];
    for (const int unknown : {0, 1}) {
        Plan made = setup();
        made.keys = {{unknown != 0 ? "somebody else" : "me", "not the right key"}};
        Pair pair(made);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.server->error().code, unknown != 0 ? Code::PSK_IDENTITY : Code::PSK_KEY);
        EXPECT_EQ(pair.client->error().code, Code::PSK_REFUSED);
        seen[unknown] = pair.client->error();
        bytes_down[unknown] = static_cast<std::size_t>(pair.server_host.writes);
    }
    EXPECT_EQ(seen[0].alert_number, seen[1].alert_number);
    EXPECT_EQ(describe(seen[0]), describe(seen[1]));
    EXPECT_EQ(bytes_down[0], bytes_down[1]);
}

TEST_P(Psk, ALookupThatFailsEndsTheHandshake) {
    Pair pair(setup());
    pair.server_host.lookup_aborts = true;
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::aborted);
    EXPECT_TRUE(pair.client->failed() || pair.client_progress.kind == Kind::blocked);
}

TEST_P(Psk, AClientDoesNotFallBackToACertificate) {
    Plan made = setup();
    const Plan other = with_certificate();
    made.server.psk_server = false;
    made.server.key = other.server.key;
    made.server.certificate = other.server.certificate;
    Pair pair(made);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::PSK_REFUSED) << describe(pair.client->error());
}

TEST_P(Psk, AServerDoesNotTakeAClientWithoutAKey) {
    Plan made = setup();
    made.client = with_certificate().client;
    made.client.minimum_version = made.client.maximum_version = GetParam();
    made.name = "localhost";
    Pair pair(made);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_CIPHER);
    EXPECT_EQ(pair.client->error().code, Code::HANDSHAKE_FAILED);
}

TEST_P(Psk, AnIdentityWithANulIsTakenWhole) {
    const std::string name("a\0b", 3);
    Plan made = setup(name);
    if (GetParam() == Version::tls1_3) {
        Pair pair(made);
        EXPECT_TRUE(pair.handshake());
        EXPECT_EQ(pair.server_host.asked, std::vector<std::string>{name});
        return;
    }
    // OpenSSL's client cannot send one in TLS 1.2 (docs/engines.md): it offers TLS 1.3 only.
    made.client.minimum_version = Version::tls1_2;
    made.client.maximum_version = Version::tls1_3;
    Pair pair(made);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_VERSION);
}

TEST_P(Psk, AHintDoesNoHarm) {
    Plan made = setup();
    made.server.psk_hint = bytes("which key?");
    Pair pair(made);
    EXPECT_TRUE(pair.handshake());
}

TEST(PskIdentity, IsNotCutOffAtANulInTls12) {
    // The client sends "a"; on its way it becomes "a\0" (same length fields, one byte more).
    Plan setup = with_psk("ab");
    only(setup, Version::tls1_2);
    setup.keys["a"] = "0123456789abcdef";
    Pair pair(setup);
    pair.client->handshake(pair.client_host);
    pair.server->handshake(pair.server_host);
    pair.client->handshake(pair.client_host);
    const std::string flight = pair.to_server.text();
    const std::size_t at = flight.find(std::string("\0\2ab", 4));
    ASSERT_NE(at, std::string::npos);
    pair.to_server.bytes[at + 3] = 0;
    pair.server->handshake(pair.server_host);
    EXPECT_EQ(pair.server_host.asked, (std::vector<std::string>{std::string("a\0", 2)}));
    EXPECT_EQ(pair.server->error().code, Code::PSK_IDENTITY);
}

}  // namespace
}  // namespace contract
