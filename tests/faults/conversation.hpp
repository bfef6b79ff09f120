#pragma once

// Complete conversations, from the handshake to close_notify or to a close() with unsent data, over
// streams that fail at the place that a test selects.

#include <expected>

#include "../contract/contract.hpp"

namespace contract {

/// The fault in one call on a stream, or at one received byte.
struct Fault {
    enum class Kind : std::uint8_t {
        none,
        would_block,
        timed_out,
        one_byte,     ///< one byte moves, however many could
        end,          ///< the end of the stream
        reset,        ///< ECONNRESET, both ways, from then on
        interrupted,  ///< EINTR, once
        aborted,      ///< the program ends the call, once (a Python stream raised)
        garbage,      ///< bytes that nobody sent, before the next ones
        flip,         ///< one bit of the next bytes
    };
    Kind kind = Kind::none;
    std::size_t at_call = 0;         ///< the nth on this stream, from 1; 0: none of them
    std::size_t at_byte = SIZE_MAX;  ///< of the received bytes
};
std::ostream& operator<<(std::ostream& out, Fault::Kind kind);

/// One end's stream, with one fault in it.
class Faulty {
  public:
    Faulty(Ring& in, Ring& out);
    Faulty(const Faulty&) = delete;
    Faulty& operator=(const Faulty&) = delete;

    [[nodiscard]] std::size_t calls() const {
        return static_cast<std::size_t>(callbacks.reads) +
               static_cast<std::size_t>(callbacks.writes);
    }
    /// Where in its record (0: the first byte of its header), of which type, the bit was flipped.
    struct Place {
        std::size_t offset = SIZE_MAX;
        std::uint8_t type = 0;
        std::size_t record = 0;  ///< the number of records before it
    };

    MemoryCallbacks callbacks;
    Fault fault;
    Faulty* peer = nullptr;
    bool happened = false;
    bool gone = false;         ///< this end has closed
    std::size_t idle = 0;      ///< calls in a row that moved nothing
    std::size_t come_in = 0;   ///< bytes that were read
    std::size_t gone_out = 0;  ///< and written
    Place flipped;

  private:
    std::optional<IoResult> disturb(Direction direction);
    std::optional<IoResult> read_fault();
    std::optional<IoResult> write_fault();
    std::optional<IoResult> result_of_fault();
    void flip(std::size_t ahead);
    void follow();
    void follow_records(std::size_t to);

    Direction last_ = Direction::read;
    std::size_t moved_before_ = 0;
    std::size_t next_record_ = 0;
    Place record_;  ///< the last that has begun; `offset` counts from the stream's first byte
    std::optional<IoResult> lasting_read_, lasting_write_;
};

/// How a conversation ends.
enum class Ending : std::uint8_t {
    goodbyes,           ///< each end waits for the other's close_notify
    close,              ///< one end closes with unsent data; the other reads to the end
    close_in_callback,  ///< the same, in a call of the stream
};

/// One end: sends its lines in turn, receives the other's, and sends close_notify.
class Speaker {
  public:
    Speaker(ussl::Owned<Connection> connection, Ring& in, Ring& out, std::size_t long_line);

    void act();
    /// This end writes a last line, which stays unsent, and closes; or the other end does.
    void close_unsent(Ending ending);
    void expect_close();
    /// Reports the end of the stream to the other end.
    void hang_up() { stream.callbacks.out.closed = true; }
    [[nodiscard]] bool over() const { return succeeded || error; }
    [[nodiscard]] bool heard_all() const { return heard == to_hear_; }
    /// Only bytes that were sent, and in the same order.
    [[nodiscard]] bool heard_only_what_was_said() const { return to_hear_.starts_with(heard); }

    Faulty stream;
    ussl::Owned<Connection> connection;
    bool succeeded = false;  ///< sent and received everything, and both close_notify
    bool resumed = false;    ///< an earlier conversation's session
    Error error;             ///< the first
    std::string heard;
    /// A failure that no fault excuses, in a word.
    std::string wrong;
    int changes = 0;  ///< of any kind, for who waits for it to end
    /// Calls on this end's stream, and on the other's, before close() with unsent data.
    std::size_t calls_before_close[2] = {};

  private:
    template <class Call>
    Progress call(Call what);
    [[nodiscard]] bool turn_to_speak() const;
    void speak();
    void listen();
    void say_goodbye();
    void say_last_words();
    void flush_closed();
    void close();
    void look_again();

    std::vector<std::size_t> lines_;
    bool client_;
    std::string to_say_, to_hear_;
    std::size_t said_ = 0;
    int short_of_memory_ = 0;
    bool shaken_ = false;
    bool ended_ = false;
    bool reads_to_the_end_;
    Ending ending_ = Ending::goodbyes;
    bool closes_ = false;  ///< if ending_ selects this end; otherwise the other one does
    bool is_closed_ = false;
};

/// Of the places where something can go wrong, one in so many; all of them in a long run (./test
/// --full), and fewer where a sanitizer is slow.
std::size_t one_in(std::size_t usual);

/// How two ends know each other: "certificate", "mutual", "psk", "resumed", or "named" (the server
/// has another context for the name, and both have protocols).
inline constexpr const char* every_acquaintance[] = {"certificate", "mutual", "psk", "resumed",
                                                     "named"};
Plan acquainted(const Case& of, std::string_view how);

/// Two contexts for any number of conversations.
struct Parties {
    Plan plan;
    ussl::Ref<Context> instead;  ///< for clients that send a name

    static std::expected<Parties, ussl::ConfigError> make(const Plan& plan);
};

class Conversation {
  public:
    /// `long_line`: bytes of each end's second line; 0: there is none.
    static std::expected<std::unique_ptr<Conversation>, ussl::ConfigError> make(
        const Parties& parties, std::size_t long_line);
    /// The client, or the server, closes with unsent data.
    void end_with(Ending ending, bool by_client);
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    /// Runs until both are done, or until there is no progress. An end that then still waits for
    /// the other gets the end of the stream.
    void run();
    [[nodiscard]] bool succeeded() const { return client.succeeded && server.succeeded; }

    Ring to_server, to_client;
    Speaker client, server;
    bool stalled = false;

  private:
    Conversation(ussl::Owned<Connection> c, ussl::Owned<Connection> s, std::size_t long_line)
        : client(std::move(c), to_client, to_server, long_line),
          server(std::move(s), to_server, to_client, long_line) {}
    void run_until_still();
};

}  // namespace contract
