// Cipher suites by name, and application protocols.

#include <algorithm>

#include "contract.hpp"
#include "policy/suites.hpp"

namespace contract {
namespace {

struct Named {
    std::uint16_t number;
    std::string name;
};

std::vector<Named> suites_of(const ussl::Engine& engine) {
    struct List final : ussl::SuiteVisitor {
        void suite(std::uint16_t number, std::string_view name) noexcept override {
            all.push_back({number, std::string(name)});
        }
        std::vector<Named> all;
    } list;
    EXPECT_TRUE(ussl::for_each_suite(engine, list));
    return list.all;
}

TEST(Suites, AreTheSameOnEveryEngine) {
    const auto openssl = suites_of(ussl::openssl_engine);
    const auto mbedtls = suites_of(ussl::mbedtls_engine);
    ASSERT_EQ(openssl.size(), ussl::policy::every_suite.size());
    ASSERT_EQ(openssl.size(), mbedtls.size());
    for (std::size_t i = 0; i < openssl.size(); ++i) {
        EXPECT_EQ(openssl[i].number, mbedtls[i].number);
        EXPECT_EQ(openssl[i].name, mbedtls[i].name);
    }
    EXPECT_EQ(openssl.front().name, "TLS_AES_128_GCM_SHA256");
}

TEST(Suites, AreFoundByAnybodysName) {
    struct Spelling {
        std::uint16_t number;
        const char* names[3];
    };
    constexpr Spelling spellings[] = {
        {0x1301, {"TLS_AES_128_GCM_SHA256", "TLS1-3-AES-128-GCM-SHA256", "TLS_AES_128_GCM_SHA256"}},
        {0x1305,
         {"TLS_AES_128_CCM_8_SHA256", "TLS1-3-AES-128-CCM-8-SHA256", "TLS_AES_128_CCM_8_SHA256"}},
        {0xC02F,
         {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",
          "ECDHE-RSA-AES128-GCM-SHA256"}},
        {0xCCA9,
         {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
          "TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"}},
        {0xC0AE,
         {"TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8",
          "ECDHE-ECDSA-AES128-CCM8"}},
        {0xC023,
         {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256",
          "ECDHE-ECDSA-AES128-SHA256"}},
        {0x009C,
         {"TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS-RSA-WITH-AES-128-GCM-SHA256",
          "AES128-GCM-SHA256"}},
        {0x002F, {"TLS_RSA_WITH_AES_128_CBC_SHA", "TLS-RSA-WITH-AES-128-CBC-SHA", "AES128-SHA"}},
        {0x00A8,
         {"TLS_PSK_WITH_AES_128_GCM_SHA256", "TLS-PSK-WITH-AES-128-GCM-SHA256",
          "PSK-AES128-GCM-SHA256"}},
    };
    for (const ussl::Engine* engine : {&ussl::openssl_engine, &ussl::mbedtls_engine}) {
        for (const Spelling& spelling : spellings)
            for (const char* name : spelling.names)
                EXPECT_EQ(ussl::suite_of(*engine, name), spelling.number) << name;
        const std::string long_name(1000, 'A');
        for (const std::string_view name :
             {std::string_view("TLS_NULL_WITH_NULL_NULL"),
              std::string_view("TLS_RSA_WITH_RC4_128_SHA"), std::string_view(""),
              std::string_view("TLS"), std::string_view("AES128"),
              std::string_view("TLS_AES_128_GCM_SHA25"), std::string_view(long_name)})
            EXPECT_EQ(ussl::suite_of(*engine, name), 0) << name;
    }
}

TEST(Suites, ThatAreNotThereByDefaultAreOnlyForWhoeverNamesThem) {
    for (const bool psk : {false, true}) {
        Options options = psk ? with_psk().client : with_certificate().client;
        const ussl::policy::Offer offer = ussl::policy::offer_of(options);
        const std::span<const std::uint16_t> offered{offer.suites.data(), offer.count};
        for (const std::uint16_t suite : offered) {
            EXPECT_EQ(std::ranges::count(ussl::policy::opt_in_suites, suite), 0);
            EXPECT_EQ(std::ranges::count(ussl::policy::opt_in_psk_suites, suite), 0);
        }
    }
}

using ChosenSuites = EachPair;
INSTANTIATE_EACH_PAIR(ChosenSuites);

Plan plan_for(std::string_view name) {
    const bool psk = name.find("PSK") != std::string_view::npos;
    const bool rsa = name.find("RSA_WITH") != std::string_view::npos;
    if (psk)
        return with_psk();
    return rsa ? with_certificate("server-rsa", "ca-rsa.crt") : with_certificate();
}

// Each by itself, at either end.
TEST_P(ChosenSuites, AreTheOnesThatAreSpoken) {
    for (const Named& suite : suites_of(ussl::openssl_engine)) {
        for (const bool by_client : {false, true}) {
            Plan made = plan(plan_for(suite.name));
            const std::uint16_t one[] = {suite.number};
            const std::vector<Named> all = suites_of(ussl::openssl_engine);
            std::vector<std::uint16_t> every;
            for (const Named& any : all)
                every.push_back(any.number);
            made.client.suites = every;
            made.server.suites = every;
            (by_client ? made.client : made.server).suites = one;
            Pair pair(made);
            ASSERT_TRUE(pair.handshake()) << suite.name << " " << describe(pair.client->error())
                                          << describe(pair.server->error());
            EXPECT_EQ(pair.client->cipher().name, suite.name);
            EXPECT_EQ(pair.server->cipher().name, suite.name);
            const std::string data = pattern(20000);
            std::string got;
            while (got.size() < data.size()) {
                write_some(*pair.client, pair.client_callbacks,
                           std::string_view(data).substr(got.size()));
                got += read_all(*pair.server, pair.server_callbacks);
            }
            EXPECT_EQ(got, data) << suite.name;
        }
    }
}

TEST_P(ChosenSuites, ThatTheOtherDoesNotHaveAreNoSharedCipher) {
    const std::uint16_t weak[] = {0xC023};
    Plan made = plan(with_certificate());
    made.client.suites = weak;
    Pair pair(made);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_CIPHER) << describe(pair.server->error());
}

TEST_P(ChosenSuites, AreInTheOrderOfTheServer) {
    const std::uint16_t clients[] = {0x1301, 0x1303, 0x1302, 0xC02B, 0xCCA9, 0xC02C};
    const std::uint16_t servers[] = {0x1302, 0x1303, 0x1301, 0xC02C, 0xCCA9, 0xC02B};
    for (const Version version : {Version::tls1_2, Version::tls1_3}) {
        Plan made = plan(with_certificate());
        made.client.suites = clients;
        made.server.suites = servers;
        made.server.maximum_version = version;
        Pair pair(made);
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        const bool tls1_3 = version == Version::tls1_3;
        EXPECT_EQ(pair.client->cipher().name,
                  tls1_3 ? "TLS_AES_256_GCM_SHA384" : "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    }
}

TEST_P(ChosenSuites, DecideTheVersions) {
    const std::uint16_t old[] = {0xC02B};
    Plan made = plan(with_certificate());
    made.client.suites = old;
    Pair pair(made);
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
    EXPECT_EQ(pair.client->version(), Version::tls1_2);

    const auto refusal = [&](Options options) {
        const auto context = Context::make(*made.client_engine, options);
        return context ? "" : std::string(context.error().reason);
    };
    constexpr const char* nothing_fits =
        "`suites`: none of these cipher suites fits the versions, and certificates or "
        "pre-shared keys";
    EXPECT_EQ(refusal({.minimum_version = Version::tls1_3, .suites = old}), nothing_fits);
    const std::uint16_t psk[] = {0x00A8};
    EXPECT_EQ(refusal({.suites = psk}), nothing_fits);
    EXPECT_EQ(refusal({.suites = std::span<const std::uint16_t>{}}), "`suites` must not be empty");
    const std::uint16_t unheard_of[] = {0xFEFE};
    EXPECT_EQ(refusal({.suites = unheard_of}), nothing_fits);
}

// --- ALPN

using Protocols = EachCase;
INSTANTIATE_EACH_CASE(Protocols);

Plan with_protocols(const char* client, const char* server) {
    Plan made = with_certificate();
    if (client != nullptr)
        made.client.alpn = bytes(client);
    if (server != nullptr)
        made.server.alpn = bytes(server);
    return made;
}

std::string text(Bytes data) {
    return {data.begin(), data.end()};
}

TEST_P(Protocols, TheServersFirstThatTheClientHasIsSpoken) {
    struct {
        const char* client;
        const char* server;
        const char* expected;
    } constexpr cases[] = {
        {"\2h2\x08http/1.1", "\x08http/1.1", "http/1.1"},
        {"\2h2\x08http/1.1", "\x08http/1.1\2h2", "http/1.1"},
        {"\4mqtt", "\2h2\4mqtt", "mqtt"},
        {"\4mqtt", nullptr, ""},
        {nullptr, "\4mqtt", ""},
        {nullptr, nullptr, ""},
    };
    for (const auto& c : cases) {
        Pair pair(plan(with_protocols(c.client, c.server)));
        EXPECT_TRUE(pair.client->alpn().empty());
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        EXPECT_EQ(text(pair.client->alpn()), c.expected);
        EXPECT_EQ(text(pair.server->alpn()), c.expected);
    }
}

TEST_P(Protocols, NoneInCommonEndsTheHandshake) {
    Pair pair(plan(with_protocols("\2h2", "\4mqtt\3foo")));
    EXPECT_FALSE(pair.handshake());
    constexpr int no_application_protocol = 120;
    for (const Connection* side : {pair.client.get(), pair.server.get()}) {
        EXPECT_EQ(side->error().code, Code::NO_SHARED_PROTOCOL) << describe(side->error());
        EXPECT_EQ(side->error().alert_number, no_application_protocol);
        saw(side->error());
    }
}

TEST_P(Protocols, WorkWithPreSharedKeys) {
    Plan made = with_psk();
    made.client.alpn = bytes("\4mqtt");
    made.server.alpn = bytes("\4mqtt");
    Pair pair(plan(made));
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(text(pair.server->alpn()), "mqtt");
}

TEST_P(Protocols, OutOfBoundsAreRefused) {
    const std::string longest = "\xff" + std::string(255, 'a');
    const std::string too_many(65536, '\1');
    Options options = GetParam().with(with_certificate()).client;
    const auto refused = [&](std::string_view alpn) {
        options.alpn = bytes(alpn);
        return !Context::make(*GetParam().engines.client, options);
    };
    EXPECT_FALSE(refused(longest));
    for (const std::string_view bad :
         {std::string_view(""), std::string_view("\0", 1), std::string_view("\3ab"),
          std::string_view("\2h2\0", 4), std::string_view("\2a\0", 3), std::string_view(too_many)})
        EXPECT_TRUE(refused(bad));
}

}  // namespace
}  // namespace contract
