// Handshakes and data, over rings of any size.

#include "contract.hpp"

namespace contract {
namespace {

struct Case {
    std::string name;
    const ussl::Engine* client;
    const ussl::Engine* server;
    Version version;
    std::string credentials;  // "ec", "rsa", "psk", "mutual"
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.name;
}

std::vector<Case> cases() {
    struct Named {
        const char* name;
        const ussl::Engine* engine;
    };
    static constexpr Named engines[] = {{"openssl", &ussl::openssl_engine}};
    std::vector<Case> all;
    for (const Named& client : engines)
        for (const Named& server : engines)
            for (const Version version : {Version::tls1_2, Version::tls1_3})
                for (const char* credentials : {"ec", "rsa", "psk", "mutual"})
                    all.push_back({std::string(client.name) + "_" + server.name +
                                       (version == Version::tls1_2 ? "_1_2_" : "_1_3_") +
                                       credentials,
                                   client.engine, server.engine, version, credentials});
    return all;
}

Plan setup_of(const Case& c) {
    Plan setup = c.credentials == "psk"   ? with_psk()
                 : c.credentials == "rsa" ? with_certificate("server-rsa", "ca-rsa.crt")
                                          : with_certificate();
    if (c.credentials == "mutual") {
        setup.client.key = bytes(cert("client.key"));
        setup.client.certificate = bytes(cert("client.crt"));
        setup.server.trusted = bytes(cert("ca.crt"));
        setup.server.verify = Verify::required;
    }
    setup.client_engine = c.client;
    setup.server_engine = c.server;
    only(setup, c.version);
    return setup;
}

class Contract : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Engines, Contract, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Contract, HandshakesOverRingsOfAnySize) {
    for (const std::size_t capacity : {1, 2, 7, 512, 20000}) {
        Plan setup = setup_of(GetParam());
        setup.capacity = capacity;
        Pair pair(setup);
        ASSERT_TRUE(pair.handshake()) << capacity << " " << describe(pair.client->error()) << " / "
                                      << describe(pair.server->error());
        EXPECT_EQ(pair.client->version(), GetParam().version);
        EXPECT_EQ(pair.server->version(), GetParam().version);
        EXPECT_EQ(pair.client->cipher().name, pair.server->cipher().name);
        EXPECT_GE(pair.client->cipher().secret_bits, 128);
        EXPECT_EQ(pair.client->peer_certificate().empty(), GetParam().credentials == "psk");
        EXPECT_EQ(pair.server->peer_certificate().empty(), GetParam().credentials != "mutual");
        EXPECT_EQ(pair.client->peer_verified(), GetParam().credentials != "psk");
    }
}

TEST_P(Contract, MovesDataBothWaysOverRingsOfAnySize) {
    for (const std::size_t capacity : {1, 7, 512, 20000}) {
        Plan setup = setup_of(GetParam());
        setup.capacity = capacity;
        Pair pair(setup);
        ASSERT_TRUE(pair.handshake());
        const std::string to_server = pattern(capacity < 100 ? 20000 : 300000, 1);
        const std::string to_client = pattern(capacity < 100 ? 30000 : 200000, 2);
        std::size_t sent_up = 0;
        std::size_t sent_down = 0;
        std::string up;
        std::string down;
        for (int round = 0; up.size() < to_server.size() || down.size() < to_client.size();
             ++round) {
            ASSERT_LT(round, 300000) << "nothing moves any more";
            const std::size_t piece = 1 + static_cast<std::size_t>(round) * 37 % 40000;
            sent_up += write_some(*pair.client, pair.client_host,
                                  std::string_view(to_server).substr(sent_up, piece));
            sent_down += write_some(*pair.server, pair.server_host,
                                    std::string_view(to_client).substr(sent_down, piece));
            up += read_all(*pair.server, pair.server_host);
            down += read_all(*pair.client, pair.client_host);
        }
        EXPECT_TRUE(up == to_server);
        EXPECT_TRUE(down == to_client);
        EXPECT_FALSE(pair.client->unsent() && pair.to_server.bytes.empty());
    }
}

TEST_P(Contract, TheFirstReadAndTheFirstWriteDoTheHandshake) {
    Pair pair(setup_of(GetParam()));
    std::size_t taken = 0;
    std::string got;
    for (int round = 0; round < 20 && got.empty(); ++round) {
        if (taken == 0)
            taken = write_some(*pair.client, pair.client_host, "hello");
        got = read_all(*pair.server, pair.server_host);
    }
    EXPECT_EQ(taken, 5U);
    EXPECT_EQ(got, "hello");
}

TEST_P(Contract, AConnectionThatIsCutDuringTheHandshakeSaysSo) {
    // How many bytes each direction carries in all.
    Pair whole(setup_of(GetParam()));
    std::size_t up = 0;
    std::size_t down = 0;
    for (int round = 0; round < 10; ++round) {
        whole.client->handshake(whole.client_host);
        up += whole.to_server.bytes.size();
        whole.server->handshake(whole.server_host);
        down += whole.to_client.bytes.size();
    }
    ASSERT_TRUE(whole.client->handshake_done() && whole.server->handshake_done());

    for (std::size_t cut = 0; cut < down; cut += 1 + down / 97) {
        Pair pair(setup_of(GetParam()));
        Progress progress{Kind::blocked};
        std::size_t passed = 0;
        Ring held;
        MemoryHost server_host(pair.to_server, held);
        server_host.keys = pair.server_host.keys;
        for (int round = 0; round < 10 && progress.kind == Kind::blocked; ++round) {
            progress = pair.client->handshake(pair.client_host);
            pair.server->handshake(server_host);
            for (; !held.bytes.empty() && passed < cut; ++passed) {
                pair.to_client.bytes.push_back(held.bytes.front());
                held.bytes.pop_front();
            }
            pair.to_client.closed = passed == cut;
        }
        if (progress.kind == Kind::done)
            continue;  // the last flight of TLS 1.3 is the client's
        ASSERT_EQ(progress.kind, Kind::failed) << cut;
        EXPECT_EQ(pair.client->error().code, Code::PEER_CLOSED) << cut;
        saw(pair.client->error());
    }
}

TEST_P(Contract, NothingIsReadOrWrittenBeforeItIsAskedFor) {
    const Pair pair(setup_of(GetParam()));
    EXPECT_EQ(pair.client_host.reads + pair.client_host.writes, 0);
    EXPECT_EQ(pair.server_host.reads + pair.server_host.writes, 0);
    EXPECT_EQ(pair.client->version(), Version::none);
    EXPECT_TRUE(pair.client->cipher().name.empty());
    EXPECT_EQ(pair.client->waits_for(Direction::read), ussl::Waits::stream_writable);
    EXPECT_EQ(pair.server->waits_for(Direction::write), ussl::Waits::stream_readable);
}

TEST(Connections, OfOneContextAreIndependent) {
    const Plan setup = with_certificate();
    auto client = Context::make(ussl::openssl_engine, setup.client);
    auto server = Context::make(ussl::openssl_engine, setup.server);
    ASSERT_TRUE(client && server);
    for (int i = 0; i < 20; ++i) {
        Ring up;
        Ring down;
        MemoryHost client_host(down, up);
        MemoryHost server_host(up, down);
        auto one =
            Connection::make(*client, {.server_hostname = i % 2 == 0 ? "localhost" : "other"});
        auto other = Connection::make(*server, {});
        for (int round = 0; round < 6; ++round) {
            (*one)->handshake(client_host);
            (*other)->handshake(server_host);
        }
        EXPECT_EQ((*one)->handshake_done(), i % 2 == 0);
        saw((*other)->error());
    }
}

}  // namespace
}  // namespace contract
