#include "ussl/socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace ussl {
namespace {

using std::chrono::milliseconds;

#ifdef MSG_NOSIGNAL
constexpr int no_signal = MSG_NOSIGNAL;
#else
constexpr int no_signal = 0;  // SO_NOSIGPIPE is used instead, see the constructor
#endif

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

int milliseconds_until(const std::optional<Socket::Clock::time_point>& deadline) {
    if (!deadline)
        return -1;
    const auto left = std::chrono::ceil<milliseconds>(*deadline - Socket::Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

/// Returns whether `events` (or an error) arrived before the deadline.
bool wait_for(int descriptor, short events,
              const std::optional<Socket::Clock::time_point>& deadline) {
    for (;;) {
        pollfd one{descriptor, events, 0};
        const int count = ::poll(&one, 1, milliseconds_until(deadline));
        if (count > 0)
            return true;
        if (count == 0 && milliseconds_until(deadline) == 0)
            return false;
        if (count < 0 && errno != EINTR)
            return true;  // the following read or write returns the error
    }
}

class Addresses {
  public:
    Addresses(const char* host, const char* service, int flags) {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = flags;
        error_ = ::getaddrinfo(host, service, &hints, &first_);
        system_error_ = errno;
    }
    Addresses(const Addresses&) = delete;
    Addresses& operator=(const Addresses&) = delete;
    ~Addresses() {
        if (first_ != nullptr)
            ::freeaddrinfo(first_);
    }
    /// nullptr: see error().
    [[nodiscard]] const addrinfo* first() const { return first_; }
    [[nodiscard]] SocketError error() const {
        return error_ == EAI_SYSTEM ? SocketError{system_error_} : SocketError{error_, true};
    }

  private:
    addrinfo* first_ = nullptr;
    int error_;
    int system_error_;
};

Socket open_socket(const addrinfo& address) {
    const int descriptor = ::socket(address.ai_family, address.ai_socktype, address.ai_protocol);
    if (descriptor >= 0)
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return Socket(descriptor);
}

/// Connects to one address. Returns 0 or an errno.
int connect_one(const Socket& socket, const addrinfo& address,
                const std::optional<Socket::Clock::time_point>& deadline) {
    const int descriptor = socket.descriptor();
    const int flags = ::fcntl(descriptor, F_GETFL);
    ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    int error = ::connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS || error == EINTR) {
        socklen_t size = sizeof error;
        if (!wait_for(descriptor, POLLOUT, deadline))
            error = ETIMEDOUT;
        else if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            error = errno;
    }
    ::fcntl(descriptor, F_SETFL, flags);
    return error;
}

// Disables Nagle's algorithm: TLS writes whole records, which a delay would not combine.
void send_at_once(const Socket& socket) {
    const int yes = 1;
    ::setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

std::string_view SocketError::text() const noexcept {
    // The text of a known number is a constant, in glibc and musl.
    return is_lookup ? ::gai_strerror(number)
                     : std::strerror(number);  // NOLINT(concurrency-mt-unsafe)
}

std::expected<SecretBytes, int> read_file(const char* path) {
    const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return std::unexpected(errno);
    struct stat info{};
    int error = ::fstat(descriptor, &info) == 0 ? 0 : errno;
    SecretBytes content(error == 0 ? static_cast<std::size_t>(info.st_size) : 0);
    std::size_t size = 0;
    if (error == 0 && content.size() != static_cast<std::size_t>(info.st_size))
        error = ENOMEM;
    while (error == 0 && size < content.size()) {
        const ssize_t got = ::read(descriptor, content.data() + size, content.size() - size);
        if (got > 0)
            size += static_cast<std::size_t>(got);
        else if (got == 0)
            error = EIO;  // the file became shorter
        else if (errno != EINTR)
            error = errno;
    }
    ::close(descriptor);
    if (error != 0)
        return std::unexpected(error);
    return content;
}

Socket::Socket(int descriptor) noexcept : descriptor_(descriptor) {
#ifdef SO_NOSIGPIPE
    const int yes = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
}

Socket::Socket(Socket&& other) noexcept
    : descriptor_(other.release()), blocking_(other.blocking_), deadline_(other.deadline_) {}

Socket& Socket::operator=(Socket&& other) noexcept {
    if (this != &other) {
        if (descriptor_ >= 0)
            ::close(descriptor_);
        descriptor_ = other.release();
        blocking_ = other.blocking_;
        deadline_ = other.deadline_;
    }
    return *this;
}

Socket::~Socket() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

int Socket::release() noexcept {
    return std::exchange(descriptor_, -1);
}

std::expected<Socket, SocketError> Socket::connect(const char* host, const char* service,
                                                   milliseconds timeout) {
    const Addresses addresses(host, service, 0);
    if (addresses.first() == nullptr)
        return std::unexpected(addresses.error());
    const std::optional<Clock::time_point> deadline = Clock::now() + timeout;
    int error = 0;
    for (const addrinfo* one = addresses.first(); one != nullptr; one = one->ai_next) {
        Socket socket = open_socket(*one);
        error = socket.descriptor() < 0 ? errno : connect_one(socket, *one, deadline);
        if (error == 0) {
            send_at_once(socket);
            return socket;
        }
    }
    return std::unexpected(SocketError{error});
}

std::expected<Socket, SocketError> Socket::listen(const char* address, const char* service) {
    const Addresses addresses(*address != '\0' ? address : nullptr, service, AI_PASSIVE);
    const addrinfo* chosen = addresses.first();
    if (chosen == nullptr)
        return std::unexpected(addresses.error());
    // Prefers an IPv6 address, because its socket also accepts IPv4.
    for (const addrinfo* one = chosen; *address == '\0' && one != nullptr; one = one->ai_next)
        if (one->ai_family == AF_INET6)
            chosen = one;
    Socket socket = open_socket(*chosen);
    const int yes = 1;
    const int no = 0;
    if (socket.descriptor() >= 0) {
        ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (chosen->ai_family == AF_INET6 && *address == '\0')
            ::setsockopt(socket.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    }
    if (socket.descriptor() < 0 ||
        ::bind(socket.descriptor(), chosen->ai_addr, chosen->ai_addrlen) != 0 ||
        ::listen(socket.descriptor(), SOMAXCONN) != 0)
        return std::unexpected(SocketError{errno});
    return socket;
}

std::expected<Socket, SocketError> Socket::accept() const {
    for (;;) {
        if (blocking_ && !wait(PollInterest::stream_readable))
            return std::unexpected(SocketError{ETIMEDOUT});
        Socket client(::accept(descriptor_, nullptr, nullptr));
        if (client.descriptor() >= 0) {
            ::fcntl(client.descriptor(), F_SETFD, FD_CLOEXEC);
            send_at_once(client);
            return client;
        }
        // The client has already closed: wait for the next one.
        if (errno != EINTR && errno != ECONNABORTED && !(blocking_ && would_block(errno)))
            return std::unexpected(SocketError{errno});
    }
}

int Socket::port() const noexcept {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
    return address.ss_family == AF_INET
               ? ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port)
               : 0;
}

short Socket::poll_events(PollInterest interest) noexcept {
    switch (interest) {
        case PollInterest::stream_readable:
            return POLLIN;
        case PollInterest::stream_writable:
            return POLLOUT;
        default:
            return 0;
    }
}

bool Socket::wait(PollInterest interest) const noexcept {
    const short events = poll_events(interest);
    return events == 0 || wait_for(descriptor_, events, deadline_);
}

template <class Move>
IoResult Socket::move(PollInterest interest, Move move_bytes) noexcept {
    for (;;) {
        const ssize_t count = move_bytes();
        if (count > 0)
            return IoResult::moved(static_cast<std::size_t>(count));
        if (count == 0)
            return IoResult::end();
        if (errno == EINTR)
            continue;
        if (!would_block(errno))
            return IoResult::failed(errno);
        if (!blocking_)
            return IoResult::would_block();
        if (!wait(interest))
            return IoResult::timed_out();
    }
}

IoResult Socket::read(MutableBytes into) noexcept {
    return move(PollInterest::stream_readable,
                [&] { return ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT); });
}

IoResult Socket::write(Bytes from) noexcept {
    return move(PollInterest::stream_writable, [&] {
        return ::send(descriptor_, from.data(), from.size(), MSG_DONTWAIT | no_signal);
    });
}

bool Socket::ready(Direction direction) noexcept {
    const bool reads = direction == Direction::read;
    pollfd one{descriptor_, static_cast<short>(reads ? POLLIN : POLLOUT), 0};
    return ::poll(&one, 1, 0) > 0;
}

// --- TLS over a socket

void TlsSocket::set_text(std::string_view text) noexcept {
    text_size_ = std::min(text.size(), max_description);
    std::memcpy(text_, text.data(), text_size_);
    text_[text_size_] = '\0';
}

/// Repeats the call until it is complete or has failed. Reads and writes of the socket wait.
template <class Call>
Progress TlsSocket::run(Call call) {
    set_text({});
    if (!connection_) {
        set_text("the socket is not connected");
        return {Progress::Kind::closed};
    }
    socket_.expires_after(timeout_);
    for (;;) {
        const Progress progress = call();
        switch (progress.kind) {
            case Progress::Kind::done:
            case Progress::Kind::end:
                break;
            case Progress::Kind::blocked:
                // Many records without data, see Connection::paused().
                if (const auto deadline = socket_.deadline();
                    !deadline || Socket::Clock::now() < *deadline)
                    continue;
                set_text("timed out");
                return {Progress::Kind::timed_out};
            case Progress::Kind::failed:
                text_size_ = connection_->describe_error({text_, max_description});
                text_[text_size_] = '\0';
                break;
            case Progress::Kind::timed_out:
                set_text("timed out");
                break;
            case Progress::Kind::no_memory:
                set_text("out of memory");
                break;
            case Progress::Kind::closed:
                set_text("the connection is closed");
                break;
            default:
                set_text("the call does not fit the state of the connection");
                break;
        }
        return progress;
    }
}

bool TlsSocket::handshake(const Ref<Context>& context, std::string_view host) {
    auto made = Connection::make(context, {.server_hostname = host, .read_ahead = true});
    if (!made) {
        set_text(made.error().reason);
        return false;
    }
    connection_ = std::move(*made);
    return bool(run([&] { return connection_->handshake(socket_); }));
}

bool TlsSocket::connect(const Ref<Context>& context, const char* host, const char* service) {
    connection_.reset();
    auto connected = Socket::connect(host, service, timeout_);
    if (!connected) {
        set_text(connected.error().text());
        return false;
    }
    socket_ = std::move(*connected);
    return handshake(context, host);
}

bool TlsSocket::accept(const Ref<Context>& context, const Socket& listener) {
    connection_.reset();
    auto accepted = listener.accept();
    if (!accepted) {
        set_text(accepted.error().text());
        return false;
    }
    socket_ = std::move(*accepted);
    return handshake(context, {});
}

Progress TlsSocket::read(MutableBytes into) {
    return run([&] { return connection_->read(socket_, into); });
}

Progress TlsSocket::read(std::span<char> into) {
    return read(MutableBytes{reinterpret_cast<std::uint8_t*>(into.data()), into.size()});
}

Progress TlsSocket::write_all(Bytes from) {
    const std::size_t size = from.size();
    Progress progress = run([&] {
        while (!from.empty()) {
            const Progress one = connection_->write(socket_, from);
            if (!one)
                return one;
            from = from.subspan(one.count);
        }
        return connection_->flush(socket_);
    });
    if (progress)
        progress.count = size;
    return progress;
}

Progress TlsSocket::write_all(std::string_view from) {
    return write_all(Bytes{reinterpret_cast<const std::uint8_t*>(from.data()), from.size()});
}

Progress TlsSocket::close() {
    const Progress progress = run([&] {
        if (!connection_->closed())
            connection_->close(socket_);
        return connection_->unsent() ? connection_->flush(socket_) : Progress{Progress::Kind::done};
    });
    connection_.reset();
    socket_ = Socket();
    return progress;
}

}  // namespace ussl
