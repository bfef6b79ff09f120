// Accepted and rejected peers: every kind of certificate, on both sides.

#include <ctime>

#include "contract.hpp"
#include "ussl/certificate.hpp"

namespace contract {
namespace {

struct Server {
    const char* certificate;
    const char* root;
    const char* name;
    Code expected;
    int alert;  // 0: none
};

constexpr Server servers[] = {
    {"server", "ca.crt", "localhost", Code::none, 0},
    {"server", "ca.crt", "LOCALHOST", Code::none, 0},
    {"server", "ca.crt", "127.0.0.1", Code::none, 0},
    {"server", "ca.crt", "::1", Code::none, 0},
    {"server", "ca.der", "localhost", Code::none, 0},
    {"server", "ca-all.crt", "localhost", Code::none, 0},
    {"server", "server.crt", "localhost", Code::none, 0},  // trusted by itself
    {"server-rsa", "ca-rsa.crt", "localhost", Code::none, 0},
    {"server-ed25519", "ca.crt", "localhost", Code::none, 0},
    {"server-p384", "ca.crt", "localhost", Code::none, 0},
    {"server-p521", "ca.crt", "localhost", Code::none, 0},
    {"server-wildcard", "ca.crt", "a.example.test", Code::none, 0},
    {"server-cn", "ca.crt", "localhost", Code::none, 0},
    {"server-ip", "ca.crt", "127.0.0.1", Code::none, 0},
    {"server-selfsigned", "server-selfsigned.crt", "localhost", Code::none, 0},
    {"server-intermediate", "ca-intermediate.crt", "localhost", Code::none, 0},
    {"server-policies", "ca.crt", "localhost", Code::none, 0},
    {"server-constrained", "ca-constrained.crt", "localhost", Code::none, 0},
    {"server-softly", "ca-softly.crt", "localhost", Code::none, 0},

    {"server-other", "ca.crt", "localhost", Code::CERT_UNKNOWN_ISSUER, 48},
    {"server-intermediate", "ca.crt", "localhost", Code::CERT_UNKNOWN_ISSUER, 48},
    {"server-selfsigned", "ca.crt", "localhost", Code::CERT_SELF_SIGNED, 48},
    {"server-expired", "ca.crt", "localhost", Code::CERT_EXPIRED, 45},
    {"server-future", "ca.crt", "localhost", Code::CERT_NOT_YET_VALID, 45},
    {"server-name", "ca.crt", "localhost", Code::CERT_HOSTNAME, 42},
    {"server-expired-name", "ca.crt", "localhost", Code::CERT_HOSTNAME, 42},
    {"server", "ca.crt", "localhost.example", Code::CERT_HOSTNAME, 42},
    {"server", "ca.crt", "127.0.0.2", Code::CERT_HOSTNAME, 42},
    {"server-wildcard", "ca.crt", "example.test", Code::CERT_HOSTNAME, 42},
    {"server-wildcard", "ca.crt", "a.b.example.test", Code::CERT_HOSTNAME, 42},
    {"server-ip", "ca.crt", "localhost", Code::CERT_HOSTNAME, 42},
    {"server-cn", "ca.crt", "127.0.0.1", Code::CERT_HOSTNAME, 42},
    {"server-clientauth", "ca.crt", "localhost", Code::CERT_PURPOSE, 43},
    {"server-critical", "ca.crt", "localhost", Code::CERT_INVALID, 42},
    {"server-constrained-outside", "ca-constrained.crt", "localhost", Code::CERT_INVALID, 42},
    {"server-softly-outside", "ca-softly.crt", "localhost", Code::CERT_INVALID, 42},
    {"server-flipped", "ca.crt", "localhost", Code::CERT_BAD_SIGNATURE, 42},
    {"server-weak", "ca.crt", "localhost", Code::CERT_WEAK, 42},
    {"server-sha1", "ca-rsa.crt", "localhost", Code::CERT_WEAK, 42},
};

class ServerCertificates : public testing::TestWithParam<std::tuple<Case, Server>> {
  protected:
    static Plan setup() {
        const Server& server = std::get<1>(GetParam());
        Plan made = with_certificate(server.certificate, server.root);
        made.name = server.name;
        return std::get<0>(GetParam()).with(made);
    }
    /// Rows of docs/explanation/known-limitations.md.
    static Server server() {
        Server expected = std::get<1>(GetParam());
        const std::string_view name = expected.certificate;
        const Plan made = setup();
        if ((name == "server-constrained" || name == "server-softly") &&
            lacks(made.client_engine, Lacks::name_constraints)) {
            expected.expected = Code::CERT_INVALID;
            expected.alert = 42;
        }
        return expected;
    }
    static bool is_lacking() {
        const Plan made = setup();
        return std::get<1>(GetParam()).certificate == std::string_view("server-ed25519") &&
               (lacks(made.client_engine, Lacks::eddsa) || lacks(made.server_engine, Lacks::eddsa));
    }
};
std::string case_name(const testing::TestParamInfo<std::tuple<Case, Server>>& info) {
    const auto& [engines, server] = info.param;
    std::string name = testing::PrintToString(engines) + "_" + std::to_string(info.index) + "_" +
                       server.certificate + "_" + server.root + "_" + server.name;
    for (char& c : name)
        if (isalnum(static_cast<unsigned char>(c)) == 0)
            c = '_';
    return name;
}
INSTANTIATE_TEST_SUITE_P(All, ServerCertificates,
                         testing::Combine(testing::ValuesIn(all_cases()),
                                          testing::ValuesIn(servers)),
                         case_name);

TEST_P(ServerCertificates, GetTheirVerdict) {
    const Code expected = server().expected;
    if (is_lacking())
        return;
    Pair pair(setup());
    const bool done = pair.handshake();
    EXPECT_EQ(pair.client->error().code, expected) << describe(pair.client->error());
    EXPECT_EQ(done, expected == Code::none) << describe(pair.server->error());
    if (expected == Code::none)
        return;
    EXPECT_EQ(pair.client->error().alert, Error::Alert::sent);
    EXPECT_EQ(pair.client->error().alert_number, server().alert);
    EXPECT_EQ(pair.server->error().code, Code::CERT_REFUSED);
    EXPECT_EQ(pair.server->error().alert_number, server().alert);
}

TEST_P(ServerCertificates, AreNotLookedAtUnlessAskedFor) {
    Plan made = setup();
    made.client.verify = Verify::insecure_no_verification;
    if (is_lacking())
        return;
    Pair pair(made);
    EXPECT_TRUE(pair.handshake()) << describe(pair.client->error());
    EXPECT_FALSE(pair.client->peer_certificate().empty());
    EXPECT_FALSE(pair.client->peer_verified());
}

using Verification = EachPair;
INSTANTIATE_EACH_PAIR(Verification);

TEST_P(Verification, OptionalMeansRequiredForAClient) {
    Plan setup = plan(with_certificate("server-expired"));
    setup.client.verify = Verify::optional;
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_EXPIRED);
}

TEST_P(Verification, NamesAllThatIsWrongWorstFirst) {
    Pair pair(plan(with_certificate("server-expired-name")));
    EXPECT_FALSE(pair.handshake());
    const std::string text = describe(pair.client->error());
    EXPECT_TRUE(text.starts_with("CERT_HOSTNAME: ")) << text;
    EXPECT_NE(text.find("; CERT_EXPIRED: "), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("(alert sent: bad_certificate)")) << text;
}

// The same text from every engine, on both sides.
TEST_P(Verification, NamesTheCertificateThatFailed) {
    Plan setup = plan(with_certificate("server-expired"));
    setup.client.verify_time = 1700000000;
    Pair expired(setup);
    EXPECT_FALSE(expired.handshake());
    EXPECT_EQ(
        describe(*expired.client),
        "CERT_EXPIRED: the certificate has expired (certificate: subject \"CN=localhost,O=ussl "
        "tests\", issuer \"CN=ussl test root,O=ussl tests\", valid 2020-01-01T00:00:00Z to "
        "2021-01-01T00:00:00Z, clock 2023-11-14T22:13:20Z) (alert sent: certificate_expired)");
    EXPECT_EQ(describe(*expired.server),
              "CERT_REFUSED: the peer rejected this side's certificate, or requires one (alert "
              "received: certificate_expired)");
    setup = plan(with_certificate("server"));
    setup.name = "other.example";
    Pair other(setup);
    EXPECT_FALSE(other.handshake());
    EXPECT_EQ(describe(*other.client),
              "CERT_HOSTNAME: the certificate is not for this server_hostname (certificate: "
              "subject \"CN=localhost,O=ussl tests\", issuer \"CN=ussl test root,O=ussl tests\", "
              "valid 2020-01-01T00:00:00Z to 2099-12-31T23:59:59Z) (alert sent: bad_certificate)");
    // Without verify_time.
    setup = plan(with_certificate("server-expired"));
    Pair now(setup);
    EXPECT_FALSE(now.handshake());
    EXPECT_NE(describe(*now.client).find(", clock 20"), std::string::npos) << describe(*now.client);
}

// The issuer is not a CA. It is below the root, and the certificate that it issued is below it.
TEST_P(Verification, NamesTheIssuerIfThatFailed) {
    const std::string chain = cert("server-noca-chain.crt");
    Plan setup = plan(with_certificate("server-noca"));
    setup.server.certificate = bytes(chain);
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    const std::string text = describe(*pair.client);
    EXPECT_TRUE(text.starts_with("CERT_INVALID: ")) << text;
    EXPECT_NE(text.find(", issuer \"CN=ussl test root,"), std::string::npos) << text;
}

TEST_P(Verification, NamesNoCertificateWhereNoneIsKnown) {
    Plan setup = plan(with_certificate("server"));
    setup.server.verify = Verify::required;
    setup.server.trusted = bytes(cert("ca.crt"));
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    const std::string text = describe(*pair.server);
    EXPECT_TRUE(text.starts_with("CERT_MISSING: ")) << text;
    EXPECT_EQ(text.find("(certificate: "), std::string::npos) << text;
}

TEST_P(Verification, FollowsAChainToItsRoot) {
    Plan setup = plan(with_certificate("server-intermediate"));
    setup.server.certificate = bytes(cert("server-chain.crt"));
    Pair pair(setup);
    EXPECT_TRUE(pair.handshake()) << describe(pair.client->error());
}

TEST_P(Verification, HeedsNameConstraintsInTheMiddleOfAChain) {
    for (const std::string name : {"constrained", "softly"}) {
        const std::string outside = "server-" + name + "-outside";
        const std::string chain = cert(outside + ".crt") + cert("ca-" + name + ".crt");
        Plan setup = plan(with_certificate(outside.c_str()));
        setup.server.certificate = bytes(chain);
        Pair pair(setup);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.client->error().code, Code::CERT_INVALID) << describe(pair.client->error());
    }
}

TEST_P(Verification, OfANameCanBeLeftOut) {
    Plan setup = plan(with_certificate("server-name"));
    setup.client.check_hostname = false;
    for (const std::string name : {"localhost", ""}) {
        setup.name = name;
        Pair pair(setup);
        EXPECT_TRUE(pair.handshake()) << describe(pair.client->error());
        EXPECT_TRUE(pair.client->peer_verified());
    }
    // All else is checked.
    Plan wrong = plan(with_certificate("server-expired-name"));
    wrong.client.check_hostname = false;
    Pair pair(wrong);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_EXPIRED);
}

TEST_P(Verification, IsAtTheTimeThatWasGiven) {
    struct {
        const char* certificate;
        std::int64_t time;
        Code expected;
    } constexpr cases[] = {
        {"server-expired", 1600000000, Code::none},          // 2020
        {"server-expired", 1700000000, Code::CERT_EXPIRED},  // 2023
        {"server-future", 3800000000, Code::none},           // 2090
        {"server", 1500000000, Code::CERT_NOT_YET_VALID},    // 2017
        {"server", 0, Code::CERT_NOT_YET_VALID},
        {"server", 4200000000, Code::CERT_EXPIRED},  // 2103
    };
    for (const auto& c : cases) {
        Plan setup = plan(with_certificate(c.certificate));
        setup.client.verify_time = c.time;
        Pair pair(setup);
        EXPECT_EQ(pair.handshake(), c.expected == Code::none);
        EXPECT_EQ(pair.client->error().code, c.expected) << c.certificate << " " << c.time;
    }
}

TEST_P(Verification, AClockBeforeTheBuildDateIsNotSet) {
    const std::int64_t now = std::time(nullptr);
    const std::int64_t tomorrow = now + 86400;
    struct {
        const char* certificate;
        std::optional<std::int64_t> build_time;
        std::optional<std::int64_t> verify_time;
        Code expected;
    } const cases[] = {
        {"server-future", tomorrow, {}, Code::CERT_CLOCK},
        {"server-future", now - 86400, {}, Code::CERT_NOT_YET_VALID},
        {"server-future", {}, {}, Code::CERT_NOT_YET_VALID},
        {"server-future", tomorrow, 1600000000, Code::CERT_NOT_YET_VALID},
        {"server-future", tomorrow, 3800000000, Code::none},
        {"server", tomorrow, {}, Code::none},
        {"server-expired", tomorrow, {}, Code::CERT_EXPIRED},
    };
    for (const auto& c : cases) {
        Plan setup = plan(with_certificate(c.certificate));
        setup.client.build_time = c.build_time;
        setup.client.verify_time = c.verify_time;
        Pair pair(setup);
        EXPECT_EQ(pair.handshake(), c.expected == Code::none);
        EXPECT_EQ(pair.client->error().code, c.expected) << c.certificate;
        if (c.expected == Code::CERT_CLOCK) {
            constexpr int certificate_expired = 45;
            EXPECT_EQ(pair.client->error().alert_number, certificate_expired);
            EXPECT_NE(describe(pair.client->error()).find("ntptime"), std::string::npos);
        }
    }
}

// All failures are kept, and the clock is the last one to be named.
TEST_P(Verification, AClockThatIsNotSetHidesNoOtherFailure) {
    Plan setup = plan(with_certificate("server-future"));
    setup.client.build_time = std::time(nullptr) + 86400;
    setup.name = "other.example.org";
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_HOSTNAME);
    EXPECT_NE(describe(pair.client->error()).find("; CERT_CLOCK: "), std::string::npos);
}

TEST_P(Verification, AServersClockBeforeTheBuildDateIsNotSet) {
    Plan setup = plan(with_certificate());
    setup.client.key = bytes(cert("server-future.key"));
    setup.client.certificate = bytes(cert("server-future.crt"));
    setup.server.trusted = bytes(cert("ca.crt"));
    setup.server.verify = Verify::required;
    setup.server.build_time = std::time(nullptr) + 86400;
    Pair pair(setup);
    pair.handshake();
    const std::string text = describe(pair.server->error());
    EXPECT_NE(text.find("CERT_CLOCK"), std::string::npos) << text;
    EXPECT_EQ(text.find("CERT_NOT_YET_VALID"), std::string::npos) << text;
}

TEST_P(Verification, TheProgramSeesEachCertificateTopmostFirst) {
    Plan setup = plan(with_certificate("server-intermediate"));
    setup.server.certificate = bytes(cert("server-chain.crt"));
    setup.client.verify_by_program = true;
    Pair pair(setup);
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
    ASSERT_EQ(pair.client_callbacks.judged.size(), 3U);
    EXPECT_EQ(pair.client_callbacks.judged[0], (std::pair<int, std::string>{2, cert("ca.der")}));
    EXPECT_EQ(pair.client_callbacks.judged[1].first, 1);
    EXPECT_EQ(pair.client_callbacks.judged[2].first, 0);
    const Bytes peer = pair.client->peer_certificate();
    EXPECT_EQ(pair.client_callbacks.judged[2].second, std::string(peer.begin(), peer.end()));
}

TEST_P(Verification, TheProgramCanRefuseAndNotForgive) {
    for (const int refused : {0, 1}) {
        Plan setup = plan(with_certificate());
        setup.client.verify_by_program = true;
        Pair pair(setup);
        pair.client_callbacks.on_verify = [&](int depth) {
            return depth == refused ? ussl::CertificateDecision::refused
                                    : ussl::CertificateDecision::accepted;
        };
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.client->error().code, Code::CERT_REJECTED);
        EXPECT_EQ(pair.client->error().alert, Error::Alert::sent);
        EXPECT_EQ(pair.server->error().code, Code::CERT_REFUSED);
    }
    Plan setup = plan(with_certificate("server-expired"));
    setup.client.verify_by_program = true;
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_EXPIRED);
    EXPECT_FALSE(pair.client_callbacks.judged.empty());
}

TEST_P(Verification, AProgramThatCannotJudgeEndsTheConnection) {
    Plan setup = plan(with_certificate());
    setup.client.verify_by_program = true;
    Pair pair(setup);
    int asked = 0;
    pair.client_callbacks.on_verify = [&](int) {
        ++asked;
        return ussl::CertificateDecision::aborted;
    };
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CALLBACK);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(pair.server->error().alert_number, internal_error) << describe(pair.server->error());
}

TEST_P(Verification, AServersProgramSeesTheClientsCertificate) {
    Plan setup = plan(with_certificate());
    mutual(setup);
    setup.server.verify_by_program = true;
    Pair pair(setup);
    ASSERT_TRUE(pair.handshake()) << describe(pair.server->error());
    ASSERT_EQ(pair.server_callbacks.judged.size(), 2U);
    EXPECT_EQ(pair.server_callbacks.judged[1].second, cert("client.der"));
}

std::string sha256(const ussl::Engine& engine, const std::string& data) {
    const Bytes part = bytes(data);
    std::uint8_t hash[32];
    EXPECT_TRUE(engine.sha256(std::span(&part, 1), std::span<std::uint8_t, 32>(hash)));
    return {std::begin(hash), std::end(hash)};
}

TEST_P(Verification, PinnedCertificatesAndKeysAreTaken) {
    const ussl::Engine& engine = *GetParam().client;
    const std::string certificate = sha256(engine, cert("server.der"));
    const std::string key = sha256(engine, cert("server-public.der"));
    const std::string other = sha256(engine, cert("ca.der"));
    for (const Verify verify : {Verify::insecure_no_verification, Verify::required}) {
        for (const std::string& pins : {certificate, key, other + key, key + other}) {
            Plan setup = plan(with_certificate());
            setup.client.verify = verify;
            setup.client.pins = bytes(pins);
            Pair pair(setup);
            EXPECT_TRUE(pair.handshake()) << describe(pair.client->error());
            EXPECT_EQ(pair.client->peer_verified(), verify == Verify::required);
        }
        Plan setup = plan(with_certificate());
        setup.client.verify = verify;
        setup.client.pins = bytes(other);
        Pair pair(setup);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.client->error().code, Code::CERT_PIN) << describe(pair.client->error());
        EXPECT_EQ(pair.server->error().code, Code::CERT_REFUSED);
    }
    // A pin is an additional check.
    const std::string expired = sha256(engine, cert("server-expired.der"));
    Plan setup = plan(with_certificate("server-expired"));
    setup.client.pins = bytes(expired);
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_EXPIRED);
}

TEST_P(Verification, AServerPinsItsClients) {
    const ussl::Engine& engine = *GetParam().server;
    const std::string client = sha256(engine, cert("client.der"));
    const std::string other = sha256(engine, cert("ca.der"));
    for (const bool good : {false, true}) {
        Plan setup = plan(with_certificate());
        mutual(setup);
        setup.server.pins = bytes(good ? client : other);
        Pair pair(setup);
        pair.handshake();
        EXPECT_EQ(pair.server->error().code, good ? Code::none : Code::CERT_PIN);
    }
}

TEST_P(Verification, AnIssuerForAnotherPurposeVouchesForNobody) {
    for (const bool of_server : {true, false}) {
        for (const std::string purpose : {"serverAuth", "clientAuth", "anyExtendedKeyUsage"}) {
            const std::string name = (of_server ? "server-of-" : "client-of-") + purpose;
            Plan setup = plan(with_certificate());
            Options& shows = of_server ? setup.server : setup.client;
            shows.key = bytes(cert(name + ".key"));
            shows.certificate = bytes(cert(name + "-chain.crt"));
            setup.server.trusted = bytes(cert("ca.crt"));
            setup.server.verify = of_server ? Verify::none : Verify::required;
            Pair pair(setup);
            pair.handshake();
            const Error& error = (of_server ? pair.client : pair.server)->error();
            const bool fits = purpose == (of_server ? "serverAuth" : "clientAuth");
            EXPECT_EQ(error.code, fits ? Code::none : Code::CERT_PURPOSE) << name;
        }
    }
}

TEST_P(Verification, RefusesAnIssuerThatIsNoCA) {
    Plan setup = plan(with_certificate("server-noca"));
    setup.server.certificate = bytes(cert("server-noca-chain.crt"));
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_INVALID);
}

struct Client {
    const char* certificate;  // nullptr: none
    Verify verify;
    Code expected;
};

constexpr Client clients[] = {
    {"client", Verify::required, Code::none},
    {"client", Verify::optional, Code::none},
    {"client", Verify::none, Code::none},
    {nullptr, Verify::required, Code::CERT_MISSING},
    {nullptr, Verify::optional, Code::none},
    {nullptr, Verify::none, Code::none},
    {"client-other", Verify::required, Code::CERT_UNKNOWN_ISSUER},
    {"client-other", Verify::optional, Code::CERT_UNKNOWN_ISSUER},
    {"client-other", Verify::none, Code::none},
    {"client-expired", Verify::required, Code::CERT_EXPIRED},
    {"client-expired", Verify::optional, Code::CERT_EXPIRED},
    {"client-serverauth", Verify::required, Code::CERT_PURPOSE},
    {"client-serverauth", Verify::optional, Code::CERT_PURPOSE},
    {"server-selfsigned", Verify::required, Code::CERT_SELF_SIGNED},
};

using ClientCertificates = EachCase;
INSTANTIATE_EACH_CASE(ClientCertificates);

TEST_P(ClientCertificates, GetTheirVerdict) {
    const Version version = GetParam().version;
    for (const Client& c : clients) {
        Plan setup = plan(with_certificate());
        if (c.certificate != nullptr) {
            setup.client.key = bytes(cert(std::string(c.certificate) + ".key"));
            setup.client.certificate = bytes(cert(std::string(c.certificate) + ".crt"));
        }
        setup.server.trusted = bytes(cert("ca.crt"));
        setup.server.verify = c.verify;
        Pair pair(setup);
        const bool done = pair.handshake();
        const char* name = c.certificate != nullptr ? c.certificate : "no certificate";
        EXPECT_EQ(pair.server->error().code, c.expected) << name;
        if (c.expected == Code::none) {
            EXPECT_TRUE(done) << name << describe(pair.client->error());
            const bool shown = c.certificate != nullptr && c.verify != Verify::none;
            EXPECT_EQ(pair.server->peer_certificate().empty(), !shown) << name;
            continue;
        }
        // A TLS 1.3 client is done before it receives the alert.
        read_all(*pair.client, pair.client_callbacks);
        const bool missing_in_1_2 = c.certificate == nullptr && version == Version::tls1_2;
        EXPECT_EQ(pair.client->error().code,
                  missing_in_1_2 ? Code::HANDSHAKE_FAILED : Code::CERT_REFUSED)
            << name;
        saw(pair.client->error());
    }
}

class Recorder final : public ussl::CertificateVisitor {
  public:
    void identity(int version, const Serial& serial) noexcept override {
        text += "v" + std::to_string(version) + (serial.magnitude.empty() ? " no serial" : "");
    }
    void attribute(Party party, bool starts_rdn, std::string_view name,
                   std::string_view value) noexcept override {
        text += party == Party::subject ? " s" : " i";
        text += starts_rdn ? ":" : "+";
        text += std::string(name) + "=" + std::string(value);
    }
    void validity(const Time& not_before, const Time& not_after) noexcept override {
        text += " " + std::to_string(not_before.year) + "-" + std::to_string(not_after.month);
    }
    void alternative_name(AltName kind, Bytes value) noexcept override {
        text += kind == AltName::ip ? " ip" + std::to_string(value.size())
                                    : " dns:" + std::string(value.begin(), value.end());
    }
    std::string text;
};

using PeerCertificate = EachPair;
INSTANTIATE_EACH_PAIR(PeerCertificate);

TEST_P(PeerCertificate, CanBeLookedInto) {
    Pair pair(plan(with_certificate()));
    Recorder recorder;
    EXPECT_FALSE(pair.client->describe_peer(recorder));
    ASSERT_TRUE(pair.handshake());
    EXPECT_FALSE(pair.server->describe_peer(recorder));
    ASSERT_TRUE(pair.client->describe_peer(recorder));
    EXPECT_EQ(recorder.text,
              "v3 s:organizationName=ussl tests s:commonName=localhost"
              " i:organizationName=ussl tests i:commonName=ussl test root"
              " 2020-12 dns:localhost ip4 ip16");
    const Bytes der = pair.client->peer_certificate();
    EXPECT_EQ(std::string(der.begin(), der.end()), cert("server.der"));
}

}  // namespace
}  // namespace contract
