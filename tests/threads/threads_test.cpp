// One connection over a real socket, used by several threads at once: each call is short, and
// threads wait for the socket outside of the connection, as in the binding.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "../contract/contract.hpp"

using namespace contract;
using namespace std::chrono_literals;

namespace {

constexpr auto time_limit = 60s;

class Socket {
  public:
    explicit Socket(int fd) : fd_(fd) {
        // Several writes for each record.
        const int bytes = 4096;
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    ~Socket() { close(fd_); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int fd() const { return fd_; }

  private:
    int fd_;
};

/// A thread's own. The socket never blocks.
class SocketCallbacks : public ussl::Callbacks {
  public:
    explicit SocketCallbacks(const Socket& socket) : socket_(socket) {}
    virtual ~SocketCallbacks() = default;

    IoResult read(MutableBytes into) noexcept override {
        return result_of(recv(socket_.fd(), into.data(), into.size(), MSG_DONTWAIT), true);
    }
    IoResult write(Bytes from) noexcept override {
        return result_of(send(socket_.fd(), from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
                         false);
    }
    bool ready(Direction direction) noexcept override {
        return wait_for(direction == Direction::read ? POLLIN : POLLOUT, 0);
    }
    const void* thread() noexcept override {
        static thread_local char mine;
        return &mine;
    }
    ussl::TurnAnswer wait_for_turn() noexcept override {
        ++turns;
        std::this_thread::yield();
        return ussl::TurnAnswer::again;
    }
    ussl::PskAnswer find_psk(Bytes, MutableBytes key, std::size_t& length) noexcept override {
        if (on_lookup)
            on_lookup();
        const auto it = keys.find("me");
        if (it == keys.end())
            return ussl::PskAnswer::unknown;
        std::copy(it->second.begin(), it->second.end(), key.begin());
        length = it->second.size();
        return ussl::PskAnswer::found;
    }

    bool wait_for(short events, int milliseconds) const {
        pollfd ask{socket_.fd(), events, 0};
        return poll(&ask, 1, milliseconds) > 0;
    }

    std::map<std::string, std::string> keys;
    std::function<void()> on_lookup;
    int turns = 0;  ///< how often it waited for another thread's call

  private:
    static IoResult result_of(ssize_t count, bool reads) {
        if (count > 0)
            return IoResult::moved(static_cast<std::size_t>(count));
        if (count == 0 && reads)
            return IoResult::end();
        return errno == EAGAIN ? IoResult::would_block() : IoResult::failed(errno);
    }

    const Socket& socket_;
};

/// One side of a pair.
struct End {
    End(int fd, const std::map<std::string, std::string>& psk_keys) : socket(fd), keys(psk_keys) {}

    [[nodiscard]] SocketCallbacks callbacks() const {
        SocketCallbacks made(socket);
        made.keys = keys;
        return made;
    }

    Socket socket;
    std::map<std::string, std::string> keys;
    ussl::Owned<Connection> connection;
};

class Ends {
  public:
    explicit Ends(const Plan& plan) {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        client = std::make_unique<End>(fds[0], plan.keys);
        server = std::make_unique<End>(fds[1], plan.keys);
        // The contexts are made as for ends in memory.
        Pair made(plan);
        client->connection = std::move(made.client);
        server->connection = std::move(made.server);
    }
    std::unique_ptr<End> client, server;
};

/// Runs a call to its end; waits for the socket outside of it.
template <class Call>
Progress run(End& end, SocketCallbacks& callbacks, Direction direction, Call call) {
    const auto until = std::chrono::steady_clock::now() + time_limit;
    for (;;) {
        const Progress progress = call(*end.connection, callbacks);
        if (progress.kind != Kind::blocked || std::chrono::steady_clock::now() > until)
            return progress;
        const ussl::PollInterest waits = end.connection->poll_interest(direction);
        if (waits == ussl::PollInterest::nothing || end.connection->paused())
            continue;
        short events = waits == ussl::PollInterest::stream_readable ? POLLIN : POLLOUT;
        if (end.connection->unsent())
            events |= POLLOUT;
        constexpr int slice_ms = 5;
        callbacks.wait_for(events, slice_ms);
    }
}

Kind send_all(End& end, std::string_view data, std::size_t piece) {
    SocketCallbacks callbacks = end.callbacks();
    while (!data.empty()) {
        const Progress progress =
            run(end, callbacks, Direction::write, [&](Connection& connection, SocketCallbacks& h) {
                return connection.write(h, bytes(data.substr(0, piece)));
            });
        if (progress.kind != Kind::done)
            return progress.kind;
        data.remove_prefix(progress.count);
    }
    return run(end, callbacks, Direction::write,
               [](Connection& connection, SocketCallbacks& h) { return connection.flush(h); })
        .kind;
}

Kind receive(End& end, std::size_t size, std::string& got) {
    SocketCallbacks callbacks = end.callbacks();
    std::uint8_t buffer[5000];
    while (got.size() < size) {
        const Progress progress = run(
            end, callbacks, Direction::read,
            [&](Connection& connection, SocketCallbacks& h) { return connection.read(h, buffer); });
        if (progress.kind != Kind::done)
            return progress.kind;
        got.append(reinterpret_cast<const char*>(buffer), progress.count);
    }
    return Kind::done;
}

/// Each side reads and writes at once.
struct Traffic {
    explicit Traffic(Ends& ends, std::size_t size)
        : upload(pattern(size, 1)), download(pattern(size, 2)) {
        threads.emplace_back([&] { client_sent = send_all(*ends.client, upload, 3000); });
        threads.emplace_back([&] { server_sent = send_all(*ends.server, download, 16384); });
        threads.emplace_back([&, size] { client_got = receive(*ends.client, size, at_client); });
        threads.emplace_back([&, size] { server_got = receive(*ends.server, size, at_server); });
    }
    ~Traffic() { join(); }
    Traffic(const Traffic&) = delete;
    Traffic& operator=(const Traffic&) = delete;

    void join() {
        for (std::thread& thread : threads)
            if (thread.joinable())
                thread.join();
    }
    void expect_all() {
        join();
        EXPECT_EQ(client_sent, Kind::done);
        EXPECT_EQ(server_sent, Kind::done);
        EXPECT_EQ(client_got, Kind::done);
        EXPECT_EQ(server_got, Kind::done);
        EXPECT_TRUE(at_client == download) << at_client.size();
        EXPECT_TRUE(at_server == upload) << at_server.size();
    }

    std::string upload, download, at_client, at_server;
    Kind client_sent{}, server_sent{}, client_got{}, server_got{};
    std::vector<std::thread> threads;
};

bool shake(Ends& ends) {
    const auto end_of = [](End& end, Kind* kind) {
        SocketCallbacks callbacks = end.callbacks();
        *kind =
            run(end, callbacks, Direction::read, [](Connection& connection, SocketCallbacks& h) {
                return connection.handshake(h);
            }).kind;
    };
    Kind at_client{};
    Kind at_server{};
    std::thread client(end_of, std::ref(*ends.client), &at_client);
    end_of(*ends.server, &at_server);
    client.join();
    return at_client == Kind::done && at_server == Kind::done;
}

class Threads : public EachCase {};

TEST_P(Threads, OneReadsWhileAnotherWrites) {
    Ends ends(plan(with_certificate()));
    ASSERT_TRUE(shake(ends));
    Traffic(ends, 300'000).expect_all();
}

TEST_P(Threads, ReaderAndWriterRunTheHandshake) {
    for (int i = 0; i < 5; ++i) {
        Ends ends(plan(with_psk()));
        Traffic(ends, 20'000).expect_all();
    }
}

TEST_P(Threads, PollsAndViewsBesideTheTraffic) {
    Plan mutual_plan = plan(with_certificate());
    mutual(mutual_plan);
    Ends ends(mutual_plan);
    ASSERT_TRUE(shake(ends));
    std::atomic<bool> over{false};
    std::atomic<int> views{0};
    std::vector<std::thread> others;
    for (End* end : {ends.client.get(), ends.server.get()}) {
        // As a poll does.
        others.emplace_back([&, end] {
            while (!over) {
                const Connection& connection = *end->connection;
                if (connection.failed() || connection.closed() || !connection.handshake_done())
                    ADD_FAILURE();
                if (connection.poll_interest(Direction::read) == ussl::PollInterest::nothing &&
                    connection.pending() > 16384)
                    ADD_FAILURE();
                if (!connection.busy() && connection.unsent()) {
                    SocketCallbacks callbacks = end->callbacks();
                    end->connection->flush(callbacks);
                }
                end->connection->release_idle_buffers();
            }
        });
        others.emplace_back([&, end] {
            SocketCallbacks callbacks = end->callbacks();
            while (!over) {
                if (end->connection->hold(callbacks) != Connection::Held::yes) {
                    ADD_FAILURE();
                    continue;
                }
                EXPECT_FALSE(end->connection->peer_certificate().empty());
                EXPECT_TRUE(end->connection->peer_verified());
                EXPECT_NE(end->connection->version(), Version::none);
                EXPECT_FALSE(end->connection->cipher().name.empty());
                EXPECT_TRUE(end->connection->alpn().empty());
                std::string copy(reinterpret_cast<const char*>(end->connection->session().data()),
                                 end->connection->session().size());
                end->connection->let_go();
                ++views;
            }
        });
    }
    Traffic(ends, 100'000).expect_all();
    over = true;
    for (std::thread& thread : others)
        thread.join();
    EXPECT_GT(views, 0);
}

TEST_P(Threads, CloseBesideTheTraffic) {
    for (int i = 0; i < 20; ++i) {
        Ends ends(plan(with_psk()));
        ASSERT_TRUE(shake(ends));
        Traffic traffic(ends, 1'000'000);
        std::this_thread::sleep_for(i * 500us);
        ends.client->connection->close();
        ends.client->connection->close();
        // The accepted data is sent, then the peer's read reports the end.
        SocketCallbacks callbacks = ends.client->callbacks();
        EXPECT_EQ(
            run(*ends.client, callbacks, Direction::write,
                [](Connection& connection, SocketCallbacks& h) { return connection.flush(h); })
                .kind,
            Kind::done);
        EXPECT_TRUE(ends.client->connection->closed_in_order());
        shutdown(ends.client->socket.fd(), SHUT_RDWR);
        traffic.join();
        EXPECT_EQ(traffic.client_sent, Kind::closed);
        EXPECT_EQ(traffic.client_got, Kind::closed);
        EXPECT_EQ(traffic.server_got, Kind::end);
        EXPECT_EQ(traffic.server_sent, Kind::failed);
        EXPECT_EQ(traffic.at_server, traffic.upload.substr(0, traffic.at_server.size()));
        EXPECT_EQ(traffic.at_client, traffic.download.substr(0, traffic.at_client.size()));
    }
}

TEST_P(Threads, OneContextForConnectionsOfEach) {
    Plan shared = plan(with_certificate());
    {
        Pair made(shared);
        shared.client_context = ussl::Ref<Context>(&made.client->context());
        made.client->context().retain();
        shared.server_context = ussl::Ref<Context>(&made.server->context());
        made.server->context().retain();
    }
    std::vector<std::thread> threads;
    std::atomic<int> done{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 3; ++n) {
                Pair pair(shared);
                if (!pair.handshake())
                    return;
                write_some(*pair.server, pair.server_callbacks, "hello");
                if (read_all(*pair.client, pair.client_callbacks) == "hello")
                    ++done;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(done, 12);
}

// --- calls that meet, one by one

TEST_P(Threads, ACallWaitsForACallbackOfAnotherThread) {
    Ends ends(plan(with_psk()));
    std::atomic<bool> looks_up{false};
    std::atomic<bool> may_end{false};
    std::thread server([&] {
        SocketCallbacks callbacks = ends.server->callbacks();
        callbacks.on_lookup = [&] {
            looks_up = true;
            while (!may_end)
                std::this_thread::yield();
        };
        EXPECT_EQ(
            run(*ends.server, callbacks, Direction::read,
                [](Connection& connection, SocketCallbacks& h) { return connection.handshake(h); })
                .kind,
            Kind::done);
    });
    std::thread client([&] {
        SocketCallbacks callbacks = ends.client->callbacks();
        EXPECT_EQ(
            run(*ends.client, callbacks, Direction::read,
                [](Connection& connection, SocketCallbacks& h) { return connection.handshake(h); })
                .kind,
            Kind::done);
    });
    while (!looks_up)
        std::this_thread::yield();
    EXPECT_TRUE(ends.server->connection->busy());
    class Impatient final : public SocketCallbacks {
      public:
        using SocketCallbacks::SocketCallbacks;
        ussl::TurnAnswer wait_for_turn() noexcept override { return answer; }
        ussl::TurnAnswer answer = ussl::TurnAnswer::refused;
    };
    Impatient other(ends.server->socket);
    EXPECT_EQ(ends.server->connection->write(other, bytes("x")).kind, Kind::misuse);
    EXPECT_EQ(ends.server->connection->hold(other), Connection::Held::no);
    other.answer = ussl::TurnAnswer::aborted;
    EXPECT_EQ(ends.server->connection->write(other, bytes("x")).kind, Kind::interrupted);
    EXPECT_EQ(ends.server->connection->hold(other), Connection::Held::no);
    std::thread writer([&] { EXPECT_EQ(send_all(*ends.server, "hello", 5), Kind::done); });
    std::this_thread::sleep_for(10ms);
    may_end = true;
    writer.join();
    server.join();
    client.join();
    std::string got;
    EXPECT_EQ(receive(*ends.client, 5, got), Kind::done);
    EXPECT_EQ(got, "hello");
}

INSTANTIATE_EACH_CASE(Threads);

}  // namespace
