// The events of a stream that a connection must handle: block, end, failure, timeout, nested call.

#include <atomic>
#include <thread>

#include "contract.hpp"

namespace contract {
namespace {

class Stream : public EachCase {
  protected:
    static Plan setup() { return plan(with_certificate()); }
    static Plan setup_reading_ahead(bool ahead = true) {
        Plan made = setup();
        made.read_ahead = ahead;
        return made;
    }
    /// The handshake is done, and the server's messages after it have been read.
    static bool is_at_rest(Pair& pair) {
        const bool done = pair.handshake();
        read_all(*pair.client, pair.client_callbacks);
        return done;
    }
};
INSTANTIATE_EACH_CASE(Stream);

TEST_P(Stream, WhatWasTakenIsFinalAndWhatComesNextIsNew) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 10;
    // The record cannot leave; it is taken all the same.
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("first")).count, 5U);
    EXPECT_TRUE(pair.client->unsent());
    // Nothing more is taken until it has left.
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("first and second")).kind,
              Kind::blocked);
    EXPECT_EQ(pair.client->poll_interest(Direction::write), ussl::PollInterest::stream_writable);
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("another")).count, 7U);
    EXPECT_FALSE(pair.client->unsent());
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "firstanother");
}

TEST_P(Stream, FlushSendsWhatWasTaken) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 1;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::blocked);
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::done);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "hello");
}

TEST_P(Stream, RestLosesNothing) {
    Pair pair(setup());
    pair.client->release_idle_buffers();
    ASSERT_TRUE(pair.handshake());
    read_all(*pair.client, pair.client_callbacks);
    // Buffered plaintext, and a record that has arrived in part.
    const std::string much = pattern(5000);
    ASSERT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
    for (const std::size_t first : {1U, 5U, 100U, 4000U}) {
        std::deque<std::uint8_t>& stream = pair.to_client.bytes;
        const std::deque<std::uint8_t> later(stream.begin() + static_cast<std::ptrdiff_t>(first),
                                             stream.end());
        stream.resize(first);
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "");
        pair.client->release_idle_buffers();
        stream.insert(stream.end(), later.begin(), later.end());
        std::uint8_t beginning[1000];
        ASSERT_EQ(pair.client->read(pair.client_callbacks, beginning).count, sizeof beginning);
        pair.client->release_idle_buffers();
        EXPECT_EQ(std::string(beginning, std::end(beginning)) +
                      read_all(*pair.client, pair.client_callbacks),
                  much);
        ASSERT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
    }
    // Accepted, unsent data.
    pair.to_server.capacity = 10;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    pair.client->release_idle_buffers();
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::done);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "hello");
    pair.client->close(pair.client_callbacks);
    pair.client->release_idle_buffers();
}

TEST_P(Stream, RestIsNoCallThatAnotherThreadWouldMeet) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    std::atomic<bool> done{false};
    std::thread poller([&] {
        while (!done)
            pair.client->release_idle_buffers();
    });
    std::uint8_t byte = 0;
    int blocked = 0;
    for (int turn = 0; turn < 5000; ++turn)
        blocked +=
            pair.client->read(pair.client_callbacks, {&byte, 1}).kind == Kind::blocked ? 1 : 0;
    done = true;
    poller.join();
    EXPECT_EQ(blocked, 5000);
}

TEST_P(Stream, ReadingGoesOnWhileOnesOwnWriteIsStuck) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = pair.to_client.capacity = 100;
    const std::string much = pattern(5000);
    EXPECT_EQ(write_some(*pair.client, pair.client_callbacks, much), much.size());
    EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, much), much.size());
    std::string up;
    std::string down;
    for (int round = 0; round < 1000 && up.size() + down.size() < 2 * much.size(); ++round) {
        up += read_all(*pair.server, pair.server_callbacks);
        down += read_all(*pair.client, pair.client_callbacks);
    }
    EXPECT_EQ(up, much);
    EXPECT_EQ(down, much);
}

TEST_P(Stream, CloseSaysGoodbyeAnyNumberOfTimes) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.client, pair.client_callbacks, "last words");
    pair.client->close(pair.client_callbacks);
    pair.client->close(pair.client_callbacks);
    pair.to_server.closed = true;
    bool end = false;
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks, &end), "last words");
    EXPECT_TRUE(end);
    EXPECT_EQ(pair.server->read(pair.server_callbacks, {}).kind, Kind::end);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::closed);
    std::uint8_t buffer[1];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::closed);
    EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::closed);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
    EXPECT_EQ(pair.client->version(), Version::none);
    EXPECT_EQ(pair.client->pending(), 0U);
}

TEST_P(Stream, CloseSendsWhatWasTakenIfTheStreamTakesIt) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 3;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    pair.to_server.capacity = 1000;
    pair.client->close(pair.client_callbacks);
    bool end = false;
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks, &end), "hello");
    EXPECT_TRUE(end);
}

TEST_P(Stream, CloseNeverWritesToAStreamThatIsNotReady) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 0;
    const int writes = pair.client_callbacks.writes;
    pair.client->close(pair.client_callbacks);
    EXPECT_EQ(pair.client_callbacks.writes, writes);
    EXPECT_TRUE(pair.client->closed());
}

TEST_P(Stream, CloseDeliversWhatTheStreamAcceptedInPart) {
    for (const std::size_t room : {0U, 1U, 3U, 600U}) {
        Pair pair(setup());
        ASSERT_TRUE(pair.handshake());
        read_all(*pair.client, pair.client_callbacks);
        pair.to_server.capacity = room;
        const std::string data = pattern(1000);
        const std::size_t accepted = write_some(*pair.client, pair.client_callbacks, data);
        pair.client->close(pair.client_callbacks);
        EXPECT_TRUE(pair.client->closed());
        EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::closed);
        EXPECT_TRUE(pair.client->unsent());
        std::string arrived;
        bool end = false;
        for (int turn = 0; turn < 2000 && pair.client->unsent(); ++turn) {
            EXPECT_NE(pair.client->flush(pair.client_callbacks).kind, Kind::failed);
            arrived += read_all(*pair.server, pair.server_callbacks, &end);
            pair.to_server.capacity = 100;
        }
        arrived += read_all(*pair.server, pair.server_callbacks, &end);
        EXPECT_TRUE(arrived == data.substr(0, accepted)) << room << ": " << arrived.size();
        EXPECT_TRUE(end) << room;
        EXPECT_FALSE(pair.client->discarded());
        EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::closed);
    }
}

TEST_P(Stream, CloseWithoutAStreamLeavesAllOfItToTheProgram) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    read_all(*pair.client, pair.client_callbacks);
    pair.to_server.capacity = 3;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    const int calls = pair.client_callbacks.reads + pair.client_callbacks.writes;
    pair.client->close();
    EXPECT_EQ(pair.client_callbacks.reads + pair.client_callbacks.writes, calls);
    pair.to_server.capacity = 10;
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::blocked);
    const ussl::SecretBytes rest = pair.client->take_unsent();
    EXPECT_FALSE(pair.client->unsent());
    pair.to_server.add({reinterpret_cast<const char*>(rest.data()), rest.size()});
    bool end = false;
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks, &end), "hello");
    EXPECT_TRUE(end);
}

TEST_P(Stream, AFailedStreamAfterCloseIsReported) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 3;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    pair.client->close(pair.client_callbacks);
    pair.client_callbacks.next_write = IoResult::failed(EPIPE);
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::failed);
    EXPECT_TRUE(pair.client->discarded());
    EXPECT_FALSE(pair.client->unsent());
    EXPECT_EQ(pair.client->error().detail, static_cast<std::uint32_t>(EPIPE));
}

// Every accepted byte arrives, or both sides know that it does not.
TEST_P(Stream, AnyFaultAtAnyCallAfterClose) {
    for (const IoResult& fault : {IoResult::would_block(), IoResult::timed_out(),
                                  IoResult::aborted(), IoResult::failed(ECONNRESET)}) {
        const bool is_fatal = fault.kind == IoResult::Kind::failed;
        bool happened = true;
        for (int at = 1; happened; ++at) {
            Pair pair(setup());
            ASSERT_TRUE(pair.handshake());
            read_all(*pair.client, pair.client_callbacks);
            pair.to_server.capacity = 3;
            const std::string data = pattern(1000);
            const std::string accepted =
                data.substr(0, write_some(*pair.client, pair.client_callbacks, data));
            pair.client->close();
            std::string arrived;
            bool end = false;
            int call = 0;
            happened = false;
            while (pair.client->unsent() && call < 100) {
                pair.to_server.capacity = 300;
                if (++call == at) {
                    happened = true;
                    pair.client_callbacks.next_write = fault;
                }
                const Kind kind = pair.client->flush(pair.client_callbacks).kind;
                pair.client_callbacks.next_write.reset();
                EXPECT_EQ(kind == Kind::failed, is_fatal && call == at);
                EXPECT_EQ(kind == Kind::interrupted,
                          fault.kind == IoResult::Kind::aborted && call == at);
                arrived += read_all(*pair.server, pair.server_callbacks, &end);
            }
            const bool failed = is_fatal && happened;
            EXPECT_EQ(pair.client->discarded(), failed);
            EXPECT_EQ(end, !failed);
            EXPECT_TRUE(failed ? accepted.starts_with(arrived) : arrived == accepted);
        }
    }
}

TEST_P(Stream, ABareEndIsAnEndUnlessItIsToBeReported) {
    for (const bool report : {false, true}) {
        Plan made = setup();
        made.client_reports_truncation = report;
        Pair pair(made);
        ASSERT_TRUE(pair.handshake());
        write_some(*pair.server, pair.server_callbacks, "data");
        pair.to_client.closed = true;
        bool end = false;
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks, &end), "data");
        EXPECT_EQ(end, !report);
        EXPECT_EQ(pair.client->error().code, report ? Code::TRUNCATED : Code::none);
        // A peer that has closed its own direction still listens.
        EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("reply")).count,
                  report ? 0U : 5U);
    }
}

TEST_P(Stream, AnEndInsideARecordIsAlwaysAnError) {
    for (const std::size_t missing : {1, 10, 24}) {
        Pair pair(setup());
        ASSERT_TRUE(pair.handshake());
        write_some(*pair.server, pair.server_callbacks, "data");
        ASSERT_GT(pair.to_client.bytes.size(), missing);
        pair.to_client.bytes.resize(pair.to_client.bytes.size() - missing);
        pair.to_client.closed = true;
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "");
        EXPECT_EQ(pair.client->error().code, Code::TRUNCATED) << missing;
        std::uint8_t buffer[1];
        EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
    }
}

TEST_P(Stream, AnErrorOfTheStreamIsItsErrno) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.client_callbacks.next_read = IoResult::failed(104);
    std::uint8_t buffer[1];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().code, Code::stream);
    EXPECT_EQ(pair.client->error().number(), 104);
    // The first error is kept.
    pair.client_callbacks.next_read = IoResult::failed(5);
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().number(), 104);
}

TEST_P(Stream, AnAlertThatCameInIsReadBeforeABrokenPipeIsReported) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    // The server finds a damaged record, sends an alert and closes.
    write_some(*pair.client, pair.client_callbacks, "data");
    pair.to_server.bytes.back() ^= 1;
    read_all(*pair.server, pair.server_callbacks);
    EXPECT_EQ(pair.server->error().code, Code::RECORD_CORRUPT);
    EXPECT_EQ(pair.server->error().alert, Error::Alert::sent);
    pair.to_client.closed = true;
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().code, Code::ALERT);
    EXPECT_EQ(describe(pair.client->error()),
              "ALERT: the peer ended the connection (alert received: bad_record_mac)");
    saw(pair.client->error());
}

TEST_P(Stream, ABrokenPipeWithoutAnAlertIsTheErrnoAndWhatCameStaysReadable) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.server, pair.server_callbacks, "farewell");
    pair.to_client.closed = true;
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().number(), 32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::failed);
    bool end = false;
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks, &end), "farewell");
    EXPECT_TRUE(end);
}

TEST_P(Stream, ABareEndAfterABrokenPipeIsJudgedAsAnyOther) {
    for (const bool report : {false, true}) {
        for (const bool inside : {false, true}) {
            Plan made = setup();
            made.client_reports_truncation = report;
            Pair pair(made);
            ASSERT_TRUE(pair.handshake());
            write_some(*pair.server, pair.server_callbacks, inside ? "data" : "");
            if (inside)
                pair.to_client.bytes.pop_back();
            pair.to_client.closed = true;
            pair.client_callbacks.next_write = IoResult::failed(32);
            EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::failed);
            EXPECT_EQ(pair.client->error().number(), 32);
            bool end = false;
            EXPECT_EQ(read_all(*pair.client, pair.client_callbacks, &end), "");
            EXPECT_EQ(end, !report && !inside);
            EXPECT_EQ(pair.client->error().code, end ? Code::stream : Code::TRUNCATED);
        }
    }
}

TEST_P(Stream, TheErrnoOfTheFirstBreakIsKept) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::failed);
    pair.client_callbacks.next_read = IoResult::failed(104);
    std::uint8_t buffer[1];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
    EXPECT_TRUE(pair.client->failed());
    EXPECT_EQ(pair.client->error().number(), 32);
}

TEST_P(Stream, ADamagedRecordIsSeenAlthoughTheStreamBroke) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.server, pair.server_callbacks, "data");
    pair.to_client.bytes.back() ^= 1;
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::failed);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "");
    EXPECT_EQ(pair.client->error().code, Code::RECORD_CORRUPT);
}

TEST_P(Stream, AnAlertIsReadAlthoughTheStreamBrokeInTheHandshake) {
    Plan made = setup();
    made.server.trusted = bytes(cert("ca.crt"));
    made.server.verify = Verify::required;
    Pair pair(made);
    // Until the server has sent its messages; then it receives a client without a certificate.
    pair.client->handshake(pair.client_callbacks);
    pair.server->handshake(pair.server_callbacks);
    Ring copy = pair.to_client;
    pair.client->handshake(pair.client_callbacks);
    pair.server->handshake(pair.server_callbacks);
    ASSERT_EQ(pair.server->error().code, Code::CERT_MISSING);
    saw(pair.server->error());
    if (GetParam().version == Version::tls1_3)
        return;  // the client is done by then; its first read or write finds the alert
    pair.client_callbacks.next_write = IoResult::failed(32);
    pair.to_client.closed = true;
    EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().alert, Error::Alert::received);
}

TEST_P(Stream, ABrokenPipeInTheHandshakeIsTheErrno) {
    Pair first(setup());
    first.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(first.client->handshake(first.client_callbacks).kind, Kind::failed);
    EXPECT_EQ(first.client->error().number(), 32);

    // In TLS 1.3 the client has nothing to wait for after its last flight, and is not done all the
    // same if that could not leave.
    Pair last(setup());
    last.client->handshake(last.client_callbacks);
    last.server->handshake(last.server_callbacks);
    last.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(last.client->handshake(last.client_callbacks).kind, Kind::failed);
    EXPECT_EQ(last.client->error().number(), 32);
    std::uint8_t buffer[1];
    EXPECT_EQ(last.client->read(last.client_callbacks, buffer).kind, Kind::failed);
}

TEST_P(Stream, ABrokenPipeWhileFlushingLeavesWhatCameReadable) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 3;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    write_some(*pair.server, pair.server_callbacks, "farewell");
    pair.server->close(pair.server_callbacks);
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::failed);
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().number(), 32);
    EXPECT_FALSE(pair.client->failed());
    EXPECT_EQ(pair.client->poll_interest(Direction::write), ussl::PollInterest::nothing);
    bool end = false;
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks, &end), "farewell");
    EXPECT_TRUE(end);
}

TEST_P(Stream, AReadDoesNotWaitForAnAnswerToWhatWasLost) {
    for (const IoResult nothing : {IoResult::would_block(), IoResult::timed_out()}) {
        Pair pair(setup());
        ASSERT_TRUE(pair.handshake());
        pair.to_server.capacity = 3;
        ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("question")).count, 8U);
        pair.client_callbacks.next_write = IoResult::failed(32);
        pair.client_callbacks.next_read = nothing;
        std::uint8_t buffer[10];
        EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
        EXPECT_EQ(pair.client->error().number(), 32);
        EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
        // Data that still arrives can be read.
        pair.client_callbacks.next_read.reset();
        write_some(*pair.server, pair.server_callbacks, "farewell");
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "farewell");
        EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
    }
}

TEST_P(Stream, AGoodbyeThatDoesNotLeaveAtOnceLeavesLater) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 3;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_writable);
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_readable);
    bool end = false;
    read_all(*pair.server, pair.server_callbacks, &end);
    EXPECT_TRUE(end);
    EXPECT_TRUE(pair.to_server.bytes.empty());
    pair.server->shutdown(pair.server_callbacks);
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::done);
}

TEST_P(Stream, NothingIsWrittenAfterAGoodbyeThatIsStuck) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 3;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::misuse);
    EXPECT_FALSE(pair.client->error());
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::misuse);
    bool end = false;
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks, &end), "");
    EXPECT_TRUE(end);
}

TEST_P(Stream, AGoodbyeOverABrokenStreamIsItsErrno) {
    for (const bool peer_is_there : {true, false}) {
        Pair pair(setup());
        ASSERT_TRUE(pair.handshake());
        pair.client_callbacks.next_write = IoResult::failed(32);
        pair.to_client.closed = !peer_is_there;
        EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::failed);
        EXPECT_EQ(pair.client->error().number(), 32);
    }
}

TEST_P(Stream, LookingForTheReasonOfABreakReadsOnlyWhatIsThere) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.server, pair.server_callbacks, "half of it");
    pair.to_client.bytes.resize(pair.to_client.bytes.size() / 2);
    bool read_nothing = false;
    pair.client_callbacks.disturb = [&](Direction direction) -> std::optional<IoResult> {
        read_nothing |= direction == Direction::read && pair.to_client.bytes.empty();
        return std::nullopt;
    };
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().number(), 32);
    EXPECT_FALSE(read_nothing) << "it would have blocked";
}

TEST_P(Stream, ATimeOutIsNoEnd) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.client_callbacks.next_read = IoResult::timed_out();
    std::uint8_t buffer[100];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::timed_out);
    pair.client_callbacks.next_read.reset();
    write_some(*pair.server, pair.server_callbacks, "late");
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "late");

    pair.client_callbacks.next_write = IoResult::timed_out();
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("one")).count, 3U);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("two")).kind, Kind::timed_out);
    pair.client_callbacks.next_write.reset();
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("two")).count, 3U);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "onetwo");
}

// A Python stream that raises, or Ctrl-C.
TEST_P(Stream, AnInterruptedCallMayBeRepeated) {
    Pair pair(setup());
    pair.client_callbacks.next_write = IoResult::aborted();
    EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::interrupted);
    pair.client_callbacks.next_write.reset();
    pair.client->handshake(pair.client_callbacks);
    pair.client_callbacks.next_read = IoResult::aborted();
    EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::interrupted);
    EXPECT_EQ(pair.client->error().code, Code::none);
    pair.client_callbacks.next_read.reset();
    ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
    pair.client_callbacks.next_read = IoResult::aborted();
    std::uint8_t buffer[10];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::interrupted);
    pair.client_callbacks.next_read.reset();
    // In the middle of a record, too; accepted data stays accepted.
    pair.to_server.capacity = 3;
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    pair.client_callbacks.next_write = IoResult::aborted();
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("!")).kind, Kind::interrupted);
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::interrupted);
    pair.client_callbacks.next_write.reset();
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("!")).count, 1U);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "hello!");
    pair.server->write(pair.server_callbacks, bytes("answer"));
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "answer");
}

TEST_P(Stream, AnInterruptedWriteAfterThePeersCloseNotifyMayBeRepeated) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.server->close(pair.server_callbacks);
    bool end = false;
    read_all(*pair.client, pair.client_callbacks, &end);
    ASSERT_TRUE(end);
    pair.client_callbacks.next_write = IoResult::aborted();
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).count, 1U);
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::interrupted);
    pair.client_callbacks.next_write.reset();
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::done);
}

TEST_P(Stream, AnAlertGoesOutEvenIfTheStreamWasFull) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.client, pair.client_callbacks, "data");
    pair.to_server.bytes.back() ^= 1;
    pair.to_client.capacity = 0;
    read_all(*pair.server, pair.server_callbacks);
    ASSERT_TRUE(pair.server->failed());
    EXPECT_TRUE(pair.to_client.bytes.empty());
    pair.to_client.capacity = 1000;
    pair.server->close(pair.server_callbacks);
    read_all(*pair.client, pair.client_callbacks);
    EXPECT_EQ(pair.client->error().alert, Error::Alert::received);
    EXPECT_EQ(pair.client->error().alert_number, 20);
}

TEST_P(Stream, ADamagedRecordIsSeenAnywhere) {
    for (std::size_t at = 5; at < 25; ++at) {
        Pair pair(setup());
        ASSERT_TRUE(pair.handshake());
        write_some(*pair.client, pair.client_callbacks, "data");
        ASSERT_LT(at, pair.to_server.bytes.size());
        pair.to_server.bytes[at] ^= 0x10;
        EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "");
        EXPECT_EQ(pair.server->error().code, Code::RECORD_CORRUPT) << at;
    }
}

TEST_P(Stream, ACallFromWithinACallIsMisuse) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    std::uint8_t buffer[10];
    int misuses = 0;
    pair.client_callbacks.on_write = [&] {
        misuses += pair.client->read(pair.client_callbacks, buffer).kind == Kind::misuse ? 1 : 0;
        misuses +=
            pair.client->write(pair.client_callbacks, bytes("x")).kind == Kind::misuse ? 1 : 0;
        misuses += pair.client->handshake(pair.client_callbacks).kind == Kind::misuse ? 1 : 0;
        misuses += pair.client->shutdown(pair.client_callbacks).kind == Kind::misuse ? 1 : 0;
    };
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    EXPECT_EQ(misuses, 4);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "hello");
}

TEST_P(Stream, ACloseFromWithinACallTakesEffectAfterIt) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.client_callbacks.on_write = [&] {
        pair.client_callbacks.on_write = nullptr;
        pair.client->close(pair.client_callbacks);
    };
    pair.to_server.capacity = 3;
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    EXPECT_TRUE(pair.client->closed());
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->flush(pair.client_callbacks).kind, Kind::done);
    bool end = false;
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks, &end), "hello");
    EXPECT_TRUE(end);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::closed);
}

TEST_P(Stream, ShutdownWaitsForThePeersGoodbye) {
    Pair pair(setup());
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::misuse);
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("x")).kind, Kind::misuse);
    bool end = false;
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks, &end), "");
    EXPECT_TRUE(end);
    EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::done);
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::done);
    // The following data on the stream is not read.
    EXPECT_TRUE(pair.to_client.bytes.empty());
}

TEST_P(Stream, ReadingAheadTakesInManyRecordsAtOnce) {
    Pair pair(setup_reading_ahead());
    ASSERT_TRUE(is_at_rest(pair));
    const std::string text = pattern(100, 7);
    for (const char& letter : text)
        write_some(*pair.server, pair.server_callbacks, {&letter, 1});
    pair.client_callbacks.reads = 0;
    std::string got;
    for (std::size_t i = 0; i < text.size(); ++i) {
        // A poll of the stream alone would never end: nothing is in it any more.
        EXPECT_EQ(pair.client->poll_interest(Direction::read),
                  i == 0 ? ussl::PollInterest::stream_readable : ussl::PollInterest::nothing);
        std::uint8_t byte = 0;
        ASSERT_EQ(pair.client->read(pair.client_callbacks, {&byte, 1}).kind, Kind::done);
        got.push_back(static_cast<char>(byte));
    }
    EXPECT_EQ(got, text);
    EXPECT_EQ(pair.client_callbacks.reads, 1);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_readable);
}

TEST_P(Stream, ReadingAheadWaitsForTheRestOfARecord) {
    Pair pair(setup_reading_ahead());
    ASSERT_TRUE(is_at_rest(pair));
    write_some(*pair.server, pair.server_callbacks, "one");
    const std::size_t one = pair.to_client.bytes.size();
    write_some(*pair.server, pair.server_callbacks, "two");
    // Of the second record, from nothing to all but the last byte.
    const std::deque<std::uint8_t> both = pair.to_client.bytes;
    for (std::size_t there = one; there < both.size(); ++there) {
        Ring& ring = pair.to_client;
        if (there != one) {
            write_some(*pair.server, pair.server_callbacks, "one");
            write_some(*pair.server, pair.server_callbacks, "two");
        }
        std::deque<std::uint8_t> late(ring.bytes.begin() + static_cast<long>(there),
                                      ring.bytes.end());
        ring.bytes.resize(there);
        std::uint8_t buffer[4];
        ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
        EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_readable);
        EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::blocked);
        ring.bytes.swap(late);
        ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
        EXPECT_EQ(buffer[0], 't');
        EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_readable);
    }
}

TEST_P(Stream, AnAlertThatWasReadAheadExplainsABrokenPipe) {
    Pair pair(setup_reading_ahead());
    ASSERT_TRUE(is_at_rest(pair));
    write_some(*pair.server, pair.server_callbacks, "data");
    write_some(*pair.client, pair.client_callbacks, "data");
    pair.to_server.bytes.back() ^= 1;
    read_all(*pair.server, pair.server_callbacks);
    std::uint8_t buffer[4];
    ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 4U);
    ASSERT_TRUE(pair.to_client.bytes.empty());
    pair.client_callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("more")).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().alert, Error::Alert::received);
}

TEST_P(Stream, WhatFollowsAGoodbyeThatWasReadAheadIsLeftOver) {
    for (const bool ahead : {false, true}) {
        Pair pair(setup_reading_ahead(ahead));
        ASSERT_TRUE(is_at_rest(pair));
        // The server does not wait for the client's close_notify.
        EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::blocked);
        const std::string plain = "220 ready";
        pair.to_client.add(plain);
        EXPECT_TRUE(pair.client->trailing_plaintext().empty());
        bool end = false;
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks, &end), "");
        EXPECT_TRUE(end);
        EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::done);
        const Bytes trailing_plaintext = pair.client->trailing_plaintext();
        const std::string held(trailing_plaintext.begin(), trailing_plaintext.end());
        EXPECT_EQ(held + pair.to_client.text(), plain);
        EXPECT_EQ(held.empty(), !ahead);
        EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::done);
    }
}

TEST_P(Stream, AGoodbyeThatIsStuckKeepsNoPollBusyWithWhatIsHeld) {
    Pair pair(setup_reading_ahead());
    ASSERT_TRUE(is_at_rest(pair));
    write_some(*pair.server, pair.server_callbacks, "one");
    write_some(*pair.server, pair.server_callbacks, "two");
    std::uint8_t buffer[3];
    ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
    pair.to_server.capacity = 0;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_writable);
    pair.to_server.capacity = 1000;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::misuse);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "two");
}

TEST_P(Stream, AHeaderThatNoRecordHasIsNotWaitedWith) {
    for (const std::string_view header :
         {std::string_view("\x17\x03\x03\xFF\xFF", 5), std::string_view("HTTP/", 5)}) {
        Pair pair(setup_reading_ahead());
        ASSERT_TRUE(is_at_rest(pair));
        write_some(*pair.server, pair.server_callbacks, "one");
        pair.to_client.add(header);
        std::uint8_t buffer[3];
        ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
        EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
        EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
        saw(pair.client->error());
    }
}

TEST_P(Stream, AtRestNoMoreIsKeptThanWhatIsHeld) {
    Pair pair(setup_reading_ahead());
    ASSERT_TRUE(is_at_rest(pair));
    write_some(*pair.server, pair.server_callbacks, "one");
    write_some(*pair.server, pair.server_callbacks, "two");
    std::deque<std::uint8_t> late(pair.to_client.bytes.end() - 5, pair.to_client.bytes.end());
    pair.to_client.bytes.resize(pair.to_client.bytes.size() - 5);
    std::uint8_t buffer[3];
    ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
    for (int i = 0; i < 2; ++i) {
        pair.client->release_idle_buffers();
        EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_readable);
    }
    pair.to_client.bytes.swap(late);
    ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
    EXPECT_EQ(buffer[1], 'w');
}

TEST_P(Stream, ShutdownNoLongerReadsAhead) {
    Pair pair(setup_reading_ahead());
    ASSERT_TRUE(is_at_rest(pair));
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::blocked);
    EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::done);
    const std::string plain = "220 ready";
    pair.to_client.add(plain);
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::done);
    EXPECT_TRUE(pair.client->trailing_plaintext().empty());
    EXPECT_EQ(pair.to_client.text(), plain);
}

TEST_P(Stream, ShutdownDoesNotThrowUnreadDataAway) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.server, pair.server_callbacks, "unread");
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::misuse);
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "unread");
    pair.server->shutdown(pair.server_callbacks);
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::done);
}

TEST_P(Stream, ShutdownIsRefusedBeforeItSaysGoodbyeIfThereIsUnreadData) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    write_some(*pair.server, pair.server_callbacks, "unread");
    std::uint8_t buffer[2];
    ASSERT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 2U);
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::misuse);
    EXPECT_TRUE(pair.to_server.bytes.empty());
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("reply")).count, 5U);
}

TEST_P(Stream, AfterThePeersGoodbyeThisSideMayStillSpeak) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::blocked);
    bool end = false;
    read_all(*pair.client, pair.client_callbacks, &end);
    EXPECT_TRUE(end);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
    EXPECT_EQ(pair.client->write(pair.client_callbacks, bytes("one more thing")).count, 14U);
    EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::misuse);
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "one more thing");
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::done);
    EXPECT_EQ(pair.server->shutdown(pair.server_callbacks).kind, Kind::done);
}

TEST_P(Stream, CloseDuringTheHandshakeSendsNothingMore) {
    Pair pair(setup());
    pair.client->handshake(pair.client_callbacks);
    const std::size_t sent = pair.to_server.bytes.size();
    pair.client->close(pair.client_callbacks);
    EXPECT_TRUE(pair.client->closed());
    EXPECT_EQ(pair.to_server.bytes.size(), sent);
    pair.to_server.closed = true;
    pair.server->handshake(pair.server_callbacks);
    EXPECT_EQ(pair.server->handshake(pair.server_callbacks).kind, Kind::failed);
    EXPECT_EQ(pair.server->error().code, Code::PEER_CLOSED);
}

TEST_P(Stream, AbandonLeavesTheStreamAlone) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_server.capacity = 3;
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    const int calls = pair.client_callbacks.reads + pair.client_callbacks.writes;
    pair.client->discard();
    pair.client->discard();
    pair.client->close(pair.client_callbacks);
    EXPECT_TRUE(pair.client->closed());
    EXPECT_EQ(pair.client_callbacks.reads + pair.client_callbacks.writes, calls);
}

TEST_P(Stream, NothingAndTooMuchAreTakenAsTheyAre) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(pair.client->write(pair.client_callbacks, {}).kind, Kind::done);
    EXPECT_EQ(pair.client->read(pair.client_callbacks, {}).kind, Kind::done);
    EXPECT_TRUE(pair.to_server.bytes.empty());
    const std::string much = pattern(100000);
    // One record: 16384 bytes, of which an engine may keep one for TLS 1.3's own type.
    const std::size_t taken = pair.client->write(pair.client_callbacks, bytes(much)).count;
    EXPECT_TRUE(taken == 16384 || taken == 16383) << taken;
    EXPECT_TRUE(read_all(*pair.server, pair.server_callbacks) == much.substr(0, taken));
}

TEST_P(Stream, ATimeOutInTheHandshakeIsNoFailure) {
    Pair pair(setup());
    pair.client_callbacks.next_read = IoResult::timed_out();
    EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::timed_out);
    std::uint8_t buffer[1];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::timed_out);
    pair.client_callbacks.next_read.reset();
    EXPECT_TRUE(pair.handshake());
}

TEST_P(Stream, ShutdownKnowsABareEndFromAGoodbye) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    pair.to_client.closed = true;
    EXPECT_EQ(pair.client->shutdown(pair.client_callbacks).kind, Kind::failed);
    EXPECT_EQ(pair.client->error().code, Code::TRUNCATED);
}

TEST_P(Stream, WhatIsHeldInsideIsReadable) {
    Pair pair(setup());
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::stream_readable);
    EXPECT_EQ(pair.client->poll_interest(Direction::write), ussl::PollInterest::stream_writable);
    write_some(*pair.server, pair.server_callbacks, "foobar");
    std::uint8_t buffer[3];
    EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).count, 3U);
    EXPECT_EQ(pair.client->pending(), 3U);
    EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
}

using Streams = EachPair;
INSTANTIATE_EACH_PAIR(Streams);

TEST_P(Streams, ThatDoNotSpeakTlsAreToldApart) {
    for (const char* words :
         {"HTTP/1.1 400 Bad Request\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
          "220 mail.example ESMTP\r\n", "\x10\x2c\x01\x04MQTT\x04\x02", "hi\n", "\x10"}) {
        Pair pair(plan(with_certificate()));
        const Bytes sent = bytes(words);
        pair.to_client.bytes.assign(sent.begin(), sent.end());
        pair.to_server.bytes.assign(sent.begin(), sent.end());
        pair.client->handshake(pair.client_callbacks);
        pair.server->handshake(pair.server_callbacks);
        EXPECT_EQ(pair.client->error().code, Code::NOT_TLS) << words;
        EXPECT_EQ(pair.server->error().code, Code::NOT_TLS) << words;
        saw(pair.client->error());
    }
}

TEST_P(Streams, ThatDoNotSpeakTlsAreQuoted) {
    for (const auto& [words, shown] :
         {std::pair{"HTTP/1.1 400 Bad Request\r\n\r\n", R"((received: "HTTP/"))"},
          {"a\"\\\r\n", R"((received: "a\x22\x5c\x0d\x0a"))"},
          {"+\xff\n", R"((received: "+\xff\x0a"))"}}) {
        Pair pair(plan(with_certificate()));
        pair.to_client.add(words);
        pair.client->handshake(pair.client_callbacks);
        const std::string text = describe(pair.client->error());
        EXPECT_NE(text.find(shown), std::string::npos) << text;
    }
}

// Only its first bytes have arrived.
TEST_P(Streams, ThatMaySpeakTlsAreWaitedFor) {
    for (const char* begin : {"\x16", "\x16\x03", "\x15\x03\x03"}) {
        Pair pair(plan(with_certificate()));
        pair.to_client.add(begin);
        EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::blocked);
        EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::blocked);
    }
}

TEST_P(Streams, ThatBreakTheRulesOfTlsAreToldApart) {
    Pair pair(plan(with_certificate()));
    // A server hello, where a client hello belongs.
    const std::uint8_t message[] = {22, 3, 3, 0, 4, 2, 0, 0, 0};
    pair.to_server.bytes.assign(std::begin(message), std::end(message));
    EXPECT_EQ(pair.server->handshake(pair.server_callbacks).kind, Kind::failed);
    EXPECT_EQ(pair.server->error().code, Code::PROTOCOL);
    EXPECT_EQ(pair.server->error().alert, Error::Alert::sent);
    saw(pair.server->error());
}

TEST_P(Streams, ThatSayGoodbyeInsteadOfHelloAreClosed) {
    for (const bool psk : {false, true}) {
        Pair pair(plan(psk ? with_psk() : with_certificate()));
        const std::uint8_t close_notify[] = {21, 3, 3, 0, 2, 1, 0};
        pair.client->handshake(pair.client_callbacks);
        pair.to_client.bytes.assign(std::begin(close_notify), std::end(close_notify));
        EXPECT_EQ(pair.client->handshake(pair.client_callbacks).kind, Kind::failed);
        EXPECT_EQ(pair.client->error().code, Code::PEER_CLOSED);
        std::uint8_t buffer[1];
        EXPECT_EQ(pair.client->read(pair.client_callbacks, buffer).kind, Kind::failed);
    }
}

TEST_P(Streams, WhoseVersionsDoNotMeetAreToldApart) {
    for (const auto& [of_client, of_server] : {std::pair{Version::tls1_2, Version::tls1_3},
                                               std::pair{Version::tls1_3, Version::tls1_2}}) {
        Plan setup = plan(with_certificate());
        setup.client.minimum_version = setup.client.maximum_version = of_client;
        setup.server.minimum_version = setup.server.maximum_version = of_server;
        Pair pair(setup);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.client->error().code, Code::NO_SHARED_VERSION);
        EXPECT_EQ(pair.server->error().code, Code::NO_SHARED_VERSION);
        EXPECT_EQ(pair.client->error().alert, Error::Alert::received);
        EXPECT_EQ(pair.server->error().alert, Error::Alert::sent);
    }
}

}  // namespace
}  // namespace contract
