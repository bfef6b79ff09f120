// Handshake messages that were changed before they were protected. An unauthenticated attacker
// cannot send them, but a peer can. Mbed TLS sends them, and the results of both engines are
// compared.

#include <algorithm>

#include "../contract/reader.hpp"
#include "../hostile/hooks.h"
#include "difference.hpp"

namespace {

// Of messages (RFC 8446 §4, RFC 5246 §7.4), and of the record around them.
constexpr char client_hello = 1, server_hello = 2, server_key_exchange = 12,
               certificate_request = 13, client_key_exchange = 16, finished = 20;
constexpr std::uint8_t handshake_record = 22;
// Of a ServerHello: header, version, random, a session's identifier, suite, compression.
constexpr std::size_t before_extensions = 4 + 2 + 32 + 1 + 32 + 2 + 1;
constexpr std::size_t message_header = 4;

bool only_finished = true;  // no other message was changed
bool key_exchange = false;  // one was changed
bool hello = false;         // so was one, where Mbed TLS does not look
bool old_version = false;   // so was the version of a ServerHello that has none
bool request = false;       // so was a CertificateRequest, after its lists of types and algorithms

// The size of a CertificateRequest of TLS 1.2 up to its names (RFC 5246 §7.4.4). In TLS 1.3
// (RFC 8446 §4.3.2), they are among the extensions: the size up to these.
std::size_t before_names(std::string_view message) {
    contract::Reader request(message.substr(message_header));
    const bool is_tls1_3 = request.field(1).done();  // an empty certificate_request_context
    if (is_tls1_3)
        request.number(2);
    else
        request.field(2);
    return message.size() - request.rest().size();
}

std::size_t edit(void* editor, mbedtls_ssl_context*, std::uint8_t record, std::uint8_t* at,
                 std::size_t size, std::size_t room) {
    if (record != handshake_record)
        return size;
    const std::string meant(reinterpret_cast<const char*>(at), size);
    std::string message = meant;
    static_cast<fuzz::Editor*>(editor)->next(message);
    const bool changed = message != meant;
    key_exchange =
        key_exchange ||
        (changed && (meant[0] == client_key_exchange || meant[0] == server_key_exchange));
    hello = hello || (changed && meant[0] == client_hello) ||
            (changed && meant[0] == server_hello &&
             message.starts_with(meant.substr(0, before_extensions)));
    request = request || (changed && meant[0] == certificate_request &&
                          message.starts_with(meant.substr(0, before_names(meant))));
    old_version =
        old_version || (changed && meant[0] == server_hello &&
                        message.starts_with(meant.substr(0, message_header)) &&
                        message.substr(message_header, 2) != meant.substr(message_header, 2));
    only_finished = only_finished && message.size() == meant.size() &&
                    (!changed || (meant[0] == finished && message[0] == finished));
    return fuzz::put_message(message, at, room);
}

}  // namespace

void fuzz::run(Input& input) {
    Scene scene(input);
    scene.plan.client_engine = scene.plan.server_engine = &ussl::mbedtls_engine;
    const Editor editor(input);
    only_finished = true;
    key_exchange = hello = old_version = request = false;
    std::string verdicts[2];
    bool changed[2] = {};
    for (std::size_t i = 0; i < 2; ++i) {
        Editor mine = editor;
        verdicts[i] = scene.verdict(engines[i], [&](Ring&, bool before) {
            if (before)
                rogue_edit(edit, &mine);
            else
                rogue_edit(nullptr, nullptr);
        });
        changed[i] = mine.changed();
    }
    // Except for its end, the data depends on the previous messages.
    if (!only_finished)
        for (std::string& verdict : verdicts)
            verdict = verdict == "open" ? "open" : "not open";
    // A message that is shorter with one engine may not have the place to change. Each engine has
    // another group. X25519 accepts any point; a point of P-256 must be on the curve. Mbed TLS does
    // not check the bytes after it: the Finished message covers them.
    if (changed[0] != changed[1] || key_exchange)
        return;
    // In TLS 1.3 a client has to pass over it (RFC 8446 §4.2.1); Mbed TLS takes no other than 1.2.
    if (old_version && scene.plan.client.maximum_version != Version::tls1_2)
        return;
    const char* what = hello ? "a hello to a " : request ? "a request to a " : "messages to a ";
    expect_same(what + scene.where, verdicts[0], verdicts[1]);
}
