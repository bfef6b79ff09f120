#pragma once

// TCP sockets of POSIX systems: a stream for Connection, and TLS over one in a few lines. Programs
// with an event loop of their own use Connection and Callbacks (docs/cpp.md).

#include <chrono>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "ussl/connection.hpp"

namespace ussl {

/// Why a socket could not be made.
struct SocketError {
    int number;              ///< an errno, or an EAI_ number of getaddrinfo()
    bool is_lookup = false;  ///< the host name could not be resolved

    /// As strerror() and gai_strerror() have it; valid until this thread's next call.
    [[nodiscard]] std::string_view text() const noexcept;
};

/// Reads a whole file, as Options::key and Options::certificate take it. Returns an errno if that
/// fails. The content is overwritten when it is released.
std::expected<SecretBytes, int> read_file(const char* path);

/// A stream socket with its descriptor, as the stream of a Connection.
///
/// Reads and writes wait for the socket until the time limit (expires_after()), or do not wait at
/// all (set_blocking()); both work whether or not the descriptor has O_NONBLOCK. A write to a
/// socket that the peer has closed is an error and never SIGPIPE.
///
/// A program that answers questions of the engine (find_psk() and others) derives its class from
/// this one. One call at a time uses a socket.
class Socket : public Callbacks {
  public:
    using Clock = std::chrono::steady_clock;

    Socket() = default;
    /// Takes over a connected stream socket.
    explicit Socket(int descriptor) noexcept;
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    Socket(const Socket&) = delete;
    /// Closes the descriptor.
    virtual ~Socket();

    /// Connects to the first address of `host` (a DNS name or an IP address) that accepts.
    /// `service` is a port number or a name of /etc/services. Waits for `timeout` at most, without
    /// the time that getaddrinfo() takes.
    static std::expected<Socket, SocketError> connect(const char* host, const char* service,
                                                      std::chrono::milliseconds timeout);
    /// Listens at `address` (an empty string: all addresses) and port `service` ("0": a free one).
    static std::expected<Socket, SocketError> listen(const char* address, const char* service);
    /// Waits for the next client of a socket that listens, as read() waits.
    std::expected<Socket, SocketError> accept() const;

    /// -1 if there is none.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// Gives the descriptor away.
    int release() noexcept;
    /// The local port; 0 if there is none.
    [[nodiscard]] int port() const noexcept;

    /// Whether reads and writes wait for the socket (the default). If they do not, a call that
    /// would wait is IoResult::would_block(), and wait() or a poll says when to go on.
    void set_blocking(bool blocking) noexcept { blocking_ = blocking; }
    /// Everything from now on, until the next call, must be done within `limit` together; after
    /// that, a call that would wait is IoResult::timed_out().
    void expires_after(std::chrono::milliseconds limit) noexcept {
        deadline_ = Clock::now() + limit;
    }
    /// Reads and writes wait without limit (the default).
    void never_expires() noexcept { deadline_.reset(); }

    /// The end of the time limit, if there is one.
    [[nodiscard]] std::optional<Clock::time_point> deadline() const noexcept { return deadline_; }

    /// POLLIN, POLLOUT or 0: what poll() has to wait for.
    static short poll_events(PollInterest interest) noexcept;
    /// Waits until the socket is ready, also if it does not block. Returns true if it is, or if
    /// `interest` is nothing; false after the time limit.
    bool wait(PollInterest interest) const noexcept;

    IoResult read(MutableBytes into) noexcept override;
    IoResult write(Bytes from) noexcept override;
    bool ready(Direction direction) noexcept override;

  private:
    template <class Move>
    IoResult move(PollInterest interest, Move move_bytes) noexcept;

    int descriptor_ = -1;
    bool blocking_ = true;
    std::optional<Clock::time_point> deadline_;
};

/// A TLS connection over a TCP socket, for programs that wait: each call ends within the timeout.
class TlsSocket {
  public:
    static constexpr std::chrono::seconds default_timeout{30};

    TlsSocket() = default;
    TlsSocket(TlsSocket&&) noexcept = default;
    TlsSocket& operator=(TlsSocket&&) noexcept = default;
    /// Closes the socket without close_notify; call close() first.
    ~TlsSocket() = default;

    /// The time limit of each call. Of accept(), the time until a client connects does not count.
    void set_timeout(std::chrono::milliseconds timeout) noexcept { timeout_ = timeout; }

    /// Connects to a server, and completes the handshake. `host` is sent as SNI, and verified
    /// against the certificate as `context` says. Returns false if that fails.
    bool connect(const Ref<Context>& context, const char* host, const char* service);
    /// Waits for the next client of `listener`, and completes the handshake. Returns false if that
    /// fails; another call may then succeed with another client.
    bool accept(const Ref<Context>& context, const Socket& listener);

    /// Reads 1 to `into.size()` bytes: `done` with the count. `end` if the peer has sent
    /// close_notify, or has ended the stream.
    Progress read(MutableBytes into);
    Progress read(std::span<char> into);
    /// Writes all bytes, and waits until the socket has them.
    Progress write_all(Bytes from);
    Progress write_all(std::string_view from);
    /// Sends close_notify, and closes the socket.
    Progress close();

    /// Why the last call failed, for a log; empty if it did not. Ends with a NUL. Valid until the
    /// next call.
    [[nodiscard]] std::string_view error_text() const noexcept { return {text_, text_size_}; }
    /// Version, cipher suite, the peer's certificate and the TLS error. Only after connect() or
    /// accept() was successful.
    [[nodiscard]] Connection& connection() noexcept { return *connection_; }
    [[nodiscard]] Socket& socket() noexcept { return socket_; }

  private:
    bool handshake(const Ref<Context>& context, std::string_view host);
    template <class Call>
    Progress run(Call call);
    void set_text(std::string_view text) noexcept;

    Socket socket_;
    Owned<Connection> connection_;
    std::chrono::milliseconds timeout_ = default_timeout;
    std::size_t text_size_ = 0;
    char text_[max_description + 1] = {};
};

}  // namespace ussl
