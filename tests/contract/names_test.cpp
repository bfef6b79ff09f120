// A server with several names.

#include "contract.hpp"

namespace contract {
namespace {

using ussl::NameAnswer;
using Names = EachCase;
INSTANTIATE_EACH_CASE(Names);

Plan asking() {
    Plan made = with_certificate();
    made.server.choose_by_name = true;
    return made;
}

ussl::Ref<Context> make(const ussl::Engine& engine, const Options& options) {
    auto context = Context::make(engine, options);
    EXPECT_TRUE(context);
    return context ? *context : ussl::Ref<Context>{};
}

TEST_P(Names, AreToldToTheServer) {
    for (const std::string name : {"localhost", "127.0.0.1"}) {
        Plan made = plan(asking());
        made.name = name;
        Pair pair(made);
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        // An address is no name for SNI (RFC 6066 §3).
        EXPECT_EQ(pair.server_callbacks.names,
                  std::vector<std::string>{name == "localhost" ? name : ""});
    }
    Plan made = plan(asking());
    made.server.choose_by_name = false;
    Pair pair(made);
    ASSERT_TRUE(pair.handshake());
    EXPECT_TRUE(pair.server_callbacks.names.empty());
}

TEST_P(Names, HaveACertificateEach) {
    Plan made = plan(asking());
    made.name = "a.example.test";
    const Plan other = plan(with_certificate("server-wildcard"));
    {
        Pair pair(made);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.client->error().code, Code::CERT_HOSTNAME);
    }
    Pair pair(made);
    const auto instead = make(*made.server_engine, other.server);
    pair.server_callbacks.on_name = [&](ussl::Ref<Context>& context, std::uint8_t&) {
        context = instead;
        return NameAnswer::good;
    };
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
    const std::string data = pattern(20000);
    write_some(*pair.server, pair.server_callbacks, data);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), data);
    write_some(*pair.client, pair.client_callbacks, data);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), data);
}

TEST_P(Names, MayAskForTheClientsCertificate) {
    Plan made = plan(asking());
    Plan other = plan(with_certificate());
    other.server.trusted = bytes(cert("ca.crt"));
    other.server.verify = Verify::required;
    const auto instead = make(*made.server_engine, other.server);
    const auto choose = [&](ussl::Ref<Context>& context, std::uint8_t&) {
        context = instead;
        return NameAnswer::good;
    };
    {
        Pair pair(made);
        pair.server_callbacks.on_name = choose;
        pair.handshake();
        EXPECT_EQ(pair.server->error().code, Code::CERT_MISSING);
    }
    for (const std::string name : {"client", "client-other"}) {
        made.client.key = bytes(cert(name + ".key"));
        made.client.certificate = bytes(cert(name + ".crt"));
        Pair pair(made);
        pair.server_callbacks.on_name = choose;
        pair.handshake();
        const bool good = name == "client";
        EXPECT_EQ(pair.server->error().code, good ? Code::none : Code::CERT_UNKNOWN_ISSUER);
        EXPECT_EQ(pair.server->peer_verified(), good);
    }
}

TEST_P(Names, LeaveTheRestAsItIs) {
    Plan made = plan(asking());
    made.client.alpn = bytes("\4mqtt\2h2");
    made.server.alpn = bytes("\2h2");
    Plan other = plan(with_certificate());
    other.server.alpn = bytes("\4mqtt");
    const auto instead = make(*made.server_engine, other.server);
    Pair pair(made);
    pair.server_callbacks.on_name = [&](ussl::Ref<Context>& context, std::uint8_t&) {
        context = instead;
        return NameAnswer::good;
    };
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
    const Bytes spoken = pair.client->alpn();
    EXPECT_EQ(std::string(spoken.begin(), spoken.end()), "h2");
}

TEST_P(Names, DoNotChangeTheSuites) {
    for (const bool swapped : {false, true}) {
        // Of TLS 1.2 and 1.3.
        std::vector<std::uint16_t> suites[] = {{0x1301, 0xC02B, 0xC02F}, {0x1302, 0xC02C, 0xC030}};
        Plan made = plan(asking());
        Plan other = plan(with_certificate());
        made.server.suites = suites[swapped ? 1 : 0];
        other.server.suites = suites[swapped ? 0 : 1];
        const auto instead = make(*made.server_engine, other.server);
        Pair pair(made);
        pair.server_callbacks.on_name = [&](ussl::Ref<Context>& context, std::uint8_t&) {
            context = instead;
            return NameAnswer::good;
        };
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        const std::string suite(pair.client->cipher().name);
        EXPECT_NE(suite.find(swapped ? "AES_256_GCM_SHA384" : "AES_128_GCM_SHA256"),
                  std::string::npos)
            << suite;
    }
}

TEST_P(Names, AreUtf8WithoutNul) {
    constexpr int unrecognized_name = 112;
    using namespace std::literals;
    struct {
        std::string_view name;
        bool good;
    } const rows[] = {{"localhost"sv, true},           {"b\xC3\xBC.test"sv, true},
                      {"\xFF\xFE.\xFDtest"sv, false},  {"b\xC3test.de"sv, false},
                      {"\xED\xA0\x80.test!"sv, false}, {"local\0ost"sv, false}};
    for (const auto& [name, good] : rows) {
        Pair pair(plan(asking()));
        pair.client->handshake(pair.client_callbacks);
        std::string hello = pair.to_server.text();
        const std::size_t at = hello.find("localhost");
        ASSERT_NE(at, std::string::npos);
        hello.replace(at, 9, std::string(name) + std::string(9 - name.size(), 'x'));
        pair.to_server.bytes.assign(hello.begin(), hello.end());
        pair.server->handshake(pair.server_callbacks);
        EXPECT_EQ(pair.server_callbacks.names.size(), good ? 1U : 0U) << hello.substr(at, 9);
        if (good)
            continue;
        EXPECT_EQ(pair.server->error().code, Code::PROTOCOL);
        EXPECT_EQ(pair.server->error().alert_number, unrecognized_name);
        pair.client->handshake(pair.client_callbacks);
        EXPECT_EQ(pair.client->error().alert_number, unrecognized_name);
    }
}

TEST_P(Names, CanBeRefused) {
    constexpr int unrecognized_name = 112;
    Pair pair(plan(asking()));
    pair.server_callbacks.on_name = [](ussl::Ref<Context>&, std::uint8_t&) {
        return NameAnswer::refused;
    };
    EXPECT_FALSE(pair.handshake());
    for (const Connection* side : {pair.client.get(), pair.server.get()}) {
        EXPECT_EQ(side->error().code, Code::UNKNOWN_NAME) << describe(side->error());
        EXPECT_EQ(side->error().alert_number, unrecognized_name);
    }
    Pair other(plan(asking()));
    constexpr int access_denied = 49;
    other.server_callbacks.on_name = [](ussl::Ref<Context>&, std::uint8_t& alert) {
        alert = access_denied;
        return NameAnswer::refused;
    };
    EXPECT_FALSE(other.handshake());
    EXPECT_EQ(other.server->error().code, Code::UNKNOWN_NAME);
    EXPECT_EQ(other.client->error().alert_number, access_denied);
}

TEST_P(Names, EndTheConnectionWhenTheProgramCannotSay) {
    Pair pair(plan(asking()));
    pair.server_callbacks.on_name = [](ussl::Ref<Context>&, std::uint8_t&) {
        return NameAnswer::aborted;
    };
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::CALLBACK);
    EXPECT_EQ(pair.client->error().alert_number, internal_error) << describe(pair.client->error());
}

TEST_P(Names, AreAServersWithACertificate) {
    const Plan made = plan(asking());
    for (const Options& wrong : {made.client, with_psk().server}) {
        const auto instead = make(*made.server_engine, wrong);
        Pair pair(made);
        pair.server_callbacks.on_name = [&](ussl::Ref<Context>& context, std::uint8_t&) {
            context = instead;
            return NameAnswer::good;
        };
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.server->error().code, Code::UNKNOWN_NAME);
    }
}

TEST_P(Names, CannotReplacePreSharedKeys) {
    Plan made = plan(with_psk());
    made.server.choose_by_name = true;
    const Plan certificate = plan(with_certificate());
    const Plan other_key = plan(with_psk());
    for (const Options& wrong : {certificate.server, other_key.server, certificate.client}) {
        const auto instead = make(*made.server_engine, wrong);
        Pair pair(made);
        pair.server_callbacks.on_name = [&](ussl::Ref<Context>& context, std::uint8_t&) {
            context = instead;
            return NameAnswer::good;
        };
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.server->error().code, Code::UNKNOWN_NAME);
        EXPECT_EQ(pair.client->error().alert_number, internal_error);
    }
}

TEST_P(Names, AreAskedForEveryTime) {
    // With a session, the client could avoid the requirements of another name.
    Plan made = plan(asking());
    made.client.resumption = made.server.resumption = true;
    made.client_context = make(*made.client_engine, made.client);
    made.server_context = make(*made.server_engine, made.server);
    for (int again = 0; again < 2; ++again) {
        Pair pair(made);
        ASSERT_TRUE(pair.handshake());
        EXPECT_FALSE(pair.client->session_reused());
        write_some(*pair.server, pair.server_callbacks, "hello");
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "hello");
    }
}

}  // namespace
}  // namespace contract
