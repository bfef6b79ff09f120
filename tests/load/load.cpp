// The driver of the load tests: many TLS connections at once, with plain OpenSSL over memory BIOs,
// to server.py. The driver handles all bytes of the sockets, so that it can cut, change and delay
// them.
//
//     load NAME=VALUE...     see Options
//
// Some connections are good: every byte that returns must be correct, and they must end as
// expected. The others have a fault, selected by a random number from the seed: they must end, and
// must not succeed after the fault. Prints the results as a line of JSON. Failures are printed to
// stderr, and the exit status is then 1.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& why) {
    std::fprintf(stderr, "load: %s\n", why.c_str());
    std::exit(2);
}

struct Options {
    std::string certs;          // the folder of tests/certs/make_certs
    std::string data;           // the file that the server has, too
    unsigned port[2][3] = {};   // patient and hasty (cert, mutual, psk): how long the server waits
    unsigned concurrent = 10;   // connections at once
    unsigned total = 100;       // and in all
    unsigned gather = 0;        // as many good ones meet first; see Load::gathered
    unsigned largest = 100000;  // bytes of a request, which are mostly far less
    unsigned faulty = 30;       // of 100 connections
    unsigned seed = 1;
    unsigned patience = 200;  // seconds without any progress of a connection that are a failure
};

enum Kind : unsigned { cert, mutual, psk };

// The faults. In and out are the driver's: the server reads `out`.
enum class Fault : uint8_t {
    none,
    silent,    // nothing is ever sent
    garbage,   // the sent data is not TLS
    mute,      // nothing more is sent
    fin,       // the end of the stream
    reset,     // a reset
    flip_out,  // a bit of it is another
    flip_in,
    noise_out,  // bytes that nobody sent
    noise_in,
    gap_out,  // bytes are missing
    gap_in,
    slow,     // asks for much and does not read it for a while
    refused,  // the wrong key, identity or certificate, or none
    count
};
constexpr std::array<const char*, static_cast<std::size_t>(Fault::count)> fault_names = {
    "none",    "silent",    "garbage",  "mute",    "fin",    "reset", "flip_out",
    "flip_in", "noise_out", "noise_in", "gap_out", "gap_in", "slow",  "refused"};

// How a good connection ends.
enum class Ending : uint8_t { goodbye, hasty_goodbye, reset, fin, count };
constexpr std::array<const char*, static_cast<std::size_t>(Ending::count)> ending_names = {
    "goodbye", "hasty_goodbye", "reset", "fin"};

constexpr std::size_t header = 9;  // bytes of a request before its data

struct Request {
    char kind;  // E echo, U upload, D download
    uint32_t count;
    uint32_t at;

    uint64_t question() const { return header + (kind == 'D' ? 0 : count); }
    uint64_t answer() const { return kind == 'U' ? 32 : count; }
};

/// Where in a record the next byte of a stream is.
class Records {
  public:
    // A version in a header has no meaning (RFC 8446 5.1): damage there has no effect.
    bool in_version() const { return at_ == 1 || at_ == 2; }
    void step(uint8_t byte) {
        if (at_ == 3)
            length_ = static_cast<unsigned>(byte) << 8;
        if (at_ == 4)
            length_ |= byte;
        ++at_;
        if (at_ >= 5 && at_ == 5 + length_) {
            at_ = 0;
            length_ = 0;
        }
    }

  private:
    unsigned at_ = 0;
    unsigned length_ = 0;
};

class Load;

/// One connection.
class Peer {
  public:
    Peer(Load& load, unsigned number);
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void event(uint32_t events);
    void tick(Clock::time_point now);
    void go_on();
    bool over() const { return fd_ < 0; }
    bool waits() const { return waits_; }

  private:
    uint64_t random(uint64_t below) {
        return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_);
    }
    void plan();
    void make_tls();

    void work();  // TLS, as far as it gets
    bool ask();   // a piece of the current request
    bool hear();  // a piece of its answer
    void check(const uint8_t* got, std::size_t count);
    void leave();
    void tls_failed();

    void receive();
    void send();
    void collect();  // moves TLS's unsent data to the queue
    void pass_out(const uint8_t* bytes, std::size_t count);
    void pass_in(const uint8_t* bytes, std::size_t count);
    void end_of_stream(int error);
    void watch();

    bool completed() const { return current_ == requests_.size(); }
    void over_now();
    void wrong(const std::string& what);
    std::string story() const;

    Load& load_;
    unsigned number_;
    std::mt19937_64 random_;
    int fd_ = -1;
    uint32_t watched_ = 0;
    SSL* ssl_ = nullptr;
    BIO* in_ = nullptr;
    BIO* out_ = nullptr;
    EVP_MD_CTX* hash_ = nullptr;

    Kind kind_ = cert;
    bool tls13_ = false;
    bool hasty_ = false;
    bool resumes_ = false;
    Fault fault_ = Fault::none;
    uint64_t fault_at_ = 0;  // the byte of the stream with the fault
    bool applied_ = false;
    Ending ending_ = Ending::goodbye;
    std::size_t max_in_ = 1 << 16;  // bytes of one call
    std::size_t max_out_ = 1 << 16;
    std::vector<Request> requests_;

    bool open_ = false;
    bool gathers_ = false;
    bool waits_ = false;
    bool leaving_ = false;
    bool goodbye_heard_ = false;
    bool dead_ = false;   // TLS has failed
    bool muted_ = false;  // nothing more is sent
    enum class Behind : uint8_t { nothing, fin, close, reset } behind_ = Behind::nothing;
    Clock::time_point progress_;
    Clock::time_point reads_from_;

    std::size_t current_ = 0;  // request
    uint64_t asked_ = 0;       // bytes of it
    uint64_t got_ = 0;         // and of its answer
    uint8_t digest_[32] = {};

    Bytes queue_;
    std::size_t queue_from_ = 0;
    Records records_out_, records_in_;
    uint64_t bytes_out_ = 0, bytes_in_ = 0;
    std::size_t gap_ = 0;
};

class Load {
  public:
    explicit Load(Options options);
    int run();

    Options options;
    Bytes data;  // twice the same
    uint32_t data_size = 0;
    int epoll = -1;
    std::map<std::string, uint64_t> counts;
    std::vector<SSL_SESSION*> sessions[2];
    SSL_CTX* contexts[3] = {};
    SSL_CTX* stranger = nullptr;  // with a certificate of a root that the server does not know
    unsigned wrongs = 0;
    bool gathering = false;

  private:
    SSL_CTX* make_context(Kind kind, const char* own);
    void open_more();
    void gathered();
    std::vector<std::unique_ptr<Peer>> peers_;
    unsigned made_ = 0;
};

const char* psk_identity = "load";
constexpr unsigned char psk_key[] = "0123456789abcdef";

unsigned psk_answer(SSL* ssl, const char*, char* identity, unsigned max_identity,
                    unsigned char* key, unsigned max_key) {
    const auto refused = reinterpret_cast<uintptr_t>(SSL_get_app_data(ssl));
    std::snprintf(identity, max_identity, "%s", refused == 2 ? "nobody" : psk_identity);
    if (max_key < 16)
        return 0;
    std::memcpy(key, psk_key, 16);
    key[0] = static_cast<unsigned char>(key[0] ^ (refused == 1 ? 1 : 0));
    return 16;
}

Load* the_load = nullptr;

int keep_session(SSL*, SSL_SESSION* session) {
    auto& kept = the_load->sessions[SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION];
    if (kept.size() >= 500 || SSL_SESSION_is_resumable(session) == 0)
        return 0;
    kept.push_back(session);
    return 1;
}

// --- a connection

Peer::Peer(Load& load, unsigned number)
    : load_(load), number_(number), random_(load.options.seed * 1000003ULL + number) {
    progress_ = reads_from_ = Clock::now();
    plan();
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0)
        die("no socket");
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fault_ == Fault::slow) {
        const int small = 4096;
        setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(load_.options.port[hasty_ ? 1 : 0][kind_]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS)
        die(std::string("cannot connect: ") + strerror(errno));
    make_tls();
    epoll_event event = {};
    event.events = watched_ = EPOLLIN | EPOLLOUT;
    event.data.ptr = this;
    epoll_ctl(load_.epoll, EPOLL_CTL_ADD, fd_, &event);
    if (!muted_)
        work();
    if (fd_ >= 0)
        watch();
}

Peer::~Peer() {
    if (fd_ >= 0)
        close(fd_);
    SSL_free(ssl_);
    EVP_MD_CTX_free(hash_);
}

void Peer::plan() {
    gathers_ = load_.gathering;
    const uint64_t die_of_ten = random(10);
    kind_ = die_of_ten < 6 ? cert : die_of_ten < 8 ? mutual : psk;
    tls13_ = random(2) != 0;
    resumes_ = random(2) != 0;
    ending_ = static_cast<Ending>(random(ending_names.size()));
    if (!gathers_ && random(100) < load_.options.faulty)
        fault_ = static_cast<Fault>(1 + random(fault_names.size() - 1));
    if (fault_ == Fault::refused && kind_ == cert)
        kind_ = mutual;
    // Good connections go where the server has patience: they never depend on how long they take.
    hasty_ = fault_ != Fault::none && fault_ != Fault::refused;

    const std::size_t how_many = 1 + random(4) + (gathers_ ? 1 : 0);
    for (std::size_t i = 0; i < how_many; ++i) {
        // As many between 1 and 2 as between 1,000 and 2,000.
        const double most = std::log2(static_cast<double>(load_.options.largest));
        const double size = std::exp2(std::uniform_real_distribution<double>(0, most)(random_));
        requests_.push_back({"EUD"[random(3)], static_cast<uint32_t>(size),
                             static_cast<uint32_t>(random(load_.data_size))});
    }
    if (fault_ == Fault::slow)
        requests_ = {{'D', 8U << 20, 0}};
    uint64_t wire = 0;
    for (const Request& request : requests_)
        wire += request.count + header;
    // In the first flight, in the handshake, in some data, or anywhere.
    const uint64_t span[] = {300, 1500, 4000, 3000 + wire};
    fault_at_ = random(span[random(4)]);
    if (random(10) == 0)
        max_in_ = 1 + random(100);
    if (random(10) == 0)
        max_out_ = 1 + random(100);
    if (max_in_ <= 100 || max_out_ <= 100)
        for (Request& request : requests_)
            request.count = std::min(request.count, 3000U);
}

void Peer::make_tls() {
    const bool refused = fault_ == Fault::refused;
    SSL_CTX* context = load_.contexts[kind_];
    if (refused && kind_ == mutual)
        context = random(2) != 0 ? load_.stranger : load_.contexts[cert];
    ssl_ = SSL_new(context);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    hash_ = EVP_MD_CTX_new();
    if (ssl_ == nullptr || in_ == nullptr || out_ == nullptr || hash_ == nullptr)
        die("no memory");
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_connect_state(ssl_);
    const int version = tls13_ ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_set_min_proto_version(ssl_, version);
    SSL_set_max_proto_version(ssl_, version);
    SSL_set_tlsext_host_name(ssl_, "localhost");
    if (kind_ == psk)  // the fault of psk_answer
        SSL_set_app_data(ssl_, reinterpret_cast<char*>(refused ? 1 + random(2) : uintptr_t{0}));
    else
        X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl_), "localhost", 0);
    auto& kept = load_.sessions[tls13_ ? 1 : 0];
    if (kind_ == cert && resumes_ && !kept.empty()) {
        // A ticket is for one connection (RFC 8446 C.4).
        std::swap(kept[random(kept.size())], kept.back());
        SSL_set_session(ssl_, kept.back());
        SSL_SESSION_free(kept.back());
        kept.pop_back();
    }
    applied_ = refused;
    if (fault_ == Fault::silent || fault_ == Fault::garbage)
        muted_ = applied_ = true;
    if (fault_ == Fault::garbage) {
        queue_.resize(100 + random(3000));
        for (uint8_t& byte : queue_)
            byte = static_cast<uint8_t>(random(256));
        if (random(2) != 0)
            queue_[0] = 22;  // a message of the handshake, as if
    }
}

std::string Peer::story() const {
    static const char* const kinds[] = {"cert", "mutual", "psk"};
    char text[400];
    std::snprintf(
        text, sizeof text,
        "connection %u (%s, TLS 1.%d, fault %s at %llu%s, ending %s), request %zu of %zu, "
        "%llu bytes of it asked, %llu answered, %llu bytes out, %llu in",
        number_, kinds[kind_], tls13_ ? 3 : 2, fault_names[static_cast<std::size_t>(fault_)],
        static_cast<unsigned long long>(fault_at_), applied_ ? " (it was)" : "",
        ending_names[static_cast<std::size_t>(ending_)], current_, requests_.size(),
        static_cast<unsigned long long>(asked_), static_cast<unsigned long long>(got_),
        static_cast<unsigned long long>(bytes_out_), static_cast<unsigned long long>(bytes_in_));
    return text;
}

void Peer::wrong(const std::string& what) {
    if (fd_ < 0)
        return;
    std::fprintf(stderr, "load: %s: %s\n", story().c_str(), what.c_str());
    ++load_.wrongs;
    close(fd_);
    fd_ = -1;
}

void Peer::over_now() {
    if (fd_ < 0)
        return;
    if (fault_ == Fault::none && !completed())
        return wrong("ended before its time");
    close(fd_);
    fd_ = -1;
    const std::string fault = fault_names[static_cast<std::size_t>(fault_)];
    if (fault_ == Fault::none) {
        ++load_.counts["good"];
        ++load_.counts[std::string("good_") + ending_names[static_cast<std::size_t>(ending_)]];
    } else {
        ++load_.counts["faulty"];
        ++load_.counts[(applied_ ? "fault_" : "unmet_") + fault];
    }
}

// --- TLS

void Peer::work() {
    ERR_clear_error();
    if (!dead_ && !open_) {
        const int result = SSL_do_handshake(ssl_);
        if (result == 1) {
            open_ = true;
            ++load_.counts["handshakes"];
            ++load_.counts[tls13_ ? "handshakes_13" : "handshakes_12"];
            if (SSL_session_reused(ssl_) != 0 && kind_ != psk)
                ++load_.counts[tls13_ ? "resumed_13" : "resumed_12"];
        } else if (SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ) {
            tls_failed();
        }
        collect();
    }
    while (fd_ >= 0 && open_ && !dead_) {
        const bool asked = ask();
        const bool heard = fd_ >= 0 && !dead_ && hear();
        if (fd_ >= 0 && !dead_ && completed() && !leaving_)
            leave();
        if (!asked && !heard)
            break;
    }
}

bool Peer::ask() {
    if (completed() || waits_ || queue_.size() - queue_from_ > (1U << 16))
        return false;
    const Request& request = requests_[current_];
    if (asked_ == request.question())
        return false;
    uint8_t first[header] = {static_cast<uint8_t>(request.kind)};
    for (unsigned i = 0; i < 4; ++i) {
        first[1 + i] = static_cast<uint8_t>(request.count >> (24 - 8 * i));
        first[5 + i] = static_cast<uint8_t>(request.at >> (24 - 8 * i));
    }
    const uint8_t* piece = first + asked_;
    std::size_t size = header - asked_;
    if (asked_ >= header) {
        piece = load_.data.data() + (request.at + asked_ - header) % load_.data_size;
        size = static_cast<std::size_t>(std::min<uint64_t>(
            request.question() - asked_, random(4) != 0 ? 16384 : 1 + random(16384)));
    }
    const int wrote = SSL_write(ssl_, piece, static_cast<int>(size));
    if (wrote <= 0) {
        tls_failed();
        return false;
    }
    if (asked_ >= header) {
        load_.counts["bytes"] += static_cast<uint64_t>(wrote);
        if (request.kind == 'U')
            EVP_DigestUpdate(hash_, piece, static_cast<std::size_t>(wrote));
    } else {
        EVP_DigestInit_ex(hash_, EVP_sha256(), nullptr);
    }
    asked_ += static_cast<uint64_t>(wrote);
    if (request.kind == 'U' && asked_ == request.question())
        EVP_DigestFinal_ex(hash_, digest_, nullptr);
    collect();
    return true;
}

bool Peer::hear() {
    uint8_t got[16384];
    const int count = SSL_read(ssl_, got, sizeof got);
    if (count > 0) {
        check(got, static_cast<std::size_t>(count));
        return true;
    }
    switch (SSL_get_error(ssl_, count)) {
        case SSL_ERROR_WANT_READ:
            break;
        case SSL_ERROR_ZERO_RETURN:
            goodbye_heard_ = true;
            if (fault_ == Fault::none && !leaving_)
                wrong("a goodbye before its time");
            break;
        default:
            tls_failed();
    }
    return false;
}

void Peer::check(const uint8_t* got, std::size_t count) {
    while (count != 0) {
        if (completed())
            return wrong("bytes behind the last answer");
        const Request& request = requests_[current_];
        const auto part =
            static_cast<std::size_t>(std::min<uint64_t>(count, request.answer() - got_));
        const uint8_t* right = load_.data.data() + (request.at + got_) % load_.data_size;
        bool early = asked_ < header;
        if (request.kind == 'E')
            early = got_ + part + header > asked_;
        if (request.kind == 'U') {
            early = asked_ < request.question();
            right = digest_ + got_;
        }
        if (early || part == 0)
            return wrong("an answer to nothing");
        // The data repeats, and no piece is longer than it.
        if (std::memcmp(right, got, part) != 0)
            return wrong("a wrong byte");
        load_.counts["bytes"] += part;
        got_ += part;
        got += part;
        count -= part;
        if (got_ == request.answer() && asked_ == request.question()) {
            ++load_.counts["requests"];
            ++current_;
            asked_ = got_ = 0;
            waits_ = gathers_ && current_ == 1;
        }
    }
    if (completed() && applied_ && fault_ != Fault::slow)
        wrong("success, in spite of the fault");
}

void Peer::leave() {
    leaving_ = true;
    switch (ending_) {
        case Ending::goodbye:
        case Ending::hasty_goodbye:
            SSL_shutdown(ssl_);
            collect();
            if (ending_ == Ending::hasty_goodbye && behind_ == Behind::nothing)
                behind_ = Behind::close;
            break;
        case Ending::reset:
            behind_ = Behind::reset;
            break;
        case Ending::fin:
        case Ending::count:
            behind_ = Behind::fin;
    }
}

void Peer::tls_failed() {
    dead_ = true;
    if (fault_ == Fault::none) {
        const unsigned long error = ERR_peek_error();
        return wrong(std::string("TLS failed: ") +
                     (error != 0 ? ERR_error_string(error, nullptr) : "no reason"));
    }
    collect();  // an alert
    if (behind_ == Behind::nothing)
        behind_ = Behind::close;
}

// --- the stream

void Peer::collect() {
    uint8_t bytes[16384];
    for (int count; (count = BIO_read(out_, bytes, sizeof bytes)) > 0;)
        pass_out(bytes, static_cast<std::size_t>(count));
}

void Peer::pass_out(const uint8_t* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (muted_)
            return;
        if (fault_ == Fault::none || (applied_ && gap_ == 0)) {
            queue_.insert(queue_.end(), bytes + i, bytes + count);
            bytes_out_ += count - i;
            return;
        }
        uint8_t byte = bytes[i];
        const bool here = !applied_ && bytes_out_ >= fault_at_;
        bool left_out = false;
        if (here) {
            switch (fault_) {
                case Fault::mute:
                    muted_ = true;
                    break;
                case Fault::fin:
                    muted_ = true;
                    behind_ = Behind::fin;
                    break;
                case Fault::reset:
                    muted_ = true;
                    behind_ = Behind::reset;
                    break;
                case Fault::flip_out:
                    if (!records_out_.in_version()) {
                        byte = static_cast<uint8_t>(byte ^ (1U << random(8)));
                        applied_ = true;
                    }
                    break;
                case Fault::noise_out:
                    for (std::size_t n = 1 + random(100); n != 0; --n)
                        queue_.push_back(static_cast<uint8_t>(random(256)));
                    applied_ = true;
                    break;
                case Fault::gap_out:
                    gap_ = 7 + random(100);  // 6 may be a ChangeCipherSpec, which nobody misses
                    applied_ = true;
                    break;
                default:
                    break;
            }
            if (muted_) {
                applied_ = true;
                return;
            }
        }
        if (gap_ != 0 && fault_ == Fault::gap_out) {
            --gap_;
            left_out = true;
        }
        records_out_.step(bytes[i]);
        ++bytes_out_;
        if (!left_out)
            queue_.push_back(byte);
    }
}

void Peer::pass_in(const uint8_t* bytes, std::size_t count) {
    Bytes changed;
    for (std::size_t i = 0; i < count; ++i) {
        uint8_t byte = bytes[i];
        if (!applied_ && bytes_in_ >= fault_at_) {
            if (fault_ == Fault::flip_in && !records_in_.in_version()) {
                byte = static_cast<uint8_t>(byte ^ (1U << random(8)));
                applied_ = true;
            } else if (fault_ == Fault::noise_in) {
                for (std::size_t n = 1 + random(100); n != 0; --n)
                    changed.push_back(static_cast<uint8_t>(random(256)));
                applied_ = true;
            } else if (fault_ == Fault::gap_in) {
                gap_ = 7 + random(100);
                applied_ = true;
            }
        }
        records_in_.step(bytes[i]);
        ++bytes_in_;
        if (gap_ != 0 && fault_ == Fault::gap_in)
            --gap_;
        else
            changed.push_back(byte);
    }
    BIO_write(in_, changed.data(), static_cast<int>(changed.size()));
}

void Peer::receive() {
    static uint8_t bytes[1 << 16];
    const ssize_t count = recv(fd_, bytes, max_in_, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0)
        return end_of_stream(count < 0 ? errno : 0);
    progress_ = Clock::now();
    if (fault_ == Fault::flip_in || fault_ == Fault::noise_in || fault_ == Fault::gap_in) {
        pass_in(bytes, static_cast<std::size_t>(count));
    } else {
        bytes_in_ += static_cast<uint64_t>(count);
        BIO_write(in_, bytes, static_cast<int>(count));
    }
    if (fault_ != Fault::silent && fault_ != Fault::garbage)
        work();
}

void Peer::end_of_stream(int error) {
    if (fault_ == Fault::none && completed()) {
        if (error != 0)
            return wrong(std::string("no goodbye: ") + strerror(error));
        if (!goodbye_heard_)
            return wrong("the end of the stream, and no goodbye");
    }
    over_now();
}

void Peer::send() {
    while (queue_from_ < queue_.size()) {
        const std::size_t size = std::min(max_out_, queue_.size() - queue_from_);
        const ssize_t count = ::send(fd_, queue_.data() + queue_from_, size, MSG_NOSIGNAL);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count < 0) {  // the server has closed; its data is still to be read
            muted_ = true;
            queue_.clear();
            queue_from_ = 0;
            return;
        }
        progress_ = Clock::now();
        queue_from_ += static_cast<std::size_t>(count);
        if (size < queue_.size() - queue_from_)
            return;  // in pieces; others have their turn
    }
    queue_.clear();
    queue_from_ = 0;
    if (behind_ == Behind::fin) {
        shutdown(fd_, SHUT_WR);
        behind_ = Behind::nothing;
        muted_ = true;
    } else if (behind_ != Behind::nothing) {
        if (behind_ == Behind::reset) {
            const linger now = {1, 0};
            setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        over_now();
    }
}

void Peer::watch() {
    const bool reads = reads_from_ <= Clock::now();
    const bool writes = queue_from_ < queue_.size() || behind_ != Behind::nothing;
    const uint32_t events = (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U);
    if (events == watched_)
        return;
    watched_ = events;
    epoll_event event = {};
    event.events = events;
    event.data.ptr = this;
    epoll_ctl(load_.epoll, EPOLL_CTL_MOD, fd_, &event);
}

void Peer::event(uint32_t events) {
    if (fd_ >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        receive();
    if (fd_ >= 0 && (queue_from_ < queue_.size() || behind_ != Behind::nothing))
        send();
    if (fd_ >= 0 && open_ && !dead_)
        work();  // there may be room for more
    if (fd_ >= 0 && fault_ == Fault::slow && !applied_ && asked_ == header) {
        applied_ = true;
        reads_from_ = Clock::now() + std::chrono::seconds(4);
    }
    if (fd_ >= 0)
        watch();
}

void Peer::tick(Clock::time_point now) {
    if (fd_ < 0)
        return;
    if (!waits_ && now - progress_ > std::chrono::seconds(load_.options.patience))
        return wrong("it does not end");
    watch();
}

void Peer::go_on() {
    waits_ = gathers_ = false;
    progress_ = Clock::now();
    work();
    if (fd_ >= 0)
        watch();
}

// --- all of them

Load::Load(Options given) : options(std::move(given)) {
    std::ifstream file(options.data, std::ios::binary);
    data.assign(std::istreambuf_iterator<char>(file), {});
    data_size = static_cast<uint32_t>(data.size() / 2);
    if (data_size < 16384)
        die("no data in " + options.data);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    contexts[cert] = make_context(cert, nullptr);
    contexts[mutual] = make_context(mutual, "client");
    contexts[psk] = make_context(psk, nullptr);
    stranger = make_context(mutual, "client-other");
}

SSL_CTX* Load::make_context(Kind kind, const char* own) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (context == nullptr)
        die("no context");
    SSL_CTX_set1_groups_list(context, "P-256:X25519");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (kind == psk) {
        SSL_CTX_set_psk_client_callback(context, psk_answer);
        SSL_CTX_set_cipher_list(context, "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256");
        return context;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_load_verify_locations(context, (options.certs + "/ca.crt").c_str(), nullptr) != 1)
        die("no roots in " + options.certs);
    if (own != nullptr) {
        const std::string name = options.certs + "/" + own;
        if (SSL_CTX_use_certificate_file(context, (name + ".crt").c_str(), SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, (name + ".key").c_str(), SSL_FILETYPE_PEM) != 1)
            die("no certificate " + name);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep_session);
    }
    return context;
}

void Load::open_more() {
    const unsigned most = gathering ? options.gather : options.concurrent;
    // A few at a time: the existing connections continue meanwhile.
    for (unsigned n = 0; n < 50 && peers_.size() < most && made_ < options.total; ++n) {
        peers_.push_back(std::make_unique<Peer>(*this, made_++));
        counts["max_at_once"] = std::max<uint64_t>(counts["max_at_once"], peers_.size());
    }
}

// All good connections are open at once, and have had an answer. The caller may now check the
// server, and then continues this program.
void Load::gathered() {
    std::printf("gathered %zu\n", peers_.size());
    std::fflush(stdout);
    while (std::getchar() != '\n')
        if (std::feof(stdin) != 0)
            die("nobody there");
    gathering = false;
    for (auto& peer : peers_)
        peer->go_on();
}

int Load::run() {
    gathering = options.gather != 0;
    std::array<epoll_event, 256> events = {};
    Clock::time_point ticked = Clock::now();
    while (wrongs < 20) {
        open_more();
        if (peers_.empty())
            break;
        if (gathering && peers_.size() == options.gather &&
            std::all_of(peers_.begin(), peers_.end(), [](auto& peer) { return peer->waits(); }))
            gathered();
        const int count =
            epoll_wait(epoll, events.data(), events.size(),
                       peers_.size() < options.concurrent && made_ < options.total ? 0 : 100);
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            static_cast<Peer*>(event.data.ptr)->event(event.events);
        }
        const Clock::time_point now = Clock::now();
        if (now - ticked > std::chrono::milliseconds(100)) {
            ticked = now;
            for (auto& peer : peers_)
                peer->tick(now);
        }
        std::erase_if(peers_, [](auto& peer) { return peer->over(); });
        if (gathering && wrongs != 0)
            break;
    }
    counts["connections"] = made_;
    counts["wrong"] = wrongs;
    std::printf("{");
    const char* separator = "";
    for (const auto& [name, count] : counts) {
        std::printf("%s\"%s\": %llu", separator, name.c_str(),
                    static_cast<unsigned long long>(count));
        separator = ", ";
    }
    std::printf("}\n");
    return wrongs != 0 ? 1 : 0;
}

Options parse(int count, char** arguments) {
    Options options;
    std::map<std::string_view, unsigned*> numbers = {
        {"cert", &options.port[0][cert]},     {"hasty_cert", &options.port[1][cert]},
        {"mutual", &options.port[0][mutual]}, {"hasty_mutual", &options.port[1][mutual]},
        {"psk", &options.port[0][psk]},       {"hasty_psk", &options.port[1][psk]},
        {"concurrent", &options.concurrent},  {"total", &options.total},
        {"gather", &options.gather},          {"largest", &options.largest},
        {"faulty", &options.faulty},          {"seed", &options.seed},
        {"patience", &options.patience},
    };
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        const std::size_t equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        if (equals == std::string_view::npos)
            die("not NAME=VALUE: " + std::string(argument));
        const std::string_view value = argument.substr(equals + 1);
        if (name == "certs") {
            options.certs = value;
        } else if (name == "data") {
            options.data = value;
        } else if (auto found = numbers.find(name); found != numbers.end()) {
            const auto parsed = std::from_chars(value.begin(), value.end(), *found->second);
            if (parsed.ec != std::errc() || parsed.ptr != value.end())
                die("not a number: " + std::string(argument));
        } else {
            die("no such option: " + std::string(argument));
        }
    }
    return options;
}

}  // namespace

int main(int count, char** arguments) {
    Load load(parse(count, arguments));
    the_load = &load;
    return load.run();
}
