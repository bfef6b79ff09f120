// Any order of calls, any readiness of the stream: nothing is lost, doubled or stuck.

#include <random>

#include "contract.hpp"

namespace contract {
namespace {

using Schedule = EachCase;
INSTANTIATE_EACH_CASE(Schedule);

// One direction's data, from what was handed in to what came out.
struct Flow {
    std::string data;
    std::size_t taken = 0;
    std::string got;

    [[nodiscard]] bool arrived() const { return got.size() == data.size(); }
};

TEST_P(Schedule, AtRandomKeepsEveryByteInOrder) {
    for (unsigned seed = 1; seed <= 12; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](std::size_t n) { return random() % n; };
        Pair pair(plan(seed % 2 == 0 ? with_psk() : with_certificate()));
        const auto disturb = [&](Direction) -> std::optional<IoResult> {
            switch (below(8)) {
                case 0:
                    return IoResult::would_block();
                case 1:
                    return IoResult::timed_out();
                default:
                    return std::nullopt;
            }
        };
        pair.client_host.disturb = pair.server_host.disturb = disturb;
        Flow up{pattern(60000, seed), 0, {}};
        Flow down{pattern(40000, seed + 1), 0, {}};

        const auto act = [&](Connection& connection, MemoryHost& host, Flow& out, Flow& in) {
            host.most = below(3) == 0 ? 1 + below(20) : 1 + below(30000);
            host.out.capacity = below(3) == 0 ? below(40) : below(30000);
            std::uint8_t buffer[20000];
            Progress progress{Kind::done};
            switch (below(4)) {
                case 0:
                    progress = connection.flush(host);
                    break;
                case 1:
                    progress = connection.handshake(host);
                    break;
                case 2: {
                    const std::string_view rest = std::string_view(out.data).substr(out.taken);
                    progress = connection.write(host, bytes(rest.substr(0, below(20000))));
                    if (progress.kind == Kind::done)
                        out.taken += progress.count;
                    break;
                }
                default:
                    progress = connection.read(host, {buffer, 1 + below(sizeof buffer)});
                    if (progress.kind == Kind::done)
                        in.got.append(buffer, buffer + progress.count);
            }
            ASSERT_TRUE(progress.kind == Kind::done || progress.kind == Kind::blocked ||
                        progress.kind == Kind::timed_out)
                << describe(connection.error());
        };
        int steps = 0;
        for (; !up.arrived() || !down.arrived(); ++steps) {
            ASSERT_LT(steps, 200000) << "stuck, seed " << seed;
            if (below(2) == 0)
                act(*pair.client, pair.client_host, up, down);
            else
                act(*pair.server, pair.server_host, down, up);
            if (HasFatalFailure())
                return;
        }
        EXPECT_TRUE(up.got == up.data) << seed;
        EXPECT_TRUE(down.got == down.data) << seed;
    }
}

// A program that calls only when waits_for() and the stream say so gets through, and no call was
// for nothing.
TEST_P(Schedule, ByPollNeitherSpinsNorStalls) {
    for (const std::size_t capacity : {1, 5, 100, 17000}) {
        Plan made = plan(with_certificate());
        made.capacity = capacity;
        Pair pair(made);
        Flow up{pattern(capacity < 50 ? 500 : 50000, 1), 0, {}};
        Flow down{pattern(capacity < 50 ? 500 : 40000, 2), 0, {}};
        bool any = false;

        const auto ready = [](const Connection& connection, MemoryHost& host, Direction direction) {
            switch (connection.waits_for(direction)) {
                case ussl::Waits::stream_readable:
                    return host.ready(Direction::read);
                case ussl::Waits::stream_writable:
                    return host.ready(Direction::write);
                case ussl::Waits::nothing:
                    break;
            }
            return true;
        };
        const auto act = [&](Connection& connection, MemoryHost& host, Flow& out, Flow& in) {
            const auto check = [&](const Progress& progress, std::size_t before) {
                any = true;
                ASSERT_TRUE(progress.kind == Kind::done || host.moved != before)
                    << testing::PrintToString(progress.kind);
            };
            if (out.taken < out.data.size() && ready(connection, host, Direction::write)) {
                const std::size_t before = host.moved;
                const Progress progress =
                    connection.write(host, bytes(std::string_view(out.data).substr(out.taken)));
                check(progress, before);
                if (progress.kind == Kind::done)
                    out.taken += progress.count;
            } else if (connection.unsent() && host.ready(Direction::write)) {
                const std::size_t before = host.moved;
                check(connection.flush(host), before);
            }
            if (!in.arrived() && ready(connection, host, Direction::read)) {
                const std::size_t before = host.moved;
                std::uint8_t buffer[1000];
                const Progress progress = connection.read(host, buffer);
                check(progress, before);
                if (progress.kind == Kind::done)
                    in.got.append(buffer, buffer + progress.count);
            }
        };
        while (!up.arrived() || !down.arrived()) {
            any = false;
            act(*pair.client, pair.client_host, up, down);
            act(*pair.server, pair.server_host, down, up);
            ASSERT_TRUE(any) << "stalled at " << up.got.size() << " and " << down.got.size();
            if (HasFatalFailure())
                return;
        }
        EXPECT_TRUE(up.got == up.data && down.got == down.data);
    }
}

}  // namespace
}  // namespace contract
