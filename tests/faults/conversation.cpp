#include "conversation.hpp"

#include <cerrno>
#include <cstdlib>

namespace contract {
namespace {

using What = Fault::Kind;

// Records are larger than the stream accepts at once.
constexpr std::size_t capacity = 8000;
constexpr std::size_t short_line = 10;
constexpr std::size_t last_line = 1500;
// The bytes of it that the stream accepts at once.
constexpr std::size_t room_after_close = 600;
// A call that is done, blocked or failed has asked the stream for little in vain.
constexpr std::size_t max_idle = 4;

}  // namespace

std::ostream& operator<<(std::ostream& out, Fault::Kind kind) {
    static const char* const names[] = {"none",  "would block", "timed out", "one byte", "end",
                                        "reset", "interrupted", "aborted",   "garbage",  "flip"};
    return out << names[static_cast<int>(kind)];
}

// --- Faulty

Faulty::Faulty(Ring& in, Ring& out) : callbacks(in, out) {
    callbacks.disturb = [this](Direction direction) { return disturb(direction); };
}

// The result of the previous call.
void Faulty::follow() {
    const std::size_t moved = callbacks.moved - moved_before_;
    moved_before_ = callbacks.moved;
    (last_ == Direction::read ? come_in : gone_out) += moved;
    idle = moved == 0 ? idle + 1 : 0;
}

// Finds the record that this byte is in. The engines read no further than to the end of one.
void Faulty::follow_records(std::size_t to) {
    const auto& bytes = callbacks.in.bytes;
    while (next_record_ <= to && next_record_ >= come_in &&
           next_record_ + 5 <= come_in + bytes.size()) {
        const std::size_t at = next_record_ - come_in;
        record_ = {next_record_, bytes[at], record_.offset == SIZE_MAX ? 0 : record_.record + 1};
        next_record_ += 5 + (static_cast<std::size_t>(bytes[at + 3]) << 8U) + bytes[at + 4];
    }
}

void Faulty::flip(std::size_t ahead) {
    const std::size_t at = come_in + ahead;
    follow_records(at);
    callbacks.in.bytes[ahead] ^= static_cast<std::uint8_t>(1U << at % 8);
    flipped = {at - record_.offset, record_.type, record_.record};
    happened = true;
}

std::optional<IoResult> Faulty::disturb(Direction direction) {
    follow();
    last_ = direction;
    callbacks.most = SIZE_MAX;
    if (direction == Direction::read)
        return lasting_read_ ? lasting_read_ : read_fault();
    if (peer->gone)
        return IoResult::failed(EPIPE);
    return lasting_write_ ? lasting_write_ : write_fault();
}

std::optional<IoResult> Faulty::read_fault() {
    if (happened || fault.kind == What::none)
        return std::nullopt;
    const std::size_t waiting = callbacks.in.bytes.size();
    follow_records(come_in);
    if (fault.at_byte != SIZE_MAX) {
        if (fault.kind == What::flip) {
            if (fault.at_byte - come_in < waiting)
                flip(fault.at_byte - come_in);
            return std::nullopt;
        }
        callbacks.most = fault.at_byte - come_in;
        return callbacks.most == 0 ? result_of_fault() : std::nullopt;
    }
    if (calls() < fault.at_call)
        return std::nullopt;
    if (fault.kind == What::flip) {
        if (waiting != 0)
            flip(calls() % std::min<std::size_t>(waiting, 40));
        return std::nullopt;
    }
    return result_of_fault();
}

std::optional<IoResult> Faulty::write_fault() {
    if (happened || fault.kind == What::none || fault.at_byte != SIZE_MAX ||
        calls() < fault.at_call || fault.kind == What::end)
        return std::nullopt;
    if (fault.kind == What::flip) {
        // The other end finds it.
        peer->follow();
        peer->fault = {What::flip, 0, gone_out + calls() % 40};
        happened = true;
        return std::nullopt;
    }
    return result_of_fault();
}

std::optional<IoResult> Faulty::result_of_fault() {
    happened = true;
    switch (fault.kind) {
        case What::would_block:
            return IoResult::would_block();
        case What::timed_out:
            return IoResult::timed_out();
        case What::one_byte:
            callbacks.most = 1;
            return std::nullopt;
        case What::end:
            lasting_read_ = IoResult::end();
            return lasting_read_;
        case What::reset:
            lasting_read_ = lasting_write_ = IoResult::failed(ECONNRESET);
            return lasting_read_;
        case What::interrupted:
            return IoResult::failed(EINTR);
        case What::aborted:
            return IoResult::aborted();
        case What::garbage: {
            const std::string noise = pattern(1 + calls() % 60, static_cast<unsigned>(calls()));
            auto& bytes = last_ == Direction::read ? callbacks.in.bytes : callbacks.out.bytes;
            bytes.insert(last_ == Direction::read ? bytes.begin() : bytes.end(), noise.begin(),
                         noise.end());
            return std::nullopt;
        }
        case What::none:
        case What::flip:
            break;
    }
    return std::nullopt;
}

// --- Speaker

Speaker::Speaker(ussl::Owned<Connection> made, Ring& in, Ring& out, std::size_t long_line)
    : stream(in, out),
      connection(std::move(made)),
      client_(connection->context().role() == Role::client),
      reads_to_the_end_(!client_) {
    lines_.push_back(short_line);
    if (long_line != 0)
        lines_.push_back(long_line);
    to_say_ = pattern(short_line + long_line, client_ ? 1 : 2);
    to_hear_ = pattern(short_line + long_line, client_ ? 2 : 1);
}

// A call, and checks that apply to every call.
template <class Call>
Progress Speaker::call(Call what) {
    stream.idle = 0;
    const std::size_t moved = stream.callbacks.moved;
    const Progress progress = what();
    if (stream.idle > max_idle)
        wrong = "asked the stream again and again";
    if (progress.kind == Kind::misuse || progress.kind == Kind::closed)
        wrong = "was told that the call does not fit";
    if (progress.kind == Kind::done || stream.callbacks.moved != moved)
        ++changes;
    if (progress.kind == Kind::no_memory) {
        ++changes;
        // It may be there later. A program gives up in the end.
        constexpr int max_tries = 3;
        if (++short_of_memory_ == max_tries) {
            error.code = Code::NO_MEMORY;
            close();
        }
    }
    if (progress.kind == Kind::failed) {
        error = connection->error();
        if (!error)
            wrong = "failed without an error";
        look_again();
        close();
    }
    return progress;
}

// The first error is kept, and the stream is not used.
void Speaker::look_again() {
    const std::size_t calls = stream.calls();
    const Error first = connection->error();
    std::uint8_t buffer[10];
    // A connection that can only not write any more may still read.
    const bool finished = connection->failed();
    for (const Progress progress :
         {connection->write(stream.callbacks, bytes("x")), connection->flush(stream.callbacks),
          finished ? connection->read(stream.callbacks, buffer) : Progress{Kind::failed},
          finished ? connection->handshake(stream.callbacks) : Progress{Kind::failed},
          connection->shutdown(stream.callbacks)})
        if (progress.kind != Kind::failed)
            wrong = "went on after it had failed";
    if (stream.calls() != calls)
        wrong = "used the stream after it had failed";
    if (connection->error().number() != first.number())
        wrong = "forgot its first error";
}

void Speaker::close() {
    connection->close(stream.callbacks);
    connection.reset();
    stream.gone = true;
    hang_up();
    ++changes;
}

bool Speaker::turn_to_speak() const {
    // A client begins; an end that has received a line sends the next.
    std::size_t may_say = 0;
    std::size_t must_hear = 0;
    for (const std::size_t line : lines_) {
        must_hear += client_ ? 0 : line;
        if (heard.size() < must_hear)
            break;
        may_say += line;
        must_hear += client_ ? line : 0;
    }
    return said_ < may_say;
}

void Speaker::close_unsent(Ending ending) {
    ending_ = ending;
    closes_ = true;
    reads_to_the_end_ = false;
}

void Speaker::expect_close() {
    ending_ = Ending::close;
    reads_to_the_end_ = true;
    to_hear_ += pattern(last_line, 3);
}

void Speaker::act() {
    if (over())
        return;
    if (is_closed_) {
        flush_closed();
        return;
    }
    if (!shaken_) {
        const Progress progress = call([&] { return connection->handshake(stream.callbacks); });
        shaken_ = progress.kind == Kind::done;
        if (shaken_) {
            resumed = connection->session_reused();
            (void)connection->peer_certificate();
        }
        return;
    }
    speak();
    if (!over())
        listen();
    const bool has_heard = reads_to_the_end_ ? ended_ : heard_all();
    if (over() || !has_heard || said_ != to_say_.size())
        return;
    if (ending_ == Ending::goodbyes) {
        say_goodbye();
    } else if (closes_) {
        say_last_words();
    } else {
        succeeded = true;
        close();
    }
}

void Speaker::speak() {
    if (turn_to_speak()) {
        const Progress progress = call([&] {
            return connection->write(stream.callbacks,
                                     bytes(std::string_view(to_say_).substr(said_)));
        });
        if (progress.kind == Kind::done)
            said_ += progress.count;
    } else if (connection->unsent()) {
        call([&] { return connection->flush(stream.callbacks); });
    }
}

void Speaker::listen() {
    if (ended_ || (!reads_to_the_end_ && heard_all()))
        return;
    for (;;) {
        std::uint8_t buffer[3000];
        const Progress progress = call([&] { return connection->read(stream.callbacks, buffer); });
        if (progress.kind == Kind::end) {
            ended_ = true;
            // The other sends close_notify when it has sent everything.
            if (!heard_all())
                wrong = "took a cut for an end";
        }
        if (progress.kind != Kind::done)
            return;
        heard.append(reinterpret_cast<const char*>(buffer), progress.count);
    }
}

void Speaker::say_goodbye() {
    if (call([&] { return connection->shutdown(stream.callbacks); }).kind != Kind::done)
        return;
    succeeded = true;
    close();
}

// Of the last line, the stream accepts no more than a few bytes before close().
void Speaker::say_last_words() {
    if (connection->unsent())
        return;
    Ring& out = stream.callbacks.out;
    out.capacity = out.bytes.size() + 3;
    const std::string line = pattern(last_line, 3);
    if (ending_ == Ending::close_in_callback)
        stream.callbacks.on_write = [this] {
            stream.callbacks.on_write = nullptr;
            connection->close(stream.callbacks);
        };
    const Progress progress =
        call([&] { return connection->write(stream.callbacks, bytes(std::string_view(line))); });
    if (over() || progress.kind != Kind::done)
        return;
    if (progress.count != line.size() || !connection->unsent())
        wrong = "has nothing unsent";
    calls_before_close[0] = stream.calls();
    calls_before_close[1] = stream.peer->calls();
    out.capacity = out.bytes.size() + room_after_close;
    is_closed_ = true;
    if (ending_ == Ending::close)
        connection->close(stream.callbacks);
    if (!connection->closed())
        wrong = "is not closed";
    connection->close(stream.callbacks);
    connection->close();
    std::uint8_t byte = 0;
    for (const Progress& later : {connection->write(stream.callbacks, bytes("x")),
                                  connection->read(stream.callbacks, {&byte, 1})})
        if (later.kind != Kind::closed)
            wrong = "used a closed connection";
}

void Speaker::flush_closed() {
    stream.idle = 0;
    const std::size_t moved = stream.callbacks.moved;
    const Progress progress = connection->flush(stream.callbacks);
    Ring& out = stream.callbacks.out;
    out.capacity = out.bytes.size() + room_after_close;
    if (stream.idle > max_idle)
        wrong = "asked the stream again and again";
    changes += stream.callbacks.moved != moved ? 1 : 0;
    if (connection->unsent()) {
        if (progress.kind == Kind::done || progress.kind == Kind::failed)
            wrong = "has unsent data at the end";
        return;
    }
    // Unsent data is an error, and not an orderly end.
    if (connection->discarded()) {
        error = connection->error();
        if (!error)
            wrong = "failed without an error";
    } else {
        succeeded = true;
        if (!connection->closed_in_order())
            wrong = "ended without close_notify";
    }
    close();
}

// --- how much is tried

std::size_t one_in(std::size_t usual) {
    const char* whole = std::getenv("USSL_FULL");
    if (whole != nullptr && whole == std::string_view("1"))
        return 1;
#ifdef __SANITIZE_ADDRESS__
    usual *= 4;
#endif
    return usual;
}

// --- who talks to whom

Plan acquainted(const Case& of, std::string_view how) {
    if (how == "psk")
        return of.with(with_psk());
    Plan made = of.with(with_certificate());
    if (how == "mutual") {
        mutual(made);
    } else if (how == "resumed") {
        made.client.resumption = made.server.resumption = true;
    } else if (how == "named") {
        made.server.choose_by_name = true;
        made.client.alpn = made.server.alpn = bytes("\4mqtt");
    }
    return made;
}

std::expected<Parties, ussl::ConfigError> Parties::make(const Plan& plan) {
    Parties parties{plan, {}};
    const auto make = [&](const ussl::Engine& engine, const Options& options,
                          ussl::Ref<Context>& into) -> std::optional<ussl::ConfigError> {
        auto made = Context::make(engine, options);
        if (!made)
            return made.error();
        into = std::move(*made);
        return std::nullopt;
    };
    auto refusal = make(*plan.client_engine, plan.client, parties.plan.client_context);
    if (!refusal)
        refusal = make(*plan.server_engine, plan.server, parties.plan.server_context);
    if (!refusal && plan.server.choose_by_name) {
        Options other = plan.server;
        other.choose_by_name = false;
        refusal = make(*plan.server_engine, other, parties.instead);
    }
    if (refusal)
        return std::unexpected(*refusal);
    return parties;
}

std::expected<std::unique_ptr<Conversation>, ussl::ConfigError> Conversation::make(
    const Parties& parties, std::size_t long_line) {
    auto client =
        Connection::make(parties.plan.client_context, {.server_hostname = parties.plan.name,
                                                       .report_truncation = true,
                                                       .read_ahead = parties.plan.read_ahead});
    if (!client)
        return std::unexpected(client.error());
    auto server =
        Connection::make(parties.plan.server_context,
                         {.report_truncation = true, .read_ahead = parties.plan.read_ahead});
    if (!server)
        return std::unexpected(server.error());
    std::unique_ptr<Conversation> made(
        new Conversation(std::move(*client), std::move(*server), long_line));
    made->to_server.capacity = made->to_client.capacity = capacity;
    Faulty& here = made->client.stream;
    Faulty& there = made->server.stream;
    here.peer = &there;
    there.peer = &here;
    there.callbacks.keys = parties.plan.keys;
    there.callbacks.on_name = [&parties](ussl::Ref<Context>& instead, std::uint8_t&) {
        instead = parties.instead;
        return ussl::NameAnswer::good;
    };
    return made;
}

void Conversation::end_with(Ending ending, bool by_client) {
    (by_client ? client : server).close_unsent(ending);
    (by_client ? server : client).expect_close();
}

void Conversation::run_until_still() {
    // A round may be for nothing because of the fault; two in a row are not.
    int changes = -1;
    for (int still = 0; still < 3;) {
        client.act();
        server.act();
        const int now = client.changes + server.changes;
        still = now == changes ? still + 1 : 0;
        changes = now;
    }
}

void Conversation::run() {
    run_until_still();
    stalled = !client.over() || !server.over();
    if (stalled) {
        client.hang_up();
        server.hang_up();
        run_until_still();
    }
    for (Speaker* one : {&client, &server})
        if (!one->over())
            one->wrong = "waits for ever";
}

}  // namespace contract
