// Pre-shared keys, in both versions and both roles.

#include "contract.hpp"

namespace contract {
namespace {

class Psk : public EachCase {
  protected:
    static Plan setup(std::string_view identity = "me", std::string_view key = "0123456789abcdef") {
        return plan(with_psk(identity, key));
    }
};
INSTANTIATE_EACH_CASE(Psk);

TEST_P(Psk, ConnectsAndIsForwardSecret) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake()) << describe(pair.server->error());
    EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{"me"});
    const std::string_view suite = pair.client->cipher().name;
    EXPECT_TRUE(GetParam().version == Version::tls1_3 || suite.starts_with("TLS_ECDHE_PSK_"))
        << suite;
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
        bytes_down[unknown] = static_cast<std::size_t>(pair.server_callbacks.writes);
    }
    constexpr int bad_record_mac = 20;
    constexpr int illegal_parameter = 47;
    constexpr int decrypt_error = 51;
    const int alert = GetParam().version == Version::tls1_3 ? decrypt_error : bad_record_mac;
    const bool may_differ =
        GetParam().version == Version::tls1_3 && lacks(GetParam().engines.server, Lacks::psk_alert);
    EXPECT_TRUE(seen[0].alert_number == alert ||
                (may_differ && seen[0].alert_number == illegal_parameter))
        << describe(seen[0]);
    EXPECT_EQ(describe(seen[0]), describe(seen[1]));
    EXPECT_EQ(bytes_down[0], bytes_down[1]);
}

// A random key replaces it.
TEST_P(Psk, AnUnknownIdentityHasNoKeyThatCanBeGuessed) {
    for (const std::size_t size : {1, 16, 32, 48}) {
        const std::string zeros(size, '\0');
        Plan made = setup("me", zeros);
        made.keys.clear();
        Pair pair(made);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.server->error().code, Code::PSK_IDENTITY);
    }
}

TEST_P(Psk, ALookupThatFailsEndsTheHandshake) {
    Pair pair(setup());
    pair.server_callbacks.lookup_aborts = true;
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::CALLBACK);
    EXPECT_EQ(pair.client->error().alert_number, internal_error) << describe(pair.client->error());
}

TEST_P(Psk, ALookupMayNotUseTheConnectionButMayCloseIt) {
    Pair pair(setup());
    pair.server_callbacks.on_lookup = [&] {
        std::uint8_t buffer[1];
        EXPECT_TRUE(pair.server->busy());
        EXPECT_EQ(pair.server->read(pair.server_callbacks, buffer).kind, Kind::misuse);
        pair.server->close(pair.server_callbacks);
        EXPECT_FALSE(pair.server->closed());  // the engine is still on the stack
    };
    for (int round = 0; round < 4; ++round) {
        pair.client->handshake(pair.client_callbacks);
        pair.server->handshake(pair.server_callbacks);
    }
    EXPECT_EQ(pair.server_callbacks.asked.size(), 1U);
    EXPECT_TRUE(pair.server->closed());
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
    made.client.minimum_version = made.client.maximum_version = GetParam().version;
    made.name = "localhost";
    Pair pair(made);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_CIPHER);
    EXPECT_EQ(pair.client->error().code, Code::HANDSHAKE_FAILED);
}

TEST_P(Psk, AnIdentityWithANulIsTakenWhole) {
    const std::string name("a\0b", 3);
    Plan made = setup(name);
    if (GetParam().version == Version::tls1_3) {
        Pair pair(made);
        EXPECT_TRUE(pair.handshake());
        EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{name});
        return;
    }
    // OpenSSL's client cannot send one in TLS 1.2 (docs/explanation/known-limitations.md): it
    // offers TLS 1.3 only.
    made.client.minimum_version = Version::tls1_2;
    made.client.maximum_version = Version::tls1_3;
    Pair pair(made);
    if (!lacks(made.client_engine, Lacks::psk_nul_tls1_2_client)) {
        EXPECT_TRUE(pair.handshake());
        EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{name});
        return;
    }
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_VERSION);
}

TEST_P(Psk, AHintDoesNoHarm) {
    Plan made = setup();
    made.server.psk_hint = bytes("which key?");
    Pair pair(made);
    EXPECT_TRUE(pair.handshake());
}

// In TLS 1.2 only the corresponding key protects an identity, so that a test can change it in
// transit. In TLS 1.3 the client's binder protects it.
class PskIdentity : public EachPair {
  protected:
    /// A server that is about to read a client's "ab", and its position.
    PskIdentity() {
        pair.client->handshake(pair.client_callbacks);
        pair.server->handshake(pair.server_callbacks);
        pair.client->handshake(pair.client_callbacks);
        at = pair.to_server.text().find(std::string("\0\2ab", 4)) + 2;
    }
    static Plan setup() {
        Plan made = plan(with_psk("ab"));
        only(made, Version::tls1_2);
        made.keys["a"] = made.keys[""] = made.keys["ab"];
        return made;
    }

    Pair pair{setup()};
    std::size_t at;
};
INSTANTIATE_EACH_PAIR(PskIdentity);

TEST_P(PskIdentity, IsNotCutOffAtANul) {
    ASSERT_LT(at, pair.to_server.bytes.size());
    pair.to_server.bytes[at + 1] = 0;
    pair.server->handshake(pair.server_callbacks);
    EXPECT_EQ(pair.server_callbacks.asked, (std::vector<std::string>{std::string("a\0", 2)}));
    EXPECT_EQ(pair.server->error().code, Code::PSK_IDENTITY);
}

TEST_P(PskIdentity, IsNotLookedUpIfItIsEmptyOrTooLong) {
    constexpr std::size_t more = 127;
    ASSERT_LT(at, pair.to_server.bytes.size());
    auto& bytes = pair.to_server.bytes;
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), more, std::uint8_t{'x'});
    // The lengths of the identity, of the message (RFC 5246 §7.4) and of the record.
    for (const std::size_t length : {at - 1, at - 3, at - 7})
        bytes[length] = static_cast<std::uint8_t>(bytes[length] + more);
    pair.server->handshake(pair.server_callbacks);
    EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{});
    EXPECT_EQ(pair.server->error().code, Code::PSK_IDENTITY) << describe(pair.server->error());
}

}  // namespace
}  // namespace contract
