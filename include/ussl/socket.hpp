#pragma once

// TCP sockets of POSIX systems as streams of a Connection, and TlsSocket for simple blocking
// programs. Programs with their own event loop use Connection and Callbacks (docs/guide/cpp.md).

#include <chrono>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "ussl/connection.hpp"

namespace ussl {

/// The reason why a socket could not be created.
struct SocketError {
    int number;              ///< an errno, or an EAI_ number of getaddrinfo()
    bool is_lookup = false;  ///< the lookup of the host name failed: `number` is an EAI_ number

    /// Returns the text of strerror() or gai_strerror(). Valid until this thread's next call.
    [[nodiscard]] std::string_view text() const noexcept;
};

/// Reads a whole file, for Options::key, Options::certificate and others. Returns an errno on
/// failure. The content is wiped on release.
std::expected<SecretBytes, int> read_file(const char* path);

/// A stream socket as the stream of a Connection; owns its descriptor.
///
/// Reads and writes wait for the socket until the time limit (expires_after()), or never wait
/// (set_blocking()). Both work with and without O_NONBLOCK on the descriptor. A write to a socket
/// that the peer has closed returns an error and never raises SIGPIPE.
///
/// To implement callbacks (find_psk() and others), derive a class from this one. Only one thread at
/// a time may use a socket.
class Socket : public Callbacks {
  public:
    using Clock = std::chrono::steady_clock;

    Socket() = default;
    /// Takes ownership of a connected stream socket.
    explicit Socket(int descriptor) noexcept;
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    Socket(const Socket&) = delete;
    /// Closes the descriptor.
    virtual ~Socket();

    /// Connects to the first address of `host` (a DNS name or an IP address) that accepts.
    /// `service` is a port number or a name of /etc/services. Waits at most `timeout`, plus the
    /// duration of getaddrinfo().
    static std::expected<Socket, SocketError> connect(const char* host, const char* service,
                                                      std::chrono::milliseconds timeout);
    /// Listens at `address` (an empty string: all addresses) and port `service` ("0": a free one).
    static std::expected<Socket, SocketError> listen(const char* address, const char* service);
    /// Waits for the next client of a listening socket, with the same time limit as read().
    std::expected<Socket, SocketError> accept() const;

    /// Returns the descriptor, or -1.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// Returns the descriptor and gives up its ownership.
    int release() noexcept;
    /// Returns the local port, or 0.
    [[nodiscard]] int port() const noexcept;

    /// Sets whether reads and writes wait for the socket (default: true). If false, a call that
    /// would wait returns IoResult::would_block(); use wait() or poll() before the next call.
    void set_blocking(bool blocking) noexcept { blocking_ = blocking; }
    /// Sets a time limit for all following calls together, from now on. Afterwards, a call that
    /// would wait returns IoResult::timed_out().
    void expires_after(std::chrono::milliseconds limit) noexcept {
        deadline_ = Clock::now() + limit;
    }
    /// Removes the time limit (the default).
    void never_expires() noexcept { deadline_.reset(); }

    /// Returns the end of the time limit, if there is one.
    [[nodiscard]] std::optional<Clock::time_point> deadline() const noexcept { return deadline_; }

    /// Returns the events for poll(): POLLIN, POLLOUT or 0.
    static short poll_events(PollInterest interest) noexcept;
    /// Waits until the socket is ready, even if set_blocking(false) was called. Returns true if it
    /// is ready or if `interest` is `nothing`; false after the time limit.
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

/// A TLS connection over a TCP socket, for blocking programs. Each call ends within the timeout.
class TlsSocket {
  public:
    static constexpr std::chrono::seconds default_timeout{30};

    TlsSocket() = default;
    TlsSocket(TlsSocket&&) noexcept = default;
    TlsSocket& operator=(TlsSocket&&) noexcept = default;
    /// Closes the socket without close_notify; call close() first.
    ~TlsSocket() = default;

    /// Sets the time limit of each call (default: 30 s). In accept(), it starts when a client
    /// connects.
    void set_timeout(std::chrono::milliseconds timeout) noexcept { timeout_ = timeout; }

    /// Connects to a server and completes the handshake. `host` is sent as SNI, and the certificate
    /// must match it if `context` checks host names. Returns false on failure.
    bool connect(const Ref<Context>& context, const char* host, const char* service);
    /// Waits for the next client of `listener` and completes the handshake. Returns false on
    /// failure; the next call may succeed with another client.
    bool accept(const Ref<Context>& context, const Socket& listener);

    /// Reads 1 to `into.size()` bytes. Returns `done` with the count, or `end` after the peer's
    /// close_notify or the end of the stream.
    Progress read(MutableBytes into);
    Progress read(std::span<char> into);
    /// Writes all bytes. Returns when the socket has accepted them.
    Progress write_all(Bytes from);
    Progress write_all(std::string_view from);
    /// Sends close_notify and closes the socket.
    Progress close();

    /// Returns the reason of the last call's failure, for a log; empty after success.
    /// NUL-terminated. Valid until the next call.
    [[nodiscard]] std::string_view error_text() const noexcept { return {text_, text_size_}; }
    /// Returns the connection, for version, cipher suite, the peer's certificate and the TLS error.
    /// Only valid after connect() or accept() returned true.
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
