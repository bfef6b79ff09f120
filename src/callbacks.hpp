#pragma once

// The questions of a handshake to the program, each once, for every engine. An engine asks the
// Callbacks of a call for nothing but through here and through the RecordTransport.

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

    /// Server: to be called with the name (SNI) of each ClientHello; empty: none. Asks the program
    /// for the first one; a second one, after HelloRetryRequest, must have the same name. Returns
    /// the alert that ends the handshake, or 0; then chosen() is the context to use.
    /// `uses_psk`: the connection uses pre-shared keys, and its context cannot be replaced.
    std::uint8_t choose_context(std::string_view name, bool uses_psk);
    /// The context that replaces the connection's own, or nullptr.
    [[nodiscard]] const Context* chosen() const { return chosen_.get(); }
    /// The same for the engine.
    [[nodiscard]] const EngineContext* chosen_engine_context() const;

    /// PSK server: to be called with the first identity of each ClientHello of TLS 1.3; empty:
    /// none. Returns the alert that ends the handshake, or 0.
    std::uint8_t check_first_identity(Bytes identity);
    /// Fills `into` with random bytes; false: failed.
    using RandomBytes = bool (*)(MutableBytes into);
    /// PSK server: the key of an identity. The program is asked once in a handshake; further calls
    /// return the same key. Empty: the handshake ends.
    Bytes find_psk(Bytes identity, RandomBytes random);
    /// The key is a random one, because the program does not know the identity.
    [[nodiscard]] bool psk_identity_unknown() const { return psk_identity_unknown_; }

    /// The program's result for a certificate of the peer's chain, as bits of
    /// Error::certificate_failures.
    std::uint16_t verify_certificate(Bytes certificate, int depth);
    /// As Callbacks::sign().
    SignAnswer sign(SignatureScheme scheme, Bytes digest, Bytes scalar, MutableBytes signature,
                    std::size_t& length);
    /// As Callbacks::key_log().
    void log_key(std::string_view line);

    /// Why an answer ends the handshake; no error if none does, or if a callback failed
    /// (RecordTransport::aborted()).
    [[nodiscard]] const Error& failure() const { return failure_; }
    /// The alert of refusal(), or of a callback that failed; 0: neither.
    [[nodiscard]] std::uint8_t alert() const;

    /// Releases what only the handshake needs.
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
