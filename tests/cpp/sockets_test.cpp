// ussl::Socket and ussl::TlsSocket over real sockets, with the installed library.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <ussl/socket.hpp>

namespace {

using namespace std::chrono_literals;
using ussl::Context;
using ussl::PollInterest;
using ussl::Progress;
using ussl::Socket;
using ussl::TlsSocket;

ussl::SecretBytes file(const std::string& name) {
    auto content = ussl::read_file((std::string(std::getenv("USSL_CERTS")) + "/" + name).c_str());
    EXPECT_TRUE(content) << name;
    return content ? std::move(*content) : ussl::SecretBytes();
}

ussl::Ref<Context> made(const ussl::Options& options) {
    auto context = Context::make(ussl::default_engine(), options);
    EXPECT_TRUE(context) << (context ? "" : context.error().reason);
    return context ? *context : ussl::Ref<Context>();
}

class Sockets : public testing::Test {
  protected:
    Sockets() {
        const auto root = file("ca.crt");
        const auto key = file("server.key");
        const auto certificate = file("server.crt");
        client_context = made({.trusted = root});
        server_context = made({.role = ussl::Role::server, .key = key, .certificate = certificate});
        auto listening = Socket::listen("127.0.0.1", "0");
        EXPECT_TRUE(listening);
        listener = std::move(*listening);
        listener.expires_after(30s);
        service = std::to_string(listener.port());
    }
    Socket connected() {
        auto socket = Socket::connect("127.0.0.1", service.c_str(), 10s);
        EXPECT_TRUE(socket) << (socket ? "" : socket.error().text());
        return std::move(*socket);
    }

    ussl::Ref<Context> client_context, server_context;
    Socket listener;
    std::string service;
};

TEST_F(Sockets, ClientAndServerExchangeDataInBothDirections) {
    const std::string data(300'000, 'x');
    std::thread server([&] {
        TlsSocket tls;
        ASSERT_TRUE(tls.accept(server_context, listener)) << tls.error_text();
        std::string got;
        char buffer[4096];
        while (got.size() < data.size()) {
            const Progress one = tls.read(buffer);
            ASSERT_TRUE(one) << tls.error_text();
            got.append(buffer, one.count);
        }
        EXPECT_TRUE(tls.write_all(got)) << tls.error_text();
        EXPECT_TRUE(tls.close()) << tls.error_text();
    });
    TlsSocket tls;
    EXPECT_TRUE(tls.connect(client_context, "localhost", service.c_str())) << tls.error_text();
    EXPECT_TRUE(tls.connection().peer_verified());
    const Progress sent = tls.write_all(data);
    EXPECT_TRUE(sent) << tls.error_text();
    EXPECT_EQ(sent.count, data.size());
    std::string got;
    char buffer[5000];
    Progress one;
    while ((one = tls.read(buffer)))
        got.append(buffer, one.count);
    EXPECT_EQ(one.kind, Progress::Kind::end) << tls.error_text();
    EXPECT_TRUE(got == data);
    EXPECT_TRUE(tls.close());
    EXPECT_EQ(tls.read(buffer).kind, Progress::Kind::closed);
    server.join();
}

TEST_F(Sockets, AHandshakeWithASilentServerTimesOut) {
    TlsSocket tls;
    tls.set_timeout(200ms);
    EXPECT_FALSE(tls.connect(client_context, "localhost", service.c_str()));
    EXPECT_EQ(tls.error_text(), "timed out");
}

TEST_F(Sockets, AServerThatSendsByteAfterByteDoesNotExtendTheTimeout) {
    std::thread server([&] {
        auto client = listener.accept();
        ASSERT_TRUE(client);
        // A record of 16 KB that never ends.
        const std::uint8_t header[] = {22, 3, 3, 64, 0};
        for (const std::uint8_t byte : header)
            client->write({&byte, 1});
        const std::uint8_t body = 2;
        while (client->write({&body, 1}).kind == ussl::IoResult::Kind::bytes)
            std::this_thread::sleep_for(20ms);
    });
    const auto begin = Socket::Clock::now();
    {
        TlsSocket tls;
        tls.set_timeout(300ms);
        EXPECT_FALSE(tls.connect(client_context, "localhost", service.c_str()));
        EXPECT_EQ(tls.error_text(), "timed out");
    }
    EXPECT_LT(Socket::Clock::now() - begin, 10s);
    server.join();
}

TEST_F(Sockets, AConnectionThatIsRefusedHasTheErrnosText) {
    listener = Socket();
    TlsSocket tls;
    EXPECT_FALSE(tls.connect(client_context, "localhost", service.c_str()));
    EXPECT_EQ(tls.error_text(), "Connection refused");
}

TEST_F(Sockets, AnUnknownHostNameHasTheResolversText) {
    const auto socket = Socket::connect("no-such-host.invalid", "443", 10s);
    ASSERT_FALSE(socket);
    EXPECT_TRUE(socket.error().is_lookup);
    EXPECT_FALSE(socket.error().text().empty());
}

TEST_F(Sockets, AWriteToAClosedSocketIsAnErrorAndNoSignal) {
    Socket client = connected();
    {
        auto server = listener.accept();
        ASSERT_TRUE(server);
        const linger reset{1, 0};
        ::setsockopt(server->descriptor(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    ASSERT_TRUE(client.wait(PollInterest::stream_readable));
    const std::uint8_t byte = 0;
    ussl::IoResult result = client.write({&byte, 1});
    if (result.kind == ussl::IoResult::Kind::bytes)
        result = client.write({&byte, 1});
    EXPECT_EQ(result.kind, ussl::IoResult::Kind::failed);
    result = client.write({&byte, 1});  // EPIPE
    EXPECT_EQ(result.kind, ussl::IoResult::Kind::failed);
    EXPECT_EQ(result.error, EPIPE);
}

TEST_F(Sockets, ASocketThatDoesNotBlockSaysWhatToWaitFor) {
    Socket client = connected();
    Socket server = std::move(*listener.accept());
    client.set_blocking(false);
    server.set_blocking(false);
    auto client_side = ussl::Connection::make(client_context, {.server_hostname = "localhost"});
    auto server_side = ussl::Connection::make(server_context, {});
    ASSERT_TRUE(client_side && server_side);
    auto& one = **client_side;
    auto& other = **server_side;

    EXPECT_EQ(one.handshake(client).kind, Progress::Kind::blocked);
    EXPECT_EQ(Socket::poll_events(one.poll_interest(ussl::Direction::read)), POLLIN);
    EXPECT_FALSE(client.ready(ussl::Direction::read));
    while (!one.handshake_done() || !other.handshake_done()) {
        server.expires_after(10s);
        ASSERT_TRUE(server.wait(other.poll_interest(ussl::Direction::read)));
        const Progress answer = other.handshake(server);
        ASSERT_TRUE(answer || answer.kind == Progress::Kind::blocked);
        if (one.handshake_done())
            continue;
        ASSERT_TRUE(client.wait(one.poll_interest(ussl::Direction::read)));
        const Progress question = one.handshake(client);
        ASSERT_TRUE(question || question.kind == Progress::Kind::blocked);
    }
    std::uint8_t byte = 7;
    ASSERT_TRUE(one.write(client, {&byte, 1}));
    ASSERT_TRUE(one.flush(client));
    byte = 0;
    ASSERT_TRUE(server.wait(PollInterest::stream_readable));
    Progress got = other.read(server, {&byte, 1});
    ASSERT_TRUE(got);
    EXPECT_EQ(byte, 7);
    EXPECT_EQ(other.read(server, {&byte, 1}).kind, Progress::Kind::blocked);
}

TEST_F(Sockets, WaitsEndAtTheTimeLimit) {
    Socket client = connected();
    std::uint8_t byte = 0;
    client.expires_after(50ms);
    EXPECT_EQ(client.read({&byte, 1}).kind, ussl::IoResult::Kind::timed_out);
    EXPECT_FALSE(client.wait(PollInterest::stream_readable));
    client.set_blocking(false);
    EXPECT_EQ(client.read({&byte, 1}).kind, ussl::IoResult::Kind::would_block);
    listener.expires_after(0s);
    ASSERT_TRUE(listener.accept());  // the client has connected
    const auto nobody = listener.accept();
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().number, ETIMEDOUT);
}

TEST_F(Sockets, AMovedSocketHasTheDescriptor) {
    Socket client = connected();
    const int descriptor = client.descriptor();
    Socket other = std::move(client);
    EXPECT_EQ(client.descriptor(), -1);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(other.descriptor(), descriptor);
    EXPECT_EQ(other.release(), descriptor);
    EXPECT_EQ(other.descriptor(), -1);
    EXPECT_EQ(::close(descriptor), 0);
}

TEST(Files, HaveTheirErrno) {
    EXPECT_EQ(ussl::read_file("/no/such/file").error(), ENOENT);
    EXPECT_EQ(ussl::read_file("/").error(), EISDIR);
}

}  // namespace
