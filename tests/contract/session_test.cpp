// Sessions that are resumed, by themselves and by hand; and those that must not be.

#include "contract.hpp"

namespace contract {
namespace {

/// A client and a server that meet again and again, each with one context.
class Acquaintances {
  public:
    explicit Acquaintances(Plan plan) : plan_(std::move(plan)) {
        plan_.client_context = make(*plan_.client_engine, plan_.client);
        plan_.server_context = make(*plan_.server_engine, plan_.server);
    }

    /// A connection from beginning to end; false if it did not come about.
    bool meet() {
        Pair pair(plan_);
        if (!pair.handshake()) {
            ADD_FAILURE() << describe(pair.client->error()) << describe(pair.server->error());
            return false;
        }
        reused = pair.client->session_reused();
        EXPECT_EQ(pair.server->session_reused(), reused);
        EXPECT_EQ(pair.client->peer_verified(), plan_.client.verify != Verify::none);
        EXPECT_EQ(pair.client->version(), pair.server->version());
        const Bytes der = pair.client->peer_certificate();
        certificate.assign(der.begin(), der.end());
        const std::string data = pattern(5000);
        write_some(*pair.server, pair.server_host, data);
        EXPECT_EQ(read_all(*pair.client, pair.client_host), data);
        write_some(*pair.client, pair.client_host, data);
        EXPECT_EQ(read_all(*pair.server, pair.server_host), data);
        const Bytes saved = pair.client->session();
        session.assign(saved.begin(), saved.end());
        pair.client->close(pair.client_host);
        pair.server->close(pair.server_host);
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

constexpr const char* of_no_use = "session is damaged, or of another context or server_hostname";

TEST_P(Sessions, AreResumedByThemselves) {
    for (const Verify verify : {Verify::required, Verify::none}) {
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

// What a server shows when it does not resume is looked at as ever.
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
        [](Options& o) { o.verify = Verify::none; },
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
    // When it was verified, and how long records are, makes no difference.
    two.plan().client = same;
    two.plan().client.verify_time = 1700000000;
    two.plan().client.record_size_limit = 1024;
    two.new_client();
    EXPECT_EQ(two.refusal(session), "");
    two.plan().client = same;
    two.plan().client.resumption = false;
    two.new_client();
    EXPECT_EQ(two.refusal(session), "session: this context does not resume");
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
            write_some(*pair.server, pair.server_host, "hello");
            EXPECT_EQ(read_all(*pair.client, pair.client_host), "hello");
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
            const bool client = pair.client->handshake(pair.client_host).kind == Kind::done;
            done = pair.server->handshake(pair.server_host).kind == Kind::done && client;
            if (client) {
                EXPECT_EQ(read_all(*pair.client, pair.client_host), "");
            }
        }
        ASSERT_TRUE(done) << describe(pair.client->error()) << describe(pair.server->error());
        EXPECT_EQ(pair.client->session_reused(), again != 0);
        const std::string data = pattern(1000);
        std::string got;
        std::size_t sent = 0;
        for (int i = 0; i < 100000 && got.size() < data.size(); ++i) {
            if (sent < data.size())
                sent += pair.server->write(pair.server_host, bytes(data.substr(sent))).count;
            else
                pair.server->flush(pair.server_host);
            got += read_all(*pair.client, pair.client_host);
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
    EXPECT_STREQ(made.error().reason, "session is a client's");
}

}  // namespace
}  // namespace contract
