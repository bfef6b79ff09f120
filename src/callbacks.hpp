#pragma once

// The questions of a handshake to the program, each asked once, for all engines. Engines use the
// program's Callbacks only through this class and RecordTransport.

#include "record_transport.hpp"
#include "ussl/error.hpp"

namespace ussl {

class EngineContext;

class EngineCallbacks {
  public:
    explicit EngineCallbacks(RecordTransport& transport);
    ~EngineCallbacks();
    EngineCallbacks(const EngineCallbacks&) = delete;
    EngineCallbacks& operator=(const EngineCallbacks&) = delete;

    /// Server: called with the name (SNI) of each ClientHello; empty: no name. Calls the program's
    /// callback for the first one. A second ClientHello, after HelloRetryRequest, must have the
    /// same name. Returns the alert that ends the handshake, or 0; then chosen() is the context to
    /// use. `uses_psk`: the connection uses pre-shared keys, so its context cannot be replaced.
    std::uint8_t choose_context(std::string_view name, bool uses_psk);
    /// Returns the context that replaces the connection's own, or nullptr.
    [[nodiscard]] const Context* chosen() const { return chosen_.get(); }
    /// Returns the engine's part of chosen(), or nullptr.
    [[nodiscard]] const EngineContext* chosen_engine_context() const;

    /// PSK server: called with the first identity of each ClientHello of TLS 1.3; empty: no
    /// identity. Returns the alert that ends the handshake, or 0.
    std::uint8_t check_first_identity(Bytes identity);
    /// Fills `into` with random bytes. Returns false on failure.
    using RandomBytes = bool (*)(MutableBytes into);
    /// PSK server: returns the key of an identity. Calls the program's callback once in a
    /// handshake; further calls return the same key. Empty: the handshake must end.
    Bytes find_psk(Bytes identity, RandomBytes random);
    /// Returns true if the program does not know the identity: the key is random.
    [[nodiscard]] bool psk_identity_unknown() const { return psk_identity_unknown_; }

    /// Calls the program's callback for a certificate of the peer's chain. Returns its result as
    /// bits of Error::certificate_failures.
    std::uint16_t verify_certificate(Bytes certificate, int depth);
    /// As Callbacks::sign().
    SignAnswer sign(SignatureScheme scheme, Bytes digest, Bytes scalar, MutableBytes signature,
                    std::size_t& length);
    /// As Callbacks::key_log().
    void log_key(std::string_view line);

    /// Returns the error if a callback's result ends the handshake. Code::none if it does not, or
    /// if a callback failed (RecordTransport::aborted()).
    [[nodiscard]] const Error& failure() const { return failure_; }
    /// Returns the alert for failure(), or for a callback that failed; 0: neither.
    [[nodiscard]] std::uint8_t alert() const;

    /// Releases memory that only the handshake needs.
    void end_handshake();

  private:
    std::uint8_t refuse(Code code, std::uint8_t alert);
    std::uint8_t remember(Bytes what, SecretBytes& into);

    RecordTransport& transport_;
    Ref<Context> chosen_;
    Error failure_;
    SecretBytes name_, identity_, key_;  ///< of the first ClientHello
    std::uint8_t key_size_ = 0;
    bool has_name_ = false;
    bool has_identity_ = false;
    bool psk_identity_unknown_ = false;
};

}  // namespace ussl
