// Handshakes and data, over rings of any size.

#include <atomic>
#include <thread>

#include "contract.hpp"

namespace contract {
namespace {

using Parameters = std::tuple<Case, const char*>;  // "ec", "rsa", "psk", "mutual"

class Contract : public testing::TestWithParam<Parameters> {
  protected:
    static std::string credentials() { return std::get<1>(GetParam()); }
    static Version version() { return std::get<0>(GetParam()).version; }
    static Plan setup() {
        Plan made = credentials() == "psk"   ? with_psk()
                    : credentials() == "rsa" ? with_certificate("server-rsa", "ca-rsa.crt")
                                             : with_certificate();
        if (credentials() == "mutual") {
            mutual(made);
        }
        return std::get<0>(GetParam()).with(made);
    }
};
INSTANTIATE_TEST_SUITE_P(Engines, Contract,
                         testing::Combine(testing::ValuesIn(all_cases()),
                                          testing::Values("ec", "rsa", "psk", "mutual")),
                         [](const auto& info) {
                             return testing::PrintToString(std::get<0>(info.param)) + "_" +
                                    std::get<1>(info.param);
                         });

TEST_P(Contract, HandshakesOverRingsOfAnySize) {
    for (const std::size_t capacity : {1, 2, 7, 512, 20000}) {
        Plan made = setup();
        made.capacity = capacity;
        Pair pair(made);
        ASSERT_TRUE(pair.handshake()) << capacity << " " << describe(pair.client->error()) << " / "
                                      << describe(pair.server->error());
        EXPECT_EQ(pair.client->version(), version());
        EXPECT_EQ(pair.server->version(), version());
        EXPECT_EQ(pair.client->cipher().name, pair.server->cipher().name);
        EXPECT_GE(pair.client->cipher().secret_bits, 128);
        EXPECT_EQ(pair.client->peer_certificate().empty(), credentials() == "psk");
        EXPECT_EQ(pair.server->peer_certificate().empty(), credentials() != "mutual");
        EXPECT_EQ(pair.client->peer_verified(), credentials() != "psk");
    }
}

TEST_P(Contract, MovesDataBothWaysOverRingsOfAnySize) {
    for (const std::size_t capacity : {1, 7, 512, 20000}) {
        Plan made = setup();
        made.capacity = capacity;
        Pair pair(made);
        ASSERT_TRUE(pair.handshake());
        const std::string to_server = pattern(capacity < 100 ? 20000 : 300000, 1);
        const std::string to_client = pattern(capacity < 100 ? 30000 : 200000, 2);
        std::size_t sent_up = 0;
        std::size_t sent_down = 0;
        std::string up;
        std::string down;
        for (int round = 0; up.size() < to_server.size() || down.size() < to_client.size();
             ++round) {
            ASSERT_LT(round, 300000)
                << "nothing moves any more: " << capacity << " " << up.size() << " " << down.size()
                << " " << describe(pair.client->error()) << " / " << describe(pair.server->error());
            const std::size_t piece = 1 + static_cast<std::size_t>(round) * 37 % 40000;
            sent_up += write_some(*pair.client, pair.client_callbacks,
                                  std::string_view(to_server).substr(sent_up, piece));
            sent_down += write_some(*pair.server, pair.server_callbacks,
                                    std::string_view(to_client).substr(sent_down, piece));
            up += read_all(*pair.server, pair.server_callbacks);
            down += read_all(*pair.client, pair.client_callbacks);
        }
        EXPECT_TRUE(up == to_server);
        EXPECT_TRUE(down == to_client);
        EXPECT_FALSE(pair.client->unsent() && pair.to_server.bytes.empty());
    }
}

TEST_P(Contract, TheFirstReadAndTheFirstWriteDoTheHandshake) {
    Pair pair(setup());
    std::size_t taken = 0;
    std::string got;
    for (int round = 0; round < 20 && got.empty(); ++round) {
        if (taken == 0)
            taken = write_some(*pair.client, pair.client_callbacks, "hello");
        got = read_all(*pair.server, pair.server_callbacks);
    }
    EXPECT_EQ(taken, 5U);
    EXPECT_EQ(got, "hello");
}

TEST_P(Contract, AConnectionThatIsCutDuringTheHandshakeSaysSo) {
    // How many bytes each direction carries in all.
    Pair whole(setup());
    std::size_t up = 0;
    std::size_t down = 0;
    for (int round = 0; round < 10; ++round) {
        whole.client->handshake(whole.client_callbacks);
        up += whole.to_server.bytes.size();
        whole.server->handshake(whole.server_callbacks);
        down += whole.to_client.bytes.size();
    }
    ASSERT_TRUE(whole.client->handshake_done() && whole.server->handshake_done());

    for (std::size_t cut = 0; cut < down; cut += 1 + down / 97) {
        Pair pair(setup());
        Progress progress{Kind::blocked};
        std::size_t passed = 0;
        Ring held;
        MemoryCallbacks server_callbacks(pair.to_server, held);
        server_callbacks.keys = pair.server_callbacks.keys;
        for (int round = 0; round < 10 && progress.kind == Kind::blocked; ++round) {
            progress = pair.client->handshake(pair.client_callbacks);
            pair.server->handshake(server_callbacks);
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
    const Pair pair(setup());
    EXPECT_EQ(pair.client_callbacks.reads + pair.client_callbacks.writes, 0);
    EXPECT_EQ(pair.server_callbacks.reads + pair.server_callbacks.writes, 0);
    EXPECT_EQ(pair.client->version(), Version::none);
    EXPECT_TRUE(pair.client->cipher().name.empty());
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_writable);
    EXPECT_EQ(pair.server->poll_interest(Direction::write), ussl::PollInterest::stream_readable);
}

using Connections = EachPair;
INSTANTIATE_EACH_PAIR(Connections);

TEST_P(Connections, OfOneContextAreIndependent) {
    const Plan made = plan(with_certificate());
    auto client = Context::make(*made.client_engine, made.client);
    auto server = Context::make(*made.server_engine, made.server);
    ASSERT_TRUE(client && server);
    std::atomic<int> connected = 0;
    const auto use = [&] {
        for (int i = 0; i < 20; ++i) {
            Ring up;
            Ring down;
            MemoryCallbacks client_callbacks(down, up);
            MemoryCallbacks server_callbacks(up, down);
            auto one =
                Connection::make(*client, {.server_hostname = i % 2 == 0 ? "localhost" : "other"});
            auto other = Connection::make(*server, {});
            for (int round = 0; round < 6; ++round) {
                (*one)->handshake(client_callbacks);
                (*other)->handshake(server_callbacks);
            }
            EXPECT_EQ((*one)->handshake_done(), i % 2 == 0);
            EXPECT_EQ((*one)->error().code, i % 2 == 0 ? Code::none : Code::CERT_HOSTNAME);
            connected += (*one)->handshake_done() && (*other)->handshake_done() ? 1 : 0;
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back(use);
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(connected, 40);
}

// A program that only has a stream: to every question, the answer is the careful one.
class OnlyAStream final : public ussl::Callbacks {
  public:
    explicit OnlyAStream(MemoryCallbacks& stream) : stream_(stream) {}
    IoResult read(MutableBytes into) noexcept override { return stream_.read(into); }
    IoResult write(Bytes from) noexcept override { return stream_.write(from); }

  private:
    MemoryCallbacks& stream_;
};

void shake(Pair& pair) {
    OnlyAStream client(pair.client_callbacks);
    OnlyAStream server(pair.server_callbacks);
    for (std::size_t before = 0, now = 1; before != now;) {
        before = now;
        pair.client_progress = pair.client->handshake(client);
        pair.server_progress = pair.server->handshake(server);
        now = 1 + pair.client_callbacks.moved + pair.server_callbacks.moved;
    }
}

using Hosts = EachCase;
INSTANTIATE_EACH_CASE(Hosts);

TEST_P(Hosts, ThatAnswerNothingLeaveTheHandshakeToTheOptions) {
    Plan setup = plan(with_certificate());
    setup.server.choose_by_name = setup.server.sign_by_program = true;
    setup.server.key_log = setup.client.key_log = true;
    Pair pair(setup);
    shake(pair);
    EXPECT_EQ(pair.client_progress.kind, Kind::done) << describe(pair.client->error());
    EXPECT_EQ(pair.server_progress.kind, Kind::done) << describe(pair.server->error());
}

TEST_P(Hosts, ThatAnswerNothingAcceptNobody) {
    Plan setup = plan(with_certificate());
    setup.client.verify_by_program = true;
    Pair pair(setup);
    shake(pair);
    EXPECT_EQ(pair.client->error().code, Code::CERT_REJECTED);

    Pair with_key(plan(with_psk()));
    shake(with_key);
    EXPECT_EQ(with_key.server->error().code, Code::PSK_IDENTITY);
}

}  // namespace
}  // namespace contract
