// A stream that fails at any call and at any byte: no data is lost, no wrong data is accepted, and
// no end waits forever.

#include <cerrno>
#include <cstdio>

#include "allocation.hpp"
#include "conversation.hpp"

namespace contract {
namespace {

using What = Fault::Kind;

// Nothing is lost by it, and it need not be told.
bool is_harmless(What what) {
    return what == What::would_block || what == What::timed_out || what == What::one_byte ||
           what == What::aborted;
}
bool is_damage(What what) {
    return what == What::garbage || what == What::flip;
}

// The errors that the end with this stream may report.
bool fits(What what, const Error& error) {
    switch (what) {
        case What::end:
            return error.code == Code::PEER_CLOSED || error.code == Code::TRUNCATED;
        case What::reset:
            return error.number() == ECONNRESET;
        case What::interrupted:
            return error.number() == EINTR;
        default:
            return false;
    }
}

// And by the other, which sees its peer go.
bool fits_the_other(const Error& error) {
    return error.code == Code::PEER_CLOSED || error.code == Code::TRUNCATED ||
           error.number() == EPIPE;
}

// From either end, if the received data differs from the sent data.
bool fits_damage(const Error& error) {
    if (error.code == Code::stream)
        return error.number() == EPIPE;
    return class_of(error.code) != ussl::ErrorClass::local;
}

// The minor version in the header of a record has no meaning before both have agreed on a version,
// and in unencrypted records of TLS 1.3. It must be ignored (RFC 8446 §5.1, RFC 5246 §E.1). All
// other damage is detected.
bool means_nothing(const Faulty::Place& flipped, Version version) {
    constexpr std::uint8_t protected_type = 23;
    return flipped.offset == 2 &&
           (flipped.record == 0 || (version == Version::tls1_3 && flipped.type != protected_type));
}

/// Two that meet again and again, once for each fault.
class Sweep {
  public:
    Sweep(const Plan& plan, std::size_t long_line)
        : parties_(*Parties::make(plan)), long_line_(long_line), resumes_(plan.client.resumption) {}
    /// Faults happen after the close() of one end only.
    Sweep(const Plan& plan, Ending ending, bool client_closes) : Sweep(plan, 0) {
        ending_ = ending;
        client_closes_ = client_closes;
    }

    /// Without a fault; how many calls and bytes there are to go wrong.
    void rehearse() {
        meet();
        auto made = prepare();
        made->run();
        ASSERT_TRUE(made->succeeded())
            << describe(made->client.error) << describe(made->server.error);
        ASSERT_FALSE(made->stalled);
        EXPECT_EQ(made->client.resumed, resumes_);
        EXPECT_EQ(made->server.resumed, resumes_);
        EXPECT_TRUE(made->client.heard_all() && made->server.heard_all());
        for (const bool at_client : {true, false}) {
            const Faulty& stream = speaker(*made, at_client).stream;
            calls[at_client ? 0 : 1] = stream.calls();
            first_call[at_client ? 0 : 1] =
                1 + speaker(*made, client_closes_)
                        .calls_before_close[at_client == client_closes_ ? 0 : 1];
            bytes_in[at_client ? 0 : 1] = speaker(*made, !at_client).stream.gone_out;
        }
    }
    void inject(const Fault& fault, bool at_client);
    void at_calls(What what, std::size_t step);
    void at_bytes(What what, std::size_t step);

    std::size_t calls[2] = {};
    std::size_t first_call[2] = {1, 1};
    std::size_t bytes_in[2] = {};
    std::size_t count = 0;
    bool looks_at_memory = false;

  private:
    static Speaker& speaker(Conversation& of, bool client) {
        return client ? of.client : of.server;
    }
    std::unique_ptr<Conversation> prepare() {
        auto made = *Conversation::make(parties_, long_line_);
        if (ending_ != Ending::goodbyes)
            made->end_with(ending_, client_closes_);
        return made;
    }
    // A session that was used in vain is worth nothing.
    void meet() {
        if (!resumes_ || has_session_)
            return;
        auto made = prepare();
        made->run();
        EXPECT_TRUE(made->succeeded()) << "the connection after a failed one";
        has_session_ = true;
    }
    void look(Conversation& made, const Fault& fault, bool at_client);

    Parties parties_;
    std::size_t long_line_;
    bool resumes_;
    bool has_session_ = false;
    Ending ending_ = Ending::goodbyes;
    bool client_closes_ = false;
};

std::map<What, std::size_t>& tally() {
    static std::map<What, std::size_t> counts;
    return counts;
}

void Sweep::inject(const Fault& fault, bool at_client) {
    meet();
    const std::size_t before = faults::live();
    auto made = prepare();
    speaker(*made, at_client).stream.fault = fault;
    made->run();
    const auto failures = [] {
        return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
    };
    const int failed = failures();
    look(*made, fault, at_client);
    if (failures() != failed)
        std::fprintf(stderr, "%s at call %zu, byte %zd, of the %s\n",
                     testing::PrintToString(fault.kind).c_str(), fault.at_call,
                     static_cast<std::ptrdiff_t>(fault.at_byte), at_client ? "client" : "server");
    has_session_ = made->succeeded();
    made.reset();
    // Sessions are stored, and replace others.
    if (looks_at_memory && !resumes_) {
        EXPECT_EQ(faults::live(), before);
    }
}

void Sweep::look(Conversation& made, const Fault& fault, bool at_client) {
    const What what = fault.kind;
    Speaker& hit = speaker(made, at_client);
    Speaker& other = speaker(made, !at_client);
    for (const Speaker* one : {&hit, &other}) {
        EXPECT_EQ(one->wrong, "");
        EXPECT_TRUE(one->heard_only_what_was_said());
        EXPECT_TRUE(!one->succeeded || one->heard_all());
    }
    const Faulty* flipped = nullptr;
    for (const Faulty* stream : {&hit.stream, &other.stream})
        if (stream->flipped.offset != SIZE_MAX)
            flipped = stream;
    if (what == What::flip ? flipped == nullptr : !hit.stream.happened) {
        EXPECT_TRUE(made.succeeded());
        return;
    }
    ++count;
    ++tally()[what];
    // Of damage in a length, more may be waited for.
    EXPECT_TRUE(!made.stalled || is_damage(what));
    if (is_harmless(what)) {
        EXPECT_TRUE(made.succeeded()) << describe(hit.error) << describe(other.error);
    } else if (is_damage(what)) {
        const bool excused = flipped != nullptr &&
                             means_nothing(flipped->flipped, parties_.plan.client.maximum_version);
        EXPECT_TRUE(!made.succeeded() || excused) << "nobody noticed";
        for (const Speaker* one : {&hit, &other})
            EXPECT_TRUE(one->succeeded || fits_damage(one->error)) << describe(one->error);
    } else {
        EXPECT_TRUE(fits(what, hit.error)) << describe(hit.error);
        EXPECT_TRUE(other.succeeded || fits_the_other(other.error)) << describe(other.error);
    }
}

void Sweep::at_calls(What what, std::size_t step) {
    for (const bool at_client : {true, false})
        for (std::size_t call = first_call[at_client ? 0 : 1]; call <= calls[at_client ? 0 : 1];
             call += step)
            inject({what, call, SIZE_MAX}, at_client);
}

void Sweep::at_bytes(What what, std::size_t step) {
    for (const bool at_client : {true, false})
        for (std::size_t at = static_cast<std::size_t>(what) % step;
             at < bytes_in[at_client ? 0 : 1]; at += step)
            inject({what, 0, at}, at_client);
}

class StreamFaults : public testing::TestWithParam<std::tuple<Case, const char*>> {
  protected:
    /// Sweeps, and a second time if that has kept memory: an engine may keep memory permanently
    /// after the first failure, but not after each one. OpenSSL 3.2 to 4.0 keep 6 blocks if the
    /// flipped bit is in the algorithm of a certificate's public key. They cache the decoder of a
    /// key by the name of its algorithm, even for an unknown one. The same certificate again adds
    /// no memory. Each new algorithm does, without a limit (docs/explanation/security.md).
    static void keep_nothing(std::size_t long_line, const std::function<void(Sweep&)>& inject) {
        Sweep(plan(), 0).rehearse();  // from now on, the engines have their permanent allocations
        std::size_t before = 0;
        for (const bool again : {false, true}) {
            before = faults::live();
            {
                Sweep sweep(plan(), long_line);
                sweep.looks_at_memory = again;
                sweep.rehearse();
                ASSERT_FALSE(HasFatalFailure());
                inject(sweep);
            }
            if (faults::live() == before)
                return;
        }
        EXPECT_EQ(faults::live(), before);
    }
    static Plan plan() { return acquainted(std::get<0>(GetParam()), std::get<1>(GetParam())); }
    static void TearDownTestSuite() {
        std::printf("faults in the stream:");
        for (const auto& [what, count] : tally())
            std::printf(" %s %zu", testing::PrintToString(what).c_str(), count);
        std::printf("\n");
        tally().clear();
    }
};
INSTANTIATE_TEST_SUITE_P(Engines, StreamFaults,
                         testing::Combine(testing::ValuesIn(all_cases()),
                                          testing::Values("certificate", "mutual", "psk",
                                                          "resumed")),
                         [](const auto& info) {
                             return testing::PrintToString(std::get<0>(info.param)) + "_" +
                                    std::get<1>(info.param);
                         });

TEST_P(StreamFaults, AtAnyCall) {
    keep_nothing(20000, [](Sweep& sweep) {
        for (const What what :
             {What::would_block, What::timed_out, What::one_byte, What::end, What::reset,
              What::interrupted, What::aborted, What::garbage, What::flip})
            sweep.at_calls(what, one_in(1));
    });
}

TEST_P(StreamFaults, AtAnyCallAfterACloseWithUnsentData) {
    if (std::get<1>(GetParam()) == std::string_view("mutual"))
        return;  // after the handshake, it is as "certificate"
    for (const Ending ending : {Ending::close, Ending::close_in_callback})
        for (const bool client_closes : {true, false}) {
            SCOPED_TRACE(testing::Message() << static_cast<int>(ending) << client_closes);
            Sweep sweep(plan(), ending, client_closes);
            sweep.rehearse();
            sweep.looks_at_memory = true;
            ASSERT_FALSE(HasFatalFailure());
            for (const What what :
                 {What::would_block, What::timed_out, What::one_byte, What::end, What::reset,
                  What::interrupted, What::aborted, What::garbage, What::flip})
                sweep.at_calls(what, one_in(ending == Ending::close ? 1 : 5));
            EXPECT_GT(sweep.count, 9U);
        }
}

using StreamAtRest = EachCase;
INSTANTIATE_EACH_CASE(StreamAtRest);

TEST_P(StreamAtRest, HoldsNoBuffers) {
    Pair pair(plan(with_certificate()));
    ASSERT_TRUE(pair.handshake());
    EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "");  // but a ticket
    const std::size_t before = faults::live();
    ASSERT_EQ(pair.client->write(pair.client_callbacks, bytes("hello")).count, 5U);
    ASSERT_EQ(pair.server->write(pair.server_callbacks, bytes("hello")).count, 5U);
    // A read that finds no data releases the buffers of both directions.
    EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), "hello");
    std::uint8_t hello[5];
    ASSERT_EQ(pair.client->read(pair.client_callbacks, hello).count, sizeof hello);
    pair.client->release_idle_buffers();
    EXPECT_LE(faults::live(), before);
}

TEST_P(StreamFaults, AtAnyByte) {
    keep_nothing(0, [](Sweep& sweep) {
        for (const What what : {What::end, What::reset, What::flip})
            sweep.at_bytes(what, one_in(17));
    });
}

}  // namespace
}  // namespace contract
