// Key exchange groups: names, order, and the group that both ends select.

#include <algorithm>

#include "contract.hpp"
#include "groups.hpp"
#include "reader.hpp"

namespace contract {
namespace {

using ussl::group_of;
using List = std::vector<std::uint16_t>;

constexpr std::uint16_t p256 = 23, p384 = 24, p521 = 25, x25519 = 29, x25519_mlkem768 = 0x11EC;

bool has(const ussl::Engine& engine, std::uint16_t number) {
    const std::uint16_t one[] = {number};
    return Context::make(engine, {.verify = Verify::insecure_no_verification, .groups = one})
        .has_value();
}

List defaults_of(const ussl::Engine& engine) {
    std::uint16_t numbers[ussl::max_groups];
    const std::size_t count = ussl::default_groups(engine, numbers);
    return {numbers, numbers + count};
}

TEST(GroupNames, AreThoseOfIanaAndOfOpenSsl) {
    for (const auto& group : ussl::groups::all) {
        EXPECT_EQ(group_of(group.name), group.number) << group.name;
        EXPECT_EQ(ussl::group_name(group.number), group.name);
    }
    for (const char* name : {"secp256r1", "SECP256R1", "P-256", "p-256", "prime256v1"})
        EXPECT_EQ(group_of(name), p256) << name;
    EXPECT_EQ(group_of("P-384"), p384);
    EXPECT_EQ(group_of("P-521"), p521);
    EXPECT_EQ(group_of("X25519"), x25519);
    EXPECT_EQ(group_of("x25519mlkem768"), x25519_mlkem768);
    for (const char* name : {"", "x", "x2551", "x255190", "P-255", "secp256k1", "x25519 "})
        EXPECT_EQ(group_of(name), 0) << name;
    EXPECT_EQ(ussl::group_name(0), "");
}

/// The engine under test is the client's of each pair.
using GroupOptions = EachPair;
INSTANTIATE_EACH_PAIR(GroupOptions);

TEST_P(GroupOptions, ThatAnEngineCannotUseAreRefused) {
    const ussl::Engine& engine = *GetParam().client;
    const auto refusal = [&](const List& list) -> std::string {
        const auto made =
            Context::make(engine, {.verify = Verify::insecure_no_verification, .groups = list});
        if (made)
            return "";
        char text[ussl::max_description];
        return {text, ussl::describe(made.error(), {}, {}, text)};
    };
    EXPECT_EQ(refusal({}), "`groups` must not be empty");
    EXPECT_EQ(refusal({x25519, 0x1234}), "`groups`: unknown group");
    EXPECT_EQ(refusal({x25519, p256, x25519}), "`groups`: the same group twice: x25519");
    std::size_t lacking = 0;
    List every;
    for (const auto& group : ussl::groups::all) {
        if (has(engine, group.number)) {
            every.push_back(group.number);
            continue;
        }
        ++lacking;
        EXPECT_EQ(
            refusal({group.number}),
            "`groups`: this build's TLS library has no such group: " + std::string(group.name));
    }
    EXPECT_EQ(refusal(every), "");
    for (const std::uint16_t number : {x25519, p256, p384, p521})
        EXPECT_TRUE(has(engine, number)) << number;
    // X448 in one engine, and ML-KEM in OpenSSL 3.5 and newer.
    EXPECT_EQ(has(engine, 30), &engine == &ussl::openssl_engine);
    EXPECT_TRUE(&engine == &ussl::openssl_engine || lacking == 4);
}

TEST_P(GroupOptions, AreAllThatTheEngineHasByDefault) {
    const ussl::Engine& engine = *GetParam().client;
    List expected = {p256, x25519, p384, p521};
    if (&engine == &ussl::openssl_engine)
        expected = {x25519, p256, p384, p521};
    if (has(engine, x25519_mlkem768))
        expected.insert(expected.begin(), x25519_mlkem768);
    EXPECT_EQ(defaults_of(engine), expected);
}

/// The groups that a client sends shares of in its first message.
List shares_of(const Plan& made) {
    Pair pair(made);
    pair.client->handshake(pair.client_callbacks);
    const std::string sent = pair.to_server.text();
    Reader body = Reader(std::string_view(sent).substr(5 + 4));
    body.bytes(2 + 32);
    body.field(1);
    body.field(2);
    body.field(1);
    for (Reader all = body.field(2); !all.done();) {
        constexpr std::size_t key_share = 51;
        const std::size_t type = all.number(2);
        Reader content = all.field(2);
        if (type != key_share)
            continue;
        List groups;
        for (Reader shares = content.field(2); !shares.done(); shares.field(2))
            groups.push_back(static_cast<std::uint16_t>(shares.number(2)));
        return groups;
    }
    return {};
}

// A server that knows a hybrid or its best alternative answers without HelloRetryRequest.
TEST_P(GroupOptions, HaveASecondShareIfTheFirstIsAHybrid) {
    Plan made = plan(with_certificate());
    const List defaults = defaults_of(*GetParam().client);
    const bool is_hybrid = defaults.front() == x25519_mlkem768;
    EXPECT_EQ(shares_of(made), is_hybrid ? List({x25519_mlkem768, x25519}) : List{defaults[0]});
    const List chosen = {p384, p256};
    made.client.groups = chosen;
    EXPECT_EQ(shares_of(made), List{p384});
    if (!has(*GetParam().client, x25519_mlkem768))
        return;
    const List reversed = {x25519, x25519_mlkem768};
    made.client.groups = reversed;
    EXPECT_EQ(shares_of(made), List{x25519});
    const List alone = {x25519_mlkem768};
    made.client.groups = alone;
    EXPECT_EQ(shares_of(made), alone);
    const List hybrids = {x25519_mlkem768, 0x11EB, p384, x25519};
    made.client.groups = hybrids;
    EXPECT_EQ(shares_of(made), List({x25519_mlkem768, p384}));
}

/// With an RSA certificate: in TLS 1.2, the groups limit the curves of certificates.
Plan with_groups(const List& client, const List& server) {
    Plan plan = with_certificate("server-rsa", "ca-rsa.crt");
    plan.client.groups = client;
    plan.server.groups = server;
    return plan;
}

using KeyExchange = EachCase;
INSTANTIATE_EACH_CASE(KeyExchange);

TEST_P(KeyExchange, UsesTheGroupThatBothEndsHave) {
    for (const auto& group : ussl::groups::all) {
        const List one = {group.number};
        Plan made = plan(with_groups(one, one));
        const bool is_old = group.number < 32;  // a group of TLS 1.2 as well
        if (!has(*made.client_engine, group.number) || !has(*made.server_engine, group.number) ||
            (GetParam().version == Version::tls1_2 && !is_old))
            continue;
        Pair pair(made);
        EXPECT_EQ(pair.client->group(), "");
        ASSERT_TRUE(pair.handshake()) << group.name << " " << describe(pair.client->error())
                                      << describe(pair.server->error());
        EXPECT_EQ(pair.client->group(), group.name);
        EXPECT_EQ(pair.server->group(), group.name);
        pair.client->close(pair.client_callbacks);
        EXPECT_EQ(pair.client->group(), "");
    }
}

// RFC 8446 §4.1.1: a share that the server can use spares a round trip.
TEST_P(KeyExchange, FollowsTheServersOrderInTls12AndTheClientsShareInTls13) {
    const List client = {x25519, p256};
    const List server = {p256, x25519};
    Pair pair(plan(with_groups(client, server)));
    ASSERT_TRUE(pair.handshake());
    const char* expected = GetParam().version == Version::tls1_2 ? "secp256r1" : "x25519";
    EXPECT_EQ(pair.client->group(), expected);
    EXPECT_EQ(pair.server->group(), expected);
}

/// Whether the server has asked for another share. (The random of that message, RFC 8446 §4.1.3.)
bool retries(const Ring& to_client) {
    return to_client.text().find("\xCF\x21\xAD\x74\xE5\x9A\x61\x11") != std::string::npos;
}

TEST_P(KeyExchange, IsRetriedIfTheServerHasNotTheGroupOfTheShare) {
    const List client = {x25519, p384, p256};
    const List server = {p256, p384};
    Pair pair(plan(with_groups(client, server)));
    pair.client->handshake(pair.client_callbacks);
    pair.server->handshake(pair.server_callbacks);
    EXPECT_EQ(retries(pair.to_client), GetParam().version == Version::tls1_3);
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error())
                                  << describe(pair.server->error());
    EXPECT_EQ(pair.client->group(), pair.server->group());
    EXPECT_NE(pair.client->group(), "x25519");
}

TEST_P(KeyExchange, FailsWithoutACommonGroup) {
    const List client = {x25519, p256};
    const List server = {p384, p521};
    Pair pair(plan(with_groups(client, server)));
    EXPECT_FALSE(pair.handshake());
    const Error& error = pair.server->error();
    EXPECT_EQ(error.code, Code::NO_SHARED_CIPHER) << describe(error);
    EXPECT_EQ(error.alert, Error::Alert::sent);
    EXPECT_EQ(error.alert_number, 40);  // handshake_failure
    EXPECT_EQ(pair.client->error().alert_number, 40) << describe(pair.client->error());
    EXPECT_EQ(pair.client->group(), "");
}

TEST_P(KeyExchange, OfRsaNeedsNoCommonGroup) {
    if (GetParam().version == Version::tls1_3)
        return;  // which has no such suite
    constexpr std::uint16_t ecdhe_or_rsa[] = {0xC02F, 0x009C};
    const List client = {x25519};
    const List server = {p384};
    Plan made = plan(with_groups(client, server));
    made.client.suites = made.server.suites = ecdhe_or_rsa;
    Pair pair(made);
    if (lacks(made.server_engine, Lacks::suite_without_group)) {
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_CIPHER)
            << describe(pair.server->error());
        return;
    }
    ASSERT_TRUE(pair.handshake()) << describe(pair.server->error());
    EXPECT_EQ(pair.server->cipher().name, "TLS_RSA_WITH_AES_128_GCM_SHA256");
    EXPECT_EQ(pair.server->group(), "");
}

TEST_P(KeyExchange, HasAGroupWithAPreSharedKeyIfItIsEcdhe) {
    constexpr std::uint16_t plain = 0x00A8, dhe = 0x00AA, ecdhe = 0xCCAC, tls1_3 = 0x1301;
    const List both = {p384};
    for (const std::uint16_t suite : {plain, dhe, ecdhe, tls1_3}) {
        if ((suite == tls1_3) != (GetParam().version == Version::tls1_3))
            continue;
        const std::uint16_t one[] = {suite};
        Plan made = plan(with_psk());
        made.client.groups = made.server.groups = both;
        made.client.suites = made.server.suites = one;
        Pair pair(made);
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        const char* expected = suite == plain || suite == dhe ? "" : "secp384r1";
        EXPECT_EQ(pair.client->group(), expected) << suite;
        EXPECT_EQ(pair.server->group(), expected) << suite;
    }
}

// TLS 1.2 resumes without a key exchange, TLS 1.3 with a new one.
TEST_P(KeyExchange, IsNewInAResumedConnectionOfTls13Only) {
    const List one = {p384};
    Plan made = plan(with_groups(one, one));
    made.client.resumption = made.server.resumption = true;
    made.client_context = *Context::make(*made.client_engine, made.client);
    made.server_context = *Context::make(*made.server_engine, made.server);
    for (const bool resumes : {false, true}) {
        Pair pair(made);
        ASSERT_TRUE(pair.handshake());
        EXPECT_EQ(pair.client->session_reused(), resumes);
        const char* expected = resumes && GetParam().version == Version::tls1_2 ? "" : "secp384r1";
        EXPECT_EQ(pair.client->group(), expected);
        EXPECT_EQ(pair.server->group(), expected);
        write_some(*pair.server, pair.server_callbacks, "ticket");
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "ticket");
    }
}

}  // namespace
}  // namespace contract
