// Cut, damaged and made-up bytes: an error that fits, no crash, no wait for ever.

#include <algorithm>
#include <random>

#include "contract.hpp"

namespace contract {
namespace {

enum class Way : std::uint8_t { to_server, to_client };
using Parameters = std::tuple<Case, const char*, Way>;

class Hostile : public testing::TestWithParam<Parameters> {
  protected:
    static Plan setup() {
        const bool psk = std::get<1>(GetParam()) == std::string_view("psk");
        return std::get<0>(GetParam()).with(psk ? with_psk() : with_certificate());
    }
    /// The ring that is tampered with, and the end that reads from it.
    static Ring& ring(Pair& pair) { return to_client() ? pair.to_client : pair.to_server; }
    static Connection& victim(Pair& pair) { return to_client() ? *pair.client : *pair.server; }
    static MemoryCallbacks& callbacks(Pair& pair) {
        return to_client() ? pair.client_callbacks : pair.server_callbacks;
    }
    static const ussl::Engine* engine() {
        const Engines& engines = std::get<0>(GetParam()).engines;
        return to_client() ? engines.client : engines.server;
    }
    static bool to_client() { return std::get<2>(GetParam()) == Way::to_client; }

    /// A whole handshake in which `tamper` is called whenever something may have been written.
    static void handshake(Pair& pair, const std::function<void()>& tamper) {
        for (int round = 0; round < 6; ++round) {
            pair.client->handshake(pair.client_callbacks);
            if (!to_client())
                tamper();
            pair.server->handshake(pair.server_callbacks);
            if (to_client())
                tamper();
        }
        saw(pair.client->error());
        saw(pair.server->error());
    }
    /// The minor version in the header of a record.
    static bool is_in_version(const Ring& ring, std::size_t at) {
        std::size_t record = 0;
        while (record + 5 <= ring.bytes.size() && at >= record) {
            if (at == record + 2)
                return true;
            record += 5U + (static_cast<std::size_t>(ring.bytes[record + 3]) << 8U) +
                      ring.bytes[record + 4];
        }
        return false;
    }
    /// A failure has a row, and not the row of unexpected failures.
    static void expect_explained(const Connection& connection, std::size_t at) {
        if (!connection.failed())
            return;
        EXPECT_FALSE(ussl::name_of(connection.error().code).empty()) << at;
        EXPECT_NE(connection.error().code, Code::ENGINE) << at << describe(connection.error());
    }
};
INSTANTIATE_TEST_SUITE_P(Engines, Hostile,
                         testing::Combine(testing::ValuesIn(all_cases()),
                                          testing::Values("certificate", "psk"),
                                          testing::Values(Way::to_server, Way::to_client)),
                         [](const auto& info) {
                             return testing::PrintToString(std::get<0>(info.param)) + "_" +
                                    std::get<1>(info.param) +
                                    (std::get<2>(info.param) == Way::to_client ? "_to_client"
                                                                               : "_to_server");
                         });

TEST_P(Hostile, AnEndAtAnyByteOfTheHandshakeIsPeerClosed) {
    for (std::size_t cut = 0;; ++cut) {
        Pair pair(setup());
        std::size_t passed = 0;
        bool was_cut = false;
        handshake(pair, [&] {
            Ring& ring = Hostile::ring(pair);
            if (was_cut || passed + ring.bytes.size() <= cut) {
                passed += was_cut ? 0 : ring.bytes.size();
                return;
            }
            ring.bytes.resize(cut - passed);
            ring.closed = was_cut = true;
        });
        if (!was_cut)
            break;
        EXPECT_EQ(victim(pair).error().code, Code::PEER_CLOSED) << cut;
    }
}

TEST_P(Hostile, ABitFlippedInTheHandshakeIsNoticed) {
    for (std::size_t at = 0;; at += 5) {
        Pair pair(setup());
        std::size_t passed = 0;
        bool flipped = false;
        bool in_version = false;
        handshake(pair, [&] {
            Ring& ring = Hostile::ring(pair);
            if (!flipped && at < passed + ring.bytes.size()) {
                in_version = is_in_version(ring, at - passed);
                ring.bytes[at - passed] ^= static_cast<std::uint8_t>(1U << at % 8);
                flipped = true;
            }
            passed += ring.bytes.size();
        });
        if (!flipped)
            break;
        // A length that has grown is waited for. A record's minor version is not looked at in
        // TLS 1.3 (RFC 8446 §5.1), so that a flip in it may go unnoticed where nothing protects it.
        EXPECT_FALSE(!in_version && pair.client->handshake_done() && pair.server->handshake_done())
            << at;
        expect_explained(*pair.client, at);
        expect_explained(*pair.server, at);
    }
}

// RFC 8446 §5.1: a handshake message may be sent in any number of records.
TEST_P(Hostile, AMessageMayBeDividedAnywhere) {
    // Enough for all plaintext messages, and not long.
    for (std::size_t first = 1; first < 600; first += first < 160 ? 1 : 37) {
        Pair pair(setup());
        bool divided = false;
        handshake(pair, [&] {
            Ring& stream = ring(pair);
            std::deque<std::uint8_t> out;
            bool plain = true;
            for (std::size_t at = 0; at + 5 <= stream.bytes.size();) {
                const std::size_t size =
                    (static_cast<std::size_t>(stream.bytes[at + 3]) << 8U) + stream.bytes[at + 4];
                const auto body = stream.bytes.begin() + static_cast<std::ptrdiff_t>(at + 5);
                constexpr std::uint8_t handshake_type = 22;
                plain = plain && stream.bytes[at] == handshake_type;
                const bool divide = plain && !divided && size > first;
                divided = divided || divide;
                const auto put = [&](std::size_t from, std::size_t n) {
                    out.insert(out.end(), body - 5, body - 2);
                    out.push_back(static_cast<std::uint8_t>(n >> 8U));
                    out.push_back(static_cast<std::uint8_t>(n & 0xFFU));
                    const auto begin = body + static_cast<std::ptrdiff_t>(from);
                    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(n));
                };
                put(0, divide ? first : size);
                if (divide)
                    put(first, size - first);
                at += 5 + size;
            }
            ASSERT_LE(stream.bytes.size(), out.size());
            stream.bytes = out;
        });
        constexpr std::size_t header = 4;
        const bool is_lacking = first < header && lacks(engine(), Lacks::short_fragment);
        EXPECT_EQ(victim(pair).error().code, is_lacking ? Code::PROTOCOL : Code::none) << first;
        EXPECT_EQ(victim(pair).handshake_done(), !is_lacking) << first;
        if (!divided)
            return;
    }
}

TEST_P(Hostile, ABitFlippedInARecordIsRecordCorrupt) {
    std::size_t size = 1;
    for (std::size_t at = 0; at < size; ++at) {
        Pair pair(setup());
        ASSERT_TRUE(pair.handshake());
        Connection& sender = to_client() ? *pair.server : *pair.client;
        MemoryCallbacks& sender_host = to_client() ? pair.server_callbacks : pair.client_callbacks;
        write_some(sender, sender_host, "data");
        size = ring(pair).bytes.size();
        // More follows, for a length that has grown.
        write_some(sender, sender_host, pattern(40000));
        ring(pair).bytes[at] ^= static_cast<std::uint8_t>(1U << at % 8);
        EXPECT_EQ(read_all(victim(pair), callbacks(pair)), "");
        EXPECT_EQ(victim(pair).error().code, Code::RECORD_CORRUPT) << at;
        EXPECT_EQ(victim(pair).error().alert, Error::Alert::sent) << at;
    }
}

// Damage behind the first record is no disagreement about versions.
TEST_P(Hostile, AWrongVersionOfARecordIsNotNoSharedVersion) {
    Pair pair(setup());
    bool first = true;
    handshake(pair, [&] {
        std::deque<std::uint8_t>& stream = ring(pair).bytes;
        for (std::size_t at = 0; at + 5 <= stream.size();) {
            if (!first)
                stream[at + 1] = 0x61;
            first = false;
            at += 5U + (static_cast<std::size_t>(stream[at + 3]) << 8U) + stream[at + 4];
        }
    });
    const Code code = victim(pair).error().code;
    EXPECT_TRUE(code == Code::PROTOCOL || code == Code::RECORD_CORRUPT)
        << describe(victim(pair).error());
}

// Shorter than its protection: a nonce, a tag. In the handshake, it is the first record after the
// ChangeCipherSpec.
TEST_P(Hostile, AShortRecordIsRecordCorrupt) {
    static constexpr std::uint16_t gcm[] = {0x1301, 0xC02B, 0x00A8};
    static constexpr std::uint16_t chacha20[] = {0x1303, 0xCCA9, 0xCCAB};
    static constexpr std::uint16_t ccm[] = {0x1304, 0xC0AC, 0xC0A4};
    static constexpr std::uint16_t cbc[] = {0x1301, 0xC009, 0x00AE};
    const bool psk_server = std::get<1>(GetParam()) == std::string_view("psk") && !to_client();
    for (const auto& suites : {std::span(gcm), std::span(chacha20), std::span(ccm), std::span(cbc)})
        for (const std::size_t size : {1, 15, 31})
            for (const bool in_handshake : {true, false}) {
                Plan made = setup();
                made.client.suites = made.server.suites = suites;
                Pair pair(made);
                bool cut = false;
                const auto cut_record = [&] {
                    std::deque<std::uint8_t>& stream = ring(pair).bytes;
                    bool is_protected = !in_handshake;
                    for (std::size_t at = 0; at + 5 <= stream.size() && !cut;) {
                        if (is_protected) {
                            stream.resize(at + 5 + size);
                            stream[at + 3] = 0;
                            stream[at + 4] = static_cast<std::uint8_t>(size);
                            cut = true;
                        }
                        is_protected = is_protected || stream[at] == 20;
                        at +=
                            5U + (static_cast<std::size_t>(stream[at + 3]) << 8U) + stream[at + 4];
                    }
                };
                if (in_handshake) {
                    handshake(pair, cut_record);
                } else {
                    ASSERT_TRUE(pair.handshake());
                    Connection& sender = to_client() ? *pair.server : *pair.client;
                    write_some(sender, to_client() ? pair.server_callbacks : pair.client_callbacks,
                               "data");
                    cut_record();
                    EXPECT_EQ(read_all(victim(pair), callbacks(pair)), "");
                }
                ASSERT_TRUE(cut);
                // To a server of keys it looks as if the client's were another.
                const Code wanted =
                    in_handshake && psk_server ? Code::PSK_KEY : Code::RECORD_CORRUPT;
                EXPECT_EQ(victim(pair).error().code, wanted)
                    << size << in_handshake << suites[1] << describe(victim(pair).error());
            }
}

TEST_P(Hostile, RecordsThatAreMadeUpAreExplained) {
    std::mt19937 random(1);
    for (std::size_t i = 0; i < 200; ++i) {
        Pair pair(setup());
        if (i % 2 == 0) {
            ASSERT_TRUE(pair.handshake());
        }
        Ring& ring = Hostile::ring(pair);
        ring.bytes.clear();
        const std::size_t size = random() % 40;
        for (const std::size_t byte : {20 + random() % 5, 3UL, 3UL, 0UL, size})
            ring.bytes.push_back(static_cast<std::uint8_t>(byte));
        for (std::size_t k = 0; k < size; ++k)
            ring.bytes.push_back(static_cast<std::uint8_t>(random() % (i % 4 < 2 ? 256 : 4)));
        ring.closed = true;
        for (int k = 0; k < 4; ++k)
            read_all(victim(pair), callbacks(pair));
        EXPECT_TRUE(victim(pair).failed()) << i;
        expect_explained(victim(pair), i);
    }
}

using FirstRecord = EachPair;
INSTANTIATE_EACH_PAIR(FirstRecord);

// With any version in its header: a peer that answers with an alert has not selected a version.
TEST_P(FirstRecord, ThatIsAnAlertIsReported) {
    for (const int minor : {0, 1, 3})
        for (const bool at_client : {true, false}) {
            SCOPED_TRACE(testing::Message() << minor << at_client);
            Pair pair(plan(with_certificate()));
            Connection& victim = at_client ? *pair.client : *pair.server;
            MemoryCallbacks& callbacks = at_client ? pair.client_callbacks : pair.server_callbacks;
            callbacks.in.bytes = {21, 3, static_cast<std::uint8_t>(minor), 0, 2, 2, 40};
            victim.handshake(callbacks);
            victim.handshake(callbacks);
            EXPECT_EQ(victim.error().code, Code::HANDSHAKE_FAILED);
            EXPECT_EQ(victim.error().alert, Error::Alert::received);
            EXPECT_EQ(victim.error().alert_number, 40) << describe(victim.error());
        }
}

using Ancient = EachPair;
INSTANTIATE_EACH_PAIR(Ancient);

// RFC 5246 §7.4.1.4.1: it would have to be SHA-1.
TEST_P(Ancient, ClientsWithoutSignatureAlgorithmsHaveNoneInCommon) {
    Plan made = plan(with_certificate());
    only(made, Version::tls1_2);
    Pair pair(made);
    pair.client->handshake(pair.client_callbacks);
    auto& hello = pair.to_server.bytes;
    constexpr std::uint8_t signature_algorithms[] = {0, 13, 0};
    const auto at = std::search(hello.begin() + 80, hello.end(), std::begin(signature_algorithms),
                                std::end(signature_algorithms));
    ASSERT_NE(at, hello.end());
    *at = 0x7F;  // an extension that nobody knows
    pair.server->handshake(pair.server_callbacks);
    const bool goes_on = lacks(GetParam().server, Lacks::no_signature_algorithms);
    EXPECT_EQ(pair.server->error().code, goes_on ? Code::none : Code::NO_SHARED_CIPHER);
}

using Unreadable = EachPair;
INSTANTIATE_EACH_PAIR(Unreadable);

TEST_P(Unreadable, AKeyInACertificateIsCertInvalid) {
    Plan made = plan(with_certificate());
    only(made, Version::tls1_2);
    Pair pair(made);
    pair.client->handshake(pair.client_callbacks);
    pair.server->handshake(pair.server_callbacks);
    // The name of the curve, secp256r1 (RFC 5480 §2.1.1.1), has another tag than an object
    // identifier.
    static constexpr std::uint8_t curve[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7};
    const auto found = std::ranges::search(pair.to_client.bytes, curve);
    ASSERT_FALSE(found.empty());
    *found.begin() = 0xE2;
    pair.client->handshake(pair.client_callbacks);
    EXPECT_EQ(pair.client->error().code, Code::CERT_INVALID) << describe(pair.client->error());
}

using Strangers = EachPair;
INSTANTIATE_EACH_PAIR(Strangers);

TEST_P(Strangers, WhoSayAWordAndGoDoNotSpeakTls) {
    for (const char* word : {"n", "no", "no\n", "nope", "HTTP/1.0 400\r\n\r\n"}) {
        Pair pair(plan(with_certificate()));
        const Bytes sent = bytes(word);
        for (Ring* ring : {&pair.to_client, &pair.to_server}) {
            ring->bytes.assign(sent.begin(), sent.end());
            ring->closed = true;
        }
        pair.client->handshake(pair.client_callbacks);
        pair.server->handshake(pair.server_callbacks);
        EXPECT_EQ(pair.client->error().code, Code::NOT_TLS) << word;
        EXPECT_EQ(pair.server->error().code, Code::NOT_TLS) << word;
    }
}

}  // namespace
}  // namespace contract
