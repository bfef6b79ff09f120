// Memory runs out at any place. The error is NO_MEMORY, nothing crashes or leaks, no peer is
// accepted that must be rejected, and the next connection works normally.

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <cstdio>
#include <fstream>

#include "../contract/variable.hpp"
#include "allocation.hpp"
#include "conversation.hpp"
#include "ussl/certificate.hpp"
#include "ussl/crypto.hpp"

namespace contract {
namespace {

using faults::Shortage;

constexpr std::size_t long_line = 9000;

/// The results of a program that makes two contexts and a conversation between them.
struct Story {
    bool made = false;           ///< contexts and connections
    bool told = false;           ///< success in both directions, to the end
    bool let_in = false;         ///< any data was received
    bool out_of_memory = false;  ///< an end reported it
    std::string wrong;           ///< a fault that a lack of memory does not excuse
    std::string said;            ///< the text of the failure
    std::optional<Parties> parties;
    std::size_t contexts = 0;  ///< allocations until they were made
};

void add(Story& story, const ussl::ConfigError& refusal) {
    story.out_of_memory |= refusal.out_of_memory;
    story.said += refusal.reason;
}

void talk(Story& story) {
    auto made = Conversation::make(*story.parties, long_line);
    story.made = story.told = made.has_value();
    if (!made)
        return add(story, made.error());
    (*made)->run();
    story.told = (*made)->succeeded();
    for (const Speaker* one : {&(*made)->client, &(*made)->server}) {
        story.let_in |= !one->heard.empty();
        story.out_of_memory |= one->error.code == Code::NO_MEMORY;
        story.wrong += one->wrong;
        if (!one->heard_only_what_was_said())
            story.wrong += "heard what nobody said";
        story.said += describe(one->error) + ". ";
    }
}

Story tell(const Plan& plan) {
    Story story;
    auto parties = Parties::make(plan);
    story.contexts = faults::asked();
    if (!parties) {
        add(story, parties.error());
        return story;
    }
    story.parties = std::move(*parties);
    talk(story);
    // The second run uses the state that the first one created.
    if (story.told && plan.client.resumption)
        talk(story);
    return story;
}

struct Totals {
    std::size_t tried = 0, failed = 0, said = 0;
};
Totals& totals() {
    static Totals sums;
    return sums;
}

class Memory : public testing::TestWithParam<std::tuple<Case, const char*>> {
  protected:
    static void TearDownTestSuite() {
        std::printf("memory that ran out: %zu times, %zu of them told, %zu as out of memory\n",
                    totals().tried, totals().failed, totals().said);
    }
    static Plan setup() { return acquainted(std::get<0>(GetParam()), std::get<1>(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(Engines, Memory,
                         testing::Combine(testing::ValuesIn(all_cases()),
                                          testing::ValuesIn(every_acquaintance)),
                         [](const auto& info) {
                             return testing::PrintToString(std::get<0>(info.param)) + "_" +
                                    std::get<1>(info.param);
                         });

/// During its lifetime, LeakSanitizer ignores allocations.
class Unseen {
  public:
    explicit Unseen(bool unseen) : unseen_(unseen) {
#ifdef __SANITIZE_ADDRESS__
        if (unseen_)
            __lsan_disable();
#endif
    }
    ~Unseen() {
#ifdef __SANITIZE_ADDRESS__
        if (unseen_)
            __lsan_enable();
#endif
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;

  private:
    [[maybe_unused]] bool unseen_;
};

/// Tells the story once for some of the allocations in it, or for all in a long run.
void sweep(const Plan& plan, std::size_t some,
           const std::function<void(Story&, std::size_t nth)>& look) {
    const bool keeps = lacks(plan.client_engine, Lacks::all_given_back) ||
                       lacks(plan.server_engine, Lacks::all_given_back);
    // A provider's library context keeps anything up to itself: not counted.
    const bool counts = !keeps || !plan.server.sign_by_program;
    tell(plan);  // from now on, the engines have their permanent allocations
    for (const auto shortage : {Shortage::once, Shortage::from_then_on}) {
        faults::arm(SIZE_MAX, shortage);
        tell(plan);
        const std::size_t all = faults::disarm();
        ASSERT_GT(all, 100U);
        const std::size_t step = one_in(1 + all / some);
        for (std::size_t nth = 1; nth <= all; nth += step) {
            SCOPED_TRACE(nth);
            const std::size_t before = faults::live();
            {
                const Unseen unseen(!counts);
                faults::arm(nth, shortage);
                Story story = tell(plan);
                faults::disarm();
                look(story, nth);
            }
            if (counts) {
                EXPECT_LE(faults::live(), before + (keeps ? 1 : 0));
            }
        }
    }
}

void ends_in_an_error(const Plan& plan, std::size_t some) {
    const bool openssl_like = lacks(plan.client_engine, Lacks::says_no_memory) ||
                              lacks(plan.server_engine, Lacks::says_no_memory);
    const bool spoils = lacks(plan.client_engine, Lacks::whole_after_shortage) ||
                        lacks(plan.server_engine, Lacks::whole_after_shortage);
    ASSERT_TRUE(tell(plan).told);
    std::size_t failed = 0;
    std::size_t said = 0;
    std::size_t tried = 0;
    sweep(plan, some, [&](Story& story, std::size_t nth) {
        ++tried;
        EXPECT_EQ(story.wrong, "");
        if (!story.told) {
            ++failed;
            said += story.out_of_memory ? 1 : 0;
            EXPECT_TRUE(story.out_of_memory || openssl_like) << story.said;
        }
        if (!story.parties)
            return;
        talk(story);
        // Once a context is there, nothing that befalls a connection harms it.
        const bool excused = spoils && nth <= story.contexts;
        EXPECT_TRUE(story.told || (excused && tell(plan).told))
            << "the next connection: " << story.said;
    });
    // Of some places only: the part is not the same for all samples.
    EXPECT_GE(said * 10, failed * 7) << said << " of " << failed;
    totals().tried += tried;
    totals().failed += failed;
    totals().said += said;
}

TEST_P(Memory, ThatRunsOutEndsInAnError) {
    ends_in_an_error(setup(), 120);
}

using MemoryOfOptions = EachCase;
INSTANTIATE_EACH_CASE(MemoryOfOptions);

// A key that the program is asked to sign with first, pins, CRLs, short records.
TEST_P(MemoryOfOptions, ThatRunsOutEndsInAnError) {
    const std::string roots = cert("ca-rsa.crt") + cert("ca.crt") + cert("ca.crl");
    for (const char* server : {"server-rsa", "server"}) {
        Plan setup = plan(with_certificate(server, "ca.crt"));
        setup.client.trusted = bytes(roots);
        setup.client.crl_check = ussl::CrlCheck::none;
        setup.server.sign_by_program = true;
        setup.client.record_size_limit = setup.server.record_size_limit = 1024;
        ends_in_an_error(setup, 60);
    }
}

// Issuers are looked up in the system's folder, if there is one.
TEST_P(MemoryOfOptions, ThatRunsOutWithTheSystemsStoreEndsInAnError) {
    const Variable no_file("SSL_CERT_FILE", "");
    const Variable no_folders("SSL_CERT_DIR", "");
    Plan setup = plan(with_certificate());
    setup.client.system_store = true;
    ends_in_an_error(setup, 60);
}

// Mbed TLS crashed: the second certificate was compared with the first one, which had no content.
TEST(MemoryOfASystemStore, ThatRunsOutBetweenTwoEqualCertificates) {
    const std::string file = testing::TempDir() + "ussl-twice.pem";
    std::ofstream(file) << cert("ca.crt") << cert("ca.crt");
    const Variable named("SSL_CERT_FILE", file);
    const Variable no_folders("SSL_CERT_DIR", "");
    for (const ussl::Engine* engine : {&ussl::openssl_engine, &ussl::mbedtls_engine}) {
        // From now on, the engine has its permanent allocations.
        EXPECT_TRUE(Context::make(*engine, {.system_store = true}));
        bool ran_out = true;
        for (std::size_t nth = 1; ran_out; ++nth) {
            faults::arm(nth, Shortage::once);
            const auto made = Context::make(*engine, {.system_store = true});
            ran_out = faults::disarm() >= nth;
            EXPECT_TRUE(made || made.error().out_of_memory || engine == &ussl::openssl_engine);
        }
    }
}

using MemoryOfASession = EachCase;
INSTANTIATE_EACH_CASE(MemoryOfASession);

// If a session cannot be loaded completely, it is not offered: the handshake is a full one.
TEST_P(MemoryOfASession, ThatRunsOutLeavesAWholeHandshake) {
    const Plan setup = acquainted(GetParam(), "resumed");
    Story story = tell(setup);
    bool ran_out = true;
    for (std::size_t nth = 1; ran_out; ++nth) {
        SCOPED_TRACE(nth);
        talk(story);  // a session is good for one more connection
        ASSERT_TRUE(story.told);
        faults::arm(nth, Shortage::once);
        const auto made = Conversation::make(*story.parties, 0);
        ran_out = faults::disarm() >= nth;
        if (!made)
            continue;
        (*made)->run();
        EXPECT_TRUE((*made)->succeeded()) << describe((*made)->client.error);
    }
}

// --- records

using MemoryOfARecord = EachCase;
INSTANTIATE_EACH_CASE(MemoryOfARecord);

// The read reports it, and a later one returns the whole record.
TEST_P(MemoryOfARecord, ThatRunsOutIsForTheNextRead) {
    const std::string full = pattern(ussl::max_record_size);
    // An engine that lacks memory itself gives the connection up. So ussl asks for it first, and,
    // with Mbed TLS, for the buffer.
    const std::size_t ours = GetParam().engines.client == &ussl::openssl_engine ? 1 : 4;
    for (const auto shortage : {Shortage::once, Shortage::from_then_on}) {
        std::size_t failed = 0;
        for (std::size_t nth = 1; nth <= ours; ++nth) {
            SCOPED_TRACE(nth);
            Pair pair(plan(with_psk()));
            ASSERT_TRUE(pair.handshake());
            EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "");
            ASSERT_EQ(pair.server->write(pair.server_callbacks, bytes(full)).count, full.size());

            std::uint8_t buffer[100];
            faults::arm(nth, shortage);
            const Progress progress = pair.client->read(pair.client_callbacks, buffer);
            EXPECT_GE(faults::disarm(), nth);
            std::string got;
            if (progress.kind == Kind::done) {
                got.assign(reinterpret_cast<const char*>(buffer), progress.count);
            } else {
                EXPECT_EQ(progress.kind, Kind::no_memory) << describe(pair.client->error());
                EXPECT_EQ(pair.client->poll_interest(Direction::read), ussl::PollInterest::nothing);
                ++failed;
            }
            got += read_all(*pair.client, pair.client_callbacks);
            EXPECT_EQ(got, full);
            EXPECT_EQ(write_some(*pair.server, pair.server_callbacks, "more"), 4U);
            EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "more");
            EXPECT_EQ(write_some(*pair.client, pair.client_callbacks, full), full.size());
            EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), full);
        }
        EXPECT_GT(failed, 0U);
    }
}

/// The growth of the client's or server's memory, in bytes, with the header of a record and a part
/// of its body.
std::size_t growth(Connection& connection, MemoryCallbacks& callbacks, Ring& in,
                   std::string_view type, std::size_t announced, std::size_t received) {
    std::uint8_t buffer[10];
    EXPECT_EQ(connection.read(callbacks, buffer).kind, Kind::blocked);
    const std::size_t before = faults::live_bytes();
    const char length[] = {static_cast<char>(announced >> 8U), static_cast<char>(announced)};
    in.add(std::string(type) + std::string(length, sizeof length) + std::string(received, 'x'));
    EXPECT_EQ(connection.read(callbacks, buffer).kind, Kind::blocked);
    return faults::live_bytes() - before;
}

using MemoryOfAnAnnouncement = EachCase;
INSTANTIATE_EACH_CASE(MemoryOfAnAnnouncement);

// A header is cheap to send: memory is allocated for received data only, before and after
// authentication.
TEST_P(MemoryOfAnAnnouncement, IsNotAllocatedBeforeTheRecordIsReceived) {
    Plan made = with_psk();
    made.read_ahead = false;
    const bool fixed = GetParam().engines.server == &ussl::openssl_engine;
    // malloc_usable_size() of each allocation is up to 24 bytes more than requested, by the state
    // of the heap.
    constexpr std::size_t block = 4 * 24;
    for (const bool stranger : {true, false}) {
        const auto grown = [&](std::size_t announced, std::size_t received) {
            Pair pair(plan(made));
            EXPECT_TRUE(stranger || pair.handshake());
            const std::string_view type = stranger ? "\x16\x03\x01" : "\x17\x03\x03";
            return growth(*pair.server, pair.server_callbacks, pair.to_server, type, announced,
                          received);
        };
        for (const std::size_t received : {0U, 1U, 100U, 2000U, 5000U, 16000U}) {
            SCOPED_TRACE(received);
            // OpenSSL has one buffer that is large enough for every record.
            const std::size_t most =
                fixed ? grown(received + 1, received) : std::max<std::size_t>(1024, 4 * received);
            EXPECT_LE(grown(16384, received), most + block);
        }
    }
}

// --- calls without a connection

enum class Came : std::uint8_t { well, to_nothing, to_out_of_memory };

struct Listener final : ussl::CertificateVisitor, ussl::SuiteVisitor {
    void identity(int, const Serial&) noexcept override { ++heard; }
    void attribute(Party, bool, std::string_view, std::string_view) noexcept override { ++heard; }
    void validity(const Time&, const Time&) noexcept override { ++heard; }
    void alternative_name(AltName, Bytes) noexcept override { ++heard; }
    void suite(std::uint16_t, std::string_view) noexcept override { ++heard; }
    std::size_t heard = 0;
};

Came came(bool well) {
    return well ? Came::well : Came::to_nothing;
}

Came make_a_certificate(const ussl::Engine& engine) {
    constexpr std::string_view names[] = {"device.local", "192.168.4.1"};
    const auto made = ussl::make_self_signed(engine, {.names = names});
    if (made)
        return Came::well;
    return made.error().out_of_memory ? Came::to_out_of_memory : Came::to_nothing;
}

Came look_into_a_certificate(const ussl::Engine& engine) {
    Listener listener;
    return came(ussl::describe_certificate(engine, bytes(cert("server.crt")), listener));
}

Came name_suites(const ussl::Engine& engine) {
    Listener listener;
    return came(ussl::for_each_suite(engine, listener) && listener.heard > 10);
}

Came hash(const ussl::Engine& engine) {
    std::uint8_t sum[32];
    const Bytes text = bytes("abc");
    bool well = ussl::sha256(engine, {&text, 1}, sum);
    for (const ussl::Hash kind : {ussl::Hash::md5, ussl::Hash::sha1}) {
        const auto hasher = ussl::make_hasher(engine, kind);
        well = well && hasher && hasher->update(text) && hasher->finish(sum);
    }
    return came(well);
}

Came encrypt(const ussl::Engine& engine) {
    using ussl::BlockMode;
    constexpr std::string_view key = "0123456789abcdef0123456789abcdef";
    bool well = true;
    for (const BlockMode mode : {BlockMode::ecb, BlockMode::cbc, BlockMode::ctr})
        for (const std::size_t size : {16U, 32U}) {
            const auto aes = ussl::make_aes(engine, bytes(key.substr(0, size)), mode,
                                            bytes(key.substr(0, 16)), true);
            std::uint8_t out[32];
            well = well && aes && aes->process(bytes(key), out);
        }
    return came(well);
}

struct Chore {
    const char* name;
    Came (*run)(const ussl::Engine&);
};
constexpr Chore chores[] = {{"make_a_certificate", make_a_certificate},
                            {"look_into_a_certificate", look_into_a_certificate},
                            {"name_suites", name_suites},
                            {"hash", hash},
                            {"encrypt", encrypt}};

using MemoryOfChores = testing::TestWithParam<std::tuple<const ussl::Engine*, Chore>>;
INSTANTIATE_TEST_SUITE_P(Engines, MemoryOfChores,
                         testing::Combine(testing::Values(&ussl::openssl_engine,
                                                          &ussl::mbedtls_engine),
                                          testing::ValuesIn(chores)),
                         [](const auto& info) {
                             const bool openssl = std::get<0>(info.param) == &ussl::openssl_engine;
                             return std::string(openssl ? "openssl_" : "mbedtls_") +
                                    std::get<1>(info.param).name;
                         });

// Each allocation fails once: the call succeeds or returns an error, and leaks nothing.
TEST_P(MemoryOfChores, ThatRunsOutEndsInAnError) {
    const auto& [engine, chore] = GetParam();
    ASSERT_EQ(chore.run(*engine), Came::well);
    std::size_t failed = 0;
    for (const auto shortage : {Shortage::once, Shortage::from_then_on}) {
        faults::arm(SIZE_MAX, shortage);
        ASSERT_EQ(chore.run(*engine), Came::well);
        const std::size_t all = faults::disarm();
        if (all == 0)
            GTEST_SKIP() << "it asks for none";
        for (std::size_t nth = 1; nth <= all; ++nth) {
            SCOPED_TRACE(nth);
            const std::size_t before = faults::live();
            faults::arm(nth, shortage);
            const Came came = chore.run(*engine);
            faults::disarm();
            failed += came != Came::well ? 1 : 0;
            EXPECT_EQ(faults::live(), before);
            const bool says_so =
                chore.run == make_a_certificate && !lacks(engine, Lacks::says_no_memory);
            EXPECT_FALSE(says_so && came == Came::to_nothing);
        }
    }
    EXPECT_GT(failed, 0U);
    EXPECT_EQ(chore.run(*engine), Came::well);
}

using MemoryOfAVerifier = EachCase;
INSTANTIATE_EACH_CASE(MemoryOfAVerifier);

TEST_P(MemoryOfAVerifier, ThatRunsOutLetsNobodyIn) {
    const auto lets_nobody_in = [&](const Plan& made) {
        sweep(plan(made), 60, [&](const Story& story, std::size_t) {
            EXPECT_FALSE(story.let_in);
            EXPECT_EQ(story.wrong, "");
        });
    };
    for (const char* certificate : {"server-name", "server-expired", "server-flipped"})
        lets_nobody_in(with_certificate(certificate));
    Plan wrong_key = with_psk();
    wrong_key.keys["me"] = "another key";
    lets_nobody_in(wrong_key);
}

}  // namespace
}  // namespace contract
