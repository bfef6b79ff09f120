// A TLS stream for Asio, and two programs with it:
//
//     asio client HOST PORT CA_FILE          sends a line and prints the answer
//     asio server PORT CERTIFICATE_FILE KEY_FILE    echoes lines, to any number of clients at once
//
// TlsStream has async_read_some and async_write_some, so asio::async_read, asio::async_write and
// asio::async_read_until work with it. One read and one write at a time may be under way, and all
// handlers of a stream must run in one thread or strand, as with asio::ssl::stream.

#include <asio.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <ussl/socket.hpp>

namespace example {

/// Errors of ussl as std::error_code: the numbers of ussl/errors.def.
class Category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "ussl"; }
    std::string message(int number) const override {
        const auto code = static_cast<ussl::Code>(number);
        return std::string(ussl::name_of(code)) + ": " + std::string(ussl::text_of(code));
    }
};

inline std::error_code error_of(const ussl::Error& error) {
    static const Category category;
    if (error.code == ussl::Code::stream)
        return {static_cast<int>(error.detail), std::system_category()};
    return {static_cast<int>(error.code), category};
}

/// A TLS connection over a connected TCP socket.
class TlsStream {
  public:
    using executor_type = asio::ip::tcp::socket::executor_type;
    using lowest_layer_type = asio::ip::tcp::socket;

    /// Throws if `context` requires `server_hostname` and there is none.
    TlsStream(asio::ip::tcp::socket socket, const ussl::Ref<ussl::Context>& context,
              std::string_view server_hostname = {})
        : state_(std::make_unique<State>(std::move(socket))) {
        auto made = ussl::Connection::make(
            context, {.server_hostname = server_hostname, .read_ahead = true});
        if (!made)
            throw std::runtime_error(made.error().reason);
        state_->connection = std::move(*made);
        state_->socket.non_blocking(true);
    }

    executor_type get_executor() { return state_->socket.get_executor(); }
    lowest_layer_type& lowest_layer() { return state_->socket; }
    ussl::Connection& connection() { return *state_->connection; }

    /// handler(error)
    template <class Handler>
    auto async_handshake(Handler&& handler) {
        auto* state = state_.get();
        return start<void(std::error_code)>(
            ussl::Direction::read,
            [state] { return state->connection->handshake(state->callbacks); }, handler);
    }

    /// handler(error, bytes)
    template <class Buffers, class Handler>
    auto async_read_some(const Buffers& buffers, Handler&& handler) {
        auto* state = state_.get();
        const asio::mutable_buffer into = first_of<asio::mutable_buffer>(buffers);
        return start<void(std::error_code, std::size_t)>(
            ussl::Direction::read,
            [state, into]() -> ussl::Progress {
                if (into.size() == 0)
                    return {ussl::Progress::Kind::done};
                return state->connection->read(
                    state->callbacks, {static_cast<std::uint8_t*>(into.data()), into.size()});
            },
            handler);
    }

    /// handler(error, bytes). Completes when the socket has the bytes.
    template <class Buffers, class Handler>
    auto async_write_some(const Buffers& buffers, Handler&& handler) {
        auto* state = state_.get();
        const asio::const_buffer from = first_of<asio::const_buffer>(buffers);
        return start<void(std::error_code, std::size_t)>(
            ussl::Direction::write,
            [state, from, accepted = std::size_t{0}]() mutable -> ussl::Progress {
                if (accepted == 0 && from.size() != 0) {
                    const ussl::Progress one = state->connection->write(
                        state->callbacks,
                        {static_cast<const std::uint8_t*>(from.data()), from.size()});
                    if (!one)
                        return one;
                    accepted = one.count;
                }
                ussl::Progress sent = state->connection->flush(state->callbacks);
                sent.count = accepted;
                return sent;
            },
            handler);
    }

    /// Sends close_notify, then ends the stream. handler(error)
    template <class Handler>
    auto async_close(Handler&& handler) {
        auto* state = state_.get();
        return start<void(std::error_code)>(
            ussl::Direction::write,
            [state]() -> ussl::Progress {
                if (!state->connection->closed())
                    state->connection->close(state->callbacks);
                const ussl::Progress sent = state->connection->unsent()
                                                ? state->connection->flush(state->callbacks)
                                                : ussl::Progress{ussl::Progress::Kind::done};
                std::error_code ignored;
                if (sent)
                    state->socket.shutdown(asio::socket_base::shutdown_send, ignored);
                return sent;
            },
            handler);
    }

  private:
    /// The socket as ussl sees it: it never blocks.
    struct SocketCallbacks final : ussl::Callbacks {
        explicit SocketCallbacks(asio::ip::tcp::socket& socket) : socket_(socket) {}

        ussl::IoResult read(ussl::MutableBytes into) noexcept override {
            std::error_code error;
            const std::size_t count =
                socket_.read_some(asio::buffer(into.data(), into.size()), error);
            return result(count, error);
        }
        ussl::IoResult write(ussl::Bytes from) noexcept override {
            std::error_code error;
            const std::size_t count =
                socket_.write_some(asio::buffer(from.data(), from.size()), error);
            return result(count, error);
        }

      private:
        static ussl::IoResult result(std::size_t count, const std::error_code& error) noexcept {
            if (!error)
                return ussl::IoResult::moved(count);
            if (error == asio::error::would_block || error == asio::error::try_again)
                return ussl::IoResult::would_block();
            if (error == asio::error::eof)
                return ussl::IoResult::end();
            return ussl::IoResult::failed(error.value());
        }
        asio::ip::tcp::socket& socket_;
    };

    /// At one place in memory, for a stream may be moved while an operation is under way.
    struct State {
        explicit State(asio::ip::tcp::socket&& connected) : socket(std::move(connected)) {}
        asio::ip::tcp::socket socket;
        SocketCallbacks callbacks{socket};
        ussl::Owned<ussl::Connection> connection;
    };

    template <class Buffer, class Buffers>
    static Buffer first_of(const Buffers& buffers) {
        for (auto at = asio::buffer_sequence_begin(buffers);
             at != asio::buffer_sequence_end(buffers); ++at)
            if (Buffer(*at).size() != 0)
                return Buffer(*at);
        return {};
    }

    /// Calls `call` whenever the socket is ready for it, until it is done.
    template <class Call, bool has_count>
    struct Operation {
        State* state;
        ussl::Direction direction;
        Call call;
        bool begun = false;

        template <class Self>
        void operator()(Self& self, std::error_code error = {}) {
            using Kind = ussl::Progress::Kind;
            if (error)
                return complete(self, error, 0);
            // A handler never runs within the call that starts an operation.
            if (!std::exchange(begun, true))
                return asio::post(state->socket.get_executor(), std::move(self));
            const ussl::Progress progress = call();
            switch (progress.kind) {
                case Kind::done:
                    return complete(self, {}, progress.count);
                case Kind::end:
                    return complete(self, asio::error::eof, 0);
                case Kind::failed:
                    return complete(self, error_of(state->connection->error()), 0);
                case Kind::blocked:
                    return wait(self);
                case Kind::no_memory:
                    return complete(self, asio::error::no_memory, 0);
                default:
                    return complete(self, asio::error::invalid_argument, 0);
            }
        }

        template <class Self>
        void wait(Self& self) {
            // A handshake may have to write before it can read, and a write may have to read.
            switch (state->connection->paused() ? ussl::PollInterest::nothing
                                                : state->connection->poll_interest(direction)) {
                case ussl::PollInterest::stream_readable:
                    return state->socket.async_wait(asio::socket_base::wait_read, std::move(self));
                case ussl::PollInterest::stream_writable:
                    return state->socket.async_wait(asio::socket_base::wait_write, std::move(self));
                case ussl::PollInterest::nothing:
                    return asio::post(state->socket.get_executor(), std::move(self));
            }
        }

        template <class Self>
        static void complete(Self& self, std::error_code error, std::size_t count) {
            if constexpr (has_count)
                self.complete(error, count);
            else
                self.complete(error);
        }
    };

    template <class Signature, class Call, class Handler>
    auto start(ussl::Direction direction, Call call, Handler& handler) {
        constexpr bool has_count = std::is_same_v<Signature, void(std::error_code, std::size_t)>;
        return asio::async_compose<Handler, Signature>(
            Operation<Call, has_count>{state_.get(), direction, std::move(call)}, handler,
            state_->socket);
    }

    std::unique_ptr<State> state_;
};

// --- the programs

ussl::Ref<ussl::Context> make_context(const ussl::Options& options) {
    auto made = ussl::Context::make(ussl::default_engine(), options);
    if (!made)
        throw std::runtime_error(made.error().reason);
    return std::move(*made);
}

ussl::SecretBytes content_of(const char* path) {
    auto content = ussl::read_file(path);
    if (!content)
        throw std::system_error(content.error(), std::system_category(), path);
    return std::move(*content);
}

/// Sends one line, prints one.
class Client {
  public:
    Client(asio::ip::tcp::socket socket, const ussl::Ref<ussl::Context>& context,
           const std::string& host)
        : stream_(std::move(socket), context, host) {}

    int status = 1;

    void run() {
        stream_.async_handshake([this](std::error_code error) {
            if (error)
                return fail("handshake", error);
            asio::async_write(stream_, asio::buffer(question_),
                              [this](std::error_code e, std::size_t) { written(e); });
        });
    }

  private:
    void written(std::error_code error) {
        if (error)
            return fail("write", error);
        asio::async_read_until(
            stream_, asio::dynamic_buffer(answer_), '\n', [this](std::error_code e, std::size_t) {
                if (e)
                    return fail("read", e);
                std::cout << answer_ << std::flush;
                stream_.async_close([this](std::error_code closed) { status = closed ? 1 : 0; });
            });
    }
    void fail(const char* step, const std::error_code& error) {
        char text[ussl::max_description];
        const std::size_t size = stream_.connection().describe_error(text);
        std::cerr << step << ": " << (size != 0 ? std::string(text, size) : error.message())
                  << '\n';
    }

    TlsStream stream_;
    const std::string question_ = "hello from Asio\n";
    std::string answer_;
};

/// Echoes the data of a client, until it closes.
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(asio::ip::tcp::socket socket, const ussl::Ref<ussl::Context>& context)
        : stream_(std::move(socket), context) {}

    void run() {
        stream_.async_handshake([self = shared_from_this()](std::error_code error) {
            if (error)
                std::cerr << error.message() << '\n';
            else
                self->echo();
        });
    }

  private:
    void echo() {
        stream_.async_read_some(
            asio::buffer(buffer_),
            [self = shared_from_this()](std::error_code error, std::size_t size) {
                if (error)
                    return self->close(error);
                asio::async_write(self->stream_, asio::buffer(self->buffer_, size),
                                  [self](std::error_code failed, std::size_t) {
                                      if (failed)
                                          return self->close(failed);
                                      self->echo();
                                  });
            });
    }
    void close(std::error_code error) {
        if (error != asio::error::eof)
            std::cerr << error.message() << '\n';
        stream_.async_close([self = shared_from_this()](std::error_code) {});
    }

    TlsStream stream_;
    std::array<char, 4096> buffer_{};
};

void accept(asio::ip::tcp::acceptor& acceptor, const ussl::Ref<ussl::Context>& context) {
    acceptor.async_accept([&](std::error_code error, asio::ip::tcp::socket socket) {
        if (!error)
            std::make_shared<Session>(std::move(socket), context)->run();
        accept(acceptor, context);
    });
}

int run(const std::vector<std::string>& arguments) {
    asio::io_context io;
    if (arguments.size() == 4 && arguments[0] == "client") {
        const ussl::SecretBytes trusted = content_of(arguments[3].c_str());
        const auto context = make_context({.trusted = trusted});
        asio::ip::tcp::socket socket(io);
        asio::connect(socket, asio::ip::tcp::resolver(io).resolve(arguments[1], arguments[2]));
        Client client(std::move(socket), context, arguments[1]);
        client.run();
        io.run();
        return client.status;
    }
    if (arguments.size() == 4 && arguments[0] == "server") {
        const ussl::SecretBytes certificate = content_of(arguments[2].c_str());
        const ussl::SecretBytes key = content_of(arguments[3].c_str());
        const auto context =
            make_context({.role = ussl::Role::server, .key = key, .certificate = certificate});
        const auto port = static_cast<asio::ip::port_type>(std::stoi(arguments[1]));
        asio::ip::tcp::acceptor acceptor(io, {asio::ip::tcp::v4(), port});
        std::cout << "port " << acceptor.local_endpoint().port() << std::endl;
        accept(acceptor, context);
        io.run();
        return 0;
    }
    std::cerr << "usage: asio client HOST PORT CA_FILE\n"
                 "       asio server PORT CERTIFICATE_FILE KEY_FILE\n";
    return 2;
}

}  // namespace example

int main(int argc, char** argv) {
    try {
        return example::run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
