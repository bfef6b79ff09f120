// Messages of the handshake that were changed before they were protected: what no stranger can
// send, but a peer can. Mbed TLS sends them, and both engines say what they make of them.

#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <mbedtls/ssl.h>

#include <algorithm>
#include <cstring>

#include "difference.hpp"

namespace {

fuzz::Editor* changes = nullptr;  // while the peer is at work
bool only_finished = true;        // no other message was changed
bool key_exchange = false;        // one was changed

// What protection adds behind a message, and more.
constexpr std::size_t behind = 128;
constexpr std::size_t message_header = 4;

}  // namespace

// The linker's names (--wrap).
extern "C" int __real_mbedtls_ssl_write_handshake_msg_ext(mbedtls_ssl_context* ssl, int hash,
                                                          int flush);
extern "C" int __wrap_mbedtls_ssl_write_handshake_msg_ext(mbedtls_ssl_context* ssl, int hash,
                                                          int flush) {
    if (changes != nullptr && ssl->out_msgtype == MBEDTLS_SSL_MSG_HANDSHAKE) {
        std::string message(reinterpret_cast<const char*>(ssl->out_msg), ssl->out_msglen);
        const std::string meant = message;
        changes->next(message);
        key_exchange =
            key_exchange || (message != meant && (meant[0] == MBEDTLS_SSL_HS_CLIENT_KEY_EXCHANGE ||
                                                  meant[0] == MBEDTLS_SSL_HS_SERVER_KEY_EXCHANGE));
        only_finished = only_finished && message.size() == meant.size() &&
                        (message == meant || (meant[0] == MBEDTLS_SSL_HS_FINISHED &&
                                              message[0] == MBEDTLS_SSL_HS_FINISHED));
        const auto before = static_cast<std::size_t>(ssl->out_msg - ssl->out_buf) + behind;
        const std::size_t room = std::min<std::size_t>(ssl->out_buf_len - before, 8000);
        message.resize(std::clamp(message.size(), message_header, room));
        std::memcpy(ssl->out_msg, message.data(), message.size());
        ssl->out_msglen = message.size();
    }
    return __real_mbedtls_ssl_write_handshake_msg_ext(ssl, hash, flush);
}

void fuzz::run(Input& input) {
    Scene scene(input);
    scene.plan.client_engine = scene.plan.server_engine = &ussl::mbedtls_engine;
    const Editor editor(input);
    only_finished = true;
    key_exchange = false;
    std::string verdicts[2];
    bool changed[2] = {};
    for (std::size_t i = 0; i < 2; ++i) {
        Editor mine = editor;
        verdicts[i] = scene.verdict(
            engines[i], [&](Ring&, bool before) { changes = before ? &mine : nullptr; });
        changed[i] = mine.changed();
    }
    // What is sent depends on what each has said, but for its end.
    if (!only_finished)
        for (std::string& verdict : verdicts)
            verdict = verdict == "open" ? "open" : "not open";
    // What is shorter for one engine may have no such place to change. And each has another group,
    // of which X25519 takes any point; to P-256 it must be on the curve, and behind it Mbed TLS
    // does not look: what stands there is under the Finished message.
    if (changed[0] != changed[1] || key_exchange)
        return;
    expect_same("messages to a " + scene.where, verdicts[0], verdicts[1]);
}
