// How often a connection asks its engine to release buffers. The engine counts; it does no TLS.

#include "contract.hpp"
#include "engine.hpp"

namespace contract {
namespace {

using ussl::Outcome;
using ussl::Owned;

int released = 0;  // calls

Outcome outcome_of(const IoResult& result, const Outcome& when_blocked) {
    if (result.kind == IoResult::Kind::bytes)
        return Outcome::done(result.count);
    return result.kind == IoResult::Kind::would_block ? when_blocked : Outcome::failed();
}

/// Passes bytes on as they are.
class PlainSession final : public ussl::EngineSession {
  public:
    using EngineSession::EngineSession;
    Outcome handshake() override { return Outcome::done(); }
    Outcome read(MutableBytes into) override {
        return outcome_of(transport_.read(into), Outcome::want_read());
    }
    Outcome write(Bytes from) override {
        // One byte, so that taken bytes can be unsent.
        byte_ = from[0];
        return outcome_of(transport_.write({&byte_, 1}), Outcome::want_write(1));
    }
    Outcome flush() override {
        return outcome_of(transport_.write({&byte_, 1}), Outcome::want_write());
    }
    Outcome close_notify() override { return Outcome::done(); }
    void release_idle_buffers() override { ++released; }
    Outcome resume(Bytes) override { return Outcome::failed(); }
    [[nodiscard]] std::size_t pending() const override { return 0; }
    [[nodiscard]] ussl::SessionFacts facts() const override {
        return {.version = Version::tls1_3, .cipher = {}, .alpn = {}};
    }
    [[nodiscard]] Bytes peer_certificate() const override { return {}; }
    bool describe_peer(ussl::CertificateVisitor&) const override { return false; }

  private:
    std::uint8_t byte_ = 0;
};

class PlainContext final : public ussl::EngineContext {
  public:
    using EngineContext::EngineContext;
    Owned<ussl::EngineSession> make_session(ussl::SessionResources& resources,
                                            const ussl::HostName*) override {
        return Owned<ussl::EngineSession>{new PlainSession(resources)};
    }
    [[nodiscard]] ussl::StoreStats store_stats() const override { return {}; }
    [[nodiscard]] bool has_crls() const override { return false; }
    bool store_digest(std::span<std::uint8_t, 32>) const override { return false; }
};

ussl::Engine plain_engine() {
    ussl::Engine engine = ussl::openssl_engine;
    engine.make_context =
        [](const ussl::ContextSettings& settings,
           const Options&) -> std::expected<Owned<ussl::EngineContext>, ussl::ConfigError> {
        return Owned<ussl::EngineContext>{new PlainContext(settings)};
    };
    return engine;
}

struct IdleConnection : testing::Test {
    void SetUp() override {
        const ussl::Engine engine = plain_engine();
        auto context = Context::make(engine, with_psk().client);
        ASSERT_TRUE(context.has_value());
        auto made = Connection::make(*context, {});
        ASSERT_TRUE(made.has_value());
        connection = std::move(*made);
        released = 0;
        connection->release_idle_buffers();
        EXPECT_EQ(released, 0);  // the handshake is not done
        ASSERT_EQ(connection->handshake(callbacks).kind, Kind::done);
    }
    /// How often the engine is asked by a thousand polls that find nothing.
    int polls() {
        released = 0;
        for (int i = 0; i < 1000; ++i)
            connection->release_idle_buffers();
        return released;
    }
    Ring in, out;
    MemoryCallbacks callbacks{in, out};
    Owned<Connection> connection;
};

TEST_F(IdleConnection, ReleasesItsBuffersOnce) {
    EXPECT_EQ(polls(), 1);
    EXPECT_EQ(polls(), 0);
}

TEST_F(IdleConnection, ReleasesItsBuffersAgainAfterEachCall) {
    std::uint8_t byte = 0;
    const std::function<void()> calls[] = {
        [&] { EXPECT_EQ(connection->write(callbacks, bytes("a")).kind, Kind::done); },
        [&] {
            in.add("b");
            EXPECT_EQ(connection->read(callbacks, {&byte, 1}).kind, Kind::done);
        },
        [&] { EXPECT_EQ(connection->flush(callbacks).kind, Kind::done); },
        [&] { EXPECT_EQ(connection->handshake(callbacks).kind, Kind::done); },
        [&] { EXPECT_EQ(connection->shutdown(callbacks).kind, Kind::blocked); },
    };
    for (const auto& call : calls) {
        call();
        EXPECT_EQ(polls(), 1);
    }
}

TEST_F(IdleConnection, ReleasesItsBuffersByItselfWhenAReadFindsNothing) {
    std::uint8_t byte = 0;
    for (int i = 1; i < 4; ++i) {
        EXPECT_EQ(connection->read(callbacks, {&byte, 1}).kind, Kind::blocked);
        EXPECT_EQ(released, i);
    }
    EXPECT_EQ(polls(), 0);
}

TEST_F(IdleConnection, KeepsItsBuffersWhileDataIsUnsent) {
    out.capacity = 0;
    EXPECT_EQ(connection->write(callbacks, bytes("a")).count, 1U);
    EXPECT_TRUE(connection->unsent());
    EXPECT_EQ(polls(), 0);
    out.capacity = 1;
    EXPECT_EQ(connection->flush(callbacks).kind, Kind::done);
    EXPECT_EQ(polls(), 1);
    connection->close(callbacks);
    EXPECT_EQ(polls(), 0);
}

}  // namespace
}  // namespace contract
