// A peer's public value of the key exchange that is invalid, or does not match its private key.

#include "../contract/reader.hpp"
#include "bout.hpp"

namespace rogue {
namespace {

using namespace std::literals;

class Shares : public Rogue {
  protected:
    /// Of the suites of TLS 1.2, one of each way to exchange keys that there is with these
    /// credentials: with a key, ECDHE and DHE.
    static std::vector<std::uint16_t> suites() {
        if (is_tls1_3())
            return {0x1301};
        if (GetParam().credentials == Credentials::psk)
            return {0xCCAC, 0x00AA};
        return {0xC02B};
    }
};
INSTANTIATE_ROGUE(Shares);

/// The public values in a message, as parts of it; none if it has none.
std::vector<std::string_view> shares_in(std::string_view m, bool tls1_3, bool psk) {
    constexpr std::uint8_t client_hello = 1, server_hello = 2, server_key_exchange = 12,
                           client_key_exchange = 16;
    Reader message(m);
    const std::size_t type = message.number(1);
    Reader body = message.field(3);
    std::vector<std::string_view> shares;
    if (tls1_3 && (type == client_hello || type == server_hello)) {
        // RFC 8446 §4.1.2, §4.1.3, §4.2.8
        body.bytes(2 + 32);  // version, random
        body.field(1);       // session
        if (type == client_hello) {
            body.field(2);  // suites
            body.field(1);  // compression
        } else {
            body.bytes(2 + 1);
        }
        for (Reader extensions = body.field(2); !extensions.done();) {
            constexpr std::size_t key_share = 51;
            const std::size_t extension = extensions.number(2);
            Reader content = extensions.field(2);
            if (extension != key_share)
                continue;
            if (type == client_hello)
                content = content.field(2);
            while (!content.done()) {
                content.bytes(2);  // group
                shares.push_back(content.field(2).rest());
            }
        }
    } else if (!tls1_3 && (type == server_key_exchange || type == client_key_exchange)) {
        // RFC 5246 §7.4.3 and §7.4.7.2, RFC 8422 §5.4 and §5.7; with a hint or an identity before
        // it: RFC 4279 §2, RFC 5489 §2
        if (psk)
            body.field(2);
        const auto first = static_cast<std::uint8_t>(body.rest()[0]);
        constexpr std::uint8_t named_curve = 3;
        const bool is_point =
            type == server_key_exchange ? first == named_curve : first + 1U == body.rest().size();
        if (type == server_key_exchange && is_point) {
            body.bytes(1 + 2);  // that it is one, and which
        } else if (type == server_key_exchange) {
            body.field(2);  // the prime
            body.field(2);  // the generator
        }
        shares.push_back(body.field(is_point ? 1 : 2).rest());
    }
    return shares;
}

// Some of these are not values of their group, and none matches the peer's keys.
TEST_P(Shares, ThatAreWrongOpenNothing) {
    struct Way {
        std::string_view name;
        void (*change)(std::string& share);
    };
    static constexpr Way ways[] = {
        {"zeros", [](std::string& share) { share.assign(share.size(), '\0'); }},
        {"a point of zeros",
         [](std::string& share) { share = share.substr(0, 1).append(share.size() - 1, '\0'); }},
        {"all bits set", [](std::string& share) { share.assign(share.size(), '\xff'); }},
        {"one", [](std::string& share) { share.assign(share.size() - 1, '\0') += '\1'; }},
        {"another", [](std::string& share) { share.back() ^= 1; }},
    };
    const bool psk = GetParam().credentials == Credentials::psk;
    for (const std::uint16_t suite : suites())
        for (const Way& way : ways) {
            SCOPED_TRACE(std::string(way.name) + " " + std::to_string(suite));
            Plan plan = GetParam().plan();
            plan.client.suites = plan.server.suites = std::span(&suite, 1);
            Bout bout(GetParam(), plan);
            unsigned changed = 0;
            bout.peer.script = [&](Peer&, Message& m) {
                if (m.record != handshake)
                    return;
                const std::string meant = m.bytes;
                for (const std::string_view was : shares_in(meant, is_tls1_3(), psk)) {
                    ASSERT_GE(was.size(), 32U);
                    std::string share(was);
                    way.change(share);
                    m.bytes.replace(static_cast<std::size_t>(was.data() - meant.data()), was.size(),
                                    share);
                    ++changed;
                }
            };
            bout.shake_hands();
            bout.listen();
            ASSERT_NE(changed, 0U);
            // A value of the group, and so other keys; a binder or a signature over another hello.
            const std::string verdict = bout.verdict();
            EXPECT_TRUE(verdict == "PROTOCOL" || (!psk && verdict == "RECORD_CORRUPT") ||
                        (psk && verdict == (is_client() ? "PSK_REFUSED" : "PSK_KEY")) ||
                        (psk && is_tls1_3() && verdict == "RECORD_CORRUPT"))
                << describe(bout.victim->error());
        }
}

}  // namespace
}  // namespace rogue
