// External keys: the program signs. Here it signs with OpenSSL, with either engine.

#include "contract.hpp"
#include "key.hpp"

namespace contract {
namespace {

using ussl::SignAnswer;
using ussl::SignatureScheme;

/// The signer, and the requests.
struct Signer {
    explicit Signer(const std::string& key) : key(cert(key)) {}
    void serve(MemoryCallbacks& callbacks) {
        callbacks.on_sign = [this](SignatureScheme scheme, Bytes digest, Bytes scalar,
                                   MutableBytes into, std::size_t& length) {
            asked.push_back(scheme);
            scalars.emplace_back(scalar.begin(), scalar.end());
            return answer ? *answer : key.sign(scheme, digest, into, length);
        };
    }
    Key key;
    std::optional<SignAnswer> answer;
    std::vector<SignatureScheme> asked;
    std::vector<std::string> scalars;
};

using Signing = EachCase;
INSTANTIATE_EACH_CASE(Signing);

Plan without_key(const std::string& server, const std::string& root) {
    Plan made = with_certificate(server, root);
    made.server.key.reset();
    made.server.sign_by_program = true;
    return made;
}

TEST_P(Signing, AServerNeedsNoKey) {
    for (const auto& [server, root] :
         {std::pair{"server", "ca.crt"}, std::pair{"server-rsa", "ca-rsa.crt"}}) {
        const bool rsa = server == std::string_view("server-rsa");
        Pair pair(plan(without_key(server, root)));
        Signer signer(std::string(server) + ".key");
        signer.serve(pair.server_callbacks);
        ASSERT_TRUE(pair.handshake())
            << server << describe(pair.client->error()) << describe(pair.server->error());
        ASSERT_EQ(signer.asked.size(), 1U) << server;
        if (!rsa)
            EXPECT_EQ(signer.asked[0], SignatureScheme::ecdsa);
        else if (GetParam().version == Version::tls1_3)
            EXPECT_EQ(signer.asked[0], SignatureScheme::rsa_pss);
        else
            EXPECT_NE(signer.asked[0], SignatureScheme::ecdsa);
        EXPECT_TRUE(signer.scalars[0].empty());
        EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, "hello"), 5U);
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "hello");
    }
}

TEST_P(Signing, AClientNeedsNoKey) {
    for (const std::string client : {"client", "client-rsa"}) {
        Plan setup = plan(with_certificate());
        setup.server.trusted = bytes(cert("ca-all.crt"));
        setup.server.verify = Verify::required;
        setup.client.certificate = bytes(cert(client + ".crt"));
        setup.client.sign_by_program = true;
        Pair pair(setup);
        Signer signer(client + ".key");
        signer.serve(pair.client_callbacks);
        ASSERT_TRUE(pair.handshake())
            << client << describe(pair.client->error()) << describe(pair.server->error());
        EXPECT_EQ(signer.asked.size(), 1U);
        EXPECT_FALSE(pair.server->peer_certificate().empty());
    }
}

TEST_P(Signing, AKeyThatIsHereIsShown) {
    Plan setup = plan(with_certificate());
    setup.server.sign_by_program = true;
    Pair pair(setup);
    Signer signer("server.key");
    signer.serve(pair.server_callbacks);
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(signer.scalars[0].size(), 32U);
}

TEST_P(Signing, AKeyThatIsHereSignsIfTheProgramDoesNot) {
    for (const auto& [server, root] :
         {std::pair{"server", "ca.crt"}, std::pair{"server-rsa", "ca-rsa.crt"}}) {
        Plan setup = plan(with_certificate(server, root));
        setup.server.sign_by_program = true;
        Pair pair(setup);
        Signer signer(std::string(server) + ".key");
        signer.answer = SignAnswer::own_key;
        signer.serve(pair.server_callbacks);
        EXPECT_TRUE(pair.handshake()) << server << describe(pair.server->error());
        EXPECT_EQ(signer.asked.size(), 1U);
    }
}

TEST_P(Signing, ThatFailsEndsTheHandshake) {
    for (const SignAnswer answer : {SignAnswer::aborted, SignAnswer::own_key}) {
        Pair pair(plan(without_key("server", "ca.crt")));
        Signer signer("server.key");
        signer.answer = answer;
        signer.serve(pair.server_callbacks);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.server->error().code,
                  answer == SignAnswer::aborted ? Code::CALLBACK : Code::ENGINE);
        EXPECT_EQ(pair.client->error().alert, ussl::Error::Alert::received);
        if (answer == SignAnswer::aborted) {
            EXPECT_EQ(pair.client->error().alert_number, internal_error);
        }
    }
}

TEST_P(Signing, WithAnotherKeyIsRefusedByThePeer) {
    Pair pair(plan(without_key("server", "ca.crt")));
    Signer signer("client.key");
    signer.serve(pair.server_callbacks);
    EXPECT_FALSE(pair.handshake());
    EXPECT_NE(pair.client->error().code, Code::none);
    EXPECT_EQ(pair.client->error().alert, Error::Alert::sent);
}

TEST_P(Signing, IsForTheContextThatTheNameChose) {
    Plan setup = plan(with_certificate("server-rsa", "ca.crt"));
    setup.server.choose_by_name = true;
    const Plan other = plan(without_key("server", "ca.crt"));
    const auto instead = Context::make(*setup.server_engine, other.server);
    ASSERT_TRUE(instead.has_value()) << instead.error().reason;
    Pair pair(setup);
    Signer signer("server.key");
    signer.serve(pair.server_callbacks);
    pair.server_callbacks.on_name = [&](ussl::Ref<Context>& chosen, std::uint8_t&) {
        chosen = *instead;
        return ussl::NameAnswer::good;
    };
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
    EXPECT_EQ(signer.asked.size(), 1U);
}

using SigningOptions = testing::TestWithParam<const ussl::Engine*>;
INSTANTIATE_TEST_SUITE_P(Engines, SigningOptions,
                         testing::Values(&ussl::openssl_engine, &ussl::mbedtls_engine));

TEST_P(SigningOptions, AreChecked) {
    const auto refusal = [&](const Options& options) {
        const auto made = Context::make(*GetParam(), options);
        return std::string(made.has_value() ? "" : made.error().reason);
    };
    Options options;
    options.sign_by_program = true;
    EXPECT_NE(refusal(options).find("requires `certificate`"), std::string::npos);
    options.certificate = bytes(cert("server-weak-ec.crt"));
    EXPECT_NE(refusal(options).find("unsupported certificate"), std::string::npos);
    options.certificate = bytes(cert("server.crt"));
    EXPECT_EQ(refusal(options), "");
    options.key = bytes(cert("client.key"));
    EXPECT_NE(refusal(options).find("do not match"), std::string::npos);
    options.key = bytes(cert("server.key"));
    EXPECT_EQ(refusal(options), "");
    // The key exchange with RSA decrypts.
    constexpr std::uint16_t rsa[] = {0x009C};
    options = {};
    options.role = Role::server;
    options.sign_by_program = true;
    options.certificate = bytes(cert("server-rsa.crt"));
    options.suites = rsa;
    EXPECT_NE(refusal(options).find("none of these cipher suites fits"), std::string::npos);
}

}  // namespace
}  // namespace contract
