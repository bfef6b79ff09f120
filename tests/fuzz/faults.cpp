// A complete conversation over streams with the faults that the input selects. No wrong byte is
// delivered, and no end succeeds after a byte was changed. After the last fault, the conversation
// continues to its end.

#include "fuzz.hpp"

namespace fuzz {
namespace {

/// The bytes in a ring that belong to the version in the header of a record: in TLS 1.3 it is
/// ignored (RFC 8446 §5.1).
class Versions {
  public:
    explicit Versions(const Ring& ring) : ring_(ring) {}

    /// Called after each write into the ring and before the next read.
    void follow() {
        for (; known_ < ring_.bytes.size(); ++known_) {
            const std::uint8_t byte = ring_.bytes[known_];
            marks_.push_back(at_ == 1 || at_ == 2);
            if (at_ == 3 || at_ == 4)
                left_ = left_ << 8U | byte;
            if (++at_ > 4 && left_-- == 0)
                at_ = left_ = 0;
        }
    }
    /// Called after each read.
    void forget() {
        const std::size_t read = known_ - ring_.bytes.size();
        marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(read));
        known_ -= read;
        read_ += read;
    }
    /// How many bytes have been read so far.
    [[nodiscard]] std::size_t read() const { return read_; }
    [[nodiscard]] bool operator[](std::size_t at) const { return marks_[at]; }

  private:
    const Ring& ring_;
    std::deque<bool> marks_;
    std::size_t known_ = 0;
    std::size_t read_ = 0;
    std::size_t at_ = 0;
    std::size_t left_ = 0;
};

struct End {
    Connection& connection;
    MemoryCallbacks& callbacks;
    std::string data;
    std::size_t taken = 0;
    std::string got;
    bool heard_all = false;               ///< and close_notify
    std::size_t changed_from = SIZE_MAX;  ///< from this received byte on
    std::set<std::size_t> flipped{};      ///< the bytes that were changed
    bool cut = false;

    /// One step of a program that sends all it has, and reads to the end.
    void step() {
        const std::string_view rest = std::string_view(data).substr(taken);
        if (const Progress progress = connection.write(callbacks, bytes(rest));
            progress.kind == Kind::done)
            taken += progress.count;
        std::uint8_t buffer[4096];
        Progress progress = connection.read(callbacks, buffer);
        if (progress.kind == Kind::done)
            got.append(buffer, buffer + progress.count);
        if (taken == data.size() && connection.handshake_done() && connection.pending() == 0 &&
            !connection.failed()) {
            connection.flush(callbacks);
            heard_all = heard_all || connection.shutdown(callbacks).kind == Kind::done;
        }
    }
};

}  // namespace

void run(Input& input) {
    Plan plan = input.ConsumeBool() ? with_psk() : with_certificate();
    plan.client_engine = input.PickValueInArray(engines);
    plan.server_engine = input.PickValueInArray(engines);
    only(plan, input.PickValueInArray(versions));
    plan.client.verify_time = today;
    plan.client_context = context_of(*plan.client_engine, plan.client);
    plan.server_context = context_of(*plan.server_engine, plan.server);
    plan.capacity = input.ConsumeIntegralInRange<std::size_t>(1, 20000);
    Pair pair(plan);
    const auto size = input.ConsumeIntegralInRange<std::size_t>(1, 20000);
    End ends[] = {{*pair.client, pair.client_callbacks, pattern(size, 1), 0, {}},
                  {*pair.server, pair.server_callbacks, pattern(size / 2, 2), 0, {}}};
    Versions marks[] = {Versions(pair.to_client), Versions(pair.to_server)};

    enum class Fault : std::uint8_t {
        none,
        block,
        time_out,
        few,
        more,
        flip,
        end,
        reset,
        kMaxValue = reset
    };
    bool hard = false;
    const auto faults_of = [&](End& end) {
        return [&](Direction direction) -> std::optional<IoResult> {
            const std::size_t at = &end == &ends[0] ? 0 : 1;
            std::deque<std::uint8_t>& arrived = end.callbacks.in.bytes;
            marks[at].forget();
            switch (input.ConsumeEnum<Fault>()) {
                case Fault::block:
                    return IoResult::would_block();
                case Fault::time_out:
                    return IoResult::timed_out();
                case Fault::few:
                    end.callbacks.most = 1 + input.ConsumeIntegral<std::uint8_t>() % 40U;
                    break;
                case Fault::more:
                    end.callbacks.most = SIZE_MAX;
                    break;
                case Fault::flip: {
                    if (direction != Direction::read || arrived.empty())
                        break;
                    const std::size_t which =
                        input.ConsumeIntegral<std::uint16_t>() % arrived.size();
                    // A second change could undo the first.
                    if (!end.flipped.insert(marks[at].read() + which).second)
                        break;
                    arrived[which] ^=
                        static_cast<std::uint8_t>(1U << input.ConsumeIntegralInRange(0U, 7U));
                    hard = true;
                    if (!marks[at][which])
                        end.changed_from = std::min(end.changed_from, marks[at].read() + which);
                    break;
                }
                case Fault::end:
                    if (direction != Direction::read)
                        break;
                    hard = end.cut = true;
                    return IoResult::end();
                case Fault::reset:
                    hard = end.cut = true;
                    return IoResult::failed(direction == Direction::read ? 104 : 32);
                case Fault::none:
                    break;
            }
            return std::nullopt;
        };
    };
    for (End& end : ends)
        end.callbacks.disturb = faults_of(end);

    std::size_t moved_before = 0;
    int calls_before = 0;
    for (int idle = 0, steps = 0; idle < 3; ++steps) {
        if (input.remaining_bytes() == 0)
            for (End& end : ends)
                end.callbacks.disturb = nullptr;
        for (std::size_t at = 0; at < 2; ++at) {
            marks[at].follow();
            ends[at].step();
            marks[at].forget();
            expect(std::string_view(ends[1 - at].data).starts_with(ends[at].got), "a wrong byte");
            // Data after close_notify is never read.
            expect(marks[at].read() <= ends[at].changed_from || !ends[at].heard_all,
                   "all is well after a change");
        }
        const MemoryCallbacks& client = pair.client_callbacks;
        const MemoryCallbacks& server = pair.server_callbacks;
        // The content of a record is read in pieces.
        const std::size_t moved =
            client.moved + server.moved + ends[0].got.size() + ends[1].got.size();
        const int calls = client.reads + client.writes + server.reads + server.writes;
        const bool over = client.disturb == nullptr || calls == calls_before;
        idle = moved == moved_before && over ? idle + 1 : 0;
        moved_before = moved;
        calls_before = calls;
        expect(steps < 2'000'000, "it does not end");
    }
    for (std::size_t at = 0; at < 2; ++at) {
        if (!hard) {
            expect(ends[at].heard_all && ends[at].got == ends[1 - at].data,
                   "without a fault that lasts, it stops half-way: " +
                       describe(ends[at].connection.error()));
        }
        expect(!ends[at].heard_all || ends[at].got == ends[1 - at].data, "an end before the end");
        expect_explained(ends[at].connection, ends[at].callbacks);
    }
}

}  // namespace fuzz
