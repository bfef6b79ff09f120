// CRLs: revoked certificates are rejected, and so are certificates without a valid CRL.

#include <ctime>

#include "contract.hpp"

namespace contract {
namespace {

using ussl::CrlCheck;

struct Revocation {
    const char* certificate;
    std::vector<const char*> trusted;
    CrlCheck check;
    Code expected;
    int alert;  // 0: none
};

const Revocation revocations[] = {
    {"server", {"ca.crt", "ca.crl"}, CrlCheck::leaf, Code::none, 0},
    {"server", {"ca.crl", "ca.crt"}, CrlCheck::leaf, Code::none, 0},
    {"server", {"ca.der", "ca.crl.der"}, CrlCheck::leaf, Code::none, 0},
    {"server", {"ca.crt", "ca.crl.der"}, CrlCheck::chain, Code::none, 0},
    {"server-revoked", {"ca.crt", "ca.crl"}, CrlCheck::leaf, Code::CERT_REVOKED, 44},
    {"server-revoked", {"ca.crt", "ca.crl"}, CrlCheck::chain, Code::CERT_REVOKED, 44},
    // Not asked for.
    {"server-revoked", {"ca.crt", "ca.crl"}, CrlCheck::none, Code::none, 0},
    // None of its issuer; of its issuer's name; of its issuer, which may not sign any.
    {"server", {"ca.crt"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    {"server", {"ca.crt", "ca-other.crt", "ca-other.crl"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    {"server", {"ca.crt", "ca-twin.crl"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    {"server-nocrl", {"ca-nocrl.crt", "ca-nocrl.crl"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    // Out of date, and not valid yet; the entries of an old one still count.
    {"server", {"ca.crt", "ca-old.crl"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    {"server", {"ca.crt", "ca-early.crl"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    {"server-revoked", {"ca.crt", "ca-old.crl"}, CrlCheck::leaf, Code::CERT_REVOKED, 44},
    // A good one beside one that is not.
    {"server", {"ca.crt", "ca-old.crl", "ca.crl"}, CrlCheck::leaf, Code::none, 0},
    {"server-revoked",
     {"ca.crt", "ca.crl", "ca-early.crl"},
     CrlCheck::leaf,
     Code::CERT_REVOKED,
     44},
    // Of two good ones, the newer.
    {"server-revoked",
     {"ca.crt", "ca-before.crl", "ca.crl"},
     CrlCheck::leaf,
     Code::CERT_REVOKED,
     44},
    {"server-revoked",
     {"ca.crt", "ca.crl", "ca-before.crl"},
     CrlCheck::leaf,
     Code::CERT_REVOKED,
     44},
    {"server-revoked", {"ca.crt", "ca-after.crl", "ca.crl"}, CrlCheck::leaf, Code::none, 0},
    {"server-revoked", {"ca.crt", "ca.crl", "ca-after.crl"}, CrlCheck::leaf, Code::none, 0},
    {"server-rsa", {"ca-rsa.crt", "ca-rsa-pss.crl"}, CrlCheck::leaf, Code::none, 0},
    // Further up.
    {"server-chain", {"ca.crt", "ca.crl", "ca-intermediate.crl"}, CrlCheck::chain, Code::none, 0},
    {"server-chain", {"ca.crt", "ca-intermediate.crl"}, CrlCheck::leaf, Code::none, 0},
    {"server-chain", {"ca.crt", "ca-intermediate.crl"}, CrlCheck::chain, Code::CERT_CRL, 42},
    {"server-chain", {"ca.crt", "ca.crl"}, CrlCheck::leaf, Code::CERT_CRL, 42},
    {"server-chain",
     {"ca.crt", "ca-without-intermediate.crl", "ca-intermediate.crl"},
     CrlCheck::chain,
     Code::CERT_REVOKED,
     44},
    {"server-chain",
     {"ca.crt", "ca-without-intermediate.crl", "ca-intermediate.crl"},
     CrlCheck::leaf,
     Code::none,
     0},
    // A trust anchor needs no CRL; one that did not issue itself is revoked by a CRL that is there.
    {"server-revoked", {"server-revoked.crt"}, CrlCheck::chain, Code::none, 0},
    {"server-revoked", {"server-revoked.crt", "ca.crl"}, CrlCheck::leaf, Code::CERT_REVOKED, 44},
    {"server-revoked",
     {"server-revoked.crt", "ca.crt", "ca.crl"},
     CrlCheck::chain,
     Code::CERT_REVOKED,
     44},
    {"server-revoked", {"server-revoked.crt", "ca.crt", "ca.crl"}, CrlCheck::none, Code::none, 0},
    {"server-revoked",
     {"server-revoked.crt", "ca.crt", "ca.crl", "ca-after.crl"},
     CrlCheck::leaf,
     Code::none,
     0},
    {"server-chain",
     {"ca.crt", "ca-intermediate.crt", "ca-without-intermediate.crl", "ca-intermediate.crl"},
     CrlCheck::chain,
     Code::CERT_REVOKED,
     44},
    {"server-chain",
     {"ca-intermediate.crt", "ca-without-intermediate.crl", "ca-intermediate.crl"},
     CrlCheck::chain,
     Code::CERT_REVOKED,
     44},
    {"server-chain",
     {"ca.crt", "ca-intermediate.crt", "ca.crl", "ca-intermediate.crl"},
     CrlCheck::chain,
     Code::none,
     0},
    {"server-chain",
     {"ca.crt", "ca-intermediate.crt", "ca-without-intermediate.crl", "ca-intermediate.crl"},
     CrlCheck::leaf,
     Code::none,
     0},
    {"server-selfsigned", {"server-selfsigned.crt"}, CrlCheck::chain, Code::none, 0},
    {"server-chain",
     {"ca-intermediate.crt", "ca-intermediate.crl"},
     CrlCheck::chain,
     Code::none,
     0},
};

std::string joined(const std::vector<const char*>& files) {
    std::string all;
    for (const char* file : files)
        all += cert(file);
    return all;
}

Plan with_server(const char* certificate, const std::string& trusted) {
    // The key of a chain is that of its first certificate.
    const bool chain = certificate == std::string_view("server-chain");
    Plan made = with_certificate(chain ? "server-intermediate" : certificate);
    if (chain)
        made.server.certificate = bytes(cert("server-chain.crt"));
    made.client.trusted = bytes(trusted);
    return made;
}

using Revoked = EachCase;
INSTANTIATE_EACH_CASE(Revoked);

TEST_P(Revoked, ServersAreRefused) {
    for (const Revocation& row : revocations) {
        const std::string trusted = joined(row.trusted);
        Plan setup = plan(with_server(row.certificate, trusted));
        setup.client.crl_check = row.check;
        Pair pair(setup);
        EXPECT_EQ(pair.handshake(), row.expected == Code::none)
            << row.certificate << " " << row.trusted.back() << describe(pair.client->error());
        const Error& error = pair.client->error();
        EXPECT_EQ(error.code, row.expected) << row.certificate << " " << row.trusted.back();
        EXPECT_EQ(error.alert_number, row.alert) << row.certificate << " " << row.trusted.back();
        saw(error);
    }
}

TEST_P(Revoked, ClientsAreRefused) {
    const std::string trusted = cert("ca.crt") + cert("ca.crl");
    for (const bool revoked : {false, true}) {
        Plan setup = plan(with_certificate());
        const std::string name = revoked ? "client-revoked" : "client";
        setup.client.key = bytes(cert(name + ".key"));
        setup.client.certificate = bytes(cert(name + ".crt"));
        setup.server.trusted = bytes(trusted);
        setup.server.verify = Verify::required;
        setup.server.crl_check = CrlCheck::leaf;
        Pair pair(setup);
        pair.handshake();
        EXPECT_EQ(pair.server->error().code, revoked ? Code::CERT_REVOKED : Code::none);
        read_all(*pair.client, pair.client_callbacks);
        EXPECT_EQ(pair.client->error().code, revoked ? Code::CERT_REFUSED : Code::none);
    }
}

// A path ends at the first trusted certificate, and a CRL about that one still counts.
TEST_P(Revoked, ACertificateThatIsTrustedItself) {
    for (const std::string name : {"server-revoked", "server"})
        for (const std::string& root : {std::string(), cert("ca.crt")}) {
            const std::string trusted = root + cert(name + ".crt") + cert("ca.crl");
            Plan setup = plan(with_server(name.c_str(), trusted));
            setup.client.crl_check = CrlCheck::leaf;
            Pair pair(setup);
            EXPECT_EQ(pair.handshake(), name == "server") << root.size();
            EXPECT_EQ(pair.client->error().code, name == "server" ? Code::none : Code::CERT_REVOKED)
                << describe(pair.client->error());
        }
}

TEST_P(Revoked, DatesAreThoseOfVerifyTime) {
    constexpr std::int64_t in_2020 = 1590000000;
    constexpr std::int64_t in_2095 = 3950000000;
    const std::string old = cert("ca.crt") + cert("ca-old.crl");
    const std::string early = cert("ca.crt") + cert("ca-early.crl");
    for (const auto& [trusted, time] : {std::pair{&old, in_2020}, std::pair{&early, in_2095}}) {
        Plan setup = plan(with_server("server", *trusted));
        setup.client.crl_check = CrlCheck::leaf;
        setup.client.verify_time = time;
        Pair pair(setup);
        EXPECT_TRUE(pair.handshake()) << describe(pair.client->error());
    }
}

TEST_P(Revoked, ACrlThatIsNotYetValidByAClockThatIsNotSet) {
    constexpr std::int64_t in_2020 = 1590000000;
    const std::int64_t tomorrow = std::time(nullptr) + 86400;
    struct {
        std::vector<const char*> trusted;
        std::optional<std::int64_t> verify_time;
        Code expected;
    } const cases[] = {
        {{"ca.crt", "ca-early.crl"}, {}, Code::CERT_CLOCK},
        {{"ca.crt", "ca-early.crl"}, in_2020, Code::CERT_CRL},
        {{"ca.crt", "ca-early.crl", "ca.crl"}, {}, Code::none},
        {{"ca.crt", "ca-old.crl"}, {}, Code::CERT_CRL},
        {{"ca.crt"}, {}, Code::CERT_CRL},
    };
    for (const auto& c : cases) {
        const std::string trusted = joined(c.trusted);
        Plan setup = plan(with_server("server", trusted));
        setup.client.crl_check = CrlCheck::leaf;
        setup.client.build_time = tomorrow;
        setup.client.verify_time = c.verify_time;
        Pair pair(setup);
        EXPECT_EQ(pair.handshake(), c.expected == Code::none);
        EXPECT_EQ(pair.client->error().code, c.expected) << c.trusted.back();
    }
}

using Crls = testing::TestWithParam<const ussl::Engine*>;
INSTANTIATE_TEST_SUITE_P(Engines, Crls,
                         testing::Values(&ussl::openssl_engine, &ussl::mbedtls_engine));

TEST_P(Crls, ThatCannotBeTrustedAreRefusedAtTheCall) {
    const std::string crl = cert("ca.crl.der");
    const std::pair<std::string, std::string_view> bad[] = {
        {cert("ca-special.crl"), "unsupported crl"},
        {cert("ca-softly-special.crl"), "unsupported crl"},
        {cert("ca-changes.crl"), "unsupported crl"},
        {cert("ca-critical.crl"), "unsupported crl"},
        {cert("ca-sha1.crl"), "SHA-256"},
        {cert("ca-rsa-pss-sha1.crl"), "SHA-256"},
        {cert("ca-endless.crl.der"), "the date of the next one (nextUpdate) is missing"},
        {crl.substr(0, crl.size() - 1), "invalid cert"},
        {crl + "x", "invalid cert"},
        {"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", "invalid cert"},
        {"-----BEGIN CRL-----\nMIIB\n-----END CRL-----\n", "invalid cert"},
    };
    for (const auto& [content, reason] : bad)
        for (const std::string& before :
             {cert("ca.der"), cert("ca.crt"), cert("ca.crt") + "# end\n"}) {
            const std::string trusted = before + content;
            Options options;
            options.verify = Verify::required;
            options.trusted = bytes(trusted);
            const auto made = Context::make(*GetParam(), options);
            if (content == crl + "x" && before != cert("ca.der")) {
                EXPECT_TRUE(made.has_value());  // beside PEM, a line of text
                continue;
            }
            ASSERT_FALSE(made.has_value()) << content.substr(0, 40);
            EXPECT_NE(std::string_view(made.error().reason).find(reason), std::string_view::npos)
                << made.error().reason;
        }
}

TEST_P(Crls, WithoutAKnownAlgorithmAreRefusedAsUnsupported) {
    const std::string trusted = cert("ca-ed25519.crl");
    Options options;
    options.verify = Verify::required;
    options.trusted = bytes(trusted);
    const auto made = Context::make(*GetParam(), options);
    if (!lacks(GetParam(), Lacks::eddsa)) {
        EXPECT_TRUE(made.has_value());
        return;
    }
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(
        made.error().reason,
        std::string_view("unsupported crl: this engine does not have its signature algorithm"));
}

TEST_P(Crls, AndRootsStandAmongText) {
    const std::string trusted[] = {
        cert("ca.crt") + "# end of the bundle\n" + cert("ca.crl.der"),
        cert("ca.crt") + "  \n" + cert("ca.crl.der"),
        cert("ca.crt") + std::string(1, '\0') + cert("ca.crl.der"),
        "0 s:CN = root\n" + cert("ca.crt") + "0123456789\n" + cert("ca.crl"),
        cert("ca.crt") + "\r\n" + cert("server.key") + "0\n\t" + cert("ca.crl"),
        cert("ca.crl.der") + "\n" + cert("ca.der") + "\n",
        cert("ca.crt") + cert("ca.crl") + cert("ca.crl"),  // one twice is one
    };
    for (const std::string& content : trusted) {
        Options options;
        options.verify = Verify::required;
        options.trusted = bytes(content);
        const auto made = Context::make(*GetParam(), options);
        ASSERT_TRUE(made.has_value()) << content.substr(0, 40) << made.error().reason;
        EXPECT_EQ((*made)->store_stats().certificates, 1U);
        EXPECT_EQ((*made)->store_stats().crls, 1U);
    }
}

TEST_P(Crls, AreNobodysCertificate) {
    Options options;
    const std::string certificate = cert("server.crt") + cert("ca.crl");
    options.key = bytes(cert("server.key"));
    options.certificate = bytes(certificate);
    EXPECT_FALSE(Context::make(*GetParam(), options).has_value());
}

TEST_P(Crls, AndRootsAreCounted) {
    const std::string trusted = cert("ca.crt") + cert("ca-rsa.der") + cert("server.crt") +
                                cert("ca.crl") + cert("ca-other.crl");
    Options options;
    options.verify = Verify::required;
    options.trusted = bytes(trusted);
    const auto made = Context::make(*GetParam(), options);
    ASSERT_TRUE(made.has_value()) << made.error().reason;
    const ussl::StoreStats stats = (*made)->store_stats();
    EXPECT_EQ(stats.certificates, 3U);
    EXPECT_EQ(stats.authorities, 2U);
    EXPECT_EQ(stats.crls, 2U);
}

}  // namespace
}  // namespace contract
