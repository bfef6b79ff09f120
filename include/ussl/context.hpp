#pragma once

#include <array>
#include <atomic>
#include <expected>
#include <optional>
#include <string_view>

#include "ussl/error.hpp"
#include "ussl/memory.hpp"
#include "ussl/transport.hpp"
#include "ussl/types.hpp"

namespace ussl {

struct Engine;
class EngineContext;
class Sessions;
struct ContextInternals;
struct ContextSettings;

/// The maximum number of Options::root_stores.
inline constexpr std::size_t max_root_stores = 3;
inline constexpr std::uint32_t default_session_lifetime = 24 * 60 * 60;
inline constexpr std::uint32_t max_session_lifetime = 7 * 24 * 60 * 60;  ///< RFC 8446 §4.6.1

/// The configuration of a Context. Context::make() copies all data that it needs, except
/// `root_stores` and `system_roots`. An absent option is nullopt; an empty one is an error.
///
/// Keys and certificates are PEM or DER, detected by their content. Options that accept several
/// certificates accept their concatenation.
struct Options {
    Role role = Role::client;

    std::optional<Bytes> key{};           ///< PKCS#1, SEC1, PKCS#8, encrypted PKCS#8
    std::optional<Bytes> key_password{};  ///< for an encrypted key
    std::optional<Bytes> certificate{};   ///< this side's certificate, then the rest of its chain
    /// Signatures are made by Callbacks::sign(), which can also delegate to `key`.
    bool sign_by_program = false;
    /// Trust anchors and CRLs. Absent, without `root_stores`: the system's store, if there is one.
    std::optional<Bytes> trusted{};
    /// Additional trust anchors in the format of tools/make_roots (docs/guide/root-stores.md). The
    /// content is not copied: it must stay unchanged and valid while the Context exists.
    std::array<std::optional<Bytes>, max_root_stores> root_stores{};
    /// Replaces the system's store, for a system that has none: a root store, as `root_stores`.
    std::optional<Bytes> system_roots{};
    bool system_store = false;  ///< uses the system's store in addition to the others

    Verify verify = Verify::by_role;
    std::optional<CrlCheck> crl_check{};  ///< absent: leaf, if `trusted` contains CRLs
    /// Client that verifies: the certificate must match Connection::Settings::server_hostname.
    bool check_hostname = true;
    /// Callbacks::verify_certificate() must also accept each certificate of a verified chain.
    bool verify_by_program = false;
    /// The time to check validity periods against, in seconds since 1970 (UTC). Absent: the clock's
    /// time.
    std::optional<std::int64_t> verify_time{};
    /// The build date of the firmware, in seconds since 1970 (UTC). If the clock shows an earlier
    /// time, it is not set. A certificate or CRL that is not valid yet is then the error
    /// Code::CERT_CLOCK.
    std::optional<std::int64_t> build_time{};
    /// Concatenated SHA-256 hashes (32 bytes each) of certificates or of their
    /// SubjectPublicKeyInfo. The peer's own certificate must match one of them, for every value of
    /// `verify`.
    std::optional<Bytes> pins{};

    std::optional<Bytes> psk_identity{};  ///< client: 1 to max_psk_identity bytes
    std::optional<Bytes> psk_key{};       ///< client: 1 to max_psk_key bytes
    bool psk_server = false;              ///< server: Callbacks::find_psk() looks up the keys
    std::optional<Bytes> psk_hint{};      ///< server: identity hint of TLS 1.2 (RFC 4279 §5.2)

    Version minimum_version = Version::tls1_2;
    Version maximum_version = Version::tls1_3;
    /// Cipher suites by their IANA numbers, best first. Suites that do not fit the versions, the
    /// certificates or the pre-shared keys are ignored. Absent: the defaults of
    /// docs/explanation/security.md.
    std::optional<std::span<const std::uint16_t>> suites{};
    /// Key exchange groups (RFC 8446 §4.2.7) by their IANA numbers, best first, without repetition.
    /// A client sends a key share of the first group. If that one includes ML-KEM, it also sends
    /// one of the first group without ML-KEM. In TLS 1.2, the groups also limit the curves of
    /// certificates (RFC 8422 §5.1.1). They do not apply to DHE of TLS 1.2. Absent:
    /// default_groups().
    std::optional<std::span<const std::uint16_t>> groups{};
    /// Application protocols (RFC 7301), best first. Each consists of a length byte (1 to 255) and
    /// the name, without NULs.
    std::optional<Bytes> alpn{};

    /// Server: Callbacks::choose_context() is called with the name in the client's SNI extension.
    bool choose_by_name = false;

    /// Passes the secrets of each connection to Callbacks::key_log(), for tools that decrypt
    /// captured packets.
    bool key_log = false;

    /// Enables session resumption (RFC 8446 §2.2, RFC 5246 §7.3, RFC 5077). A client stores a few
    /// sessions per context, and resumes the one of the same server name by itself. A server sends
    /// `tickets` session tickets to each client of TLS 1.3. No effect with pre-shared keys, and on
    /// a server that requests certificates: sessions do not repeat that authentication.
    bool resumption = false;
    std::uint8_t tickets = 1;
    /// The lifetime of sessions in seconds, from the full handshake on, 1 to max_session_lifetime
    /// (RFC 8446 §4.6.1). It includes sessions of resumed connections. A client also observes the
    /// server's limit and the end of its certificate's validity period.
    std::uint32_t session_lifetime = default_session_lifetime;

    /// The maximum plaintext size of a sent record in bytes, min_record_size to max_record_size.
    /// Absent: max_record_size. The peer is asked to observe the limit (RFC 6066 §4, RFC 8449), but
    /// larger records are still accepted.
    std::optional<std::size_t> record_size_limit{};
};

// Lists every member of Options in order: FIRST(name) for the first, NEXT(name) for the others.
// clang-format off
#define USSL_OPTIONS(FIRST, NEXT) FIRST(role) \
    NEXT(key) NEXT(key_password) NEXT(certificate) NEXT(sign_by_program) NEXT(trusted) \
    NEXT(root_stores) NEXT(system_roots) NEXT(system_store) NEXT(verify) NEXT(crl_check) NEXT(check_hostname) \
    NEXT(verify_by_program) NEXT(verify_time) NEXT(build_time) NEXT(pins) NEXT(psk_identity) \
    NEXT(psk_key) NEXT(psk_server) NEXT(psk_hint) NEXT(minimum_version) \
    NEXT(maximum_version) NEXT(suites) NEXT(groups) NEXT(alpn) NEXT(choose_by_name) NEXT(key_log) \
    NEXT(resumption) NEXT(tickets) NEXT(session_lifetime) NEXT(record_size_limit)
// clang-format on

/// Calls visit(name, value) for each member. Does not compile if USSL_OPTIONS lacks one.
template <class Visit>
void for_each_option(const Options& options, Visit visit) {
#define USSL_FIRST(name) name
#define USSL_NEXT(name) , name
    const auto& [USSL_OPTIONS(USSL_FIRST, USSL_NEXT)] = options;
#undef USSL_FIRST
#undef USSL_NEXT
#define USSL_VISIT(name) visit(std::string_view(#name), name);
    USSL_OPTIONS(USSL_VISIT, USSL_VISIT)
#undef USSL_VISIT
}
/// The number of members. Code that depends on all members compares it with a constant of its own.
/// It then fails to compile until a new member is considered there.
#define USSL_COUNT(name) +1
inline constexpr std::size_t option_count = 0 USSL_OPTIONS(USSL_COUNT, USSL_COUNT);
#undef USSL_COUNT
#undef USSL_OPTIONS

/// The reason why a call failed before it had any effect: an invalid argument, or lack of memory.
/// `reason` and `hint` name members of Options and Connection::Settings between backquotes, so that
/// a binding can replace them with its own argument names.
struct ConfigError {
    constexpr explicit ConfigError(const char* why, bool memory_ran_out = false,
                                   const char* detected = nullptr)
        : reason(why), out_of_memory(memory_ran_out), hint(detected) {}
    // Not inline: the many copies would need more flash than calls.
    ConfigError(const ConfigError& other) noexcept;
    ConfigError& operator=(const ConfigError& other) noexcept;
    ~ConfigError() = default;

    const char* reason;  ///< a string literal
    bool out_of_memory;
    /// The detected format of the content and how to convert it: a string literal or nullptr. If it
    /// ends with a space, the file name must be appended.
    const char* hint;
    char named[40] = {};  ///< the name of an unsupported algorithm, or empty
    /// The option that caused the error.
    enum class About : std::uint8_t { call, key, certificate, trusted, root_store, system_roots };
    About about = About::call;
    /// The position in that option: `line` for PEM (from 1), `offset` in bytes for DER. 0: at the
    /// beginning.
    std::uint32_t line = 0;
    std::uint32_t offset = 0;
};
/// Writes a description of the error: "ca_certs 'roots.pem', line 12: invalid cert: …". `argument`
/// is the name of the option, and `file` the source of its content; both may be empty. Returns the
/// length. The text is not NUL-terminated, and is truncated to the size of `into`.
std::size_t describe(const ConfigError& config_error, std::string_view argument,
                     std::string_view file, std::span<char> into);

/// Extracts the private key from `content` and removes its PEM encoding. An encrypted PKCS#8 key
/// remains encrypted. PEM encrypted as in RFC 1421, and content without a key, are returned
/// unchanged. Empty: out of memory.
SecretBytes private_key_of(Bytes content);
/// Overwrites the private keys in PEM with zeros. Other content is not changed.
void wipe_private_keys(MutableBytes content);

/// The numbers of trusted certificates and CRLs of a context. A system store may not be included,
/// because it may be read only when needed.
struct StoreStats {
    std::size_t certificates = 0;
    std::size_t authorities = 0;  ///< the CA certificates among `certificates`
    std::size_t crls = 0;
    std::size_t unsupported = 0;  ///< ignored certificates, not counted in `certificates`
};

/// The shared configuration of connections: role, credentials, trust anchors, policy. Immutable;
/// any number of connections in any number of threads may use one Context.
class Context final : public OnHeap {
  public:
    /// Checks all options, and parses all keys and certificates: later calls cannot fail because of
    /// them.
    static std::expected<Ref<Context>, ConfigError> make(const Engine& engine,
                                                         const Options& options);

    [[nodiscard]] Role role() const;
    /// Returns Verify::none, optional or required.
    [[nodiscard]] Verify verify() const;
    /// Returns true if pre-shared keys authenticate both ends, instead of certificates.
    [[nodiscard]] bool uses_psk() const;
    /// Returns true if a client requires Connection::Settings::server_hostname.
    [[nodiscard]] bool checks_hostname() const;
    /// Returns the maximum plaintext size of a sent record in bytes.
    [[nodiscard]] std::size_t record_size() const;
    [[nodiscard]] StoreStats store_stats() const;
    /// Returns true if connections of this context can be resumed.
    [[nodiscard]] bool resumes() const;

    void retain() { uses_.fetch_add(1, std::memory_order_relaxed); }
    void drop() {
        if (uses_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    ~Context();

  private:
    Context();
    friend struct OnHeap;
    friend struct ContextInternals;

    Owned<ContextSettings> settings_;
    Owned<EngineContext> engine_;  ///< uses settings_
    Owned<Sessions> sessions_;     ///< uses settings_
    std::atomic<unsigned> uses_{1};
};

/// Receives cipher suites.
class SuiteVisitor {
  public:
    /// Receives one suite. `name` is IANA's, such as "TLS_AES_128_GCM_SHA256".
    virtual void suite(std::uint16_t number, std::string_view name) noexcept = 0;

  protected:
    ~SuiteVisitor() = default;
};
/// Passes all suites that Options::suites may contain on this engine to `visitor`: first the
/// defaults, best first. Returns false if memory runs out.
bool for_each_suite(const Engine& engine, SuiteVisitor& visitor);
/// Returns the number of a cipher suite. `name` is IANA's, OpenSSL's
/// ("ECDHE-RSA-AES128-GCM-SHA256") or Mbed TLS's ("TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"). 0: the
/// engine has no suite of that name.
std::uint16_t suite_of(const Engine& engine, std::string_view name);

/// The maximum number of suites that parse_suites() writes.
inline constexpr std::size_t max_suites = 64;
/// Parses names of TLS 1.2 suites, separated by ":", as CPython's set_ciphers() does. Names of TLS
/// 1.3 suites are accepted without effect: their defaults stay. Returns the number of suites, or 0
/// on failure. `unknown` is then the name that the engine does not have or that exceeds max_suites.
/// It is empty if `text` has no TLS 1.2 suite.
std::size_t parse_suites(const Engine& engine, std::string_view text, std::span<std::uint16_t> into,
                         std::string_view& unknown);

/// The maximum number of Options::groups.
inline constexpr std::size_t max_groups = 16;
/// Returns the number of a key exchange group. `name` is IANA's ("x25519", "secp256r1",
/// "X25519MLKEM768") or OpenSSL's ("P-256", "prime256v1"), in upper or lower case. 0: unknown name.
std::uint16_t group_of(std::string_view name);
/// Returns IANA's name of a group. Empty: unknown number.
std::string_view group_name(std::uint16_t number);
/// Writes the default of Options::groups, restricted to the engine's groups, best first. Returns
/// their number; 0: out of memory.
std::size_t default_groups(const Engine& engine, std::span<std::uint16_t, max_groups> into);

/// Computes SHA-256 over all members of `options`. Equal options make equal contexts, so a binding
/// can share one. Returns false if the hash could not be computed.
bool options_digest(const Engine& engine, const Options& options, std::span<std::uint8_t, 32> out);

/// Returns the engine of this build (see USSL_ENGINE).
const Engine& default_engine();
/// Returns name and version of the linked TLS library, such as "OpenSSL 3.0.15" or "Mbed TLS
/// 3.6.6".
std::string_view engine_version(const Engine& engine);
/// Returns true if there is a system store to verify with when Options::trusted is absent.
bool has_system_store(const Engine& engine);
/// Returns true if the content begins as a root store of tools/make_roots.
bool is_root_store(Bytes content);
/// Returns true if the engine supports Options::root_stores and Options::system_roots.
bool has_root_store(const Engine& engine);
/// Releases the engine's global memory, for a port whose heap ends before the process does (a soft
/// reset). Afterwards, existing connections can only be destroyed. New contexts start the engine
/// again.
void shut_down(const Engine& engine);
/// Makes the engine overwrite each memory block before release, so that a core dump contains no
/// secrets of closed connections. Process-wide: with OpenSSL, this replaces OpenSSL's allocation
/// functions (CRYPTO_set_mem_functions), so call it before any other use of OpenSSL. ussl never
/// calls it by itself. With Mbed TLS it has no effect, because Mbed TLS always wipes its secrets.
/// Returns false without any change if OpenSSL has already allocated memory, or if the program has
/// replaced its functions.
bool wipe_released_memory(const Engine& engine);

}  // namespace ussl
