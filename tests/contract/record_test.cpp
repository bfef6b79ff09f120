// The size of records: the program's limit, the request to the peer, and empty records.

#include "context_internals.hpp"
#include "contract.hpp"

namespace contract {
namespace {

constexpr std::size_t limit = 1024;
// Header, nonce, type and tag.
constexpr std::size_t max_around = 5 + 8 + 16 + 16;

/// The longest record in a ring, header and all.
std::size_t longest_record(const Ring& ring) {
    std::size_t longest = 0;
    for (std::size_t at = 0; at + 5 <= ring.bytes.size();) {
        const std::size_t size =
            5U + (static_cast<std::size_t>(ring.bytes[at + 3]) << 8U) + ring.bytes[at + 4];
        longest = std::max(longest, size);
        at += size;
    }
    return longest;
}

/// Whether a server keeps to a client's request. A client that offers both versions sends both
/// extensions; with TLS 1.3 only, it sends the extension that it supports.
bool is_heard(const Engines& engines, Version version, bool offers_both) {
    if (version == Version::tls1_2 || engines.server == engines.client)
        return true;
    return offers_both && !lacks(engines.client, Lacks::record_size_limit);
}

class Record : public EachCase {};
INSTANTIATE_EACH_CASE(Record);

TEST_P(Record, KeepsToTheLimitThatAClientAskedFor) {
    for (Plan setup : {with_certificate(), with_psk()}) {
        setup.client.record_size_limit = limit;
        Pair pair(plan(setup));
        ASSERT_TRUE(pair.handshake());
        const std::string much = pattern(3 * 16384);
        EXPECT_EQ(write_some(*pair.client, pair.client_callbacks, much), much.size());
        EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
        EXPECT_LE(longest_record(pair.to_server), limit + max_around);
        EXPECT_GT(longest_record(pair.to_server), limit / 2);
        if (is_heard(GetParam().engines, GetParam().version, false)) {
            EXPECT_LE(longest_record(pair.to_client), limit + max_around);
        } else {
            EXPECT_GT(longest_record(pair.to_client), limit + max_around);
        }
        EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), much);
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), much);
    }
}

using RecordOfEitherVersion = EachPair;
INSTANTIATE_EACH_PAIR(RecordOfEitherVersion);

// A client that offers both versions asks in both ways.
TEST_P(RecordOfEitherVersion, KeepsToTheLimitThatAClientAskedFor) {
    for (const Version version : {Version::tls1_2, Version::tls1_3}) {
        Plan setup = with_certificate();
        setup.client.record_size_limit = limit;
        setup.server.maximum_version = version;
        Pair pair(plan(setup));
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        const std::string much = pattern(20000);
        EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
        if (is_heard(GetParam(), version, true)) {
            EXPECT_LE(longest_record(pair.to_client), limit + max_around);
        } else {
            EXPECT_GT(longest_record(pair.to_client), limit + max_around);
        }
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), much);
    }
}

// max_fragment_length has 512, but Mbed TLS does not divide its messages of the handshake.
TEST_P(Record, KeepsToTheSmallestLimitThatAClientAskedFor) {
    if (GetParam().version != Version::tls1_2)
        return;
    for (const bool has_certificate : {false, true}) {
        Plan setup = with_certificate();
        if (has_certificate) {
            mutual(setup);
            setup.client.certificate = bytes(cert("client-rsa.crt"));
            setup.client.key = bytes(cert("client-rsa.key"));
            setup.server.trusted = bytes(cert("ca-all.crt"));
        }
        setup.client.record_size_limit = ussl::min_record_size;
        Pair pair(plan(setup));
        ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
        const std::string much = pattern(20000);
        EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
        const bool is_asked =
            !has_certificate || !lacks(GetParam().engines.client, Lacks::fragment_512);
        EXPECT_EQ(longest_record(pair.to_client) <= 512 + max_around, is_asked);
        EXPECT_LE(longest_record(pair.to_client), 1024 + max_around);
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), much);
    }
}

TEST_P(Record, HoldsAllThatARecordMay) {
    Pair pair(plan(with_certificate()));
    ASSERT_TRUE(pair.handshake());
    const std::string full = pattern(ussl::max_record_size);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes(full)).count, full.size());
    EXPECT_EQ(pair.server->write(pair.server_callbacks, bytes(full)).count, full.size());
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), full);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), full);
}

TEST_P(Record, KeepsToTheLimitOfAServer) {
    Plan setup = with_certificate();
    setup.server.record_size_limit = 600;
    Pair pair(plan(setup));
    ASSERT_TRUE(pair.handshake());
    const std::string much = pattern(20000);
    EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
    EXPECT_LE(longest_record(pair.to_client), 600 + max_around);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), much);
    EXPECT_EQ(write_some(*pair.client, pair.client_callbacks, much), much.size());
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), much);
}

TEST_P(Record, HandshakesFitIntoTheLimit) {
    // Certificates that are longer than a record, in both directions.
    Plan setup = with_certificate("server-rsa", "ca-all.crt");
    setup.server.trusted = bytes(cert("ca-all.crt"));
    setup.server.verify = Verify::required;
    setup.client.key = bytes(cert("client-rsa.key"));
    setup.client.certificate = bytes(cert("client-rsa.crt"));
    setup.client.record_size_limit = setup.server.record_size_limit = 512;
    Pair pair(plan(setup));
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error())
                                  << describe(pair.server->error());
    const std::string much = pattern(20000);
    EXPECT_EQ(write_some(*pair.client, pair.client_callbacks, much), much.size());
    EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
    EXPECT_LE(longest_record(pair.to_server), 512 + max_around);
    EXPECT_LE(longest_record(pair.to_client), 512 + max_around);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), much);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), much);
}

/// A peer that is an engine alone, without the restrictions of a Connection: Mbed TLS sends any
/// data, also empty records.
class EmptyRecord : public testing::TestWithParam<std::tuple<const ussl::Engine*, Version>> {
  protected:
    EmptyRecord() {
        Plan setup = with_certificate();
        only(setup, std::get<Version>(GetParam()));
        server = std::move(
            *Connection::make(*Context::make(*std::get<0>(GetParam()), setup.server), {}));
        setup.client.verify = Verify::insecure_no_verification;
        context = *Context::make(ussl::mbedtls_engine, setup.client);
        peer = ussl::ContextInternals::engine(*context).make_session(peer_resources, nullptr);
        for (int round = 0; round < 10; ++round) {
            peer_resources.transport.attach(peer_host);
            peer->handshake();
            server->handshake(server_callbacks);
        }
    }
    void send(std::string_view data) {
        ASSERT_EQ(peer->write(bytes(data)).kind, ussl::Outcome::Kind::done);
    }
    Ring up, down;
    MemoryCallbacks peer_host{down, up}, server_callbacks{up, down};
    ussl::Ref<Context> context;
    ussl::SessionResources peer_resources;
    ussl::Owned<ussl::EngineSession> peer;
    ussl::Owned<Connection> server;
};
INSTANTIATE_TEST_SUITE_P(Engines, EmptyRecord,
                         testing::Combine(testing::Values(&ussl::openssl_engine,
                                                          &ussl::mbedtls_engine),
                                          testing::Values(Version::tls1_2, Version::tls1_3)),
                         [](const auto& info) {
                             const bool openssl = std::get<0>(info.param) == &ussl::openssl_engine;
                             return std::string(openssl ? "openssl" : "mbedtls") +
                                    (std::get<1>(info.param) == Version::tls1_2 ? "_1_2" : "_1_3");
                         });

TEST_P(EmptyRecord, IsNoEnd) {
    ASSERT_TRUE(server->handshake_done());
    for (int i = 0; i < 5; ++i)
        send("");
    bool end = false;
    EXPECT_EQ(read_all(*server, server_callbacks, &end), "");
    send("");
    send("");
    send("something");
    EXPECT_EQ(read_all(*server, server_callbacks, &end), "something");
    EXPECT_FALSE(end);
    EXPECT_FALSE(server->error()) << describe(server->error());
}

TEST_P(EmptyRecord, AfterEmptyRecordWantsToKeepUsBusy) {
    ASSERT_TRUE(server->handshake_done());
    for (int i = 0; i < 1000; ++i)
        send("");
    EXPECT_EQ(read_all(*server, server_callbacks), "");
    EXPECT_EQ(server->error().code, Code::PROTOCOL) << describe(server->error());
}

}  // namespace
}  // namespace contract
