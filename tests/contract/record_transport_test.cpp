// The record transport over a stream.

#include "contract.hpp"

namespace contract {
namespace {

struct Ends {
    Ring in, out;
    MemoryCallbacks callbacks{in, out};
    ussl::RecordTransport wire;
    Ends() { wire.attach(callbacks); }

    IoResult feed(std::string_view data) {
        in.add(data);
        std::uint8_t buffer[100];
        return wire.read(buffer);
    }
};

TEST(RecordTransport, KnowsWhereRecordsEnd) {
    Ends ends;
    EXPECT_FALSE(ends.wire.inside_record());
    for (const std::string_view piece :
         {std::string_view("\x17\x03", 2), std::string_view("\x03\x00", 2),
          std::string_view("\x02", 1), std::string_view("a", 1)}) {
        ends.feed(piece);
        EXPECT_TRUE(ends.wire.inside_record());
    }
    ends.feed("b");
    EXPECT_FALSE(ends.wire.inside_record());
    ends.feed({"\x17\x03\x03\x00\x00\x17\x03\x03\x01\x00", 10});
    EXPECT_TRUE(ends.wire.inside_record());
    EXPECT_FALSE(ends.wire.not_tls());
}

TEST(RecordTransport, LooksAtTheFirstRecordOnlyForWhetherItIsTls) {
    Ends http;
    http.feed("HTTP/1.1");
    EXPECT_TRUE(http.wire.not_tls());
    Ends version;
    version.feed({"\x16\x48", 2});
    EXPECT_TRUE(version.wire.not_tls());
    Ends later;
    later.feed({"\x16\x03\x01\x00\x00H", 6});
    EXPECT_FALSE(later.wire.not_tls());
}

TEST(RecordTransport, HandsOverAChangeCipherSpecAsARecordOfNoTypeOnceItIsRejected) {
    constexpr std::string_view records("\x17\3\3\0\1\x14\x14\3\3\0\1\1", 12);
    Ends ends;
    for (const bool rejects : {false, true}) {
        if (rejects)
            ends.wire.reject_change_cipher_spec();
        ends.in.add(records);
        std::string read;
        for (char byte = 0; !ends.in.bytes.empty(); read += byte)
            ends.wire.read({reinterpret_cast<std::uint8_t*>(&byte), 1});
        std::string expected(records);
        expected[6] = rejects ? '\0' : '\x14';
        EXPECT_EQ(read, expected);
    }
}

TEST(RecordTransport, KeepsTheFatalAlertThatIsTheFirstRecord) {
    constexpr std::string_view fatal("\x15\3\3\0\2\2\x28", 7);
    Ends whole;
    whole.feed(fatal);
    EXPECT_EQ(whole.wire.first_alert(), 40);
    Ends byte_by_byte;
    for (const char byte : fatal) {
        EXPECT_EQ(byte_by_byte.wire.first_alert(), 0);
        byte_by_byte.feed({&byte, 1});
    }
    EXPECT_EQ(byte_by_byte.wire.first_alert(), 40);
    Ends later;
    later.feed({"\x16\3\3\0\1a", 6});
    later.feed(fatal);
    EXPECT_EQ(later.wire.first_alert(), 0);
    Ends warning;
    warning.feed({"\x15\3\3\0\2\1\0", 7});
    EXPECT_EQ(warning.wire.first_alert(), 0);
}

TEST(RecordTransport, SwallowsWritesOnceTheStreamTakesNoMore) {
    Ends ends;
    ends.callbacks.next_write = IoResult::failed(32);
    EXPECT_EQ(ends.wire.write(bytes("abc")).count, 3U);
    EXPECT_EQ(ends.wire.write_errno(), 32);
    EXPECT_EQ(ends.wire.write(bytes("abcd")).count, 4U);
    EXPECT_EQ(ends.callbacks.writes, 1);
}

TEST(RecordTransport, KeepsTheEndOfWhatCouldNotLeave) {
    Ends ends;
    ends.out.capacity = 2;
    EXPECT_EQ(ends.wire.write(bytes("alert")).count, 2U);
    EXPECT_EQ(ends.wire.write(bytes("ert")).kind, IoResult::Kind::would_block);
    ends.out.capacity = 4;
    ends.wire.send_rest(ends.callbacks);
    EXPECT_EQ(ends.out.text(), "aler");
    ends.out.capacity = 100;
    ends.wire.send_rest(ends.callbacks);
    ends.wire.send_rest(ends.callbacks);
    EXPECT_EQ(ends.out.text(), "alert");
}

TEST(RecordTransport, IsFinalAboutFailures) {
    Ends ends;
    ends.callbacks.next_read = IoResult::failed(104);
    EXPECT_EQ(ends.feed("").error, 104);
    ends.callbacks.next_read.reset();
    EXPECT_EQ(ends.feed("more").error, 104);
    Ends aborted;
    aborted.wire.abort();
    EXPECT_EQ(aborted.feed("more").kind, IoResult::Kind::aborted);
    EXPECT_EQ(aborted.wire.write(bytes("x")).kind, IoResult::Kind::bytes);
    Ends ended;
    ended.in.closed = true;
    EXPECT_EQ(ended.feed("").kind, IoResult::Kind::end);
    EXPECT_EQ(ended.feed("more").kind, IoResult::Kind::end);
}

TEST(RecordTransport, IsInterruptedForOneCall) {
    Ends ends;
    ends.callbacks.next_read = IoResult::aborted();
    EXPECT_EQ(ends.feed("").kind, IoResult::Kind::would_block);
    EXPECT_TRUE(ends.wire.interrupted());
    // The exception is not replaced by another one.
    ends.callbacks.next_read.reset();
    const int calls = ends.callbacks.reads + ends.callbacks.writes;
    EXPECT_EQ(ends.feed("more").kind, IoResult::Kind::would_block);
    EXPECT_EQ(ends.wire.write(bytes("x")).kind, IoResult::Kind::would_block);
    EXPECT_EQ(ends.callbacks.reads + ends.callbacks.writes, calls);
    ends.wire.attach(ends.callbacks);
    EXPECT_FALSE(ends.wire.interrupted());
    EXPECT_EQ(ends.feed("").kind, IoResult::Kind::bytes);
}

TEST(RecordTransport, ReadsAheadAndHandsOutWhatIsAskedFor) {
    Ends ends;
    ends.wire.reads_ahead(true);
    ends.in.add({"\x17\x03\x03\x00\x02xy\x17\x03\x03\x00\x01", 12});
    std::uint8_t header[5];
    EXPECT_EQ(ends.wire.read(header).count, 5U);
    EXPECT_TRUE(ends.in.bytes.empty());
    EXPECT_TRUE(ends.wire.inside_record());
    EXPECT_TRUE(ends.wire.holds_record());
    std::uint8_t body[2];
    EXPECT_EQ(ends.wire.read(body).count, 2U);
    EXPECT_EQ(body[1], 'y');
    // The header of the next is there, its body is not.
    EXPECT_FALSE(ends.wire.inside_record());
    EXPECT_FALSE(ends.wire.holds_record());
    EXPECT_EQ(ends.wire.read({header, 3}).count, 3U);
    EXPECT_FALSE(ends.wire.holds_record());
    // The end is reported after the buffered data, and not earlier.
    ends.in.closed = true;
    EXPECT_EQ(ends.wire.read({header, 5}).count, 2U);
    EXPECT_FALSE(ends.wire.ended());
    EXPECT_EQ(ends.wire.read({header, 5}).kind, IoResult::Kind::end);
    EXPECT_TRUE(ends.wire.ended());
    EXPECT_TRUE(ends.wire.inside_record());
}

TEST(RecordTransport, HoldsARecordWhoseHeaderWasHandedOutInPart) {
    Ends ends;
    ends.wire.reads_ahead(true);
    ends.in.add({"\x17\x03\x03\x00\x02xy", 7});
    std::uint8_t header[3];
    EXPECT_EQ(ends.wire.read(header).count, 3U);
    EXPECT_TRUE(ends.wire.holds_record());
    EXPECT_EQ(ends.wire.ahead().size(), 4U);
    ends.wire.reads_ahead(false);
    std::uint8_t rest[10];
    EXPECT_EQ(ends.wire.read(rest).count, 4U);
    EXPECT_FALSE(ends.wire.holds_record());
}

}  // namespace
}  // namespace contract
