// Records that are too long, forged, late, or never complete; and thousands of records.

#include <malloc.h>

#include "bout.hpp"

namespace rogue {
namespace {

using namespace std::literals;

class Records : public Rogue {};
INSTANTIATE_ROGUE(Records);

// From its header on: nobody waits for the rest, or has memory for it.
TEST_P(Records, ThatAnnounceTooMuchAreRefusedAtOnce) {
    for (const bool after : {false, true})
        for (const std::string_view length : {"\x49\0"sv, "\x80\0"sv, "\xff\xff"sv}) {
            Bout bout(GetParam());
            if (after)
                bout.shake_hands();
            bout.peer.send_raw((after ? "\x17\3\3"s : "\x16\3\3"s).append(length));
            bout.victim->handshake(bout.callbacks);
            bout.listen();
            EXPECT_TRUE(bout.verdict() == "PROTOCOL" || bout.verdict() == "RECORD_CORRUPT")
                << bout.verdict() << after;
        }
}

// 16 MB, by the three bytes of its length. OpenSSL rejects it at once, Mbed TLS when more than one
// record of it has arrived.
TEST_P(Records, OfAMessageThatAnnouncesTooMuchAreRefused) {
    const std::string piece(4000, 'x');
    const auto send_all = [&](Peer& peer, const std::string& beginning) {
        peer.send(handshake, beginning + piece);
        for (int i = 0; i < 5; ++i)
            peer.send(handshake, piece);
    };
    for (unsigned at = 0; at < 3; ++at) {
        Bout bout(GetParam());
        bool sent = false;
        bool in_place = false;  // where certificates are expected
        bout.peer.script = [&](Peer& peer, Message& m) {
            if (peer.sent != at)
                return;
            constexpr std::uint8_t certificate = 11;
            constexpr std::uint8_t certificate_request = 13;
            in_place = m.type() == certificate ||
                       (m.type() == certificate_request && GetParam().version == Version::tls1_3);
            m.bytes.clear();
            send_all(peer, "\x0b\xff\xff\xff");
            sent = true;
        };
        bout.shake_hands();
        if (!sent)
            break;
        EXPECT_EQ(bout.verdict(), in_place ? "CERT_CHAIN_TOO_LONG" : "PROTOCOL") << at;
    }
    // A ticket, to who is open.
    Bout bout(GetParam());
    bout.shake_hands();
    send_all(bout.peer, "\4\xff\xff\xff");
    bout.listen();
    EXPECT_EQ(bout.verdict(), "PROTOCOL");
}

// Any attacker on the network can send unprotected records.
TEST_P(Records, WithoutProtectionSayNothing) {
    for (const std::string& forged :
         {"\x15\3\3\0\2\1\0"s, "\x15\3\3\0\2\2\x28"s, "\x17\3\3\0\5words"s, "\x14\3\3\0\1\1"s,
          "\x16\3\3\0\4\0\0\0\0"s}) {
        Bout bout(GetParam());
        bout.shake_hands();
        bout.peer.send_raw(forged);
        EXPECT_EQ(bout.listen(), "");
        EXPECT_EQ(bout.verdict(), "RECORD_CORRUPT");
    }
}

TEST_P(Records, BehindAGoodbyeAreNotRead) {
    Bout bout(GetParam());
    bout.shake_hands();
    bout.peer.write("last words");
    bout.peer.close_notify();
    bout.peer.send(data, "more");
    bout.peer.send(alert, "\2\x28");
    bout.peer.send_raw("noise");
    EXPECT_EQ(bout.listen(), "last words");
    EXPECT_EQ(bout.verdict(), "ended");
    EXPECT_EQ(bout.listen(), "");
    EXPECT_EQ(bout.verdict(), "ended");
}

TEST_P(Records, BehindAFatalAlertAreNotRead) {
    Bout bout(GetParam());
    bout.shake_hands();
    bout.peer.send(alert, "\2\x28");
    bout.peer.send(data, "more");
    EXPECT_EQ(bout.listen(), "");
    EXPECT_EQ(bout.verdict(), "ALERT");
    EXPECT_EQ(bout.listen(), "");
}

// A handshake of one byte at a time costs a look at the stream for each, and no more.
TEST_P(Records, MayComeByteByByte) {
    Bout bout(GetParam());
    std::size_t bytes = 0;
    for (int round = 0; round < 8; ++round) {
        bout.peer.step();
        std::deque<std::uint8_t> come;
        come.swap(bout.to_victim.bytes);
        for (const std::uint8_t byte : come) {
            bout.to_victim.bytes.push_back(byte);
            const int before = bout.callbacks.reads;
            bout.victim->handshake(bout.callbacks);
            EXPECT_LE(bout.callbacks.reads - before, 4);
            ++bytes;
        }
        if (come.empty())
            bout.victim->handshake(bout.callbacks);
    }
    EXPECT_GT(bytes, 100U);
    EXPECT_EQ(bout.verdict(), "open");
}

// A client that connects and sends no data: no call waits, or polls repeatedly.
TEST_P(Records, MayNeverCome) {
    Bout bout(GetParam());
    for (int i = 0; i < 100; ++i) {
        const int before = bout.callbacks.reads;
        EXPECT_EQ(bout.victim->handshake(bout.callbacks).kind, Kind::blocked);
        EXPECT_LE(bout.callbacks.reads - before, 2);
    }
    bout.victim->close(bout.callbacks);
}

TEST_P(Records, OfTicketsByTheThousandTakeNoRoom) {
    if (!is_client() || !is_tls1_3() || GetParam().credentials != Credentials::certificate)
        return;
    Plan plan = GetParam().plan();
    plan.server.resumption = true;
    Bout bout(GetParam(), plan);
    std::string ticket;
    bout.peer.script = [&](Peer&, Message& m) {
        if (m.type() == 4)
            ticket = m.bytes;
    };
    bout.shake_hands();
    ASSERT_FALSE(ticket.empty());
    std::size_t taken = 0;
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 1000; ++i) {
            bout.peer.send(handshake, ticket);
            if (i % 100 == 0) {
                EXPECT_TRUE(bout.tell());
            }
        }
        EXPECT_TRUE(bout.tell());
        EXPECT_FALSE(bout.victim->session().empty());
        const std::size_t now = mallinfo2().uordblks;
        if (round > 0) {
            EXPECT_LT(now, taken + 65536) << round;
        }
        taken = round == 0 ? now : taken;
    }
    EXPECT_TRUE(bout.talk());
}

}  // namespace
}  // namespace rogue
