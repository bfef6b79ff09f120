// A peer's public value of the key exchange that is none, or not the one that it has the key to.

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

std::size_t number(std::string_view bytes, std::size_t at, std::size_t size) {
    std::size_t all = 0;
    for (std::size_t i = 0; i < size; ++i)
        all = all << 8U | static_cast<std::uint8_t>(bytes.at(at + i));
    return all;
}

struct Place {
    std::size_t at = 0;
    std::size_t size = 0;
};

/// The public values in a message; none if it has none.
std::vector<Place> shares_in(std::string_view m, bool tls1_3, bool psk) {
    constexpr std::uint8_t client_hello = 1, server_hello = 2, server_key_exchange = 12,
                           client_key_exchange = 16;
    constexpr std::size_t header = 4, random = 32;
    const auto type = static_cast<std::uint8_t>(m.at(0));
    const auto behind_field = [&](std::size_t at, std::size_t length) {
        return at + length + number(m, at, length);
    };
    if (tls1_3 && (type == client_hello || type == server_hello)) {
        // RFC 8446 §4.1.2, §4.1.3, §4.2.8
        std::size_t at = behind_field(header + 2 + random, 1);
        at = type == client_hello ? behind_field(behind_field(at, 2), 1) : at + 3;
        for (at += 2; at + 4 <= m.size(); at = behind_field(at + 2, 2)) {
            constexpr std::size_t key_share = 51;
            if (number(m, at, 2) != key_share)
                continue;
            std::vector<Place> all;
            const std::size_t end = behind_field(at + 2, 2);
            for (at += type == client_hello ? 6 : 4; at < end; at = behind_field(at + 2, 2))
                all.push_back({at + 4, number(m, at + 2, 2)});
            return all;
        }
        return {};
    }
    if (tls1_3 || (type != server_key_exchange && type != client_key_exchange))
        return {};
    // RFC 5246 §7.4.3 and §7.4.7.2, RFC 8422 §5.4 and §5.7; with a hint or an identity before it:
    // RFC 4279 §2, RFC 5489 §2
    std::size_t at = psk ? behind_field(header, 2) : header;
    if (type == server_key_exchange) {
        if (m.at(at) == 3)  // a named curve
            return {{at + 4, number(m, at + 3, 1)}};
        at = behind_field(behind_field(at, 2), 2);
        return {{at + 2, number(m, at, 2)}};
    }
    const std::size_t length = behind_field(at, 1) == m.size() ? 1 : 2;
    return {{at + length, number(m, at, length)}};
}

// Some of these are no values of their group, and none is what the peer's keys come from.
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
                const bool psk = GetParam().credentials == Credentials::psk;
                for (const Place& place : shares_in(m.bytes, is_tls1_3(), psk)) {
                    ASSERT_LE(place.at + place.size, m.bytes.size());
                    ASSERT_GE(place.size, 32U);
                    std::string share = m.bytes.substr(place.at, place.size);
                    way.change(share);
                    m.bytes.replace(place.at, place.size, share);
                    ++changed;
                }
            };
            bout.shake_hands();
            bout.listen();
            ASSERT_NE(changed, 0U);
            // A value of the group, and so other keys; a binder or a signature over another hello.
            const std::string verdict = bout.verdict();
            const bool psk = GetParam().credentials == Credentials::psk;
            EXPECT_TRUE(verdict == "PROTOCOL" || (!psk && verdict == "RECORD_CORRUPT") ||
                        (psk && verdict == (is_client() ? "PSK_REFUSED" : "PSK_KEY")) ||
                        (psk && is_tls1_3() && verdict == "RECORD_CORRUPT"))
                << describe(bout.victim->error());
        }
}

}  // namespace
}  // namespace rogue
