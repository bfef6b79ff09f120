#include "contract.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

namespace contract {

const std::string& cert(const std::string& name) {
    static std::map<std::string, std::string> read;
    std::string& content = read[name];
    if (content.empty()) {
        const char* folder = std::getenv("USSL_CERTS");
        std::ifstream file((folder != nullptr ? folder : "certs") + ("/" + name), std::ios::binary);
        content.assign(std::istreambuf_iterator<char>(file), {});
        if (content.empty())
            ADD_FAILURE() << "no test certificate " << name << " (USSL_CERTS names the folder)";
    }
    return content;
}

// As the MicroPython module does when it is imported.
[[maybe_unused]] const bool wipes = ussl::wipe_released_memory(*first_engine());

IoResult MemoryCallbacks::read(MutableBytes into) noexcept {
    ++reads;
    if (next_read)
        return *next_read;
    if (disturb)
        if (const auto instead = disturb(Direction::read))
            return *instead;
    if (in.bytes.empty())
        return in.closed ? IoResult::end() : IoResult::would_block();
    const std::size_t n = std::min({into.size(), in.bytes.size(), most});
    std::copy_n(in.bytes.begin(), n, into.begin());
    in.bytes.erase(in.bytes.begin(), in.bytes.begin() + static_cast<std::ptrdiff_t>(n));
    moved += n;
    return IoResult::moved(n);
}

IoResult MemoryCallbacks::write(Bytes from) noexcept {
    ++writes;
    if (on_write)
        on_write();
    if (next_write)
        return *next_write;
    if (disturb)
        if (const auto instead = disturb(Direction::write))
            return *instead;
    const std::size_t room = out.capacity - std::min(out.capacity, out.bytes.size());
    if (room == 0)
        return IoResult::would_block();
    const std::size_t n = std::min({from.size(), room, most});
    out.bytes.insert(out.bytes.end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(n));
    moved += n;
    return IoResult::moved(n);
}

ussl::PskAnswer MemoryCallbacks::find_psk(Bytes identity, MutableBytes key,
                                          std::size_t& length) noexcept {
    asked.emplace_back(identity.begin(), identity.end());
    if (on_lookup)
        on_lookup();
    if (lookup_aborts)
        return ussl::PskAnswer::aborted;
    const auto found = keys.find(asked.back());
    if (found == keys.end())
        return ussl::PskAnswer::unknown;
    length = found->second.size();
    std::memcpy(key.data(), found->second.data(), length);
    return ussl::PskAnswer::found;
}

ussl::CertificateDecision MemoryCallbacks::verify_certificate(Bytes certificate,
                                                              int depth) noexcept {
    judged.emplace_back(depth, std::string(certificate.begin(), certificate.end()));
    return on_verify ? on_verify(depth) : ussl::CertificateDecision::accepted;
}

Plan with_certificate(const std::string& server, const std::string& root) {
    Plan setup;
    setup.client.trusted = bytes(cert(root));
    setup.server.role = Role::server;
    setup.server.key = bytes(cert(server + ".key"));
    setup.server.certificate = bytes(cert(server + ".crt"));
    return setup;
}

Plan with_psk(std::string_view identity, std::string_view key) {
    Plan setup;
    setup.client.psk_identity = bytes(identity);
    setup.client.psk_key = bytes(key);
    setup.server.role = Role::server;
    setup.server.psk_server = true;
    setup.keys[std::string(identity)] = key;
    setup.name = "";
    return setup;
}

void mutual(Plan& plan) {
    plan.client.key = bytes(cert("client.key"));
    plan.client.certificate = bytes(cert("client.crt"));
    plan.server.trusted = bytes(cert("ca.crt"));
    plan.server.verify = Verify::required;
}

bool reads_ahead() {
    static const bool asked = std::getenv("USSL_READ_AHEAD") != nullptr;
    return asked;
}

namespace {

struct Named {
    std::string_view name;
    const ussl::Engine* engine;
};
constexpr Named engines[] = {
#define USSL_NAMED(name) {#name, &ussl::name##_engine},
    USSL_TEST_ENGINES(USSL_NAMED)
#undef USSL_NAMED
};

}  // namespace

const ussl::Engine* first_engine() {
    return engines[0].engine;
}

std::vector<Engines> all_engines() {
    std::vector<Engines> all;
    for (const Named& client : engines)
        for (const Named& server : engines)
            all.push_back({std::string(client.name).append("_").append(server.name), client.engine,
                           server.engine});
    return all;
}

std::vector<Case> all_cases() {
    std::vector<Case> all;
    for (const Engines& pair : all_engines())
        for (const Version version : {Version::tls1_2, Version::tls1_3})
            all.push_back({pair, version});
    return all;
}

bool lacks(const ussl::Engine* engine, Lacks what) {
    static constexpr std::string_view lacking[] = {
#define USSL_LACKS(row, engine) #engine,
#include "../engines.def"
#undef USSL_LACKS
    };
    const std::string_view name = lacking[static_cast<std::size_t>(what)];
    return std::ranges::any_of(
        engines, [&](const Named& one) { return one.engine == engine && one.name == name; });
}

Plan Engines::with(Plan plan) const {
    plan.client_engine = client;
    plan.server_engine = server;
    return plan;
}

void only(Plan& plan, Version version) {
    plan.client.minimum_version = plan.client.maximum_version = version;
    plan.server.minimum_version = plan.server.maximum_version = version;
}

Plan Case::with(Plan plan) const {
    only(plan, version);
    return engines.with(plan);
}

std::ostream& operator<<(std::ostream& out, const Engines& engines) {
    return out << engines.name;
}

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.engines << (c.version == Version::tls1_2 ? "_1_2" : "_1_3");
}

namespace {

ussl::Owned<Connection> connect(const ussl::Engine& engine, const Options& options,
                                const ussl::Ref<Context>& made,
                                const Connection::Settings& settings) {
    auto context = made ? std::expected<ussl::Ref<Context>, ussl::ConfigError>(made)
                        : Context::make(engine, options);
    if (!context) {
        ADD_FAILURE() << context.error().reason;
        std::abort();
    }
    auto connection = Connection::make(*context, settings);
    if (!connection) {
        ADD_FAILURE() << connection.error().reason;
        std::abort();
    }
    return std::move(*connection);
}

}  // namespace

Pair::Pair(const Plan& setup)
    : client(connect(*setup.client_engine, setup.client, setup.client_context,
                     {.server_hostname = setup.name,
                      .report_truncation = setup.client_reports_truncation,
                      .read_ahead = setup.read_ahead,
                      .session = bytes(setup.session)})),
      server(connect(*setup.server_engine, setup.server, setup.server_context,
                     {.read_ahead = setup.read_ahead})) {
    to_server.capacity = to_client.capacity = setup.capacity;
    server_callbacks.keys = setup.keys;
}

bool Pair::handshake() {
    run_until_still();
    return client_progress.kind == Kind::done && server_progress.kind == Kind::done;
}

void Pair::run_until_still() {
    for (std::size_t before = 0, now = 1; before != now;) {
        before = now;
        client_progress = client->handshake(client_callbacks);
        server_progress = server->handshake(server_callbacks);
        now = 1 + client_callbacks.moved + server_callbacks.moved;
    }
    saw(client->error());
    saw(server->error());
}

std::string read_all(Connection& connection, MemoryCallbacks& callbacks, bool* end) {
    std::string got;
    if (end != nullptr)
        *end = false;
    for (;;) {
        std::uint8_t buffer[4096];
        const Progress progress = connection.read(callbacks, buffer);
        if (progress.kind == Kind::end && end != nullptr)
            *end = true;
        if (progress.kind == Kind::blocked && connection.paused())
            continue;
        if (progress.kind != Kind::done) {
            saw(connection.error());
            return got;
        }
        got.append(reinterpret_cast<const char*>(buffer), progress.count);
    }
}

std::size_t write_some(Connection& connection, MemoryCallbacks& callbacks, std::string_view data) {
    std::size_t taken = 0;
    while (taken < data.size()) {
        const Progress progress = connection.write(callbacks, bytes(data.substr(taken)));
        if (progress.kind != Kind::done) {
            saw(connection.error());
            break;
        }
        taken += progress.count;
    }
    return taken;
}

std::string describe(const Error& error) {
    char text[ussl::max_description];
    return {text, ussl::describe(error, text)};
}

std::string describe(const Connection& failed) {
    char text[ussl::max_description];
    return {text, failed.describe_error(text)};
}

std::string pattern(std::size_t size, unsigned seed) {
    std::string made(size, '\0');
    for (char& c : made) {
        seed = seed * 1664525 + 1013904223;
        c = static_cast<char>(seed >> 24);
    }
    return made;
}

std::set<Code>& seen() {
    static std::set<Code> codes;
    return codes;
}

void saw(const Error& error) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    if (error)
        seen().insert(error.code);
}

}  // namespace contract
