// Messages that a peer with the keys sends out of order: none of them may have an effect.

#include <algorithm>

#include "bout.hpp"

namespace rogue {
namespace {

using namespace std::literals;

class Messages : public Rogue {};
INSTANTIATE_ROGUE(Messages);

TEST_P(Messages, AreSentByThePeerAsOneMeansThem) {
    Bout bout(GetParam());
    bout.shake_hands();
    ASSERT_EQ(bout.verdict(), "open") << describe(bout.victim->error());
    bout.peer.write("one");
    bout.peer.send(data, "two");
    bout.peer.write("three");
    EXPECT_EQ(bout.listen(), "onetwothree");
    EXPECT_TRUE(bout.talk());
}

/// An unexpected record, and the allowed results of its receiver, with "|" between them. A result
/// is a row of the error table, or one of these words. "refused": the error for an alert of the
/// peer at that time. "closed": the error for its close_notify. "open": no effect, and the
/// conversation continues.
struct Extra {
    std::string_view name;
    std::uint8_t record;
    std::string bytes;
    std::string_view handshake_1_2;
    std::string_view after_1_2;
    std::string_view handshake_1_3;
    std::string_view after_1_3;
    /// OpenSSL passes over it.
    bool means_nothing = false;
};

const std::vector<Extra>& extras() {
    static constexpr std::string_view no = "PROTOCOL";
    static const std::vector<Extra> all = [] {
        std::vector<Extra> made;
        const auto all_refuse = [&](std::string_view name, std::uint8_t record, std::string bytes) {
            made.push_back({name, record, std::move(bytes), no, no, no, no});
        };
        const std::string words(40, '\1');
        // RFC 5246 §7.4.1.1: passed over by who is at it, and answered with no_renegotiation later.
        made.push_back({"hello_request", handshake, message(0), "PROTOCOL|open", "PROTOCOL|open",
                        no, no, true});
        // An answer is owed to it in TLS 1.2 (RFC 5246 §7.2.2). Of its version, words do not tell.
        made.push_back({"client_hello", handshake, message(1, words), "PROTOCOL|NO_SHARED_VERSION",
                        "PROTOCOL|open", "PROTOCOL|NO_SHARED_VERSION", no});
        made.push_back({"server_hello", handshake, message(2, words), "PROTOCOL|NO_SHARED_VERSION",
                        no, "PROTOCOL|NO_SHARED_VERSION", no});
        // Words name no algorithm that there is.
        made.push_back({"server_key_exchange", handshake, message(12, words),
                        "PROTOCOL|NO_SHARED_CIPHER", no, no, no});
        made.push_back({"certificate_verify", handshake, message(15, words),
                        "PROTOCOL|NO_SHARED_CIPHER", no, "PROTOCOL|NO_SHARED_CIPHER", no});
        all_refuse("hello_verify_request", handshake, message(3, words));
        // Who does not resume, as with keys, does not look into it.
        made.push_back(
            {"new_session_ticket", handshake, message(4, words), no, no, no, "PROTOCOL|open"});
        all_refuse("end_of_early_data", handshake, message(5));
        all_refuse("hello_retry_request", handshake, message(6, words));
        all_refuse("encrypted_extensions", handshake, message(8, words));
        all_refuse("certificate", handshake, message(11, words));
        all_refuse("certificate_request", handshake, message(13, words));
        all_refuse("server_hello_done", handshake, message(14));
        all_refuse("client_key_exchange", handshake, message(16, words));
        all_refuse("finished", handshake, message(20, words));
        all_refuse("certificate_url", handshake, message(21, words));
        all_refuse("certificate_status", handshake, message(22, words));
        all_refuse("supplemental_data", handshake, message(23, words));
        all_refuse("key_update", handshake, message(24, "\2"));  // 0 and 1 are known
        all_refuse("key_update_long", handshake, message(24, "\0\0"sv));
        all_refuse("compressed_certificate", handshake, message(25, words));
        all_refuse("next_protocol", handshake, message(67, words));
        all_refuse("message_hash", handshake, message(254, words));
        all_refuse("of_no_type", handshake, message(99, words));
        made.push_back({"empty_handshake", handshake, "", no, no, no, no, true});
        // Of two, the second finds that the keys have changed.
        made.push_back({"change_cipher_spec", change_cipher_spec, "\1",
                        "PROTOCOL|RECORD_CORRUPT|PSK_KEY", no, no, no});
        all_refuse("change_cipher_spec_2", change_cipher_spec, "\2");
        all_refuse("change_cipher_spec_twice", change_cipher_spec, "\1\1");
        made.push_back({"empty_change_cipher_spec", change_cipher_spec, "", no, no, no, no, true});
        made.push_back({"user_canceled", alert, "\1\x5a", "open", "open", "open", "open"});
        // RFC 8446 §6.2: in TLS 1.3, all others are errors at any level.
        made.push_back({"unknown_warning", alert, "\1\x63", "open", "open", "refused", "refused"});
        made.push_back(
            {"no_renegotiation", alert, "\1\x64", no, no, "PROTOCOL|refused", "refused"});
        made.push_back({"fatal", alert, "\2\x28", "refused", "refused", "refused", "refused"});
        made.push_back(
            {"unknown_fatal", alert, "\2\x63", "refused", "refused", "refused", "refused"});
        made.push_back({"level_3", alert, "\3\x28", no, no, "refused", "refused"});
        made.push_back({"close_notify", alert, "\1\0"s, "closed", "closed", "closed", "closed"});
        made.push_back(
            {"close_notify_fatal", alert, "\2\0"s, "refused", "refused", "closed", "closed"});
        all_refuse("half_an_alert", alert, "\2");
        all_refuse("two_alerts", alert, "\1\x5a\1\x5a");
        all_refuse("empty_alert", alert, "");
        made.push_back({"data", data, "too early", no, "open", no, "open"});
        made.push_back({"empty_data", data, "", no, "open", no, "open"});
        // In TLS 1.2 their type is not protected, and may be damage to Mbed TLS.
        made.push_back({"heartbeat", heartbeat, "\1\0\1x"s, no, "PROTOCOL|RECORD_CORRUPT", no, no});
        made.push_back({"type_25", 25, "words", no, "PROTOCOL|RECORD_CORRUPT", no, no});
        made.push_back({"type_0", 0, "words", no, "PROTOCOL|RECORD_CORRUPT", no, no});
        return made;
    }();
    return all;
}

bool is_renegotiation(const Extra& extra) {
    return extra.name == "hello_request" || extra.name == "client_hello";
}

bool allows(std::string_view allowed, const Setting& setting, bool after,
            std::string_view verdict) {
    while (!allowed.empty()) {
        const std::string_view one = allowed.substr(0, allowed.find('|'));
        allowed.remove_prefix(std::min(allowed.size(), one.size() + 1));
        const bool psk = setting.credentials == Credentials::psk;
        if (one == verdict)
            return true;
        if (one == "refused" &&
            (after ? verdict == "ALERT"
                   : verdict == "HANDSHAKE_FAILED" || (psk && verdict == "PSK_REFUSED")))
            return true;
        if (one == "closed" && verdict == (after ? "ended" : "PEER_CLOSED"))
            return true;
    }
    return false;
}

/// How many messages the peer sends in a handshake.
unsigned messages_of(const Setting& setting) {
    Bout bout(setting);
    bout.shake_hands();
    EXPECT_EQ(bout.verdict(), "open");
    return bout.peer.sent;
}

TEST_P(Messages, ThatNobodyExpectsAreRefused) {
    const unsigned count = messages_of(GetParam());
    for (unsigned at = 0; at <= count; ++at)
        for (const Extra& extra : extras()) {
            SCOPED_TRACE(std::string(extra.name) + " before message " + std::to_string(at) +
                         " of " + std::to_string(count));
            const bool after = at == count;
            Bout bout(GetParam());
            bool sent = false;
            bout.peer.script = [&](Peer& peer, Message&) {
                if (peer.sent != at)
                    return;
                peer.send(extra.record, extra.bytes);
                sent = true;
            };
            bout.shake_hands();
            if (after) {
                bout.peer.send(extra.record, extra.bytes);
                sent = true;
            }
            ASSERT_TRUE(sent);
            const std::string heard = bout.listen();
            const std::string verdict = bout.verdict();

            std::string_view allowed = after ? is_tls1_3() ? extra.after_1_3 : extra.after_1_2
                                       : is_tls1_3() ? extra.handshake_1_3
                                                     : extra.handshake_1_2;
            bool good = allows(allowed, GetParam(), after, verdict);
            // The first message selects the version, and a server's first is a ClientHello. Data
            // that does not look like TLS is NOT_TLS.
            if (at == 0)
                good = good || allows(extra.handshake_1_2, GetParam(), false, verdict) ||
                       allows(extra.handshake_1_3, GetParam(), false, verdict) ||
                       (!is_client() && verdict == "PROTOCOL") ||
                       (extra.record == change_cipher_spec && is_tls1_3() && verdict == "open") ||
                       ((extra.record < 20 || extra.record > 24) && verdict == "NOT_TLS");
            // OpenSSL does not listen to alerts between ChangeCipherSpec and Finished.
            if (extra.record == alert && at + 1 == count && !is_tls1_3())
                good = good || verdict == "PROTOCOL";
            if (extra.means_nothing && lacks(Lacks::means_nothing))
                good = good || verdict == "open";
            EXPECT_TRUE(good) << verdict << ", and not " << allowed;
            if (verdict == "open") {
                EXPECT_EQ(heard, extra.name == "data" ? extra.bytes : "");
                // Who has asked for a new handshake is told no, and may not like that.
                EXPECT_TRUE(is_renegotiation(extra) && after ? bout.tell() : bout.talk());
            } else {
                EXPECT_EQ(heard, "");
            }
            // A peer is told why.
            if (verdict == "PROTOCOL" || verdict == "RECORD_CORRUPT") {
                EXPECT_EQ(bout.victim->error().alert, Error::Alert::sent);
                EXPECT_FALSE(bout.to_peer.bytes.empty());
            }
        }
}

// Nobody who polls is told that there is something to read while the answer is stuck.
TEST_P(Messages, ThatWantAnAnswerDoNotKeepAPollBusy) {
    if (is_tls1_3() || !is_client())
        return;
    Plan plan = GetParam().plan();
    plan.read_ahead = true;
    Bout bout(GetParam(), plan);
    bout.shake_hands();
    ASSERT_EQ(bout.verdict(), "open");
    bout.peer.send(handshake, message(0));  // HelloRequest
    bout.peer.write("x");
    bout.to_peer.capacity = 0;
    std::uint8_t byte = 0;
    // OpenSSL sends it when it can, and continues.
    Progress progress = bout.victim->read(bout.callbacks, {&byte, 1});
    if (progress.kind == Kind::blocked) {
        EXPECT_EQ(bout.victim->poll_interest(Direction::read), ussl::PollInterest::stream_writable);
        bout.to_peer.capacity = 1000;
        progress = bout.victim->read(bout.callbacks, {&byte, 1});
    }
    EXPECT_EQ(progress.kind, Kind::done);
    EXPECT_EQ(byte, 'x');
}

// Its Finished messages match the sent messages: only the order is wrong.
TEST_P(Messages, AreAllNeeded) {
    enum Way : std::uint8_t { left_out, twice, swapped };
    const unsigned count = messages_of(GetParam());
    for (unsigned at = 0; at < count; ++at)
        for (const Way way : {left_out, twice, swapped}) {
            if (way == swapped && at + 1 == count)
                continue;
            Message held;
            Bout bout(GetParam());
            bout.peer.script = [&](Peer& peer, Message& m) {
                if (peer.sent == at) {
                    held = m;
                    if (way == twice)
                        peer.send(m.record, m.bytes);
                    else
                        m.bytes.clear();
                } else if (peer.sent == at + 1 && way == swapped) {
                    peer.send(m.record, m.bytes);
                    m = held;
                }
            };
            bout.shake_hands();
            bout.listen();
            EXPECT_TRUE(bout.victim->failed() || !bout.victim->handshake_done())
                << "message " << at << " of " << count << ", type " << int{held.type()}
                << (way == left_out ? " left out"
                    : way == twice  ? " twice"
                                    : " and the next one swapped");
            EXPECT_NE(bout.verdict(), "ENGINE") << describe(bout.victim->error());
        }
}

// Each one is harmless, or answered. A peer that sends nothing else only costs time.
TEST_P(Messages, DoNotComeForEver) {
    constexpr unsigned many = 3000;
    for (const Extra& extra : extras()) {
        SCOPED_TRACE(extra.name);
        Bout bout(GetParam());
        bout.shake_hands();
        for (unsigned i = 0; i < many; ++i)
            bout.peer.send(extra.record, extra.bytes);
        const std::string heard = bout.listen();
        if (extra.name == "data") {
            EXPECT_EQ(heard.size(), many * extra.bytes.size());
            EXPECT_TRUE(bout.talk());
        } else if (extra.name == "new_session_ticket" && bout.verdict() == "open") {
            EXPECT_TRUE(bout.talk());
        } else if (is_renegotiation(extra) && bout.verdict() == "open") {
            // Each is answered with one alert.
            EXPECT_LE(bout.to_peer.bytes.size(), many * 64U);
            EXPECT_TRUE(bout.tell());
        } else {
            EXPECT_NE(bout.verdict(), "open");
            EXPECT_GT(bout.to_victim.bytes.size(), bout.verdict() == "ended" ? 0U : 100U);
        }
    }
}

}  // namespace
}  // namespace rogue
