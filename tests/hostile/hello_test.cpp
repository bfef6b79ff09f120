// Versions and suites that were not offered, and attempts to talk somebody into older ones.

#include <algorithm>

#include "bout.hpp"
#include "hooks.h"

namespace rogue {
namespace {

using namespace std::literals;

class Hello : public Rogue {
  protected:
    static bool is_psk() { return GetParam().credentials == Credentials::psk; }
    // Where things are in a ClientHello or ServerHello (RFC 8446 §4.1): header, then
    static constexpr std::size_t version = 4, random = 6, session = 38;

    /// The victim's result when the peer's first message is changed like this.
    static std::string verdict(const std::function<void(std::string& hello)>& change) {
        Bout bout(GetParam());
        bout.peer.script = [&](Peer& peer, Message& m) {
            if (peer.sent == 0)
                change(m.bytes);
        };
        bout.shake_hands();
        EXPECT_EQ(bout.listen(), "");
        return bout.verdict();
    }
    /// The message with which a server answers a ClientHello that is changed so: 2, ServerHello; 0:
    /// none.
    static int answer(const std::function<void(std::string& hello)>& change) {
        Bout bout(GetParam());
        bout.peer.script = [&](Peer&, Message& m) { change(m.bytes); };
        bout.peer.step();
        bout.victim->handshake(bout.callbacks);
        constexpr std::size_t record_header = 5;
        const std::string text = bout.to_peer.text();
        return text.size() > record_header && text[0] == handshake ? text[record_header] : 0;
    }
    /// Behind the session's identifier: of a ServerHello, the suite that was chosen.
    static std::size_t behind_session(const std::string& hello) {
        return session + 1 + static_cast<std::uint8_t>(hello[session]);
    }
    static void replace(std::string& hello, std::string_view what, std::string_view with) {
        const std::size_t at = hello.find(what, behind_session(hello));
        ASSERT_NE(at, std::string::npos);
        hello.replace(at, what.size(), with);
    }
};
INSTANTIATE_ROGUE(Hello);

TEST_P(Hello, OfAnotherVersionIsRefused) {
    // SSL 2 to TLS 1.1, drafts, future versions, and the one that was not negotiated.
    const std::string_view other = is_tls1_3() ? "\3\3"sv : "\3\4"sv;
    for (const std::string_view number :
         {"\2\0"sv, "\3\0"sv, "\3\1"sv, "\3\2"sv, "\x7f\x1c"sv, "\4\0"sv, "\xff\xff"sv, other}) {
        const std::string was = verdict([&](std::string& hello) {
            // supported_versions (RFC 8446 §4.2.1); before TLS 1.3, the field at the front.
            if (!is_tls1_3())
                hello.replace(version, 2, number);
            else if (is_client())
                replace(hello, "\0\x2b\0\2\3\4"sv, "\0\x2b\0\2"s.append(number));
            else
                replace(hello, "\0\x2b\0\3\2\3\4"sv, "\0\x2b\0\3\2"s.append(number));
        });
        // A ClientHello may offer more than a server of TLS 1.2 knows (RFC 5246 §E.1).
        const bool newer = !is_client() && !is_tls1_3() && number > "\3\3"sv;
        const bool refused = was == "NO_SHARED_VERSION" || was == "PROTOCOL";
        EXPECT_TRUE(refused || newer) << was << " of " << int{number[0]} << "." << int{number[1]};
        EXPECT_NE(was, "ENGINE");
    }
}

// Values of other versions, which servers ignore (RFC 8446 §4.2.1, §4.2.9; RFC 8701), except that
// of SSL 3 (RFC 8446 §D.5).
TEST_P(Hello, OfAClientMayHoldWhatNobodyKnowsYet) {
    // A binder would be of the ClientHello as it was.
    if (is_client() || (is_psk() && is_tls1_3()))
        return;
    for (const std::string_view number : {"\3\4"sv, "\4\0"sv, "\xfa\xfa"sv})
        EXPECT_EQ(answer([&](std::string& hello) { hello.replace(version, 2, number); }), 2)
            << int{number[0]};
    if (is_tls1_3()) {
        for (const std::string_view number : {"\3\1"sv, "\3\2"sv})
            EXPECT_EQ(answer([&](std::string& hello) { hello.replace(version, 2, number); }), 2)
                << int{number[1]};
        EXPECT_EQ(answer([](std::string& hello) { hello.replace(version, 2, "\3\0"sv); }), 0);
        EXPECT_EQ(answer([](std::string& hello) {
                      replace(hello, "\0\x2d\0\2\1\1"sv, "\0\x2d\0\2\1\x0b"sv);
                  }),
                  2);
    }
}

// RFC 5746 §4.1: whose data a renegotiation would join, a client could not know.
TEST_P(Hello, OfAServerSaysHowItRenegotiates) {
    if (!is_client() || is_tls1_3())
        return;
    const std::string was = verdict([](std::string& hello) {
        const std::size_t extensions = behind_session(hello) + 3;
        replace(hello, "\xff\1\0\1\0"sv, ""sv);
        hello[extensions + 1] -= 5;
    });
    EXPECT_EQ(was, "PROTOCOL");
}

// RFC 7507: a client that was downgraded reports it in place of a suite.
TEST_P(Hello, OfAClientThatWasTalkedIntoLessIsNoticed) {
    if (is_client() || is_tls1_3())
        return;
    const auto falls_back = [](std::string& hello) {
        const std::size_t suites = behind_session(hello);
        const std::size_t size = static_cast<std::uint8_t>(hello[suites + 1]);
        hello.replace(suites + size, 2, "\x56\0"sv);
    };
    EXPECT_EQ(answer(falls_back), 2);
    Plan plan = GetParam().plan();
    plan.server.maximum_version = Version::tls1_3;
    Bout bout(GetParam(), plan);
    bout.peer.script = [&](Peer& peer, Message& m) {
        if (peer.sent == 0)
            falls_back(m.bytes);
    };
    bout.shake_hands();
    EXPECT_EQ(bout.verdict(), "PROTOCOL");
    EXPECT_EQ(bout.victim->error().alert_number, 86);
}

TEST_P(Hello, OfAServerTakesWhatWasOffered) {
    if (!is_client())
        return;
    for (const std::string_view suite :
         {"\0\x2f"sv, "\0\0"sv, "\xc0\x13"sv, "\0\x05"sv, "\x13\x07"sv, "\x56\0"sv}) {
        const std::string was =
            verdict([&](std::string& hello) { hello.replace(behind_session(hello), 2, suite); });
        EXPECT_TRUE(was == "PROTOCOL" || was == "NO_SHARED_CIPHER") << was;
    }
    const std::string compressed =
        verdict([&](std::string& hello) { hello[behind_session(hello) + 2] = 1; });
    EXPECT_TRUE(compressed == "PROTOCOL" || compressed == "NO_SHARED_CIPHER") << compressed;
    // RFC 8446 §4.1.3: the server returns the client's session ID.
    if (is_tls1_3()) {
        EXPECT_EQ(verdict([&](std::string& hello) { hello[session + 1] ^= 1; }), "PROTOCOL");
    }
}

TEST_P(Hello, OfAServerThatWasTalkedIntoLessIsNoticed) {
    if (!is_client() || is_tls1_3())
        return;
    // RFC 8446 §4.1.3: by the last bytes of its random, to a client of TLS 1.3.
    for (const std::string_view mark : {"DOWNGRD\1"sv, "DOWNGRD\0"sv, "DOWNGRD\2"sv}) {
        Setting setting = GetParam();
        Plan plan = setting.plan();
        plan.client.maximum_version = Version::tls1_3;
        Bout bout(setting, plan);
        bout.peer.script = [&](Peer& peer, Message& m) {
            if (peer.sent != 0)
                return;
            m.bytes.replace(random + 24, 8, mark);
            rogue_end_server_random(peer.ssl, bytes(mark).data());
        };
        bout.shake_hands();
        bout.listen();
        // The third means nothing.
        EXPECT_EQ(bout.verdict(), mark.back() == 2 ? "open" : "PROTOCOL");
    }
}

}  // namespace
}  // namespace rogue
