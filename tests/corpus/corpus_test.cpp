// Every chain of tests/certs/make_corpus, presented to each engine: the errors must be exactly
// those of its table. The peer that presents them is GnuTLS, because it sends any bytes that it is
// given, and is not one of the engines.

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "../contract/contract.hpp"

namespace contract {
namespace {

/// A row of the index.
struct Row {
    std::string name;
    std::string only;  // "server", "client", or "both"
    std::string chain, roots, key;
    std::string host;
    std::optional<std::int64_t> time;
    std::string expected;   // "good", or rows of include/ussl/errors.def
    std::string unless;     // a row of tests/engines.def, or "-": an engine that lacks it
    std::string otherwise;  // have this result
    std::string store;      // the roots that a root store can hold, or "-"
    std::string rest;       // and the others, or "-"
};

std::string folder() {
    const char* name = std::getenv("USSL_CORPUS");
    return name != nullptr ? name : "corpus";
}

const std::string& content(const std::string& name) {
    static std::map<std::string, std::string> read;
    const auto [at, is_new] = read.try_emplace(name);
    if (is_new) {
        std::ifstream file(folder() + "/" + name, std::ios::binary);
        at->second.assign(std::istreambuf_iterator<char>(file), {});
    }
    return at->second;
}

std::vector<Row> rows() {
    std::vector<Row> all;
    std::istringstream index(content("index"));
    for (std::string line; std::getline(index, line);) {
        std::istringstream fields(line);
        Row row;
        std::string time;
        for (std::string* field :
             {&row.name, &row.only, &row.chain, &row.roots, &row.key, &row.host, &time,
              &row.expected, &row.unless, &row.otherwise, &row.store, &row.rest})
            std::getline(fields, *field, '\t');
        if (time != "-")
            row.time = std::stoll(time);
        all.push_back(row);
    }
    return all;
}

/// The result that a row expects of an engine.
const std::string& expected_of(const Row& row, const ussl::Engine* engine) {
    static const std::map<std::string, Lacks> names = {
#define USSL_LACKS(row, engine) {#row, Lacks::row},
#include "../engines.def"
#undef USSL_LACKS
    };
    const auto lacking = names.find(row.unless);
    return lacking != names.end() && lacks(engine, lacking->second) ? row.otherwise : row.expected;
}

/// The result of a connection for its peer's certificate, in the form of a row.
std::string verdict(const Error& error) {
    if (!error)
        return "good";
    std::string words;
    for (unsigned bit = 0; bit < 16; ++bit)
        if ((error.certificate_failures >> bit & 1U) != 0)
            words += (words.empty() ? "" : " ") +
                     std::string(ussl::name_of(static_cast<Code>(201 + bit)));
    // A chain that could not even be read has no failures but its error.
    return words.empty() ? std::string(ussl::name_of(error.code)) : words;
}

/// The end that presents a chain.
class Peer {
  public:
    Peer(const Row& row, Role role, Version version, Ring& in, Ring& out) : in_(in), out_(out) {
        gnutls_init(&session_, (role == Role::client ? GNUTLS_CLIENT : GNUTLS_SERVER) |
                                   GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
        gnutls_priority_set_direct(session_,
                                   version == Version::tls1_2 ? "NORMAL:-VERS-ALL:+VERS-TLS1.2"
                                                              : "NORMAL:-VERS-ALL:+VERS-TLS1.3",
                                   nullptr);
        gnutls_certificate_allocate_credentials(&credentials_);
        gnutls_certificate_set_retrieve_function3(credentials_, show);
        gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials_);
        gnutls_session_set_ptr(session_, this);
        gnutls_transport_set_ptr(session_, this);
        gnutls_transport_set_push_function(session_, push);
        gnutls_transport_set_pull_function(session_, pull);
        gnutls_privkey_init(&key_);
        gnutls_pubkey_init(&public_key_);
        const gnutls_datum_t pem = datum(content(row.key));
        if (gnutls_privkey_import_x509_raw(key_, &pem, GNUTLS_X509_FMT_PEM, nullptr, 0) != 0 ||
            gnutls_pubkey_import_privkey(public_key_, key_, 0, 0) != 0)
            ADD_FAILURE() << row.name << ": GnuTLS does not take the key";
        // As in a Certificate message of TLS 1.2: three bytes of length before each.
        const std::string& chain = content(row.chain);
        for (std::size_t at = 0; at < chain.size();) {
            const auto byte = [&] { return static_cast<unsigned char>(chain[at++]); };
            const std::size_t size = byte() << 16U | byte() << 8U | byte();
            chain_.push_back(
                {public_key_, datum(std::string_view(chain).substr(at, size)), GNUTLS_CRT_X509});
            at += size;
        }
    }
    ~Peer() {
        gnutls_deinit(session_);
        gnutls_certificate_free_credentials(credentials_);
        gnutls_pubkey_deinit(public_key_);
        gnutls_privkey_deinit(key_);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void handshake() {
        if (!done_ && !failed_) {
            const int ret = gnutls_handshake(session_);
            done_ = ret == GNUTLS_E_SUCCESS;
            failed_ = !done_ && gnutls_error_is_fatal(ret) != 0;
        }
    }
    [[nodiscard]] bool done() const { return done_; }
    /// Whether a chain was asked for and handed over.
    [[nodiscard]] bool has_shown() const { return shown_; }

  private:
    static gnutls_datum_t datum(std::string_view text) {
        return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
                static_cast<unsigned>(text.size())};
    }
    static int show(gnutls_session_t session, const gnutls_cert_retr_st*, gnutls_pcert_st** chain,
                    unsigned* length, gnutls_ocsp_data_st** stapled, unsigned* stapled_length,
                    gnutls_privkey_t* key, unsigned* flags) {
        auto& peer = *static_cast<Peer*>(gnutls_session_get_ptr(session));
        peer.shown_ = true;
        *chain = peer.chain_.data();
        *length = static_cast<unsigned>(peer.chain_.size());
        *stapled = nullptr;
        *stapled_length = 0;
        *key = peer.key_;
        *flags = 0;
        return 0;
    }
    static ssize_t push(gnutls_transport_ptr_t peer, const void* from, std::size_t size) {
        const auto* bytes = static_cast<const std::uint8_t*>(from);
        Ring& ring = static_cast<Peer*>(peer)->out_;
        ring.bytes.insert(ring.bytes.end(), bytes, bytes + size);
        return static_cast<ssize_t>(size);
    }
    static ssize_t pull(gnutls_transport_ptr_t pointer, void* into, std::size_t size) {
        auto& peer = *static_cast<Peer*>(pointer);
        auto& bytes = peer.in_.bytes;
        if (bytes.empty()) {
            gnutls_transport_set_errno(peer.session_, EAGAIN);
            return -1;
        }
        const std::size_t n = std::min(size, bytes.size());
        const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(n);
        std::copy(bytes.begin(), end, static_cast<std::uint8_t*>(into));
        bytes.erase(bytes.begin(), end);
        return static_cast<ssize_t>(n);
    }

    Ring& in_;
    Ring& out_;
    gnutls_session_t session_ = nullptr;
    gnutls_certificate_credentials_t credentials_ = nullptr;
    gnutls_privkey_t key_ = nullptr;
    gnutls_pubkey_t public_key_ = nullptr;
    std::vector<gnutls_pcert_st> chain_;
    bool done_ = false;
    bool failed_ = false;
    bool shown_ = false;
};

struct Engine {
    const char* name;
    const ussl::Engine* engine;
};
constexpr Engine engines[] = {{"openssl", &ussl::openssl_engine},
                              {"mbedtls", &ussl::mbedtls_engine}};

/// A row, the engine that verifies it, the version and the role.
struct Look {
    Row row;
    Engine engine;
    Version version;
    Role role;
    bool through_store = false;  ///< its roots are in a root store
};

std::vector<Look> looks() {
    std::vector<Look> all;
    for (const Row& row : rows())
        for (const Engine& engine : engines)
            for (const Version version : {Version::tls1_2, Version::tls1_3})
                for (const Role role : {Role::client, Role::server})
                    for (const bool through_store : {false, true})
                        if (row.only != (role == Role::client ? "client" : "server") &&
                            (!through_store || row.store != "-"))
                            all.push_back({row, engine, version, role, through_store});
    return all;
}

std::string name_of_look(const testing::TestParamInfo<Look>& info) {
    const Look& look = info.param;
    std::string name = std::string(look.engine.name) +
                       (look.version == Version::tls1_2 ? "_1_2" : "_1_3") +
                       (look.role == Role::client ? "_client_" : "_server_") +
                       (look.through_store ? "store_" : "") + look.row.name;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

/// An end that verifies the presented chain.
Options options(const Look& look) {
    Options made;
    made.role = look.role;
    made.verify = Verify::required;
    if (look.through_store)
        made.root_stores = {bytes(content(look.row.store))};
    if (const std::string& roots = look.through_store ? look.row.rest : look.row.roots;
        roots != "-")
        made.trusted = bytes(content(roots));
    made.verify_time = look.row.time;
    made.minimum_version = made.maximum_version = look.version;
    if (look.role == Role::server) {
        made.key = bytes(cert("server.key"));
        made.certificate = bytes(cert("server.crt"));
    }
    return made;
}

/// The result of presenting a chain.
struct Outcome {
    Error error;
    std::string text;
    bool done = false;
    bool verified = false;
    bool peer_done = false;
    bool shown = false;
};

Outcome show(const Look& look, const Options& options) {
    const bool client = look.role == Role::client;
    const auto context = Context::make(*look.engine.engine, options);
    if (!context) {
        ADD_FAILURE() << context.error().reason;
        return {};
    }
    const auto made =
        Connection::make(*context, {.server_hostname = client ? look.row.host : std::string()});
    if (!made) {
        ADD_FAILURE() << made.error().reason;
        return {};
    }
    Connection& connection = **made;
    Ring to_peer;
    Ring to_us;
    MemoryCallbacks host{to_us, to_peer};
    Peer peer(look.row, client ? Role::server : Role::client, look.version, to_peer, to_us);
    Progress progress{Kind::blocked};
    for (std::size_t before = 0, now = 1; before != now;) {
        before = now;
        progress = connection.handshake(host);
        peer.handshake();
        now = 1 + host.moved + to_us.bytes.size();
    }
    return {connection.error(),         describe(connection), progress.kind == Kind::done,
            connection.peer_verified(), peer.done(),          peer.has_shown()};
}

using Corpus = testing::TestWithParam<Look>;
INSTANTIATE_TEST_SUITE_P(All, Corpus, testing::ValuesIn(looks()), name_of_look);

TEST_P(Corpus, GetsItsVerdict) {
    const Look& look = GetParam();
    const Outcome outcome = show(look, options(look));
    const std::string& expected = expected_of(look.row, look.engine.engine);
    const bool good = expected == "good";
    EXPECT_TRUE(outcome.shown);
    EXPECT_EQ(verdict(outcome.error), expected) << describe(outcome.error);
    EXPECT_EQ(outcome.done, good);
    EXPECT_EQ(outcome.verified, good);
    if (good)
        EXPECT_TRUE(outcome.peer_done);
    else
        EXPECT_EQ(outcome.error.alert, Error::Alert::sent);
}

// The description of a certificate in a text. The engines have their own clocks.
std::string certificate_in(const std::string& text) {
    const std::string_view begin = " (certificate: ";
    const std::size_t at = text.find(begin);
    if (at == std::string::npos)
        return {};
    const std::size_t from = at + begin.size();
    const std::string found = text.substr(from, text.rfind(") (alert sent: ") - from);
    return found.substr(0, found.find(", clock "));
}

// An error names the same certificate on every engine, in printable ASCII.
TEST(CorpusErrors, NameTheSameCertificate) {
    int named = 0;
    for (const Row& row : rows())
        for (const Role role : {Role::client, Role::server}) {
            if (row.expected == "good" || row.unless != "-" ||
                row.only == (role == Role::client ? "client" : "server"))
                continue;
            SCOPED_TRACE(row.name);
            std::vector<std::string> texts;
            for (const Engine& engine : engines) {
                for (const bool through_store : {false, true}) {
                    const Look look{row, engine, Version::tls1_3, role,
                                    through_store && row.store != "-"};
                    texts.push_back(certificate_in(show(look, options(look)).text));
                }
            }
            for (const std::string& text : texts)
                EXPECT_EQ(text, texts[0]);
            EXPECT_TRUE(std::ranges::all_of(texts[0], [](char c) { return c >= 0x20 && c < 0x7F; }))
                << texts[0];
            named += texts[0].empty() ? 0 : 1;
        }
    EXPECT_GT(named, 100);
}

// With CERT_NONE, both engines accept certificates that can be parsed, and reject the others.
TEST(CorpusUnverified, IsOnlyRead) {
    for (const Row& row : rows()) {
        if (row.only == "client" || row.unless != "-")
            continue;
        SCOPED_TRACE(row.name);
        std::vector<std::string> verdicts;
        for (const Engine& engine : engines) {
            const Look look{row, engine, Version::tls1_3, Role::client};
            Options made = options(look);
            made.verify = Verify::insecure_no_verification;
            const Outcome outcome = show(look, made);
            verdicts.push_back(verdict(outcome.error));
            EXPECT_FALSE(outcome.verified);
            EXPECT_TRUE(outcome.done || row.expected != "good") << describe(outcome.error);
        }
        EXPECT_EQ(verdicts[0], verdicts[1]);
    }
}

TEST(CorpusIndex, IsThere) {
    EXPECT_GE(rows().size(), 120U) << "make_corpus makes it; USSL_CORPUS names its folder";
}

}  // namespace
}  // namespace contract
