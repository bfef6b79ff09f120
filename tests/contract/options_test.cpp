// What is refused at the call, and in which words; and every form of key and certificate.

#include <cstring>

#include "contract.hpp"

namespace contract {
namespace {

std::string refusal_of(const Options& options) {
    const auto made = Context::make(ussl::openssl_engine, options);
    return made ? "" : made.error().reason;
}

Options server() {
    return with_certificate().server;
}

TEST(Options, ThatContradictThemselvesAreRefused) {
    const std::string long_identity(129, 'i');
    const std::string long_key(49, 'k');
    EXPECT_EQ(refusal_of({.role = Role::server}),
              "a server needs keyfile and certfile, or psk_keys");
    EXPECT_EQ(refusal_of({.key = bytes(cert("server.key"))}), "keyfile needs certfile");
    EXPECT_EQ(refusal_of({.certificate = bytes(cert("server.crt"))}), "certfile needs keyfile");
    EXPECT_EQ(refusal_of({.key_password = bytes("x")}), "key_password needs keyfile");
    EXPECT_EQ(refusal_of({.psk_identity = bytes("me")}), "psk_ident needs psk_key");
    EXPECT_EQ(refusal_of({.psk_key = bytes("key")}), "psk_key needs psk_ident");
    EXPECT_EQ(refusal_of({.psk_identity = bytes(""), .psk_key = bytes("key")}),
              "psk_ident must be 1 to 128 bytes");
    EXPECT_EQ(refusal_of({.psk_identity = bytes(long_identity), .psk_key = bytes("key")}),
              "psk_ident must be 1 to 128 bytes");
    EXPECT_EQ(refusal_of({.psk_identity = bytes("me"), .psk_key = bytes("")}),
              "psk_key must be 1 to 48 bytes");
    EXPECT_EQ(refusal_of({.psk_identity = bytes("me"), .psk_key = bytes(long_key)}),
              "psk_key must be 1 to 48 bytes");
    EXPECT_EQ(refusal_of({.trusted = bytes(cert("ca.crt")),
                          .psk_identity = bytes("me"),
                          .psk_key = bytes("key")}),
              "psk goes without keyfile, certfile and ca_certs");
    EXPECT_EQ(
        refusal_of({.role = Role::server, .psk_identity = bytes("me"), .psk_key = bytes("k")}),
        "psk_ident and psk_key are a client's; a server takes psk_keys");
    EXPECT_EQ(refusal_of({.psk_server = true}),
              "psk_keys is a server's; a client takes psk_ident and psk_key");
    EXPECT_EQ(refusal_of({.psk_hint = bytes("hint")}), "psk_hint needs psk_keys");
    EXPECT_EQ(refusal_of({.role = Role::server, .psk_server = true, .psk_hint = bytes("")}),
              "psk_hint must be 1 to 128 bytes");
    EXPECT_EQ(refusal_of({.role = Role::server,
                          .psk_server = true,
                          .psk_hint = bytes(std::string_view("a\0b", 3))}),
              "psk_hint must not hold NUL");
    EXPECT_EQ(refusal_of({.minimum_version = Version::tls1_3, .maximum_version = Version::tls1_2}),
              "minimum_version is above maximum_version");
    EXPECT_EQ(refusal_of(server()), "");
    EXPECT_EQ(refusal_of({}), "");
    EXPECT_EQ(refusal_of({.verify = Verify::required}), "");  // the system's store
}

TEST(Options, VerificationNeedsASystemStoreOrRoots) {
    ussl::Engine without_store = ussl::openssl_engine;
    without_store.has_system_store = false;
    const auto made = Context::make(without_store, {.verify = Verify::required});
    ASSERT_FALSE(made);
    EXPECT_STREQ(made.error().reason, "cert_reqs needs ca_certs: this port has no system store");
}

TEST(Options, EveryFormOfAKeyIsRead) {
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
            EXPECT_EQ(refusal_of(options), "invalid key: key_password is missing or wrong") << form;
        }
    }
}

TEST(Options, WhatCannotBeReadIsRefused) {
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
    EXPECT_EQ(refusal_of(options), "keyfile and certfile do not match");
    options.key = bytes(cert("server-rsa.key"));
    EXPECT_EQ(refusal_of(options), "keyfile and certfile do not match");
}

TEST(Options, HostNamesAreCheckedAtTheCall) {
    const auto context = Context::make(ussl::openssl_engine, with_certificate().client);
    ASSERT_TRUE(context);
    for (const char* bad : {"a b", "exa_mple..test", ".example", "1.2.3.4.5", "256.1.1.1",
                            "b\xc3\xbc"
                            "cher.example",
                            ":::", "-"}) {
        const auto made = Connection::make(*context, {.server_hostname = bad});
        EXPECT_EQ(made.has_value(), std::string(bad) == "-") << bad;
    }
    const auto nameless = Connection::make(*context, {});
    ASSERT_FALSE(nameless);
    EXPECT_STREQ(nameless.error().reason,
                 "checking the server (ca_certs, cert_reqs) needs server_hostname");
}

TEST(Options, OfOneFingerprintAreTheSame) {
    std::uint8_t one[32];
    std::uint8_t other[32];
    Options options = server();
    ASSERT_TRUE(fingerprint(ussl::openssl_engine, options, one));
    ASSERT_TRUE(fingerprint(ussl::openssl_engine, options, other));
    EXPECT_EQ(std::memcmp(one, other, 32), 0);
    options.verify = Verify::required;
    ASSERT_TRUE(fingerprint(ussl::openssl_engine, options, other));
    EXPECT_NE(std::memcmp(one, other, 32), 0);
    // The same bytes, divided otherwise.
    ASSERT_TRUE(fingerprint(ussl::openssl_engine,
                            {.psk_identity = bytes("ab"), .psk_key = bytes("c")}, one));
    ASSERT_TRUE(fingerprint(ussl::openssl_engine,
                            {.psk_identity = bytes("a"), .psk_key = bytes("bc")}, other));
    EXPECT_NE(std::memcmp(one, other, 32), 0);
}

}  // namespace
}  // namespace contract
