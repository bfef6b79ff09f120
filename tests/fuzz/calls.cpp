// Calls on a connection in any order, from within one another, too, over streams that do as they
// like.

#include "fuzz.hpp"

namespace fuzz {
namespace {

/// One end: its sent and received data.
struct End {
    Connection& connection;
    MemoryCallbacks& callbacks;
    std::string data;
    std::size_t taken = 0;
    std::string got;
    bool ended = false;
    bool was_closed = false;
};

void call(Input& input, End& end) {
    enum class Call : std::uint8_t {
        read,
        write,
        handshake,
        flush,
        shutdown,
        look,
        close,
        discard,
        kMaxValue = discard
    };
    Connection& connection = end.connection;
    const bool was_busy = connection.busy();
    const bool was_failed = connection.failed();
    const bool was_closed = end.was_closed;
    Progress progress{Kind::done};
    const Call which = input.ConsumeEnum<Call>();
    switch (which) {
        case Call::read: {
            std::uint8_t buffer[3000];
            const auto size = input.ConsumeIntegralInRange<std::size_t>(0, sizeof buffer);
            progress = connection.read(end.callbacks, {buffer, size});
            if (progress.kind == Kind::done) {
                expect(progress.count <= size, "more was read than there is room");
                expect(!end.ended || progress.count == 0, "bytes after the end");
                end.got.append(buffer, buffer + progress.count);
            }
            end.ended = end.ended || progress.kind == Kind::end;
            break;
        }
        case Call::write: {
            const std::string_view rest = std::string_view(end.data).substr(end.taken);
            const std::string_view some =
                rest.substr(0, input.ConsumeIntegralInRange<std::size_t>(0, 20000));
            progress = connection.write(end.callbacks, bytes(some));
            if (progress.kind == Kind::done) {
                expect(progress.count <= some.size(), "more was taken than was there");
                end.taken += progress.count;
            }
            break;
        }
        case Call::handshake:
            progress = connection.handshake(end.callbacks);
            break;
        case Call::flush:
            progress = connection.flush(end.callbacks);
            break;
        case Call::shutdown:
            progress = connection.shutdown(end.callbacks);
            break;
        case Call::look:
            if (was_busy)
                return;
            for (const Direction direction : {Direction::read, Direction::write})
                (void)connection.poll_interest(direction);
            (void)connection.pending();
            (void)connection.cipher();
            (void)connection.session();
            (void)connection.peer_certificate();
            return;
        case Call::close:
            connection.close(end.callbacks);
            end.was_closed = true;
            return;
        case Call::discard:
            // For collectors, which never run in the middle of a call.
            if (!was_busy) {
                connection.discard();
                end.was_closed = true;
            }
            return;
    }
    if (was_busy)
        expect(progress.kind == Kind::misuse, "a call from within a call");
    else if (was_closed)  // flush() sends the unsent data of close()
        expect(progress.kind == Kind::closed || which == Call::flush,
               "a call on a closed connection");
    else if (was_failed)
        expect(progress.kind == Kind::failed, "a call on a failed connection");
    if (progress.kind == Kind::failed && !was_busy)
        expect(static_cast<bool>(connection.error()), "a failure without an error");
}

}  // namespace

void run(Input& input) {
    Plan plan = input.ConsumeBool() ? with_psk() : with_certificate();
    plan.client_engine = input.PickValueInArray(engines);
    plan.server_engine = input.PickValueInArray(engines);
    only(plan, input.PickValueInArray(versions));
    plan.client_reports_truncation = input.ConsumeBool();
    plan.client.verify_time = today;
    plan.client_context = context_of(*plan.client_engine, plan.client);
    plan.server_context = context_of(*plan.server_engine, plan.server);
    Pair pair(plan);
    if (input.ConsumeBool())
        pair.handshake();

    End ends[] = {{*pair.client, pair.client_callbacks, pattern(40000, 1), 0, {}, false, false},
                  {*pair.server, pair.server_callbacks, pattern(40000, 2), 0, {}, false, false}};
    int depth = 0;
    bool broken = false;  // a stream has lost something
    for (End& end : ends) {
        end.callbacks.disturb = [&](Direction direction) -> std::optional<IoResult> {
            switch (input.ConsumeIntegralInRange(0, 15)) {
                case 1:
                    return IoResult::would_block();
                case 2:
                    return IoResult::timed_out();
                case 3:
                    broken = true;
                    return IoResult::failed(direction == Direction::read ? 104 : 32);
                case 4:
                    broken = true;
                    return IoResult::aborted();
                case 5:
                    broken = broken || direction == Direction::read;
                    return direction == Direction::read ? IoResult::end() : IoResult::would_block();
                case 6:
                    if (depth == 0) {
                        ++depth;
                        call(input, ends[input.ConsumeBool() ? 0 : 1]);
                        --depth;
                    }
                    break;
                default:
                    end.callbacks.most = input.ConsumeBool()
                                             ? SIZE_MAX
                                             : input.ConsumeIntegralInRange<std::size_t>(1, 300);
            }
            return std::nullopt;
        };
    }
    for (int left = 300; left > 0 && input.remaining_bytes() != 0; --left) {
        call(input, ends[input.ConsumeBool() ? 0 : 1]);
        for (int to = 0; to < 2; ++to) {
            const std::string& sent = ends[1 - to].data;
            expect(std::string_view(sent).starts_with(ends[to].got), "a wrong byte");
            expect(ends[to].got.size() <= ends[1 - to].taken, "more arrived than was sent");
        }
        // Nothing failed by itself.
        for (const End& end : ends)
            if (!broken && !ends[0].was_closed && !ends[1].was_closed)
                expect(!end.connection.failed(), describe(end.connection.error()));
    }
    for (End& end : ends) {
        end.callbacks.disturb = nullptr;
        expect_explained(end.connection, end.callbacks);
        end.connection.close(end.callbacks);
        expect_explained(end.connection, end.callbacks);
    }
}

}  // namespace fuzz
