// Any order of calls, any readiness of the stream: nothing is lost, doubled or stuck.

#include <random>

#include "contract.hpp"

namespace contract {
namespace {

using Schedule = EachCase;
INSTANTIATE_EACH_CASE(Schedule);

// One direction's data, from the written to the read bytes.
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
        pair.client_callbacks.disturb = pair.server_callbacks.disturb = disturb;
        Flow up{pattern(60000, seed), 0, {}};
        Flow down{pattern(40000, seed + 1), 0, {}};

        const auto act = [&](Connection& connection, MemoryCallbacks& callbacks, Flow& out,
                             Flow& in) {
            callbacks.most = below(3) == 0 ? 1 + below(20) : 1 + below(30000);
            callbacks.out.capacity = below(3) == 0 ? below(40) : below(30000);
            std::uint8_t buffer[20000];
            Progress progress{Kind::done};
            switch (below(4)) {
                case 0:
                    progress = connection.flush(callbacks);
                    break;
                case 1:
                    progress = connection.handshake(callbacks);
                    break;
                case 2: {
                    const std::string_view rest = std::string_view(out.data).substr(out.taken);
                    progress = connection.write(callbacks, bytes(rest.substr(0, below(20000))));
                    if (progress.kind == Kind::done)
                        out.taken += progress.count;
                    break;
                }
                default:
                    progress = connection.read(callbacks, {buffer, 1 + below(sizeof buffer)});
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
                act(*pair.client, pair.client_callbacks, up, down);
            else
                act(*pair.server, pair.server_callbacks, down, up);
            if (HasFatalFailure())
                return;
        }
        EXPECT_TRUE(up.got == up.data) << seed;
        EXPECT_TRUE(down.got == down.data) << seed;
    }
}

// A program that calls only when poll_interest() and the stream report it completes, and no call is
// without effect.
TEST_P(Schedule, ByPollNeitherSpinsNorStalls) {
    for (const std::size_t capacity : {1, 5, 100, 17000}) {
        Plan made = plan(with_certificate());
        made.capacity = capacity;
        Pair pair(made);
        Flow up{pattern(capacity < 50 ? 500 : 50000, 1), 0, {}};
        Flow down{pattern(capacity < 50 ? 500 : 40000, 2), 0, {}};
        bool any = false;

        const auto ready = [](const Connection& connection, MemoryCallbacks& callbacks,
                              Direction direction) {
            switch (connection.poll_interest(direction)) {
                case ussl::PollInterest::stream_readable:
                    return callbacks.ready(Direction::read);
                case ussl::PollInterest::stream_writable:
                    return callbacks.ready(Direction::write);
                case ussl::PollInterest::nothing:
                    break;
            }
            return true;
        };
        const auto act = [&](Connection& connection, MemoryCallbacks& callbacks, Flow& out,
                             Flow& in) {
            const auto check = [&](const Progress& progress, std::size_t before) {
                any = true;
                ASSERT_TRUE(progress.kind == Kind::done || callbacks.moved != before)
                    << testing::PrintToString(progress.kind);
            };
            if (out.taken < out.data.size() && ready(connection, callbacks, Direction::write)) {
                const std::size_t before = callbacks.moved;
                const Progress progress = connection.write(
                    callbacks, bytes(std::string_view(out.data).substr(out.taken)));
                check(progress, before);
                if (progress.kind == Kind::done)
                    out.taken += progress.count;
            } else if (connection.unsent() && callbacks.ready(Direction::write)) {
                const std::size_t before = callbacks.moved;
                check(connection.flush(callbacks), before);
            }
            if (!in.arrived() && ready(connection, callbacks, Direction::read)) {
                const std::size_t before = callbacks.moved;
                std::uint8_t buffer[1000];
                const Progress progress = connection.read(callbacks, buffer);
                check(progress, before);
                if (progress.kind == Kind::done)
                    in.got.append(buffer, buffer + progress.count);
            }
        };
        while (!up.arrived() || !down.arrived()) {
            any = false;
            act(*pair.client, pair.client_callbacks, up, down);
            act(*pair.server, pair.server_callbacks, down, up);
            ASSERT_TRUE(any) << "stalled at " << up.got.size() << " and " << down.got.size();
            if (HasFatalFailure())
                return;
        }
        EXPECT_TRUE(up.got == up.data && down.got == down.data);
    }
}

}  // namespace
}  // namespace contract
