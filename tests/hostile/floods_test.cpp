// Records by the thousand that carry no plaintext, or next to none: no call processes more than its
// share of them, or the connection fails. KeyUpdate, which Mbed TLS does not know, is tested in
// contract (Floods).

#include <algorithm>

#include "bout.hpp"

namespace rogue {
namespace {

using namespace std::literals;

// The limit of one call (src/record_transport.cpp). The record that reaches the limit is read
// to its end.
constexpr std::size_t max_records = 32;
constexpr std::size_t max_bytes = 65536;
constexpr std::size_t longest_record = 17000;
// Bytes that one read of the stream returns ahead of the engine.
constexpr std::size_t max_ahead = 32768;
// Records in a row without a meaning that the engines take before they fail: 32 are tolerated, and
// Mbed TLS takes two empty ones at once.
constexpr std::size_t max_tolerated = 34;
constexpr unsigned many = 1000;

// Of all floods of one test, for tests/timing/floods.
int calls_of_test = 0;

class Floods : public Rogue {
  protected:
    void SetUp() override { calls_of_test = 0; }
    void TearDown() override { RecordProperty("calls", calls_of_test); }
    /// Runs a test twice: the victim reads only the bytes that it needs, or all available ones.
    template <class Test>
    static void with_and_without_read_ahead(Test test) {
        for (const bool ahead : {false, true}) {
            SCOPED_TRACE(ahead ? "reads ahead" : "does not read ahead");
            Plan plan = GetParam().plan();
            plan.read_ahead = ahead;
            test(plan);
        }
    }
};
INSTANTIATE_ROGUE(Floods);

/// A flood that has been sent, and the bytes of it that the victim's calls read.
class Flood {
  public:
    Flood(Bout& bout, bool ahead) : bout_(bout), ahead_(ahead) {
        const auto& bytes = bout.to_victim.bytes;
        for (std::size_t at = 0; at + 5 <= bytes.size();) {
            starts_.push_back(at);
            at += 5U + (static_cast<std::size_t>(bytes[at + 3]) << 8U) + bytes[at + 4];
        }
        size_ = bytes.size();
    }
    ~Flood() { calls_of_test += calls; }
    Flood(const Flood&) = delete;
    Flood& operator=(const Flood&) = delete;

    /// One call, whose work is within the limits.
    template <class Call>
    Progress call(Call what) {
        ++calls;
        const std::size_t records_before = records();
        const std::size_t bytes_before = taken();
        const int reads_before = bout_.callbacks.reads;
        const Progress progress = what();
        max_taken = std::max(max_taken, taken() - bytes_before);
        const int reads = bout_.callbacks.reads - reads_before;
        const bool has_paused = progress.kind == Kind::blocked && taken() < size_;
        if (ahead_) {
            EXPECT_LE(taken() - bytes_before, max_bytes + longest_record + max_ahead);
            EXPECT_LE(reads, static_cast<int>(max_bytes / max_ahead + 2));
        } else {
            EXPECT_LE(records() - records_before, max_records);
            EXPECT_LE(taken() - bytes_before, max_bytes + longest_record);
            // A header and a body each, and one call for the following bytes. Mbed TLS receives a
            // long body in up to four parts.
            EXPECT_LE(reads, static_cast<int>(5 * max_records));
        }
        if (has_paused) {
            EXPECT_TRUE(bout_.victim->paused());
        }
        EXPECT_TRUE(!bout_.victim->paused() || progress.kind == Kind::blocked);
        // A poll of the stream finds the rest, or need not be made.
        if (bout_.victim->paused()) {
            EXPECT_TRUE(!bout_.to_victim.bytes.empty() ||
                        bout_.victim->poll_interest(Direction::read) ==
                            ussl::PollInterest::nothing);
            ++pauses;
        }
        return progress;
    }
    /// Calls until one does more than to pause.
    template <class Call>
    Progress call_until_it_is_over(Call what) {
        Progress progress{Kind::blocked};
        do {
            progress = call(what);
        } while (progress.kind == Kind::blocked && bout_.victim->paused() &&
                 calls < 10 * static_cast<int>(starts_.size()));
        return progress;
    }
    [[nodiscard]] std::size_t taken() const { return size_ - bout_.to_victim.bytes.size(); }
    /// Records that were begun.
    [[nodiscard]] std::size_t records() const {
        return static_cast<std::size_t>(std::ranges::lower_bound(starts_, taken()) -
                                        starts_.begin());
    }

    int calls = 0;
    int pauses = 0;
    std::size_t max_taken = 0;  ///< bytes, by one call

  private:
    Bout& bout_;
    bool ahead_;
    std::vector<std::size_t> starts_;
    std::size_t size_;
};

/// Reads with room for more than the honest data.
Progress read(Bout& bout, std::string* into = nullptr) {
    std::uint8_t buffer[100];
    const Progress progress = bout.victim->read(bout.callbacks, buffer);
    if (into != nullptr && progress.kind == Kind::done)
        into->append(reinterpret_cast<const char*>(buffer), progress.count);
    return progress;
}

/// A flood after the handshake that the engine processes, record after record; honest data behind
/// it arrives, after so many pauses at the least.
void expect_processed_in_parts(Bout& bout, bool ahead, std::size_t pauses) {
    bout.peer.write("honest data");
    Flood flood(bout, ahead);
    std::string got;
    const Progress progress = flood.call_until_it_is_over([&] { return read(bout, &got); });
    EXPECT_EQ(progress.kind, Kind::done) << describe(bout.victim->error());
    EXPECT_EQ(got, "honest data");
    EXPECT_GE(flood.pauses, static_cast<int>(pauses));
    EXPECT_LE(flood.pauses, static_cast<int>(pauses + pauses / 2 + 2));
    EXPECT_EQ(read(bout).kind, Kind::blocked);
    EXPECT_FALSE(bout.victim->paused());
    EXPECT_TRUE(bout.tell());
}

/// A flood after the handshake that the engine tolerates only the beginning of.
void expect_rejected(Bout& bout, bool ahead) {
    bout.peer.write("honest data");
    Flood flood(bout, ahead);
    EXPECT_EQ(flood.call_until_it_is_over([&] { return read(bout); }).kind, Kind::failed);
    EXPECT_EQ(bout.verdict(), "PROTOCOL") << describe(bout.victim->error());
    EXPECT_EQ(bout.victim->error().alert, Error::Alert::sent);
    EXPECT_LE(flood.calls, 2);
    if (!ahead) {
        EXPECT_LE(flood.records(), max_tolerated);
    }
}

// RFC 5246 §7.4.1.1: each is answered with an alert (no_renegotiation).
TEST_P(Floods, OfHelloRequestsAreProcessedInParts) {
    if (is_tls1_3() || !is_client())
        return;
    with_and_without_read_ahead([](const Plan& plan) {
        Bout bout(GetParam(), plan);
        bout.shake_hands();
        ASSERT_EQ(bout.verdict(), "open");
        for (unsigned i = 0; i < many; ++i)
            bout.peer.send(handshake, message(0));
        const std::size_t sent = bout.to_peer.bytes.size();
        expect_processed_in_parts(bout, plan.read_ahead, many / max_records);
        EXPECT_LE(bout.to_peer.bytes.size() - sent, many * 64U);
    });
}

// The same while the answer cannot be sent.
TEST_P(Floods, OfHelloRequestsAreLimitedWhileTheAnswerIsUnsent) {
    if (is_tls1_3() || !is_client())
        return;
    with_and_without_read_ahead([](const Plan& plan) {
        Bout bout(GetParam(), plan);
        bout.shake_hands();
        for (unsigned i = 0; i < many; ++i)
            bout.peer.send(handshake, message(0));
        bout.to_peer.capacity = 0;
        Flood flood(bout, plan.read_ahead);
        const Progress progress = read(bout);
        EXPECT_EQ(progress.kind, Kind::blocked);
        EXPECT_LE(bout.callbacks.writes, static_cast<int>(2 * max_records));
        if (!plan.read_ahead) {
            EXPECT_LE(flood.records(), max_records);
        }
    });
}

// In plaintext, and so from anybody on the network: OpenSSL ignores them, Mbed TLS fails.
TEST_P(Floods, OfHelloRequestsDuringTheHandshakeAreProcessedInParts) {
    if (!is_client())
        return;
    with_and_without_read_ahead([](const Plan& plan) {
        Bout bout(GetParam(), plan);
        bout.victim->handshake(bout.callbacks);
        for (unsigned i = 0; i < many; ++i)
            bout.peer.send_raw("\x16\3\3\0\4\0\0\0\0"sv);
        bout.peer.step();  // ServerHello and the messages after it
        Flood flood(bout, plan.read_ahead);
        const Progress progress =
            flood.call_until_it_is_over([&] { return bout.victim->handshake(bout.callbacks); });
        if (!contract::lacks(GetParam().engine, Lacks::means_nothing)) {
            EXPECT_EQ(progress.kind, Kind::failed);
            EXPECT_EQ(bout.verdict(), "PROTOCOL");
            EXPECT_EQ(flood.calls, 1);
            return;
        }
        EXPECT_NE(progress.kind, Kind::failed) << describe(bout.victim->error());
        EXPECT_GE(flood.pauses, static_cast<int>(many / max_records));
        bout.shake_hands();
        EXPECT_TRUE(bout.talk());
    });
}

// RFC 8446 §4.6.1
TEST_P(Floods, OfSessionTicketsAreProcessedInParts) {
    if (!is_tls1_3() || !is_client() || GetParam().credentials == Credentials::psk)
        return;
    with_and_without_read_ahead([](const Plan& plan) {
        for (const std::size_t size : {100U, 10000U}) {
            SCOPED_TRACE(size);
            Bout bout(GetParam(), plan);
            bout.shake_hands();
            ASSERT_EQ(bout.verdict(), "open");
            // ticket_lifetime, ticket_age_add, ticket_nonce, ticket, extensions
            const std::string ticket = "\0\0\x0e\x10\1\2\3\4\1n"s + static_cast<char>(size >> 8U) +
                                       static_cast<char>(size & 0xFFU) + std::string(size, 't') +
                                       "\0\0"s;
            const unsigned tickets = size < 1000 ? many : many / 12;
            for (unsigned i = 0; i < tickets; ++i)
                bout.peer.send(handshake, message(4, ticket));
            const std::size_t in_a_call =
                std::min(max_records, (max_bytes + size + 40) / (size + 40));
            expect_processed_in_parts(bout, plan.read_ahead, tickets / in_a_call);
        }
    });
}

TEST_P(Floods, OfEmptyRecordsAreRejected) {
    with_and_without_read_ahead([](const Plan& plan) {
        Bout bout(GetParam(), plan);
        bout.shake_hands();
        for (unsigned i = 0; i < many; ++i)
            bout.peer.send(data, "");
        expect_rejected(bout, plan.read_ahead);
    });
}

// user_canceled is a warning in both versions (RFC 5246 §7.2.2, RFC 8446 §6.1).
TEST_P(Floods, OfWarningsAreRejected) {
    with_and_without_read_ahead([](const Plan& plan) {
        for (const std::string_view warning : {"\1\x5a"sv, "\1\x63"sv}) {
            if (is_tls1_3() && warning != "\1\x5a"sv)
                continue;
            Bout bout(GetParam(), plan);
            bout.shake_hands();
            for (unsigned i = 0; i < many; ++i)
                bout.peer.send(alert, warning);
            expect_rejected(bout, plan.read_ahead);
        }
    });
}

/// Inserts records into the victim's unread data, after this number of others.
void insert(Bout& bout, std::size_t behind, std::string_view record) {
    auto& bytes = bout.to_victim.bytes;
    std::size_t at = 0;
    for (; behind > 0; --behind)
        at += 5U + (static_cast<std::size_t>(bytes.at(at + 3)) << 8U) + bytes.at(at + 4);
    std::string flood;
    for (unsigned i = 0; i < many; ++i)
        flood += record;
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), flood.begin(), flood.end());
}

// RFC 8446 §5: to be ignored from the first ClientHello to the peer's Finished message. Here,
// before and after a ServerHello, or before the client's messages after it.
TEST_P(Floods, OfChangeCipherSpecAreRejected) {
    if (!is_tls1_3())
        return;
    with_and_without_read_ahead([](const Plan& plan) {
        for (const std::size_t behind : {0U, 1U}) {
            if (!is_client() && behind != 0)
                continue;
            SCOPED_TRACE(behind);
            Bout bout(GetParam(), plan);
            const auto handshake = [&] { return bout.victim->handshake(bout.callbacks); };
            if (!is_client())
                bout.peer.step();
            handshake();
            bout.peer.step();
            insert(bout, behind, "\x14\3\3\0\1\1"sv);
            Flood flood(bout, plan.read_ahead);
            const Progress progress = flood.call_until_it_is_over(handshake);
            EXPECT_EQ(progress.kind, Kind::failed);
            EXPECT_EQ(bout.verdict(), "PROTOCOL") << describe(bout.victim->error());
            EXPECT_LE(flood.calls, 2);
            if (!plan.read_ahead) {
                EXPECT_LE(flood.records(), behind + max_tolerated);
            }
        }
    });
}

// RFC 8446 §5.1: a handshake message may be sent in any number of records. This one is malformed,
// which is detected when all of it has arrived.
TEST_P(Floods, OfFragmentsAreProcessedInParts) {
    with_and_without_read_ahead([](const Plan& plan) {
        Bout bout(GetParam(), plan);
        const auto handshake = [&] { return bout.victim->handshake(bout.callbacks); };
        handshake();
        // Mbed TLS requires the header of the message in one record.
        bout.peer.send_raw((is_client() ? "\x16\3\3\0\4\2\0"s : "\x16\3\3\0\4\1\0"s) +
                           static_cast<char>(many >> 8U) + static_cast<char>(many & 0xFFU));
        insert(bout, 1, "\x16\3\3\0\1x"sv);
        Flood flood(bout, plan.read_ahead);
        EXPECT_EQ(flood.call_until_it_is_over(handshake).kind, Kind::failed);
        EXPECT_GE(flood.pauses, static_cast<int>(many / max_records));
        EXPECT_LE(flood.pauses, static_cast<int>(many / max_records + 1));
    });
}

// Each read returns a byte, and does no more for it.
TEST_P(Floods, OfOneByteRecordsAreReadOneAtATime) {
    with_and_without_read_ahead([](const Plan& plan) {
        Bout bout(GetParam(), plan);
        bout.shake_hands();
        std::string sent;
        for (unsigned i = 0; i < many; ++i) {
            sent += static_cast<char>('a' + i % 26);
            bout.peer.send(data, {&sent.back(), 1});
        }
        Flood flood(bout, plan.read_ahead);
        std::string got;
        while (got.size() < sent.size()) {
            const std::size_t records = flood.records();
            const int reads = bout.callbacks.reads;
            ASSERT_EQ(flood.call([&] { return read(bout, &got); }).kind, Kind::done);
            EXPECT_LE(bout.callbacks.reads - reads, 2);
            if (!plan.read_ahead) {
                EXPECT_EQ(flood.records() - records, 1U);
            }
        }
        EXPECT_EQ(got, sent);
        EXPECT_EQ(flood.calls, static_cast<int>(many));
        EXPECT_EQ(flood.pauses, 0);
        EXPECT_EQ(read(bout).kind, Kind::blocked);
        EXPECT_TRUE(bout.talk());
    });
}

}  // namespace
}  // namespace rogue
