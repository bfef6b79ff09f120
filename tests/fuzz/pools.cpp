// One client that resumes, and a pool of servers of different versions and settings behind one
// name: with either engine in either place, each connection has the same result.

#include "difference.hpp"

namespace fuzz {
namespace {

/// One server of the pool.
struct Member {
    Version minimum, maximum;
    bool resumes;
    bool alpn;
    bool mutual;
    bool limits;
    std::uint8_t tickets;
};

struct Visit {
    std::size_t member;
    bool other_name;
    bool reads;     ///< tickets of TLS 1.3 arrive with the first data
    bool breaks;    ///< the connection ends in a fatal alert
    bool restarts;  ///< the server forgets its keys before
};

struct Story {
    Member members[3];
    Version minimum, maximum;
    bool alpn, limits;
    std::vector<Visit> visits;
};

Member member(Input& input) {
    Member made{};
    const auto versions = input.ConsumeIntegralInRange(0, 2);
    made.minimum = versions == 1 ? Version::tls1_3 : Version::tls1_2;
    made.maximum = versions == 2 ? Version::tls1_2 : Version::tls1_3;
    made.resumes = input.ConsumeIntegralInRange(0, 3) != 3;
    made.alpn = input.ConsumeBool();
    made.mutual = input.ConsumeIntegralInRange(0, 5) == 5;
    made.limits = input.ConsumeIntegralInRange(0, 5) == 5;
    made.tickets = input.ConsumeIntegralInRange<std::uint8_t>(1, 3);
    return made;
}

/// The result of each connection: its version, whether it was resumed, or the row of its error.
std::string told(const Story& story, const ussl::Engine* client_engine,
                 const ussl::Engine* server_engine) {
    forget_random();
    Plan base = with_certificate();
    base.client_engine = client_engine;
    base.server_engine = server_engine;
    base.client.verify_time = base.server.verify_time = today;
    base.client.resumption = true;
    base.client.minimum_version = story.minimum;
    base.client.maximum_version = story.maximum;
    if (story.alpn)
        base.client.alpn = bytes("\2h2");
    if (story.limits)
        base.client.record_size_limit = 1024;
    Plan with_client_certificate = base;
    mutual(with_client_certificate);
    base.client.certificate = with_client_certificate.client.certificate;
    base.client.key = with_client_certificate.client.key;

    auto client = Context::make(*client_engine, base.client);
    expect(client.has_value(), "no context of the client");
    ussl::Ref<Context> servers[3];
    std::string text;
    for (const Visit& visit : story.visits) {
        const Member& member = story.members[visit.member];
        Plan plan = base;
        plan.server.minimum_version = member.minimum;
        plan.server.maximum_version = member.maximum;
        plan.server.resumption = member.resumes;
        plan.server.tickets = member.tickets;
        if (member.alpn)
            plan.server.alpn = bytes("\2h2");
        if (member.limits)
            plan.server.record_size_limit = 512;
        if (member.mutual) {
            plan.server.verify = Verify::required;
            plan.server.trusted = with_client_certificate.server.trusted;
        }
        ussl::Ref<Context>& server = servers[visit.member];
        if (!server || visit.restarts) {
            auto made = Context::make(*server_engine, plan.server);
            expect(made.has_value(), "no context of the server");
            server = std::move(*made);
        }
        plan.client_context = *client;
        plan.server_context = server;
        if (visit.other_name)
            plan.name = "127.0.0.1";
        Pair pair(plan);
        pair.handshake();
        if (visit.breaks) {
            // A malformed record.
            pair.to_client.add(std::string("\x17\x03\x03\0\4abcd", 9));
            read_all(*pair.client, pair.client_callbacks);
        } else if (visit.reads) {
            converse(*pair.server, pair.server_callbacks, "from the server");
            converse(*pair.client, pair.client_callbacks, "from the client");
            converse(*pair.server, pair.server_callbacks, "from the server");
        }
        const Connection& at = *pair.client;
        const Connection& with = *pair.server;
        text += visit.breaks ? " broken:" : " ";
        if (at.handshake_done() && with.handshake_done()) {
            expect(at.session_reused() == with.session_reused(), "resumed at one end only");
            expect(at.version() == with.version(), "two versions");
            text += std::string(at.version() == Version::tls1_2 ? "1.2" : "1.3") +
                    (at.session_reused() ? " resumed" : " full");
        } else {
            text += at.failed() ? std::string(ussl::name_of(at.error().code)) : "waits";
        }
        text += ",";
        expect_explained(*pair.client, pair.client_callbacks);
        expect_explained(*pair.server, pair.server_callbacks);
    }
    return text;
}

}  // namespace

void run(Input& input) {
    Story story{};
    for (Member& made : story.members)
        made = member(input);
    const auto versions = input.ConsumeIntegralInRange(0, 5);
    story.minimum = versions == 4 ? Version::tls1_3 : Version::tls1_2;
    story.maximum = versions == 5 ? Version::tls1_2 : Version::tls1_3;
    story.alpn = input.ConsumeBool();
    story.limits = input.ConsumeIntegralInRange(0, 3) == 3;
    const auto count = input.ConsumeIntegralInRange(2, 6);
    for (int i = 0; i < count; ++i)
        story.visits.push_back(
            {input.ConsumeIntegralInRange<std::size_t>(0, 2),
             input.ConsumeIntegralInRange(0, 5) == 5, input.ConsumeIntegralInRange(0, 3) != 3,
             input.ConsumeIntegralInRange(0, 7) == 7, input.ConsumeIntegralInRange(0, 7) == 7});
    const std::string both_openssl = told(story, engines[0], engines[0]);
    const std::string server_openssl = told(story, engines[1], engines[0]);
    const std::string client_openssl = told(story, engines[0], engines[1]);
    const std::string both_mbedtls = told(story, engines[1], engines[1]);
    expect_same("a client of OpenSSL's servers", both_openssl, server_openssl);
    expect_same("a client of Mbed TLS's servers", client_openssl, both_mbedtls);
    expect_same("the servers of OpenSSL's client", both_openssl, client_openssl);
}

}  // namespace fuzz
