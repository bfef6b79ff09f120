// Tickets where they do not belong.

#include "bout.hpp"
#include "hooks.h"

namespace rogue {
namespace {

class Tickets : public Rogue {};
INSTANTIATE_ROGUE(Tickets);

// They hold no master secret of TLS 1.2: with one of zeros, anybody who has seen a ticket (or has
// one of their own) could go on with the session.
TEST_P(Tickets, OfTls13AreNotResumedInTls12) {
    if (is_client() || !is_tls1_3() || GetParam().credentials != Credentials::certificate)
        return;
    Plan plan = GetParam().plan();
    plan.server.minimum_version = Version::tls1_2;
    plan.server.resumption = true;
    plan.server_context = *Context::make(*GetParam().engine, plan.server);
    std::uint8_t ticket[4096];
    std::size_t size = 0;
    {
        Bout first(GetParam(), plan);
        first.shake_hands();
        ASSERT_TRUE(first.talk()) << first.verdict();
        size = rogue_ticket(first.peer.ssl, ticket, sizeof ticket);
        ASSERT_GT(size, 0U);
    }
    const std::uint16_t suites[] = {0xC02B};
    plan.client.minimum_version = plan.client.maximum_version = Version::tls1_2;
    plan.client.suites = suites;
    Bout second(GetParam(), plan);
    bool offered = false;
    second.peer.script = [&](Peer& peer, Message& m) {
        if (peer.sent == 0)
            offered =
                m.bytes.find({reinterpret_cast<const char*>(ticket), size}) != std::string::npos;
    };
    rogue_offer_ticket(ticket, size);
    second.shake_hands();
    EXPECT_TRUE(offered);
    EXPECT_TRUE(second.talk()) << second.verdict() << describe(second.victim->error());
    EXPECT_EQ(second.victim->version(), Version::tls1_2);
    EXPECT_FALSE(second.victim->session_reused());
    EXPECT_FALSE(second.peer.session().facts().resumed);
}

}  // namespace
}  // namespace rogue
