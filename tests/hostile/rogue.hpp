#pragma once

// A peer that has the keys and misuses them: Mbed TLS, whose messages are changed or supplemented.
// The sent messages are part of its transcript, so that its Finished message matches.

#include "../contract/contract.hpp"
#include "engine.hpp"

struct mbedtls_ssl_context;

namespace rogue {

using namespace contract;

// Types of records (RFC 8446 §5.1, RFC 6520 for the last).
inline constexpr std::uint8_t change_cipher_spec = 20, alert = 21, handshake = 22, data = 23,
                              heartbeat = 24;

/// A message of the handshake (header and all), or a ChangeCipherSpec, before it is protected.
struct Message {
    std::uint8_t record = handshake;
    std::string bytes;  ///< empty: it is left out

    [[nodiscard]] std::uint8_t type() const { return static_cast<std::uint8_t>(bytes[0]); }
};

/// A message of the handshake with its header (RFC 8446 §4).
std::string message(std::uint8_t type, std::string_view body = "");

class Peer {
  public:
    /// Called before each message, which it may change. Messages that it sends precede this
    /// message.
    using Script = std::function<void(Peer&, Message&)>;

    /// `name`: the name that a client sends and checks.
    Peer(const Options& options, std::string_view name, Ring& in, Ring& out);

    /// Continues as long as there is data to read.
    void step();
    [[nodiscard]] bool open() const { return open_; }
    /// Sends one record of any type and size with the keys of the moment. A message of the
    /// handshake enters the transcript, while there is one.
    void send(std::uint8_t type, std::string_view content);
    /// Sends bytes as they are.
    void send_raw(std::string_view raw);
    /// Sends data, and reads all received data, like a normal peer.
    void write(std::string_view words);
    std::string read();
    void close_notify();
    /// Why its last step failed, as its engine sees it.
    [[nodiscard]] Error failure() const { return session_->failure(); }
    [[nodiscard]] const ussl::EngineSession& session() const { return *session_; }

    Script script;
    unsigned sent = 0;  ///< messages before the one at hand
    MemoryCallbacks callbacks;
    mbedtls_ssl_context* ssl = nullptr;  ///< once something has been sent

  private:
    /// The session, with its hold on the stream.
    ussl::EngineSession& at_work();

    ussl::Ref<Context> context_;
    ussl::HostName name_;
    ussl::SessionResources resources_;
    ussl::Owned<ussl::EngineSession> session_;
    bool open_ = false;
};

}  // namespace rogue
