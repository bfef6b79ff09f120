#pragma once

// What the plain program and the counterpart share: sockets, OpenSSL's handles, the clock.
// Whatever goes wrong ends the program: a bench has nothing to recover.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>

namespace bench {

template <auto release>
struct Release {
    template <class T>
    void operator()(T* handle) const {
        release(handle);
    }
};
using Context = std::unique_ptr<SSL_CTX, Release<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Release<SSL_free>>;

[[noreturn]] inline void die(const char* what) {
    std::perror(what);
    ERR_print_errors_fp(stderr);
    std::exit(1);
}

inline void need(bool good, const char* what) {
    if (!good)
        die(what);
}

class Socket {
  public:
    explicit Socket(int fd = -1) : fd_(fd) {}
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&&) = delete;
    ~Socket() {
        if (fd_ >= 0)
            close(fd_);
    }
    explicit operator bool() const { return fd_ >= 0; }
    [[nodiscard]] int fd() const { return fd_; }

  private:
    int fd_;
};

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// False as a bool: nobody listens there.
inline Socket connect_to(std::uint16_t port) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    if (connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return Socket();
    return socket;
}

inline Socket listen_on(std::uint16_t port) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    need(bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
             listen(socket.fd(), 128) == 0,
         "listen");
    return socket;
}

inline Socket accept_from(const Socket& listener) {
    Socket socket(accept(listener.fd(), nullptr, nullptr));
    need(static_cast<bool>(socket), "accept");
    return socket;
}

/// A connection of either role, before its handshake.
inline Ssl make_ssl(const Context& context, const Socket& socket) {
    Ssl ssl(SSL_new(context.get()));
    need(ssl && SSL_set_fd(ssl.get(), socket.fd()) == 1, "SSL_new");
    return ssl;
}

inline double seconds_of(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace bench
