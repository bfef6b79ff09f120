#pragma once

#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

class Context;

/// The result of one read or write of a stream.
struct IoResult {
    enum class Kind : std::uint8_t {
        bytes,  ///< `count` bytes were read or written: at least 1, at most the requested number
        would_block,  ///< would block; the same call may succeed later
        timed_out,    ///< no byte within the stream's own timeout; a later call may succeed
        end,          ///< read only: the peer has closed its direction
        failed,       ///< the stream is broken; `error` is the errno, always positive
        aborted,  ///< the program ends the call and stores the reason (an exception); the call may
                  ///< be repeated
    };

    Kind kind;
    int error = 0;
    std::size_t count = 0;

    static constexpr IoResult moved(std::size_t n) { return {Kind::bytes, 0, n}; }
    static constexpr IoResult would_block() { return {Kind::would_block}; }
    static constexpr IoResult timed_out() { return {Kind::timed_out}; }
    static constexpr IoResult end() { return {Kind::end}; }
    static constexpr IoResult failed(int positive_errno) { return {Kind::failed, positive_errno}; }
    static constexpr IoResult aborted() { return {Kind::aborted}; }
};

/// The size of a write that must not block: a ready stream accepts some bytes, but not an unlimited
/// number.
inline constexpr std::size_t ready_piece = 512;

/// The byte stream of a connection: reliable, ordered, in both directions.
///
/// A connection neither owns its stream nor stores a pointer to it: each call receives the stream
/// as an argument. A garbage collector may therefore move and release the stream between calls.
class Transport {
  public:
    /// Reads at least 1 and at most `into.size()` bytes; `into` is never empty.
    virtual IoResult read(MutableBytes into) noexcept = 0;
    /// Writes at least 1 and at most `from.size()` bytes; `from` is never empty.
    virtual IoResult write(Bytes from) noexcept = 0;
    /// Returns true if at least one byte can be read or written without blocking, or if the stream
    /// cannot tell.
    virtual bool ready(Direction) noexcept { return true; }

  protected:
    ~Transport() = default;
};

/// The maximum sizes of pre-shared keys and identities in bytes. RFC 4279 §5.3 requires 64 and 128,
/// but both engines support only 48-byte keys in every version and suite.
inline constexpr std::size_t max_psk_key = 48;
inline constexpr std::size_t max_psk_identity = 128;

enum class PskAnswer : std::uint8_t {
    found,    ///< the key was written
    unknown,  ///< unknown identity; the handshake continues with a random key (RFC 4279 §2)
    aborted,  ///< the lookup failed and the program stored the reason: CALLBACK
};

/// The result of Callbacks::choose_context().
enum class NameAnswer : std::uint8_t {
    good,
    refused,  ///< the alert is sent
    aborted,  ///< the callback failed and the program stored the reason: CALLBACK
};

/// The result of Callbacks::verify_certificate().
enum class CertificateDecision : std::uint8_t {
    accepted,
    refused,
    aborted,  ///< the callback failed and the program stored the reason: CALLBACK
};

/// The signature algorithm. The size of the digest determines the hash: SHA-256, SHA-384 or
/// SHA-512.
enum class SignatureScheme : std::uint8_t {
    ecdsa,      ///< ECDSA, encoded in DER (RFC 8422 §5.4)
    rsa_pkcs1,  ///< RSASSA-PKCS1-v1_5 (RFC 8017 §8.2)
    rsa_pss,  ///< RSASSA-PSS, MGF1 with the same hash, salt length = hash length (RFC 8446 §4.2.3)
};

/// The maximum signature size in bytes: RSA with 8192 bits.
inline constexpr std::size_t max_signature = 1024;

enum class SignAnswer : std::uint8_t {
    made,     ///< the signature was written
    own_key,  ///< use Options::key; without it, the handshake fails
    aborted,  ///< the callback failed and the program stored the reason: CALLBACK
};

/// The result of Callbacks::wait_for_turn().
enum class TurnAnswer : std::uint8_t {
    again,    ///< some time has passed: try again
    refused,  ///< do not wait: the call is misuse
    aborted,  ///< the program ends the call and stores the reason: `interrupted`
};

/// The stream of a connection and the program's callbacks.
class Callbacks : public Transport {
  public:
    /// Returns an identifier of the calling thread, unique and never nullptr. By default, all
    /// threads have the same one, and concurrent calls are misuse.
    virtual const void* thread() noexcept {
        static constexpr char any = 0;
        return &any;
    }
    /// Waits a short time, because another thread's call is under way. Over a blocking stream, that
    /// call may wait for the peer without limit.
    virtual TurnAnswer wait_for_turn() noexcept { return TurnAnswer::refused; }
    /// Server: looks up the key of a client, at most once in a handshake. Writes the key to `key`
    /// (at most max_psk_key bytes) and its length, at least 1, to `length`.
    virtual PskAnswer find_psk(Bytes identity, MutableBytes key, std::size_t& length) noexcept {
        (void)identity, (void)key, (void)length;
        return PskAnswer::unknown;
    }
    /// With Options::verify_by_program: called for each certificate of the peer's chain (DER), from
    /// the topmost one down to the peer's own, which has depth 0. The callback can only reject: all
    /// other checks still apply.
    virtual CertificateDecision verify_certificate(Bytes certificate, int depth) noexcept {
        (void)certificate, (void)depth;
        return CertificateDecision::refused;
    }

    /// Server, with Options::choose_by_name: called once in a handshake with the client's requested
    /// name (SNI, RFC 6066 §3). The name is UTF-8, at most 255 bytes, without NUL; empty: no SNI.
    /// The callback may set `instead` to another server context of the same engine. The certificate
    /// and the verification of clients are then of that context. Cipher suites, versions and ALPN
    /// do not change. Neither context may use pre-shared keys. `alert` is sent if the result is
    /// `refused`.
    virtual NameAnswer choose_context(std::string_view name, Ref<Context>& instead,
                                      std::uint8_t& alert) noexcept {
        (void)name, (void)instead, (void)alert;
        return NameAnswer::good;
    }
    /// With Options::sign_by_program: signs `digest` for the certificate of this side, for keys in
    /// a secure element. `scalar` is the private ECDSA key in Options::key (big-endian, without
    /// leading zeros), or empty. Some secure elements store a reference to the real key in this
    /// place. Writes the signature, 1 to max_signature bytes, and its length.
    virtual SignAnswer sign(SignatureScheme scheme, Bytes digest, Bytes scalar,
                            MutableBytes signature, std::size_t& length) noexcept {
        (void)scheme, (void)digest, (void)scalar, (void)signature, (void)length;
        return SignAnswer::own_key;
    }
    /// With Options::key_log: receives one line in the NSS Key Log Format (read by Wireshark),
    /// without a line end. If it returns false, the connection fails with CALLBACK.
    virtual bool key_log(std::string_view line) noexcept {
        (void)line;
        return true;
    }

  protected:
    ~Callbacks() = default;
};

}  // namespace ussl
