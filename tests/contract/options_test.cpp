// Rejected options and their texts, and every form of key and certificate.

#include <cstring>

#include "contract.hpp"

namespace contract {
namespace {

/// The engine under test is the client's of each pair.
class OptionRules : public EachPair {
  protected:
    static const ussl::Engine& engine() { return *GetParam().client; }
    static std::string refusal_of(const Options& options) {
        const auto made = Context::make(engine(), options);
        return made ? "" : made.error().reason;
    }
    static Options server() { return with_certificate().server; }
};
INSTANTIATE_EACH_PAIR(OptionRules);

TEST_P(OptionRules, ACertificateChainThatIsTooLongIsRejected) {
    // A certificate of about 500 bytes in DER, 680 in PEM, and a chain of it.
    const std::string one = cert("server.crt");
    std::string chain;
    Options options = server();
    std::string refusal;
    int count = 0;
    for (; refusal.empty() && count < 100; ++count) {
        chain += one;
        options.certificate = bytes(chain);
        refusal = refusal_of(options);
    }
    EXPECT_EQ(refusal, "certificate chain too long: the limit is 16380 bytes");
    EXPECT_GT(count, 16);
    EXPECT_LT(count, 60);
}

TEST_P(OptionRules, ThatContradictThemselvesAreRefused) {
    const std::string long_identity(129, 'i');
    const std::string long_key(49, 'k');
    EXPECT_EQ(refusal_of({.role = Role::server}),
              "a server requires `key` and `certificate`, or `psk_server`");
    EXPECT_EQ(refusal_of({.key = bytes(cert("server.key"))}), "`key` requires `certificate`");
    EXPECT_EQ(refusal_of({.certificate = bytes(cert("server.crt"))}),
              "`certificate` requires `key`");
    EXPECT_EQ(refusal_of({.key_password = bytes("x")}), "`key_password` requires `key`");
    EXPECT_EQ(refusal_of({.psk_identity = bytes("me")}), "`psk_identity` requires `psk_key`");
    EXPECT_EQ(refusal_of({.psk_key = bytes("key")}), "`psk_key` requires `psk_identity`");
    EXPECT_EQ(refusal_of({.psk_identity = bytes(""), .psk_key = bytes("key")}),
              "`psk_identity` must be 1 to 128 bytes");
    EXPECT_EQ(refusal_of({.psk_identity = bytes(long_identity), .psk_key = bytes("key")}),
              "`psk_identity` must be 1 to 128 bytes");
    EXPECT_EQ(refusal_of({.psk_identity = bytes("me"), .psk_key = bytes("")}),
              "`psk_key` must be 1 to 48 bytes");
    EXPECT_EQ(refusal_of({.psk_identity = bytes("me"), .psk_key = bytes(long_key)}),
              "`psk_key` must be 1 to 48 bytes");
    EXPECT_EQ(refusal_of({.trusted = bytes(cert("ca.crt")),
                          .psk_identity = bytes("me"),
                          .psk_key = bytes("key")}),
              "`psk_identity` excludes `key`, `certificate` and `trusted`");
    EXPECT_EQ(
        refusal_of({.role = Role::server, .psk_identity = bytes("me"), .psk_key = bytes("k")}),
        "`psk_identity` and `psk_key` are only valid for a client; a server requires "
        "`psk_server`");
    EXPECT_EQ(refusal_of({.psk_server = true}),
              "`psk_server` is only valid for a server; a client requires `psk_identity` and "
              "`psk_key`");
    EXPECT_EQ(refusal_of({.psk_hint = bytes("hint")}), "`psk_hint` requires `psk_server`");
    EXPECT_EQ(refusal_of({.role = Role::server, .psk_server = true, .psk_hint = bytes("")}),
              "`psk_hint` must be 1 to 128 bytes");
    EXPECT_EQ(refusal_of({.role = Role::server,
                          .psk_server = true,
                          .psk_hint = bytes(std::string_view("a\0b", 3))}),
              "`psk_hint` must not contain NUL");
    for (const std::size_t size : {0, 511, 16385})
        EXPECT_EQ(refusal_of({.record_size_limit = size}),
                  "`record_size_limit` must be 512 to 16384");
    for (const std::size_t size : {512, 1000, 4097, 16384})
        EXPECT_EQ(refusal_of({.record_size_limit = size}), "");
    EXPECT_EQ(refusal_of({.minimum_version = Version::tls1_3, .maximum_version = Version::tls1_2}),
              "`minimum_version` must not be above `maximum_version`");
    EXPECT_EQ(refusal_of({.minimum_version = Version::none}),
              "`minimum_version` and `maximum_version` must be TLS 1.2 or 1.3");
    EXPECT_EQ(refusal_of({.maximum_version = static_cast<Version>(0x0305)}),
              "`minimum_version` and `maximum_version` must be TLS 1.2 or 1.3");
    EXPECT_EQ(refusal_of(server()), "");
    EXPECT_EQ(refusal_of({}), "");
    EXPECT_EQ(refusal_of({.verify = Verify::required}), "");  // the system's store
}

TEST_P(OptionRules, VerificationByDefaultDependsOnTheRole) {
    const auto verify_of = [](const Options& options) {
        const auto made = Context::make(engine(), options);
        EXPECT_TRUE(made) << (made ? "" : made.error().reason);
        return made ? (*made)->verify() : Verify::by_role;
    };
    EXPECT_EQ(verify_of({}), Verify::required);
    EXPECT_EQ(verify_of(server()), Verify::none);
    EXPECT_EQ(verify_of(with_psk().client), Verify::none);
    EXPECT_EQ(verify_of(with_psk().server), Verify::none);
    EXPECT_EQ(verify_of({.verify = Verify::insecure_no_verification}), Verify::none);
}

TEST_P(OptionRules, OnlyAClientThatSaysInsecureVerifiesNothing) {
    EXPECT_EQ(refusal_of({.verify = Verify::none}),
              "`verify` of a client must not be Verify::none: a client that accepts every "
              "certificate requires Verify::insecure_no_verification");
    Options options = server();
    options.verify = Verify::insecure_no_verification;
    EXPECT_EQ(refusal_of(options),
              "`verify`: Verify::insecure_no_verification is only valid for a client");
}

// Anybody can have a client certificate of a public authority.
TEST_P(OptionRules, AServerVerifiesClientsWithTheSystemStoreOnlyIfItSaysSo) {
    constexpr const char* reason = "`verify` of a server requires `trusted` or `system_store`";
    for (const Verify verify : {Verify::optional, Verify::required}) {
        Options options = server();
        options.verify = verify;
        EXPECT_EQ(refusal_of(options), reason);
        options.system_store = true;
        EXPECT_EQ(refusal_of(options), "");
        options.system_store = false;
        options.trusted = bytes(cert("ca.crt"));
        EXPECT_EQ(refusal_of(options), "");
    }
}

TEST_P(OptionRules, WhatOnlyCountsInVerificationIsRefusedWithoutIt) {
    const std::string crls = cert("ca.crt") + cert("ca.crl");
    for (Options options : {Options{.verify = Verify::insecure_no_verification}, server()}) {
        const Options same = options;
        options.verify_by_program = true;
        EXPECT_EQ(refusal_of(options), "`verify_by_program` requires verification (`verify`)");
        options = same;
        options.crl_check = ussl::CrlCheck::chain;
        constexpr const char* reason =
            "CRLs (`trusted`, `crl_check`) require verification (`verify`)";
        EXPECT_EQ(refusal_of(options), reason);
        options.crl_check.reset();
        options.trusted = bytes(crls);
        EXPECT_EQ(refusal_of(options), reason);
        options.verify = Verify::required;
        options.verify_by_program = true;
        EXPECT_EQ(refusal_of(options), "");
        options.verify = same.verify;
        options.verify_by_program = false;
        options.trusted = bytes(cert("ca.crt"));
        EXPECT_EQ(refusal_of(options), "");
    }
}

TEST_P(OptionRules, VerificationNeedsASystemStoreOrRoots) {
    ussl::Engine without_store = engine();
    without_store.has_system_store = false;
    const auto made = Context::make(without_store, {.verify = Verify::required});
    ASSERT_FALSE(made);
    EXPECT_STREQ(made.error().reason,
                 "`verify` requires `trusted`: this build has no root store and no system store");
}

TEST_P(OptionRules, WhatALibraryWasBuiltWithoutIsSaid) {
    const auto refusal = [](bool ussl::Engine::* lacks, const Options& options) {
        ussl::Engine without = engine();
        without.*lacks = false;
        const auto made = Context::make(without, options);
        return std::string(made ? "" : made.error().reason);
    };
    Options signing{
        .role = Role::server, .certificate = bytes(cert("server.crt")), .sign_by_program = true};
    EXPECT_EQ(refusal(&ussl::Engine::has_psk, {.psk_identity = bytes("me"), .psk_key = bytes("k")}),
              "this build's TLS library has no pre-shared keys");
    EXPECT_EQ(refusal(&ussl::Engine::has_signing_by_program, signing),
              "this build's TLS library cannot sign with a callback");
    EXPECT_EQ(refusal(&ussl::Engine::has_crls, {.crl_check = ussl::CrlCheck::leaf}),
              "this build's TLS library has no CRLs");
    EXPECT_EQ(refusal(&ussl::Engine::has_crls, {.crl_check = ussl::CrlCheck::none}), "");
    EXPECT_EQ(refusal(&ussl::Engine::has_alpn, {.alpn = bytes("\2h2")}),
              "this build's TLS library has no ALPN");
    EXPECT_EQ(refusal(&ussl::Engine::has_tls1_3, {.minimum_version = Version::tls1_3}),
              "this build's TLS library has no TLS 1.3");
}

TEST_P(OptionRules, PinsAreHashesOfWhoIsAsked) {
    const std::string pin(32, 'p');
    EXPECT_EQ(refusal_of({.pins = bytes(pin), .psk_identity = bytes("me"), .psk_key = bytes("k")}),
              "`psk_identity` excludes `pins`");
    for (const std::size_t size : {0, 31})
        EXPECT_EQ(refusal_of({.pins = bytes(std::string_view(pin).substr(0, size))}),
                  "`pins` must be SHA-256 hashes, 32 bytes each");
    Options asks_nobody = server();
    asks_nobody.pins = bytes(pin);
    EXPECT_EQ(refusal_of(asks_nobody),
              "`pins` of a server require `verify`: it requests no certificates");
    EXPECT_EQ(refusal_of({.choose_by_name = true}), "`choose_by_name` is only valid for a server");
}

TEST_P(OptionRules, ListsOfSuitesMayHaveHolesAndEnds) {
    std::array<std::uint16_t, ussl::max_suites> suites{};
    std::string_view unknown;
    constexpr std::string_view name = "ECDHE-ECDSA-AES128-GCM-SHA256";
    const std::string holes = ":" + std::string(name) + ", " + std::string(name);
    const std::size_t alone = ussl::parse_suites(engine(), name, suites, unknown);
    EXPECT_EQ(ussl::parse_suites(engine(), holes, suites, unknown), alone + 1);
    std::string many;
    for (std::size_t i = 0; i <= suites.size(); ++i)
        many += std::string(name) + ":";
    EXPECT_EQ(ussl::parse_suites(engine(), many, suites, unknown), 0U);
    EXPECT_EQ(unknown, name);
    // As in CPython, a str is for TLS 1.2, with any names in it.
    const std::string both = "TLS_CHACHA20_POLY1305_SHA256:" + std::string(name);
    EXPECT_EQ(ussl::parse_suites(engine(), both, suites, unknown), alone);
    EXPECT_EQ(suites[0], 0x1301);
    unknown = {};
    EXPECT_EQ(ussl::parse_suites(engine(), "TLS_CHACHA20_POLY1305_SHA256", suites, unknown), 0U);
    EXPECT_EQ(unknown, "");
}

TEST_P(OptionRules, EveryFormOfAKeyIsRead) {
    for (const std::string name : {"server", "server-rsa"}) {
        Options options{.role = Role::server, .certificate = bytes(cert(name + ".crt"))};
        const std::string old = name + (name == "server" ? "-ec" : "-rsa");
        for (const std::string& form :
             {name + ".key", old + ".pem", old + ".der", name + "-pkcs8.der"}) {
            options.key = bytes(cert(form));
            EXPECT_EQ(refusal_of(options), "") << form;
        }
        for (const std::string& form : {name + "-encrypted.pem", name + "-encrypted.der"}) {
            options.key = bytes(cert(form));
            options.key_password = bytes("secret");
            EXPECT_EQ(refusal_of(options), "") << form;
            options.key_password = bytes("wrong");
            EXPECT_TRUE(refusal_of(options).starts_with("invalid key")) << form;
            options.key_password.reset();
            EXPECT_EQ(refusal_of(options), "invalid key: `key_password` is missing or wrong")
                << form;
        }
    }
}

// As `openssl ecparam -genkey` and many a provisioning tool leave them.
TEST_P(OptionRules, PemFilesMayHoldMoreThanWhatIsLookedFor) {
    const std::string parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    const std::string both = cert("server.key") + cert("server.crt");
    const std::string reversed = cert("server.crt") + cert("server-ec.pem");
    const auto crlf = [](std::string text) {
        for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
            text.insert(at, 1, '\r');
        return text;
    };
    const auto refusal = [](const std::string& key, const std::string& certificate) {
        return refusal_of(
            {.role = Role::server, .key = bytes(key), .certificate = bytes(certificate)});
    };
    EXPECT_EQ(refusal(parameters + cert("server-ec.pem"), cert("server.crt")), "");
    EXPECT_EQ(refusal(both, both), "");
    EXPECT_EQ(refusal(reversed, reversed), "");
    EXPECT_EQ(refusal("words\n" + cert("server.key"), "words\n" + cert("server.crt") + "words\n"),
              "");
    EXPECT_EQ(refusal(crlf(cert("server.key")), crlf(cert("server.crt"))), "");
    std::string unfinished = cert("server.crt");
    unfinished.pop_back();
    EXPECT_EQ(refusal(cert("server.key"), unfinished), "");
}

TEST_P(OptionRules, WhatCannotBeReadIsRefused) {
    Options options = server();
    for (const std::string& bad : {cert("truncated.key"), cert("garbage"), cert("server.crt"),
                                   cert("server-ec.der") + "x", std::string("\0", 1)}) {
        options.key = bytes(bad);
        EXPECT_EQ(refusal_of(options), "invalid key");
    }
    options = server();
    for (const std::string& bad : {cert("truncated.crt"), cert("garbage"), cert("server.key"),
                                   cert("server.der") + "x", std::string()}) {
        options.certificate = bytes(bad);
        EXPECT_EQ(refusal_of(options), "invalid cert");
    }
    const std::string megabytes(10'000'000, 'x');
    for (const std::string& bad :
         {cert("truncated.crt"), cert("ca-then-truncated.crt"), cert("garbage"), megabytes}) {
        Options client = with_certificate().client;
        client.trusted = bytes(bad);
        EXPECT_EQ(refusal_of(client), "invalid cert");
    }
    options = server();
    options.key = bytes(cert("client.key"));
    EXPECT_EQ(refusal_of(options), "`key` and `certificate` do not match");
    options.key = bytes(cert("server-rsa.key"));
    EXPECT_EQ(refusal_of(options), "`key` and `certificate` do not match");
}

// Nothing of it is of use, and nobody is asked for its password.
TEST_P(OptionRules, AnEncryptedCertificateIsInvalid) {
    std::string encrypted = cert("server.crt");
    encrypted.insert(encrypted.find('\n') + 1,
                     "Proc-Type: 4,ENCRYPTED\n"
                     "DEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\n");
    Options options = server();
    options.certificate = bytes(encrypted);
    EXPECT_EQ(refusal_of(options), "invalid cert");
}

// An identity that is taken can be used; one that cannot be used is refused at the call.
TEST_P(OptionRules, AKeyThatIsTakenCanSign) {
    for (const std::string name : {"server", "server-rsa", "server-weak", "server-weak-ec",
                                   "server-ed25519", "server-ed448", "server-rsa-pss"}) {
        const Plan made = GetParam().with(with_certificate(name));
        Plan plan = made;
        plan.client = {.verify = Verify::insecure_no_verification};
        const auto context = Context::make(*plan.server_engine, plan.server);
        if (!context) {
            EXPECT_TRUE(std::string_view(context.error().reason).starts_with("unsupported key"))
                << name << ": " << context.error().reason;
            EXPECT_TRUE(name != "server" && name != "server-rsa" && name != "server-weak");
            continue;
        }
        Pair pair(plan);
        // The client may not support the server's signature algorithm.
        EXPECT_TRUE(pair.handshake() || pair.server->error().code == Code::NO_SHARED_CIPHER ||
                    plan.client_engine != plan.server_engine)
            << name << " " << describe(pair.client->error()) << " / "
            << describe(pair.server->error());
    }
}

TEST_P(OptionRules, HostNamesAreCheckedAtTheCall) {
    const auto context = Context::make(engine(), with_certificate().client);
    ASSERT_TRUE(context);
    for (const char* bad : {"a b", "exa_mple..test", ".example", "1.2.3.4.5", "256.1.1.1",
                            "b\xc3\xbc"
                            "cher.example",
                            ":::", "-"}) {
        const auto made = Connection::make(*context, {.server_hostname = bad});
        EXPECT_EQ(made.has_value(), std::string(bad) == "-") << bad;
    }
    const auto listening = Context::make(engine(), server());
    const auto named = Connection::make(*listening, {.server_hostname = "localhost"});
    ASSERT_FALSE(named);
    EXPECT_STREQ(named.error().reason, "`server_hostname` is only valid for a client");
    const auto nameless = Connection::make(*context, {});
    ASSERT_FALSE(nameless);
    EXPECT_STREQ(nameless.error().reason, "verification (`verify`) requires `server_hostname`");
}

TEST_P(OptionRules, OfOneDigestAreTheSame) {
    std::uint8_t one[32];
    std::uint8_t other[32];
    Options options = server();
    ASSERT_TRUE(options_digest(engine(), options, one));
    ASSERT_TRUE(options_digest(engine(), options, other));
    EXPECT_EQ(std::memcmp(one, other, 32), 0);
    options.verify = Verify::required;
    ASSERT_TRUE(options_digest(engine(), options, other));
    EXPECT_NE(std::memcmp(one, other, 32), 0);
    // The same, absent and empty.
    options = server();
    options.alpn = Bytes{};
    ASSERT_TRUE(options_digest(engine(), options, one));
    options.alpn.reset();
    ASSERT_TRUE(options_digest(engine(), options, other));
    EXPECT_NE(std::memcmp(one, other, 32), 0);
    // The same bytes, divided otherwise.
    ASSERT_TRUE(
        options_digest(engine(), {.psk_identity = bytes("ab"), .psk_key = bytes("c")}, one));
    ASSERT_TRUE(
        options_digest(engine(), {.psk_identity = bytes("a"), .psk_key = bytes("bc")}, other));
    EXPECT_NE(std::memcmp(one, other, 32), 0);
}

}  // namespace
}  // namespace contract
