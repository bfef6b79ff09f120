// Memory that runs out anywhere: an error, never a crash, nobody let in who should not be, and (as
// the build with sanitizers sees) everything released.

#include "../contract/contract.hpp"
#include "allocation.hpp"

namespace contract {
namespace {

/// What a program that makes two ends and lets them talk hears.
struct Story {
    const char* refusal = nullptr;
    bool refused_for_memory = false;
    Error client, server;
    bool told = false;    ///< all went well
    bool let_in = false;  ///< data came through
};

Story tell(const Plan& plan) {
    Story story;
    const auto refused = [&](const ussl::Refusal& refusal) {
        story.refusal = refusal.reason;
        story.refused_for_memory = refusal.out_of_memory;
    };
    auto client_context = Context::make(*plan.client_engine, plan.client);
    auto server_context = Context::make(*plan.server_engine, plan.server);
    if (!client_context || !server_context) {
        refused(!client_context ? client_context.error() : server_context.error());
        return story;
    }
    auto client = Connection::make(*client_context, {.server_hostname = plan.name});
    auto server = Connection::make(*server_context, {});
    if (!client || !server) {
        refused(!client ? client.error() : server.error());
        return story;
    }
    Ring up, down;
    MemoryHost client_host(down, up), server_host(up, down);
    server_host.keys = plan.keys;
    std::string got;
    for (int round = 0; round < 8; ++round) {
        up.capacity = round < 6 ? 1U << 20U : 10;  // a write that is stuck, at last
        (*client)->write(client_host, bytes("question"));
        got += read_all(**server, server_host);
        (*server)->write(server_host, bytes("answer"));
        got += read_all(**client, client_host);
    }
    (void)(*client)->peer_certificate();
    story.client = (*client)->error();
    story.server = (*server)->error();
    story.let_in = !got.empty();
    story.told = !got.empty() && !story.client && !story.server;
    (*client)->close(client_host);
    (*server)->close(server_host);
    return story;
}

class Memory : public testing::TestWithParam<std::tuple<Case, const char*>> {
  protected:
    static Plan setup() {
        const bool psk = std::get<1>(GetParam()) == std::string_view("psk");
        return std::get<0>(GetParam()).with(psk ? with_psk() : with_certificate());
    }
};
INSTANTIATE_TEST_SUITE_P(Engines, Memory,
                         testing::Combine(testing::ValuesIn(all_cases()),
                                          testing::Values("certificate", "psk")),
                         [](const auto& info) {
                             return testing::PrintToString(std::get<0>(info.param)) + "_" +
                                    std::get<1>(info.param);
                         });

/// Tells the story once for every allocation in it that may fail, some 400 of them.
void sweep(const Plan& plan, const std::function<void(const Story&, std::size_t)>& look) {
    tell(plan);  // what the engine keeps for good is there from now on
    for (const auto shortage : {faults::Shortage::once, faults::Shortage::from_then_on}) {
        faults::arm(SIZE_MAX, shortage);
        tell(plan);
        const std::size_t all = faults::disarm();
        ASSERT_GT(all, 100U);
        const std::size_t step = 1 + all / 300;
        for (std::size_t nth = 1; nth <= all; nth += nth < 100 ? 1 : step) {
            faults::arm(nth, shortage);
            const Story story = tell(plan);
            faults::disarm();
            look(story, nth);
        }
    }
}

TEST_P(Memory, ThatRunsOutEndsInAnError) {
    const Plan plan = setup();
    ASSERT_TRUE(tell(plan).told);
    int failed = 0;
    int reported = 0;
    sweep(plan, [&](const Story& story, std::size_t) {
        if (story.told)
            return;  // the engine could do without
        ++failed;
        reported += story.refused_for_memory || story.client.code == Code::NO_MEMORY ||
                            story.server.code == Code::NO_MEMORY
                        ? 1
                        : 0;
    });
    // OpenSSL does not always say that it was memory: the rest are refusals and errors that do not
    // name the reason.
    EXPECT_GT(reported * 10, failed * 7) << reported << " of " << failed;
}

using MemoryOfAVerifier = EachCase;
INSTANTIATE_EACH_CASE(MemoryOfAVerifier);

TEST_P(MemoryOfAVerifier, ThatRunsOutLetsNobodyIn) {
    for (const char* certificate : {"server-name", "server-expired", "server-flipped"})
        sweep(plan(with_certificate(certificate)), [&](const Story& story, std::size_t nth) {
            EXPECT_FALSE(story.let_in) << certificate << " " << nth;
        });
    Plan wrong_key = plan(with_psk());
    wrong_key.keys["me"] = "another key";
    sweep(wrong_key,
          [&](const Story& story, std::size_t nth) { EXPECT_FALSE(story.let_in) << nth; });
}

}  // namespace
}  // namespace contract
