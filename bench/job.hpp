#pragma once

// The common code of the plain programs and the counterpart, with any TLS library: arguments,
// sockets, the clock, the memory of the process. Every failure ends the program: a benchmark has
// nothing to recover.

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Prints the TLS library's description of a failure.
inline void (*explain)() = nullptr;

[[noreturn]] inline void die(const char* what) {
    std::perror(what);
    if (explain != nullptr)
        explain();
    std::exit(1);
}

inline void need(bool good, const char* what) {
    if (!good)
        die(what);
}

struct Job {
    std::uint16_t port;
    int size;
    double seconds;
    std::string folder;
};

/// A question is a function; unsupported questions are not in a program's list.
struct Question {
    const char* name;
    void (*answer)(const Job&);
};

inline int answer(int argc, char** argv, const std::vector<Question>& questions) {
    if (argc != 6) {
        std::fputs("usage: QUESTION PORT SIZE SECONDS FOLDER\n", stderr);
        return 2;
    }
    for (const Question& question : questions) {
        if (argv[1] == std::string(question.name)) {
            question.answer({static_cast<std::uint16_t>(std::atoi(argv[2])), std::atoi(argv[3]),
                             std::atof(argv[4]), argv[5]});
            return 0;
        }
    }
    return 2;
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

/// Nagle's algorithm would keep a small message until the peer has acknowledged the one before.
inline void send_at_once(const Socket& socket) {
    const int on = 1;
    setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

inline double seconds_of(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Stopwatch {
  public:
    explicit Stopwatch(double limit) : end_(wall_ + limit) {}
    [[nodiscard]] bool over() const { return seconds_of(CLOCK_MONOTONIC) >= end_; }
    void report(double count, const std::string& tls) const {
        std::printf("{\"count\": %.0f, \"seconds\": %.9f, \"cpu\": %.9f, \"tls\": \"%s\"}\n", count,
                    seconds_of(CLOCK_MONOTONIC) - wall_,
                    seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_, tls.c_str());
    }

  private:
    double wall_ = seconds_of(CLOCK_MONOTONIC);
    double cpu_ = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    double end_;
};

/// The clock is read once in so many messages, so that this costs nobody anything.
inline int batch_of(int size) {
    return std::max(64, (1 << 20) / size);
}

/// The memory of the process, in bytes: its pages, without free pages of malloc.
inline double memory() {
    malloc_trim(0);
    long total = 0;
    long resident = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    need(file != nullptr && std::fscanf(file, "%ld %ld", &total, &resident) == 2, "statm");
    std::fclose(file);
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// The growth of the process by each of `count` objects that `make` makes, after the first few.
template <class Make>
void report_memory(int count, Make make) {
    using Thing = decltype(make());
    std::vector<Thing> things;
    things.reserve(static_cast<std::size_t>(count) + 10);
    for (int i = 0; i < 10; ++i)
        things.push_back(make());
    const double before = memory();
    for (int i = 0; i < count; ++i)
        things.push_back(make());
    std::printf("{\"bytes\": %.0f}\n", (memory() - before) / count);
}

}  // namespace bench
