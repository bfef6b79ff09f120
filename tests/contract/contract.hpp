#pragma once

// Both ends of a connection in memory, over rings as small as one byte, with every pair of engines.

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../engines.hpp"
#include "ussl/connection.hpp"

namespace contract {

// RFC 8446 §6.2
inline constexpr std::uint8_t internal_error = 80;

using ussl::Bytes;
using ussl::Code;
using ussl::Connection;
using ussl::Context;
using ussl::Direction;
using ussl::Error;
using ussl::IoResult;
using ussl::MutableBytes;
using ussl::Options;
using ussl::Progress;
using ussl::Role;
using ussl::Verify;
using ussl::Version;

using Kind = Progress::Kind;

inline Bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A file of the test certificates.
const std::string& cert(const std::string& name);

/// One direction between two ends.
struct Ring {
    std::deque<std::uint8_t> bytes;
    std::size_t capacity = 1 << 20;
    bool closed = false;

    [[nodiscard]] std::string text() const { return {bytes.begin(), bytes.end()}; }
    void add(std::string_view more) { bytes.insert(bytes.end(), more.begin(), more.end()); }
};

/// One end's view of two rings; the result of a call can be forced.
class MemoryCallbacks final : public ussl::Callbacks {
  public:
    MemoryCallbacks(Ring& in, Ring& out) : in(in), out(out) {}

    IoResult read(MutableBytes into) noexcept override;
    IoResult write(Bytes from) noexcept override;
    bool ready(Direction direction) noexcept override {
        return direction == Direction::read ? !in.bytes.empty() || in.closed
                                            : out.bytes.size() < out.capacity;
    }
    ussl::PskAnswer find_psk(Bytes identity, MutableBytes key,
                             std::size_t& length) noexcept override;
    ussl::CertificateDecision verify_certificate(Bytes certificate, int depth) noexcept override;
    ussl::NameAnswer choose_context(std::string_view name, ussl::Ref<Context>& instead,
                                    std::uint8_t& alert) noexcept override {
        names.emplace_back(name);
        return on_name ? on_name(instead, alert) : ussl::NameAnswer::good;
    }

    Ring& in;
    Ring& out;
    std::optional<IoResult> next_read;   ///< the result of every read, while set
    std::optional<IoResult> next_write;  ///< the same for writes
    std::map<std::string, std::string> keys;
    bool lookup_aborts = false;
    std::vector<std::string> asked;  ///< identities that were looked up
    std::vector<std::pair<int, std::string>>
        judged;  ///< depths and certificates, in the order of calls
    std::function<ussl::CertificateDecision(int depth)> on_verify;  ///< otherwise all are accepted
    ussl::SignAnswer sign(ussl::SignatureScheme scheme, Bytes digest, Bytes scalar,
                          MutableBytes signature, std::size_t& length) noexcept override {
        return on_sign ? on_sign(scheme, digest, scalar, signature, length)
                       : ussl::SignAnswer::own_key;
    }
    std::function<ussl::SignAnswer(ussl::SignatureScheme, Bytes digest, Bytes scalar, MutableBytes,
                                   std::size_t& length)>
        on_sign;
    std::vector<std::string> names;  ///< that clients requested
    std::function<ussl::NameAnswer(ussl::Ref<Context>&, std::uint8_t& alert)> on_name;
    std::size_t moved = 0;  ///< bytes, both ways
    int reads = 0;
    int writes = 0;
    std::function<void()> on_write;   ///< called from within a write
    std::function<void()> on_lookup;  ///< called from within find_psk
    /// If set, the result of a call that then moves no bytes.
    std::function<std::optional<IoResult>(Direction)> disturb;
    std::size_t most = SIZE_MAX;  ///< bytes that one call moves
};

/// Connections read ahead: a suite runs without, and with sanitizers with USSL_READ_AHEAD=1.
bool reads_ahead();

/// The first of USSL_TEST_ENGINES.
const ussl::Engine* first_engine();

/// The settings of a pair.
struct Plan {
    const ussl::Engine* client_engine = first_engine();
    const ussl::Engine* server_engine = first_engine();
    Options client;
    Options server;
    std::string name = "localhost";
    bool client_reports_truncation = false;
    std::string session;  ///< for the client to resume
    /// Instead of new ones.
    ussl::Ref<Context> client_context, server_context;
    std::map<std::string, std::string> keys;
    std::size_t capacity = 1 << 20;
    bool read_ahead = reads_ahead();
};

/// A server with a certificate and a client that verifies it.
Plan with_certificate(const std::string& server = "server", const std::string& root = "ca.crt");
/// Both with a pre-shared key.
Plan with_psk(std::string_view identity = "me", std::string_view key = "0123456789abcdef");

/// The client has a certificate, too, and the server requires it.
void mutual(Plan& plan);

/// Both ends may use this version only.
void only(Plan& plan, Version version);

/// Which engine is at which end. Every test that runs a connection runs with every pair of
/// USSL_TEST_ENGINES.
struct Engines {
    std::string name;
    const ussl::Engine* client;
    const ussl::Engine* server;

    [[nodiscard]] Plan with(Plan plan) const;
};
std::vector<Engines> all_engines();

/// The rows of tests/engines.def: features that an engine lacks.
enum class Lacks : std::uint8_t {
#define USSL_LACKS(row, engine) row,
#include "../engines.def"
#undef USSL_LACKS
};
bool lacks(const ussl::Engine* engine, Lacks what);

/// A pair of engines that may use one version only.
struct Case {
    Engines engines;
    Version version;

    [[nodiscard]] Plan with(Plan plan) const;
};
std::vector<Case> all_cases();

std::ostream& operator<<(std::ostream& out, const Engines& engines);
std::ostream& operator<<(std::ostream& out, const Case& c);

/// Fixtures: plan(p) is p for the engines (and the version) that the test runs with.
template <class Parameter>
struct Each : testing::TestWithParam<Parameter> {
    static Plan plan(Plan made) { return testing::TestWithParam<Parameter>::GetParam().with(made); }
};
using EachPair = Each<Engines>;
using EachCase = Each<Case>;
#define INSTANTIATE_EACH_PAIR(fixture)                                           \
    INSTANTIATE_TEST_SUITE_P(Engines, fixture, testing::ValuesIn(all_engines()), \
                             testing::PrintToStringParamName())
#define INSTANTIATE_EACH_CASE(fixture)                                         \
    INSTANTIATE_TEST_SUITE_P(Engines, fixture, testing::ValuesIn(all_cases()), \
                             testing::PrintToStringParamName())

/// A client and a server that talk to each other.
class Pair {
  public:
    explicit Pair(const Plan& setup);

    /// Runs both handshakes until neither moves; true: both are done.
    bool handshake();
    /// Runs both until nothing moves any more.
    void run_until_still();

    Ring to_server, to_client;
    MemoryCallbacks client_callbacks{to_client, to_server};
    MemoryCallbacks server_callbacks{to_server, to_client};
    ussl::Owned<Connection> client, server;
    Progress client_progress{Kind::blocked};
    Progress server_progress{Kind::blocked};
};

/// Everything that can be read now; `end` is set if the stream ended.
std::string read_all(Connection& connection, MemoryCallbacks& callbacks, bool* end = nullptr);
/// Writes until nothing more is taken; returns how much was.
std::size_t write_some(Connection& connection, MemoryCallbacks& callbacks, std::string_view data);
std::string describe(const Error& error);
/// With the certificate that failed.
std::string describe(const Connection& failed);
/// For checking that every row of the error table was provoked somewhere (errors_test).
void saw(const Error& error);
std::set<Code>& seen();

std::string pattern(std::size_t size, unsigned seed = 1);

}  // namespace contract

namespace ussl {
inline void PrintTo(Code code, std::ostream* out) {
    *out << (name_of(code).empty() ? std::to_string(static_cast<int>(code))
                                   : std::string(name_of(code)));
}
inline void PrintTo(Progress::Kind kind, std::ostream* out) {
    static const char* const names[] = {"done",      "blocked", "timed_out", "interrupted", "end",
                                        "no_memory", "failed",  "misuse",    "closed"};
    *out << names[static_cast<int>(kind)];
}
}  // namespace ussl
