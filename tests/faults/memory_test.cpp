// Memory that runs out anywhere: an error that says so, never a crash, nothing kept, nobody let in
// who should not be, and the next connection as if nothing had been.

#include <cstdio>

#include "allocation.hpp"
#include "conversation.hpp"

namespace contract {
namespace {

using faults::Shortage;

constexpr std::size_t long_line = 9000;

/// What a program that makes two contexts and lets them talk hears.
struct Story {
    bool made = false;           ///< contexts and connections
    bool told = false;           ///< all went well, both ways and to the end
    bool let_in = false;         ///< anything at all came through
    bool out_of_memory = false;  ///< somebody said so
    std::string wrong;           ///< what no lack of memory excuses
    std::string said;            ///< of what failed
    std::optional<Parties> parties;
    std::size_t contexts = 0;  ///< allocations until they were made
};

void add(Story& story, const ussl::Refusal& refusal) {
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
    // The second time with what the first has left.
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

/// Tells the story once for some of the allocations in it, or for all in a long run.
void sweep(const Plan& plan, std::size_t some,
           const std::function<void(Story&, std::size_t nth)>& look) {
    const bool keeps = lacks(plan.client_engine, Lacks::all_given_back) ||
                       lacks(plan.server_engine, Lacks::all_given_back);
    const std::size_t most_kept = keeps ? 1 : 0;
    tell(plan);  // what the engines keep for good is there from now on
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
                faults::arm(nth, shortage);
                Story story = tell(plan);
                faults::disarm();
                look(story, nth);
            }
            EXPECT_LE(faults::live(), before + most_kept);
        }
    }
}

TEST_P(Memory, ThatRunsOutEndsInAnError) {
    const Plan plan = setup();
    const bool openssl_like = lacks(plan.client_engine, Lacks::says_no_memory) ||
                              lacks(plan.server_engine, Lacks::says_no_memory);
    const bool spoils = lacks(plan.client_engine, Lacks::whole_after_shortage) ||
                        lacks(plan.server_engine, Lacks::whole_after_shortage);
    ASSERT_TRUE(tell(plan).told);
    std::size_t failed = 0;
    std::size_t said = 0;
    std::size_t tried = 0;
    sweep(plan, 120, [&](Story& story, std::size_t nth) {
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
    EXPECT_GE(said * 10, failed * 8) << said << " of " << failed;
    totals().tried += tried;
    totals().failed += failed;
    totals().said += said;
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
