// Behavior of other peers that ussl's own peers do not have: OpenSSL's own client with our server,
// and once its server with our client.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdlib>
#include <cstring>

#include "contract.hpp"
#include "hello.hpp"
#include "reader.hpp"

namespace contract {
namespace {

template <auto let_go>
struct LetGo {
    template <class T>
    void operator()(T* what) const {
        let_go(what);
    }
};

/// OpenSSL itself in the place of one end of a pair.
class PlainPeer {
  public:
    /// Sends so many records without plaintext, and a byte behind them.
    void flood(int records) {
        for (int i = 0; i < records; ++i) {
            ASSERT_EQ(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
            ASSERT_EQ(SSL_do_handshake(ssl_.get()), 1);
        }
        ASSERT_EQ(SSL_write(ssl_.get(), "x", 1), 1);
    }
    void send(Ring& out) {
        std::uint8_t byte = 0;
        while (BIO_read(SSL_get_wbio(ssl_.get()), &byte, 1) == 1)
            out.bytes.push_back(byte);
    }
    void receive(Ring& in) {
        const std::string all = in.text();
        in.bytes.clear();
        if (!all.empty())
            BIO_write(SSL_get_rbio(ssl_.get()), all.data(), static_cast<int>(all.size()));
    }

  protected:
    explicit PlainPeer(const SSL_METHOD* method) : ctx_(SSL_CTX_new(method)) {}
    /// Once the context is complete.
    void start() {
        ssl_.reset(SSL_new(ctx_.get()));
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }

    std::unique_ptr<SSL_CTX, LetGo<SSL_CTX_free>> ctx_;
    std::unique_ptr<SSL, LetGo<SSL_free>> ssl_;
};

class PlainServer : public PlainPeer {
  public:
    PlainServer() : PlainPeer(TLS_server_method()) {
        const std::string folder = std::getenv("USSL_CERTS");
        EXPECT_EQ(SSL_CTX_use_certificate_chain_file(ctx_.get(), (folder + "/server.crt").c_str()),
                  1);
        EXPECT_EQ(SSL_CTX_use_PrivateKey_file(ctx_.get(), (folder + "/server.key").c_str(),
                                              SSL_FILETYPE_PEM),
                  1);
        start();
        SSL_set_accept_state(ssl_.get());
    }
    bool handshake(Pair& pair) {
        bool done = false;
        for (int turn = 0; turn < 10 && !(done && pair.client->handshake_done()); ++turn) {
            pair.client->handshake(pair.client_callbacks);
            receive(pair.to_server);
            done = SSL_do_handshake(ssl_.get()) == 1;
            send(pair.to_client);
        }
        return done && pair.client->handshake_done();
    }
};

class PlainClient : public PlainPeer {
  public:
    using Session = std::unique_ptr<SSL_SESSION, LetGo<SSL_SESSION_free>>;

    /// Before the handshake.
    void use_groups(const char* names) {
        EXPECT_EQ(SSL_set1_groups_list(ssl_.get(), names), 1);
        EXPECT_EQ(SSL_set_min_proto_version(ssl_.get(), TLS1_3_VERSION), 1);
    }
    /// With a pre-shared key, unless that is empty; `resumes` may be null.
    explicit PlainClient(std::string_view key = {}, SSL_SESSION* resumes = nullptr)
        : PlainPeer(TLS_client_method()), key_(key) {
        start();
        SSL_set_connect_state(ssl_.get());
        SSL_set_app_data(ssl_.get(), reinterpret_cast<char*>(this));
        SSL_set_msg_callback(ssl_.get(), keep_message);
        if (!key.empty()) {
            SSL_set_psk_use_session_callback(ssl_.get(), use_key_tls1_3);
            SSL_set_psk_client_callback(ssl_.get(), use_key_tls1_2);
        }
        if (resumes != nullptr)
            SSL_set_session(ssl_.get(), resumes);
    }

    bool handshake(Pair& pair) {
        bool done = false;
        for (int turn = 0; turn < 10 && !(done && pair.server->handshake_done()); ++turn) {
            if (turn == 1 && before_second_flight)
                before_second_flight();
            ERR_clear_error();
            done = SSL_do_handshake(ssl_.get()) == 1;
            if (const int reason = ERR_GET_REASON(ERR_peek_last_error());
                reason > SSL_AD_REASON_OFFSET)
                alert_ = reason - SSL_AD_REASON_OFFSET;
            send(pair.to_server);
            pair.server->handshake(pair.server_callbacks);
            receive(pair.to_client);
        }
        return done && pair.server->handshake_done();
    }
    /// The server's data since then, a ticket and a byte.
    Session session(Pair& pair) {
        EXPECT_EQ(pair.server->write(pair.server_callbacks, bytes("x")).count, 1U);
        receive(pair.to_client);
        char byte = 0;
        EXPECT_EQ(SSL_read(ssl_.get(), &byte, 1), 1);
        return Session(SSL_get1_session(ssl_.get()));
    }
    /// Sends a share of a group that no engine offers, and accepts another one: the server answers
    /// with HelloRetryRequest.
    void provoke_a_retry() { ASSERT_EQ(SSL_set1_groups_list(ssl_.get(), "X448:P-256"), 1); }
    /// Empty: none.
    void set_name(const std::string& name) {
        std::string copy = name;
        ASSERT_EQ(SSL_set_tlsext_host_name(ssl_.get(), name.empty() ? nullptr : copy.data()), 1);
    }
    std::string identity = "me";  ///< empty: none
    std::function<void()> before_second_flight;
    /// The alert that the server sent; 0: none.
    [[nodiscard]] int alert() const { return alert_; }
    /// How many messages of a type the server sent.
    [[nodiscard]] int count(int type) const {
        const auto found = counts_.find(type);
        return found != counts_.end() ? found->second : 0;
    }
    [[nodiscard]] const std::string& hint() const { return hint_; }
    /// The body of the last handshake message of a type that the server sent; empty: none.
    [[nodiscard]] std::string message(int type) const {
        const auto found = messages_.find(type);
        return found != messages_.end() ? found->second : "";
    }

  private:
    static unsigned use_key_tls1_2(SSL* ssl, const char* hint, char* identity, unsigned,
                                   unsigned char* key, unsigned) {
        auto* self = reinterpret_cast<PlainClient*>(SSL_get_app_data(ssl));
        self->hint_ = hint != nullptr ? hint : "";
        std::strcpy(identity, self->identity.c_str());
        std::memcpy(key, self->key_.data(), self->key_.size());
        return static_cast<unsigned>(self->key_.size());
    }
    static int use_key_tls1_3(SSL* ssl, const EVP_MD*, const unsigned char** identity,
                              std::size_t* size, SSL_SESSION** made) {
        const unsigned char suite[] = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256
        const auto* self = reinterpret_cast<const PlainClient*>(SSL_get_app_data(ssl));
        const std::string& key = self->key_;
        *made = nullptr;
        if (self->identity.empty())
            return 1;
        *made = SSL_SESSION_new();
        *identity = bytes(self->identity).data();
        *size = self->identity.size();
        return SSL_SESSION_set1_master_key(*made, bytes(key).data(), key.size()) == 1 &&
                       SSL_SESSION_set_cipher(*made, SSL_CIPHER_find(ssl, suite)) == 1 &&
                       SSL_SESSION_set_protocol_version(*made, TLS1_3_VERSION) == 1
                   ? 1
                   : 0;
    }
    static void keep_message(int sent, int, int type, const void* data, std::size_t size, SSL* ssl,
                             void*) {
        const std::string_view message(static_cast<const char*>(data), size);
        if (sent != 0 || type != SSL3_RT_HANDSHAKE)
            return;
        auto* self = reinterpret_cast<PlainClient*>(SSL_get_app_data(ssl));
        self->messages_[message[0]] = message.substr(4);
        ++self->counts_[message[0]];
    }
    std::string key_;
    std::string hint_;
    std::map<int, std::string> messages_;
    std::map<int, int> counts_;
    int alert_ = 0;
};

using Floods = EachPair;
INSTANTIATE_EACH_PAIR(Floods);

// RFC 8446 §4.6.3: a peer may update its keys at any time, and as often as it likes. Floods of
// other records are in the suite hostile.
TEST_P(Floods, OfKeyUpdatesAreProcessedInParts) {
    constexpr int records = 1000;
    constexpr int most = 32;
    int all_calls = 0;
    for (const bool ahead : {false, true})
        for (const bool to_client : {false, true}) {
            SCOPED_TRACE(testing::Message() << ahead << to_client);
            Plan made = plan(with_certificate());
            only(made, Version::tls1_3);
            made.read_ahead = ahead;
            Pair pair(made);
            Connection& victim = to_client ? *pair.client : *pair.server;
            MemoryCallbacks& callbacks = to_client ? pair.client_callbacks : pair.server_callbacks;
            PlainClient client;
            PlainServer server;
            ASSERT_TRUE(to_client ? server.handshake(pair) : client.handshake(pair))
                << describe(victim.error());
            read_all(victim, callbacks);
            PlainPeer& peer = to_client ? static_cast<PlainPeer&>(server) : client;
            peer.flood(records);
            peer.send(callbacks.in);
            // Each of them is as long.
            const std::size_t record = 5U + callbacks.in.bytes[4];
            int calls = 0;
            Progress progress;
            do {
                const std::size_t left = callbacks.in.bytes.size();
                const int reads = callbacks.reads;
                std::uint8_t buffer[10];
                progress = victim.read(callbacks, buffer);
                ++calls;
                if (lacks(to_client ? made.client_engine : made.server_engine, Lacks::key_update)) {
                    EXPECT_EQ(progress.kind, Kind::failed);
                    break;
                }
                ASSERT_TRUE(progress.kind != Kind::failed) << describe(victim.error());
                if (!ahead) {
                    EXPECT_LE(left - callbacks.in.bytes.size(), most * record);
                }
                EXPECT_LE(callbacks.reads - reads, ahead ? 2 : 2 * most);
                EXPECT_EQ(victim.paused(), progress.kind == Kind::blocked);
                // A poll finds the rest at once, in the stream or inside.
                EXPECT_TRUE(!callbacks.in.bytes.empty() || progress.kind == Kind::done ||
                            victim.poll_interest(Direction::read) == ussl::PollInterest::nothing);
            } while (progress.kind == Kind::blocked && calls < 2 * records);
            all_calls += calls;
            if (progress.kind == Kind::failed)
                continue;
            EXPECT_EQ(progress.count, 1U);
            EXPECT_GE(calls, records / most);
            EXPECT_LE(calls, records / most + 2);
        }
    // For tests/timing/floods.
    RecordProperty("calls", all_calls);
}

using PskOfOthers = EachPair;
INSTANTIATE_EACH_PAIR(PskOfOthers);

// RFC 4279 §2: the server's hint, by which the client selects its identity.
TEST_P(PskOfOthers, TheHintIsShown) {
    Plan made = plan(with_psk());
    only(made, Version::tls1_2);
    made.server.psk_hint = bytes("which key?");
    Pair pair(made);
    PlainClient client("0123456789abcdef");
    EXPECT_TRUE(client.handshake(pair)) << describe(pair.server->error());
    EXPECT_EQ(client.hint(), lacks(made.server_engine, Lacks::psk_hint) ? "" : "which key?");
}

// RFC 8446 §4.2.11: a client may offer several. If the next one counted, too, the answer to [guess,
// mine] would tell whether the server knows the guess. Here, the guess is a ticket.
TEST_P(PskOfOthers, OnlyTheFirstIdentityCounts) {
    Plan made = plan(with_certificate());
    only(made, Version::tls1_3);
    made.server_engine = &ussl::openssl_engine;  // whose tickets are short enough for an identity
    made.server.resumption = true;
    Pair with_tickets(made);
    PlainClient before;
    ASSERT_TRUE(before.handshake(with_tickets)) << describe(with_tickets.server->error());
    const PlainClient::Session ticket = before.session(with_tickets);
    ASSERT_EQ(SSL_SESSION_is_resumable(ticket.get()), 1);
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    SSL_SESSION_get0_ticket(ticket.get(), &data, &size);
    const std::string guess(reinterpret_cast<const char*>(data), size);
    ASSERT_LE(size, ussl::max_psk_identity);

    int alerts[2];
    for (const bool known : {false, true}) {
        made = plan(with_psk());
        only(made, Version::tls1_3);
        if (known)
            made.keys[guess] = pattern(32);
        Pair pair(made);
        // A session is not offered again after a connection that failed.
        const PlainClient::Session copy(SSL_SESSION_dup(ticket.get()));
        PlainClient client("0123456789abcdef", copy.get());
        EXPECT_FALSE(client.handshake(pair));
        EXPECT_EQ(pair.server->error().code, known ? Code::PSK_KEY : Code::PSK_IDENTITY)
            << describe(pair.server->error());
        EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{guess});
        alerts[known ? 1 : 0] = client.alert();
    }
    EXPECT_EQ(alerts[0], alerts[1]);
    EXPECT_NE(alerts[0], 0);
}

TEST_P(PskOfOthers, ManyIdentitiesAreLookedUpOnce) {
    for (const std::string first : {"me", "nobody"}) {
        Plan made = plan(with_psk());
        only(made, Version::tls1_3);
        Pair pair(made);
        pair.client->handshake(pair.client_callbacks);
        std::vector<std::string> identities(300, first);
        identities.resize(330, "me");
        const std::string hello = with_identities(pair.to_server.text(), identities);
        pair.to_server.bytes.assign(hello.begin(), hello.end());
        pair.server->handshake(pair.server_callbacks);
        EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{first});
        EXPECT_EQ(pair.server->error().code, first == "me" ? Code::PSK_KEY : Code::PSK_IDENTITY)
            << describe(pair.server->error());
    }
}

// RFC 8446 §4.1.2: after HelloRetryRequest, a client repeats its ClientHello.
using SecondHello = EachPair;
INSTANTIATE_EACH_PAIR(SecondHello);
constexpr int illegal_parameter = 47;

TEST_P(SecondHello, HasTheNameOfTheFirst) {
    struct {
        std::string first, second;
    } const rows[] = {{"a.example.test", "a.example.test"},
                      {"", ""},
                      {"a.example.test", "b.example.test"},
                      {"a.example.test", "a.example.tes"},
                      {"a.example.test", ""},
                      {"", "a.example.test"}};
    for (const auto& [first, second] : rows) {
        SCOPED_TRACE(first + " " + second);
        Plan made = plan(with_certificate());
        only(made, Version::tls1_3);
        made.server.choose_by_name = true;
        // The chosen context stays, although its suites would not fit.
        Plan other = made;
        const std::uint16_t its_own[] = {0x1301}, others[] = {0x1303};
        made.server.suites = its_own;
        other.server.suites = others;
        const auto instead = Context::make(*made.server_engine, other.server);
        ASSERT_TRUE(instead);
        Pair pair(made);
        pair.server_callbacks.on_name = [&](ussl::Ref<Context>& context, std::uint8_t&) {
            context = *instead;
            return ussl::NameAnswer::good;
        };
        PlainClient client;
        client.provoke_a_retry();
        client.set_name(first);
        client.before_second_flight = [&client, name = second] { client.set_name(name); };
        const bool same = first == second;
        EXPECT_EQ(client.handshake(pair), same) << describe(pair.server->error());
        EXPECT_EQ(pair.server_callbacks.names, std::vector<std::string>{first});
        EXPECT_EQ(client.count(SSL3_MT_SERVER_HELLO), same ? 2 : 1);
        EXPECT_EQ(pair.server->error().code, same ? Code::none : Code::PROTOCOL);
        EXPECT_EQ(client.alert(), same ? 0 : illegal_parameter);
        EXPECT_EQ(pair.server->error().alert_number, client.alert());
    }
}

TEST_P(SecondHello, HasTheFirstIdentityOfTheFirst) {
    const std::string longer(ussl::max_psk_identity, 'i');
    struct {
        std::string first, second;
    } const rows[] = {{"me", "me"}, {longer, longer}, {"me", "you"}, {"me", "meme"},
                      {"me", ""},   {"me", "nobody"}, {"", "me"}};
    for (const auto& [first, second] : rows) {
        SCOPED_TRACE(first + " " + second);
        const std::string key = "0123456789abcdef";
        Plan made = plan(with_psk());
        only(made, Version::tls1_3);
        made.keys["you"] = made.keys["meme"] = made.keys[longer] = key;
        Pair pair(made);
        PlainClient client(key);
        client.provoke_a_retry();
        client.identity = first;
        client.before_second_flight = [&client, name = second] { client.identity = name; };
        const bool same = first == second;
        EXPECT_EQ(client.handshake(pair), same) << describe(pair.server->error());
        if (first.empty()) {
            EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{});
            continue;
        }
        EXPECT_EQ(pair.server_callbacks.asked, std::vector<std::string>{first});
        EXPECT_EQ(client.count(SSL3_MT_SERVER_HELLO), same ? 2 : 1);
        if (second.empty())
            continue;  // without any, it is a client without a key
        EXPECT_EQ(pair.server->error().code, same ? Code::none : Code::PROTOCOL)
            << describe(pair.server->error());
        EXPECT_EQ(client.alert(), same ? 0 : illegal_parameter);
    }
}

using CertificatesOfOthers = EachPair;
INSTANTIATE_EACH_PAIR(CertificatesOfOthers);

// RFC 8879 §4: extension 27 asks for compressed certificates, message 25 holds one.
TEST_P(CertificatesOfOthers, AreNotDecompressed) {
    Plan made = plan(with_certificate());
    only(made, Version::tls1_3);
    mutual(made);
    made.server.verify = Verify::optional;
    Pair pair(made);
    PlainClient client;
    EXPECT_TRUE(client.handshake(pair)) << describe(pair.server->error());
    EXPECT_NE(client.message(SSL3_MT_CERTIFICATE), "");
    EXPECT_EQ(client.message(25), "");
    const std::string text = client.message(SSL3_MT_CERTIFICATE_REQUEST);
    Reader request(text);
    request.field(1);
    Reader extensions = request.field(2);
    EXPECT_FALSE(extensions.done());
    while (!extensions.done()) {
        EXPECT_NE(extensions.number(2), 27U);
        extensions.field(2);
    }
}

using Groups = EachPair;
INSTANTIATE_EACH_PAIR(Groups);

TEST_P(Groups, ThatNoOtherKnowsAreNoSharedCipher) {
    Pair pair(plan(with_certificate()));
    PlainClient client;
    client.use_groups("X448");
    EXPECT_FALSE(client.handshake(pair));
    const Error& error = pair.server->error();
    EXPECT_EQ(error.code, Code::NO_SHARED_CIPHER) << describe(error);
    EXPECT_EQ(error.alert, Error::Alert::sent);
    EXPECT_EQ(error.alert_number, 40);  // handshake_failure
}

}  // namespace
}  // namespace contract
