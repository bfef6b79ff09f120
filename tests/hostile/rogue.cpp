#include "rogue.hpp"

#include <algorithm>

#include "context_internals.hpp"
#include "hooks.h"

namespace rogue {
namespace {

std::size_t edit(void* self, mbedtls_ssl_context* ssl, std::uint8_t record, std::uint8_t* at,
                 std::size_t size, std::size_t room) {
    Peer& peer = *static_cast<Peer*>(self);
    peer.ssl = ssl;
    Message message{record, {reinterpret_cast<const char*>(at), size}};
    if (peer.script)
        peer.script(peer, message);
    ++peer.sent;
    size = std::min(message.bytes.size(), room);
    std::copy_n(message.bytes.begin(), size, at);
    return size;
}

}  // namespace

std::string message(std::uint8_t type, std::string_view body) {
    std::string made{static_cast<char>(type)};
    for (const unsigned shift : {16U, 8U, 0U})
        made += static_cast<char>(body.size() >> shift & 0xFFU);
    return made.append(body);
}

Peer::Peer(const Options& options, std::string_view name, Ring& in, Ring& out)
    : callbacks(in, out), context_(*Context::make(ussl::mbedtls_engine, options)) {
    EXPECT_TRUE(name.empty() || name_.parse(name));
    session_ = ussl::ContextInternals::engine(*context_).make_session(
        resources_, name.empty() ? nullptr : &name_);
}

ussl::EngineSession& Peer::at_work() {
    resources_.transport.attach(callbacks);
    return *session_;
}

void Peer::step() {
    rogue_edit(edit, this);
    if (!open_)
        open_ = at_work().handshake().kind == ussl::Outcome::Kind::done;
    rogue_edit(nullptr, nullptr);
}

void Peer::send(std::uint8_t type, std::string_view content) {
    at_work();
    ASSERT_NE(ssl, nullptr);
    const Bytes raw = bytes(content);
    EXPECT_EQ(rogue_send(ssl, type, raw.data(), raw.size()), 0);
}

void Peer::send_raw(std::string_view raw) {
    callbacks.out.add(raw);
}

void Peer::write(std::string_view words) {
    EXPECT_EQ(at_work().write(bytes(words)).kind, ussl::Outcome::Kind::done);
}

std::string Peer::read() {
    std::string heard;
    for (;;) {
        std::uint8_t room[2048];
        const ussl::Outcome outcome = at_work().read(room);
        if (outcome.kind != ussl::Outcome::Kind::done)
            return heard;
        heard.append(reinterpret_cast<const char*>(room), outcome.count);
    }
}

void Peer::close_notify() {
    at_work().close_notify();
}

}  // namespace rogue
