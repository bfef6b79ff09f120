// Sessions that are resumed, automatically and explicitly, and sessions that must not be resumed.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "clock.hpp"
#include "context_internals.hpp"
#include "contract.hpp"
#include "roots.hpp"
#include "ussl/certificate.hpp"

namespace contract {
namespace {

/// A client and a server that meet again and again, each with one context.
class Acquaintances {
  public:
    explicit Acquaintances(Plan plan) : plan_(std::move(plan)) {
        plan_.client_context = make(*plan_.client_engine, plan_.client);
        plan_.server_context = make(*plan_.server_engine, plan_.server);
    }

    /// A connection from beginning to end; false if it failed.
    bool meet() {
        Pair pair(plan_);
        if (!pair.handshake()) {
            ADD_FAILURE() << describe(pair.client->error()) << describe(pair.server->error());
            return false;
        }
        reused = pair.client->session_reused();
        EXPECT_EQ(pair.server->session_reused(), reused);
        EXPECT_EQ(pair.client->peer_verified(),
                  plan_.client.verify != Verify::insecure_no_verification);
        EXPECT_EQ(pair.client->version(), pair.server->version());
        const Bytes der = pair.client->peer_certificate();
        certificate.assign(der.begin(), der.end());
        version = pair.client->version();
        const std::string data = pattern(5000);
        write_some(*pair.server, pair.server_callbacks, data);
        EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), data);
        write_some(*pair.client, pair.client_callbacks, data);
        EXPECT_EQ(read_all(*pair.server, pair.server_callbacks), data);
        const Bytes saved = pair.client->session();
        session.assign(saved.begin(), saved.end());
        pair.client->close(pair.client_callbacks);
        pair.server->close(pair.server_callbacks);
        return true;
    }
    Plan& plan() { return plan_; }
    void new_server() { plan_.server_context = make(*plan_.server_engine, plan_.server); }
    void new_client() { plan_.client_context = make(*plan_.client_engine, plan_.client); }
    /// Why a client that is given a session is refused.
    std::string refusal(const std::string& of_session) {
        auto made = Connection::make(plan_.client_context,
                                     {.server_hostname = plan_.name, .session = bytes(of_session)});
        return made ? "" : made.error().reason;
    }

    bool reused = false;
    Version version = Version::none;
    std::string certificate;
    std::string session;

  private:
    static ussl::Ref<Context> make(const ussl::Engine& engine, const Options& options) {
        auto context = Context::make(engine, options);
        if (!context) {
            ADD_FAILURE() << context.error().reason;
            std::abort();
        }
        return *context;
    }
    Plan plan_;
};

Plan resuming(Plan plan) {
    plan.client.resumption = plan.server.resumption = true;
    return plan;
}

using Sessions = EachCase;
INSTANTIATE_EACH_CASE(Sessions);

constexpr const char* of_no_use =
    "`session` is damaged, or of another context or `server_hostname`";

TEST_P(Sessions, AreResumedByThemselves) {
    for (const Verify verify : {Verify::required, Verify::insecure_no_verification}) {
        Plan made = plan(resuming(with_certificate()));
        made.client.verify = verify;
        Acquaintances two(made);
        ASSERT_TRUE(two.meet());
        EXPECT_FALSE(two.reused);
        EXPECT_FALSE(two.session.empty());
        const std::string certificate = two.certificate;
        for (int again = 0; again < 4; ++again) {
            ASSERT_TRUE(two.meet());
            EXPECT_TRUE(two.reused) << again;
            EXPECT_EQ(two.certificate, certificate);
            EXPECT_EQ(two.certificate, cert("server.der"));
        }
    }
}

TEST_P(Sessions, AreOfOneServerNameOnly) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    for (const std::string name : {"127.0.0.1", "::1", "LOCALHOST"}) {
        two.plan().name = name;
        ASSERT_TRUE(two.meet());
        EXPECT_FALSE(two.reused) << name;
    }
    two.plan().name = "localhost";
    ASSERT_TRUE(two.meet());
    EXPECT_TRUE(two.reused);
}

TEST_P(Sessions, OfOtherServersStayWhenOneIsUsed) {
    Acquaintances two(plan(resuming(with_certificate())));
    for (const bool again : {false, true})
        for (const std::string name : {"127.0.0.1", "::1", "localhost"}) {
            two.plan().name = name;
            ASSERT_TRUE(two.meet());
            EXPECT_EQ(two.reused, again) << name;
        }
}

// RFC 8446 §C.4.
TEST_P(Sessions, AreForOneConnectionAtATime) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    Pair first(two.plan());
    Pair second(two.plan());
    EXPECT_TRUE(first.handshake());
    EXPECT_TRUE(second.handshake());
    EXPECT_TRUE(first.client->session_reused());
    EXPECT_FALSE(second.client->session_reused());
}

TEST_P(Sessions, OfAServerThatHasForgottenThemMakeWayForNewOnes) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    two.new_server();
    ASSERT_TRUE(two.meet());
    EXPECT_FALSE(two.reused);
    EXPECT_EQ(two.certificate, cert("server.der"));
    ASSERT_TRUE(two.meet());
    EXPECT_TRUE(two.reused);
}

// RFC 8446 §C.4: a ticket is shown once, and not kept beside the secret of another session.
TEST_P(Sessions, ThatAServerDeclinesAreForgotten) {
    Acquaintances two(plan(resuming(with_certificate())));
    const ussl::Ref<Context> resumes = two.plan().server_context;
    ASSERT_TRUE(two.meet());
    two.plan().server.resumption = false;
    two.new_server();
    ASSERT_TRUE(two.meet());
    EXPECT_FALSE(two.reused);
    // In TLS 1.2 there may be the number of a session, which the server does not keep.
    if (GetParam().version == Version::tls1_3) {
        EXPECT_EQ(two.session, "");
    }
    two.plan().server_context = resumes;
    ASSERT_TRUE(two.meet());
    EXPECT_FALSE(two.reused);
    ASSERT_TRUE(two.meet());
    EXPECT_TRUE(two.reused);
}

// RFC 5246 §7.2.2
TEST_P(Sessions, OfConnectionsThatFailAreForgotten) {
    for (const bool fails : {false, true}) {
        Acquaintances two(plan(resuming(with_certificate())));
        ASSERT_TRUE(two.meet());
        {
            Pair pair(two.plan());
            ASSERT_TRUE(pair.handshake());
            EXPECT_TRUE(pair.client->session_reused());
            write_some(*pair.server, pair.server_callbacks, "hello");
            if (fails)
                pair.to_client.bytes.back() ^= 1;
            EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), fails ? "" : "hello");
            EXPECT_EQ(pair.client->failed(), fails);
        }
        ASSERT_TRUE(two.meet());
        EXPECT_EQ(two.reused, !fails);
    }
}

// Several servers behind one name, some of them not updated yet.
TEST_P(Sessions, DoNotDecideWhichVersionsAreOffered) {
    Plan made = GetParam().engines.with(resuming(with_certificate()));
    only(made, GetParam().version);
    made.client.minimum_version = Version::tls1_2;
    made.client.maximum_version = Version::tls1_3;
    Acquaintances two(made);
    const ussl::Ref<Context> first = two.plan().server_context;
    for (const Version other : {Version::tls1_2, Version::tls1_3}) {
        two.plan().server.minimum_version = two.plan().server.maximum_version = other;
        two.new_server();
        const ussl::Ref<Context> second = two.plan().server_context;
        for (int again = 0; again < 3; ++again)
            for (const ussl::Ref<Context>& server : {first, second, second}) {
                two.plan().server_context = server;
                ASSERT_TRUE(two.meet()) << again;
                EXPECT_EQ(two.version, server.get() == first.get() ? GetParam().version : other);
            }
        EXPECT_TRUE(two.reused);
    }
}

// If a server does not resume, its certificate is verified as usual.
TEST_P(Sessions, DoNotVouchForWhoeverComesInstead) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    two.plan().server = resuming(with_certificate("server-other")).server;
    two.plan().server.minimum_version = two.plan().server.maximum_version = GetParam().version;
    two.new_server();
    Pair pair(two.plan());
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_UNKNOWN_ISSUER);
}

TEST_P(Sessions, CanBeKeptAsBytes) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    const std::string session = two.session;
    // As after a deep sleep: the client has nothing else.
    two.new_client();
    two.plan().session = session;
    ASSERT_TRUE(two.meet());
    EXPECT_TRUE(two.reused);
    EXPECT_EQ(two.certificate, cert("server.der"));
    EXPECT_EQ(two.refusal(session), "");
}

TEST_P(Sessions, ThatAreDamagedAreRefused) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    const std::string session = two.session;
    for (std::size_t at = 0; at < session.size(); ++at) {
        std::string damaged = session;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        EXPECT_EQ(two.refusal(damaged), of_no_use) << at;
        EXPECT_EQ(two.refusal(session.substr(0, at)), at == 0 ? "" : of_no_use) << at;
    }
    EXPECT_EQ(two.refusal(session + "x"), of_no_use);
    EXPECT_EQ(two.refusal(std::string(100000, 'x')), of_no_use);
}

TEST_P(Sessions, OfAnotherContextOrNameAreRefused) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    const std::string session = two.session;
    two.plan().name = "127.0.0.1";
    EXPECT_EQ(two.refusal(session), of_no_use);
    two.plan().name = "localhost";
    const Options same = two.plan().client;
    const std::string other(32, 'p');
    const std::function<void(Options&)> changes[] = {
        [](Options& o) { o.verify = Verify::insecure_no_verification; },
        [](Options& o) { o.trusted = bytes(cert("ca-all.crt")); },
        [](Options& o) { o.check_hostname = false; },
        [](Options& o) { o.verify_by_program = true; },
        [&](Options& o) { o.pins = bytes(other); },
        [](Options& o) { o.alpn = bytes("\4mqtt"); },
        [](Options& o) {
            o.key = bytes(cert("client.key"));
            o.certificate = bytes(cert("client.crt"));
        },
    };
    for (const auto& change : changes) {
        two.plan().client = same;
        change(two.plan().client);
        two.new_client();
        EXPECT_EQ(two.refusal(session), of_no_use);
    }
    // When it was verified makes no difference.
    two.plan().client = same;
    two.plan().client.verify_time = 1700000000;
    two.new_client();
    EXPECT_EQ(two.refusal(session), "");
    two.plan().client = same;
    two.plan().client.resumption = false;
    two.new_client();
    EXPECT_EQ(two.refusal(session), "`session`: this context does not resume sessions");
}

// The result for a session if a member of Options differs from the time when it was made.
enum class Fate : std::uint8_t {
    refused,
    stays,
    impossible,  // a client with that cannot resume, or be made
};
struct Change {
    std::string_view option;
    Fate fate;
    std::function<void(Options&)> change;
};

const std::vector<Change>& changes_of_options() {
    static const std::string pin(32, 'p');
    static const std::string store = roots::store_of("ca-rsa.crt");
    static constexpr std::uint16_t suites[] = {0x1301, 0xC02B};
    static constexpr std::uint16_t groups[] = {23, 29};
    static const std::vector<Change> changes = {
        {"role", Fate::impossible, [](Options& o) { o.role = Role::server; }},
        {"key", Fate::impossible, [](Options& o) { o.key = bytes(cert("client.key")); }},
        {"key_password", Fate::impossible, [](Options& o) { o.key_password = bytes("secret"); }},
        {"certificate", Fate::refused,
         [](Options& o) {
             o.key = bytes(cert("client.key"));
             o.certificate = bytes(cert("client.crt"));
         }},
        {"sign_by_program", Fate::impossible, [](Options& o) { o.sign_by_program = true; }},
        {"trusted", Fate::refused, [](Options& o) { o.trusted = bytes(cert("ca-all.crt")); }},
        {"system_store", Fate::refused, [](Options& o) { o.system_store = true; }},
        {"root_stores", Fate::refused, [](Options& o) { o.root_stores = {bytes(store)}; }},
        // They are not used, because there are others.
        {"system_roots", Fate::stays, [](Options& o) { o.system_roots = bytes(store); }},
        {"verify", Fate::refused, [](Options& o) { o.verify = Verify::insecure_no_verification; }},
        {"crl_check", Fate::refused, [](Options& o) { o.crl_check = ussl::CrlCheck::leaf; }},
        {"check_hostname", Fate::refused, [](Options& o) { o.check_hostname = false; }},
        {"verify_by_program", Fate::refused, [](Options& o) { o.verify_by_program = true; }},
        {"verify_time", Fate::stays, [](Options& o) { o.verify_time = 1700000000; }},
        {"build_time", Fate::stays, [](Options& o) { o.build_time = 1700000000; }},
        {"pins", Fate::refused, [](Options& o) { o.pins = bytes(pin); }},
        {"psk_identity", Fate::impossible, [](Options& o) { o.psk_identity = bytes("me"); }},
        {"psk_key", Fate::impossible, [](Options& o) { o.psk_key = bytes("key"); }},
        {"psk_server", Fate::impossible, [](Options& o) { o.psk_server = true; }},
        {"psk_hint", Fate::impossible, [](Options& o) { o.psk_hint = bytes("hint"); }},
        {"minimum_version", Fate::refused,
         [](Options& o) {
             o.minimum_version =
                 o.minimum_version == Version::tls1_2 ? Version::tls1_3 : Version::tls1_2;
             o.maximum_version = Version::tls1_3;
         }},
        {"maximum_version", Fate::refused,
         [](Options& o) {
             o.maximum_version =
                 o.maximum_version == Version::tls1_2 ? Version::tls1_3 : Version::tls1_2;
             o.minimum_version = Version::tls1_2;
         }},
        {"suites", Fate::refused, [](Options& o) { o.suites = suites; }},
        {"groups", Fate::refused, [](Options& o) { o.groups = groups; }},
        {"alpn", Fate::refused, [](Options& o) { o.alpn = bytes("\4mqtt"); }},
        {"choose_by_name", Fate::impossible, [](Options& o) { o.choose_by_name = true; }},
        {"key_log", Fate::stays, [](Options& o) { o.key_log = true; }},
        {"resumption", Fate::impossible, [](Options& o) { o.resumption = false; }},
        {"tickets", Fate::refused, [](Options& o) { o.tickets = 3; }},
        {"session_lifetime", Fate::stays, [](Options& o) { o.session_lifetime = 60; }},
        {"record_size_limit", Fate::refused, [](Options& o) { o.record_size_limit = 1024; }},
    };
    return changes;
}

TEST_P(Sessions, AreForTheOptionsThatTheyWereMadeWith) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    const std::string session = two.session;
    const ussl::Engine& engine = *two.plan().client_engine;
    const Options same = two.plan().client;
    std::uint8_t before[32];
    ASSERT_TRUE(options_digest(engine, same, before));
    std::set<std::string_view> options;
    ussl::for_each_option(same, [&](std::string_view name, const auto&) { options.insert(name); });
    for (const auto& [option, fate, change] : changes_of_options()) {
        EXPECT_EQ(options.erase(option), 1U) << option;
        two.plan().client = same;
        change(two.plan().client);
        std::uint8_t after[32];
        ASSERT_TRUE(options_digest(engine, two.plan().client, after));
        EXPECT_NE(std::memcmp(before, after, sizeof after), 0) << option;
        const bool can_be_made = Context::make(engine, two.plan().client).has_value();
        if (option != "resumption") {
            EXPECT_EQ(can_be_made, fate != Fate::impossible) << option;
        }
        if (fate == Fate::impossible || !can_be_made)
            continue;
        two.new_client();
        EXPECT_EQ(two.refusal(session), fate == Fate::stays ? "" : of_no_use) << option;
    }
    for (const std::string_view option : options)
        ADD_FAILURE() << option << ": what becomes of a session if it changes?";
    two.plan().client = same;
    two.new_client();
    EXPECT_EQ(two.refusal(session), "");
}

// Nobody knows whether another callback would accept the server.
TEST_P(Sessions, OfAContextWithAVerifyCallbackAreForThatContext) {
    Plan made = plan(resuming(with_certificate()));
    made.client.verify_by_program = true;
    Acquaintances two(made);
    ASSERT_TRUE(two.meet());
    const std::string session = two.session;
    EXPECT_EQ(two.refusal(session), "");
    ASSERT_TRUE(two.meet());
    EXPECT_TRUE(two.reused);
    two.new_client();
    EXPECT_EQ(two.refusal(session), of_no_use);
}

TEST_P(Sessions, AreForTheSystemStoreThatTheyWereMadeWith) {
    const std::string folder = std::string(std::getenv("USSL_CERTS")) + "/";
    Plan made = plan(resuming(with_certificate()));
    made.client.trusted.reset();
    const auto use = [&](const char* file) { setenv("SSL_CERT_FILE", (folder + file).c_str(), 1); };
    use("ca.crt");
    Acquaintances two(made);
    ASSERT_TRUE(two.meet());
    const std::string session = two.session;
    two.new_client();
    EXPECT_EQ(two.refusal(session), "");
    use("ca-other.crt");
    two.new_client();
    EXPECT_EQ(two.refusal(session), of_no_use);
    unsetenv("SSL_CERT_FILE");
}

TEST_P(Sessions, WithACertificateThatCannotBeReadAreRefused) {
    Acquaintances two(plan(resuming(with_certificate())));
    ASSERT_TRUE(two.meet());
    std::string session = two.session;
    const std::size_t at = session.find(cert("server.der"));
    ASSERT_NE(at, std::string::npos);
    session[at] = 'x';
    // As if the attacker who changed it had also made a new hash.
    const auto* sessions = ussl::ContextInternals::sessions(*two.plan().client_context);
    const auto scope = sessions->scope_of(two.plan().name);
    ASSERT_TRUE(scope);
    constexpr std::size_t before = ussl::StoredSession::hash_size + ussl::StoredSession::times_size;
    const auto sealed = sessions->create(*scope, {std::time(nullptr), INT64_MAX, INT64_MAX},
                                         bytes(session).subspan(before));
    ASSERT_TRUE(sealed);
    EXPECT_EQ(two.refusal(
                  {reinterpret_cast<const char*>(sealed->bytes().data()), sealed->bytes().size()}),
              of_no_use);
}

// --- how long

/// A client whose clock is moved, by verify_time, and that has kept a session as bytes.
struct Later {
    explicit Later(Acquaintances& between) : two(between), session(between.session) {}
    /// Whether it resumes; false as well if the connection failed.
    bool resumes_at(std::int64_t time) {
        two.plan().client.verify_time = time;
        two.plan().session = session;
        two.new_client();
        Pair pair(two.plan());
        const bool open = pair.handshake();
        read_all(*pair.client, pair.client_callbacks);
        error = pair.client->error().code;
        const Bytes saved = pair.client->session();
        next.assign(saved.begin(), saved.end());
        return open && pair.client->session_reused();
    }
    Acquaintances& two;
    std::string session;
    std::string next;
    Code error = Code::none;
};

TEST_P(Sessions, EndADayAfterTheFullHandshake) {
    const std::int64_t start = std::time(nullptr);
    Plan made = plan(resuming(with_certificate()));
    made.client.verify_time = start;
    Acquaintances two(made);
    ASSERT_TRUE(two.meet());
    Later later(two);
    const std::string first = two.session;
    // Each resumed connection gives a session for the next one, in TLS 1.3.
    int resumed = 0;
    for (std::int64_t hour = 1; hour <= 30; ++hour) {
        const bool reused = later.resumes_at(start + hour * 3600);
        EXPECT_FALSE(reused && hour >= 24) << hour;
        resumed += reused ? 1 : 0;
        if (reused && !later.next.empty())
            later.session = later.next;
    }
    EXPECT_EQ(later.error, Code::none);
    const bool renews = GetParam().version == Version::tls1_3;
    EXPECT_GE(resumed, renews ? 23 : 2);
    later.session = first;
    EXPECT_TRUE(later.resumes_at(start + 1));
    EXPECT_FALSE(later.resumes_at(start - 1));  // the clock was set back
    // The program may set less.
    two.plan().client.session_lifetime = 60;
    EXPECT_TRUE(later.resumes_at(start + 59));
    EXPECT_FALSE(later.resumes_at(start + 60));
}

// RFC 5077 §3.3, RFC 8446 §4.6.1: two hours, of ussl's servers.
TEST_P(Sessions, EndWhenTheServerSays) {
    const std::int64_t start = std::time(nullptr);
    Plan made = plan(resuming(with_certificate()));
    made.client.verify_time = start;
    Acquaintances two(made);
    ASSERT_TRUE(two.meet());
    Later later(two);
    EXPECT_TRUE(later.resumes_at(start + 7200));
    EXPECT_FALSE(later.resumes_at(start + 7201));
}

struct Validity final : ussl::CertificateVisitor {
    void identity(int, const Serial&) noexcept override {}
    void attribute(Party, bool, std::string_view, std::string_view) noexcept override {}
    void alternative_name(AltName, Bytes) noexcept override {}
    void validity(const Time&, const Time& last) noexcept override {
        using namespace std::chrono;
        const sys_seconds at = sys_days{year{last.year} / last.month / last.day} +
                               hours{last.hour} + minutes{last.minute} + seconds{last.second};
        end = at.time_since_epoch().count();
    }
    std::int64_t end = 0;
};

TEST_P(Sessions, EndWithTheServersCertificate) {
    Validity validity;
    ASSERT_TRUE(describe_certificate(*GetParam().engines.client, bytes(cert("server-expired.crt")),
                                     validity));
    Plan made = plan(resuming(with_certificate("server-expired")));
    made.client.verify_time = validity.end - 100;
    Acquaintances two(made);
    ASSERT_TRUE(two.meet());
    Later later(two);
    EXPECT_TRUE(later.resumes_at(validity.end));
    EXPECT_FALSE(later.resumes_at(validity.end + 1));
    EXPECT_EQ(later.error, Code::CERT_EXPIRED);
}

// A server uses its own clock.
TEST_P(Sessions, OfAServerEndInTimeHoweverOftenTheyAreResumed) {
    Plan made = plan(resuming(with_certificate()));
    made.client.session_lifetime = ussl::max_session_lifetime;
    constexpr std::int64_t lifetime = 6000;
    made.server.session_lifetime = lifetime;
    Acquaintances two(made);
    MovedClock clock;
    std::int64_t full = 0;
    int resumed = 0;
    for (int i = 0; i < 30; ++i) {
        ASSERT_TRUE(two.meet());
        if (!two.reused)
            full = clock.moved();
        EXPECT_LE(clock.moved() - full, lifetime) << i;
        resumed += two.reused ? 1 : 0;
        clock.by(700);
    }
    EXPECT_GT(resumed, 10);
}

TEST_P(Sessions, AreNotThereUnlessBothWantThem) {
    for (const bool client : {false, true}) {
        Plan made = plan(resuming(with_certificate()));
        (client ? made.client : made.server).resumption = false;
        Acquaintances two(made);
        for (int again = 0; again < 2; ++again) {
            ASSERT_TRUE(two.meet());
            EXPECT_FALSE(two.reused);
        }
    }
    Plan made = plan(resuming(with_certificate()));
    made.server.tickets = 0;
    Acquaintances two(made);
    for (int again = 0; again < 2; ++again) {
        ASSERT_TRUE(two.meet());
        EXPECT_FALSE(two.reused);
    }
}

TEST_P(Sessions, DoNotStandForAClientsCertificateOrKey) {
    Plan both = with_certificate();
    mutual(both);
    for (const Plan& made : {both, with_psk()}) {
        Acquaintances two(plan(resuming(made)));
        for (int again = 0; again < 2; ++again) {
            Pair pair(two.plan());
            ASSERT_TRUE(pair.handshake()) << describe(pair.client->error());
            EXPECT_FALSE(pair.client->session_reused());
            EXPECT_FALSE(pair.server->session_reused());
            write_some(*pair.server, pair.server_callbacks, "hello");
            EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "hello");
            EXPECT_TRUE(!pair.client->context().uses_psk() || pair.client->session().empty());
        }
    }
}

TEST_P(Sessions, OfManyServersAreNotKeptForEver) {
    // Twice as many names as are remembered: the last ones are.
    Plan made = plan(resuming(with_certificate("server-wildcard")));
    Acquaintances two(made);
    const auto name = [](int i) { return "n" + std::to_string(i) + ".example.test"; };
    for (int i = 0; i < 16; ++i) {
        two.plan().name = name(i);
        ASSERT_TRUE(two.meet());
    }
    two.plan().name = name(0);
    ASSERT_TRUE(two.meet());
    EXPECT_FALSE(two.reused);
    two.plan().name = name(15);
    ASSERT_TRUE(two.meet());
    EXPECT_TRUE(two.reused);
}

TEST_P(Sessions, ArriveOverTheSmallestStream) {
    Plan made = plan(resuming(with_certificate()));
    made.capacity = 1;
    Acquaintances two(made);
    for (int again = 0; again < 2; ++again) {
        Pair pair(two.plan());
        // A server's handshake ends when its ticket has left, which the client must read.
        bool done = false;
        for (int i = 0; i < 100000 && !done; ++i) {
            const bool client = pair.client->handshake(pair.client_callbacks).kind == Kind::done;
            done = pair.server->handshake(pair.server_callbacks).kind == Kind::done && client;
            if (client) {
                EXPECT_EQ(read_all(*pair.client, pair.client_callbacks), "");
            }
        }
        ASSERT_TRUE(done) << describe(pair.client->error()) << describe(pair.server->error());
        EXPECT_EQ(pair.client->session_reused(), again != 0);
        const std::string data = pattern(1000);
        std::string got;
        std::size_t sent = 0;
        for (int i = 0; i < 100000 && got.size() < data.size(); ++i) {
            if (sent < data.size())
                sent += pair.server->write(pair.server_callbacks, bytes(data.substr(sent))).count;
            else
                pair.server->flush(pair.server_callbacks);
            got += read_all(*pair.client, pair.client_callbacks);
        }
        EXPECT_EQ(got, data);
    }
}

TEST(Session, IsAClients) {
    const Options server = with_certificate().server;
    auto context = Context::make(ussl::openssl_engine, server);
    ASSERT_TRUE(context);
    const auto made = Connection::make(*context, {.session = bytes("whatever")});
    ASSERT_FALSE(made);
    EXPECT_STREQ(made.error().reason, "`session` is only valid for a client");
}

}  // namespace
}  // namespace contract
