#pragma once

#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

class Context;

/// What one read or write on a stream came to.
struct IoResult {
    enum class Kind : std::uint8_t {
        bytes,        ///< `count` bytes were moved; at least 1, at most what was asked for
        would_block,  ///< nothing now; the same call may succeed later
        timed_out,    ///< nothing within the stream's own timeout; a later call may succeed
        end,          ///< read only: the peer has closed its direction
        failed,       ///< the stream is broken; `error` is the errno, always positive
        aborted,  ///< the program ends the call and keeps the reason (an exception); may be tried
                  ///< again
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

/// What to write at once where nothing may block: a stream that is ready takes some bytes, but not
/// any number of them.
inline constexpr std::size_t ready_piece = 512;

/// The stream beneath a connection: anything that moves bytes, in order, both ways.
///
/// A connection does not own its stream and keeps no pointer to it: each call is handed the
/// stream it is to use, so that a garbage collector may move, own and free it as it likes.
class Transport {
  public:
    /// Reads at least 1 and at most `into.size()` bytes; `into` is never empty.
    virtual IoResult read(MutableBytes into) = 0;
    /// Writes at least 1 and at most `from.size()` bytes; `from` is never empty.
    virtual IoResult write(Bytes from) = 0;
    /// Whether the call could move a byte now without blocking; true if the stream cannot tell.
    virtual bool ready(Direction) { return true; }

  protected:
    ~Transport() = default;
};

/// The longest pre-shared key and identity (RFC 4279 §5.3 asks for 64 and 128 bytes; 48 bytes is
/// what both engines take in every version and suite).
inline constexpr std::size_t max_psk_key = 48;
inline constexpr std::size_t max_psk_identity = 128;

enum class PskAnswer : std::uint8_t {
    found,    ///< the key was written
    unknown,  ///< no such identity; the handshake goes on with a random key (RFC 4279 §2)
    aborted,  ///< the lookup failed, and the program keeps the reason: CALLBACK
};

/// What the program says of the name that a client asks for.
enum class NameAnswer : std::uint8_t {
    good,
    refused,  ///< with the alert
    aborted,  ///< the callback failed, and the program keeps the reason: CALLBACK
};

/// What the program says of a certificate.
enum class CertificateDecision : std::uint8_t {
    accepted,
    refused,
    aborted,  ///< the callback failed, and the program keeps the reason: CALLBACK
};

/// How a signature is made; the hash is SHA-256, SHA-384 or SHA-512, by the size of the digest.
enum class SignatureScheme : std::uint8_t {
    ecdsa,      ///< ECDSA, as DER (RFC 8422 §5.4)
    rsa_pkcs1,  ///< RSASSA-PKCS1-v1_5 (RFC 8017 §8.2)
    rsa_pss,    ///< RSASSA-PSS, MGF1 with the same hash, a salt as long as it (RFC 8446 §4.2.3)
};

/// The longest signature: RSA with 8192 bits.
inline constexpr std::size_t max_signature = 1024;

enum class SignAnswer : std::uint8_t {
    made,     ///< the signature was written
    own_key,  ///< Options::key is to make it; without one, the handshake fails
    aborted,  ///< the callback failed, and the program keeps the reason: CALLBACK
};

/// What a call does while another thread's call on the same connection is under way.
enum class TurnAnswer : std::uint8_t {
    again,    ///< some time has passed: it tries again
    refused,  ///< it does not wait: misuse
    aborted,  ///< the program ends it and keeps the reason: interrupted
};

/// The program's side of a connection: its stream, and its answers to the engine's questions.
class Callbacks : public Transport {
  public:
    /// The calling thread: a value of its own for each, never nullptr. By default, all threads are
    /// one, and a call beside another one is misuse.
    virtual const void* thread() {
        static constexpr char any = 0;
        return &any;
    }
    /// Another thread's call is under way; waits a little. Over a stream that blocks, that call may
    /// take as long as the peer likes.
    virtual TurnAnswer wait_for_turn() { return TurnAnswer::refused; }
    /// Server: looks up the key of a client, at most once in a handshake. Writes it to `key` (at
    /// most max_psk_key bytes) and its length, at least 1, to `length`.
    virtual PskAnswer find_psk(Bytes identity, MutableBytes key, std::size_t& length) {
        (void)identity, (void)key, (void)length;
        return PskAnswer::unknown;
    }
    /// With Options::verify_by_program: called for each certificate of the peer's chain (DER), the
    /// topmost first; the peer's own has depth 0. Adds to what is checked, and replaces nothing.
    virtual CertificateDecision verify_certificate(Bytes certificate, int depth) {
        (void)certificate, (void)depth;
        return CertificateDecision::refused;
    }

    /// Server, with Options::choose_by_name: called once in a handshake with the name that the
    /// client asks for (SNI, RFC 6066 §3; UTF-8, at most 255 bytes, without NUL; empty: none).
    /// `instead` may become another server context of the same engine: its certificate is sent, and
    /// its verification of clients applies; cipher suites, versions and ALPN stay. Neither context
    /// may use pre-shared keys. An alert may be set for `refused`.
    virtual NameAnswer choose_context(std::string_view name, Ref<Context>& instead,
                                      std::uint8_t& alert) {
        (void)name, (void)instead, (void)alert;
        return NameAnswer::good;
    }
    /// With Options::sign_by_program: signs for the key of this side's certificate, which may be
    /// somewhere else (a secure element). `scalar` is the private key of Options::key, if that is
    /// there and of ECDSA (big-endian, no zeros before it): some keep there the place of the real
    /// one. Writes the signature, at least 1 and at most max_signature bytes, and its length.
    virtual SignAnswer sign(SignatureScheme scheme, Bytes digest, Bytes scalar,
                            MutableBytes signature, std::size_t& length) {
        (void)scheme, (void)digest, (void)scalar, (void)signature, (void)length;
        return SignAnswer::own_key;
    }
    /// With Options::key_log: a line of the format that Wireshark reads (NSS Key Log Format),
    /// without its end. false: it could not be kept; the connection fails with CALLBACK.
    virtual bool key_log(std::string_view line) {
        (void)line;
        return true;
    }

  protected:
    ~Callbacks() = default;
};

}  // namespace ussl
