#pragma once

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
class Context;
struct ContextSettings;

inline constexpr std::uint32_t default_session_lifetime = 24 * 60 * 60;
inline constexpr std::uint32_t max_session_lifetime = 7 * 24 * 60 * 60;  ///< RFC 8446 §4.6.1

/// What a program asked for. Only looked at while a Context is made: nothing in it needs to live
/// longer. An absent option is nullopt, an empty one is an error.
///
/// Keys and certificates are PEM or DER, told apart by their content. Where there may be many, they
/// stand one behind the other.
struct Options {
    Role role = Role::client;

    std::optional<Bytes> key{};           ///< PKCS#1, SEC1, PKCS#8, encrypted PKCS#8
    std::optional<Bytes> key_password{};  ///< for an encrypted key
    std::optional<Bytes> certificate{};   ///< this side's, then the rest of its chain
    /// In place of `key`, or before it is used: Callbacks::sign() is asked for signatures.
    bool sign_by_program = false;
    /// The roots, and CRLs; absent, without `root_store`: the system's store, if there is one.
    std::optional<Bytes> trusted{};
    /// More roots, as tools/make_roots makes them (docs/root-store.md). They are read where they
    /// are: they must not change or be released while the Context exists.
    std::optional<Bytes> root_store{};
    bool system_store = false;  ///< the system's store as well as `trusted`

    Verify verify = Verify::by_role;
    std::optional<CrlCheck> crl_check{};  ///< absent: leaf, if there are CRLs in `trusted`
    /// Client that verifies: the certificate must be for Connection::Settings::server_hostname.
    bool check_hostname = true;
    /// Callbacks::verify_certificate() has a say, too: about each certificate of a chain that is
    /// verified.
    bool verify_by_program = false;
    /// Dates of certificates are checked against this time, in seconds since 1970 (UTC); absent:
    /// the clock's.
    std::optional<std::int64_t> verify_time{};
    /// The build date of the firmware, in seconds since 1970 (UTC): an earlier clock is not set,
    /// and the error is Code::CERT_CLOCK if a certificate or CRL is not valid yet.
    std::optional<std::int64_t> build_time{};
    /// SHA-256 of certificates, or of their public keys (SubjectPublicKeyInfo), 32 bytes each: the
    /// peer's own must be one of them, whatever `verify` says. A multiple of 32 bytes.
    std::optional<Bytes> pins{};

    std::optional<Bytes> psk_identity{};  ///< client: 1 to max_psk_identity bytes
    std::optional<Bytes> psk_key{};       ///< client: 1 to max_psk_key bytes
    bool psk_server = false;              ///< server: keys are looked up with Callbacks::find_psk
    std::optional<Bytes> psk_hint{};      ///< server: sent in TLS 1.2 (RFC 4279 §5.2)

    Version minimum_version = Version::tls1_2;
    Version maximum_version = Version::tls1_3;
    /// Cipher suites by their IANA numbers, best first; those that do not fit (to the versions, to
    /// certificates or pre-shared keys) are left aside. Absent: those of docs/security.md.
    std::optional<std::span<const std::uint16_t>> suites{};
    /// Key exchange groups (RFC 8446 §4.2.7) by their IANA numbers, best first, without repetition.
    /// A client sends a key share of the first, and if that is one with ML-KEM, of the first other
    /// one as well. In TLS 1.2 they also limit the curves of certificates (RFC 8422 §5.1.1). DHE of
    /// TLS 1.2 has groups of its own. Absent: default_groups().
    std::optional<std::span<const std::uint16_t>> groups{};
    /// Application protocols (RFC 7301), best first, each with its length (1 to 255) in the byte
    /// before it; without NULs.
    std::optional<Bytes> alpn{};

    /// Server: Callbacks::choose_context() is asked with what name a client comes.
    bool choose_by_name = false;

    /// The secrets of each connection go to Callbacks::key_log(), for whoever looks at its packets.
    bool key_log = false;

    /// Sessions are resumed (RFC 8446 §2.2, RFC 5246 §7.3, RFC 5077). A client keeps what servers
    /// give it, a few for each context, and resumes by itself with the server of the same name. A
    /// server gives `tickets` of TLS 1.3 to each client. Without effect where the peer is known by
    /// more than its session: with pre-shared keys, and on a server that asks for certificates.
    bool resumption = false;
    std::uint8_t tickets = 1;
    /// Seconds from a full handshake until its sessions, and those that come of them, are no longer
    /// resumed, 1 to max_session_lifetime (RFC 8446 §4.6.1). A client also goes by what the server
    /// says, and by the end of its certificate's validity period.
    std::uint32_t session_lifetime = default_session_lifetime;

    /// The most plaintext in a record, min_record_size to max_record_size; absent: max_record_size.
    /// Holds for what is sent; the peer is asked to keep to it, too, where the versions have a way
    /// (RFC 6066 §4, RFC 8449), and may not.
    std::optional<std::size_t> record_size_limit{};
};

// Every member of Options: FIRST(name) for the first, NEXT(name) for each of the others, in their
// order.
// clang-format off
#define USSL_OPTIONS(FIRST, NEXT) FIRST(role) \
    NEXT(key) NEXT(key_password) NEXT(certificate) NEXT(sign_by_program) NEXT(trusted) \
    NEXT(root_store) NEXT(system_store) NEXT(verify) NEXT(crl_check) NEXT(check_hostname) \
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
/// How many members there are. What must know all of them compares it with a number of its own, so
/// that it does not compile before a new one was thought of.
#define USSL_COUNT(name) +1
inline constexpr std::size_t option_count = 0 USSL_OPTIONS(USSL_COUNT, USSL_COUNT);
#undef USSL_COUNT
#undef USSL_OPTIONS

/// Why a call was refused before anything happened: the caller's mistake.
/// Members of Options and Connection::Settings are named in it between backquotes, so that a
/// binding can put the names there that its programs know.
struct ConfigError {
    const char* reason;  ///< a string literal
    bool out_of_memory = false;
    /// What the content looks like instead, and how to convert it: a string literal or nullptr. If
    /// it ends with a space, the name of the file goes behind it.
    const char* hint = nullptr;
    char named[40] = {};  ///< an algorithm's name, or empty
    /// The option that it is about.
    enum class About : std::uint8_t { call, key, certificate, trusted, root_store };
    About about = About::call;
    /// Where in that: the line of PEM (1 for the first), or the byte of DER; 0: at its beginning.
    std::uint32_t line = 0;
    std::uint32_t offset = 0;
};
/// Writes what is known of a refusal: "ca_certs 'roots.pem', line 12: invalid cert: …". `argument`
/// is what the option is called, and `file` where its content comes from; both may be empty.
/// Returns the length; never NUL-terminated, cut off at the end of `into`.
std::size_t describe(const ConfigError& config_error, std::string_view argument,
                     std::string_view file, std::span<char> into);

/// A private key out of `content` without its PEM: DER, encrypted if it was; PEM that is encrypted
/// as in RFC 1421 stays as it is, and so does what holds no key. Empty: no memory.
SecretBytes private_key_of(Bytes content);
/// Overwrites the private keys in PEM with zeros; what stands between and behind them can be read
/// as before.
void wipe_private_keys(MutableBytes content);

/// When a session was made, and until when it may be used, in seconds since 1970.
struct SessionTimes {
    std::int64_t verified_at = 0;  ///< the full handshake that it comes from
    std::int64_t not_after = 0;    ///< the end of the validity period of the server's certificate
    std::int64_t until = 0;        ///< what the server says (RFC 5077 §3.3, RFC 8446 §4.6.1)
};

/// What a client needs to resume a connection. Holds secrets; immutable, and shared.
class StoredSession final : public OnHeap {
  public:
    /// What it is as bytes: a SHA-256 over its tag and the rest, its times, then what the engine
    /// made.
    explicit StoredSession(SecretBytes content) : content_(std::move(content)) {}

    [[nodiscard]] Bytes bytes() const { return {content_.data(), content_.size()}; }
    [[nodiscard]] Bytes engine_data() const { return bytes().subspan(hash_size + times_size); }
    [[nodiscard]] SessionTimes times() const;
    /// None: no memory, or it could not be computed.
    static Ref<StoredSession> make(const Context& context, std::span<const std::uint8_t, 32> scope,
                                   const SessionTimes& times, Bytes engine_data);
    /// From bytes() of another. None: they are damaged, or of another context or server (or there
    /// is no memory).
    static Ref<StoredSession> load(const Context& context, std::span<const std::uint8_t, 32> scope,
                                   Bytes bytes);

    void retain() { uses_.fetch_add(1, std::memory_order_relaxed); }
    void drop() {
        if (uses_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    static constexpr std::size_t hash_size = 32;
    static constexpr std::size_t times_size = 24;

  private:
    friend class Context;
    static Ref<StoredSession> seal(const Context& context, std::span<const std::uint8_t, 32> scope,
                                   SecretBytes content);
    std::atomic<unsigned> uses_{1};
    std::uint8_t scope_[32] = {};
    Ref<StoredSession> next_;
    SecretBytes content_;
};

/// How many certificates and CRLs a context was given as trusted; a system's store may be looked
/// into only when it is needed.
struct StoreStats {
    std::size_t certificates = 0;
    std::size_t authorities = 0;  ///< those of `certificates` that may issue others
    std::size_t crls = 0;
    std::size_t unsupported = 0;  ///< certificates that were passed over, not among `certificates`
};

/// Everything that connections of one kind share: role, credentials, trust, policy. Immutable once
/// made; any number of connections, in any number of threads, may use one.
class Context final : public OnHeap {
  public:
    /// Checks every option and parses every key and certificate: a context that was made cannot be
    /// wrong later.
    static std::expected<Ref<Context>, ConfigError> make(const Engine& engine,
                                                         const Options& options);

    [[nodiscard]] Role role() const;
    /// Verify::none, optional or required.
    [[nodiscard]] Verify verify() const;
    /// Whether pre-shared keys authenticate both ends, instead of certificates.
    [[nodiscard]] bool uses_psk() const;
    /// Whether a client requires Connection::Settings::server_hostname.
    [[nodiscard]] bool checks_hostname() const;
    /// The most plaintext in a record that is sent.
    [[nodiscard]] std::size_t record_size() const;
    [[nodiscard]] EngineContext& engine() const { return *engine_; }
    [[nodiscard]] StoreStats store_stats() const;

    /// Whether connections of this context can be resumed.
    [[nodiscard]] bool resumes() const;
    /// What a session belongs to: the name of a server, and how it was verified. false: it could
    /// not be computed.
    bool session_scope(std::string_view server_hostname, std::span<std::uint8_t, 32> scope) const;
    /// SHA-256 over the parts; false: it could not be computed.
    bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) const;
    /// Seconds since 1970 by Options::verify_time, or the clock.
    [[nodiscard]] std::int64_t now() const;
    /// Whether a session is as young as it must be.
    [[nodiscard]] bool is_in_time(const SessionTimes& times) const;
    /// The session of that tag, remembered no longer, or none.
    Ref<StoredSession> take(std::span<const std::uint8_t, 32> scope);
    /// In place of any other of the same tag.
    void remember(Ref<StoredSession> session);
    /// The session of that tag is remembered no longer, if it is this one.
    void forget(const Ref<StoredSession>& session, std::span<const std::uint8_t, 32> scope);

    void retain() { uses_.fetch_add(1, std::memory_order_relaxed); }
    void drop() {
        if (uses_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    ~Context();

  private:
    class SessionsLock;

    Context();
    friend struct OnHeap;

    bool set_session_scope(const Engine& engine, const Options& options);

    Owned<ContextSettings> settings_;
    Owned<EngineContext> engine_;  ///< uses settings_
    std::atomic<unsigned> uses_{1};
    std::atomic_flag sessions_lock_ = ATOMIC_FLAG_INIT;
    Ref<StoredSession> sessions_;  ///< the newest first
    bool (*sha256_)(std::span<const Bytes>, std::span<std::uint8_t, 32>) = nullptr;
    std::int64_t (*now_)() = nullptr;
    std::uint8_t session_scope_[32] = {};
};

/// Receives cipher suites.
class SuiteVisitor {
  public:
    /// `name` is IANA's, "TLS_AES_128_GCM_SHA256".
    virtual void suite(std::uint16_t number, std::string_view name) noexcept = 0;

  protected:
    ~SuiteVisitor() = default;
};
/// All suites that Options::suites may name on this engine; first those that are there by default,
/// best first. false: no memory.
bool for_each_suite(const Engine& engine, SuiteVisitor& visitor);
/// A suite by its name: IANA's, OpenSSL's ("ECDHE-RSA-AES128-GCM-SHA256") or Mbed TLS's
/// ("TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"). 0: this engine has none of that name.
std::uint16_t suite_of(const Engine& engine, std::string_view name);

/// The most suites that parse_suites() gives.
inline constexpr std::size_t max_suites = 64;
/// Several names with ":" between them, as CPython has it, for TLS 1.2: those of TLS 1.3 stay as
/// they are by default, and may be named without effect. How many there are; 0: `unknown` is no
/// suite of this engine, or is one too many (or empty: there is no name of TLS 1.2 at all).
std::size_t parse_suites(const Engine& engine, std::string_view text, std::span<std::uint16_t> into,
                         std::string_view& unknown);

/// The most groups that Options::groups can have.
inline constexpr std::size_t max_groups = 16;
/// A key exchange group by IANA's name ("x25519", "secp256r1", "X25519MLKEM768") or OpenSSL's
/// ("P-256", "prime256v1"), in upper or lower case. 0: there is none of that name.
std::uint16_t group_of(std::string_view name);
/// IANA's name; empty: ussl does not know the number.
std::string_view group_name(std::uint16_t number);
/// The groups of a context without Options::groups, as far as the engine has them, best first.
/// Returns how many; 0: no memory.
std::size_t default_groups(const Engine& engine, std::span<std::uint16_t, max_groups> into);

/// SHA-256 over all members of `options`: equal options make equal contexts, so that a binding may
/// share one. false: it could not be computed.
bool options_digest(const Engine& engine, const Options& options, std::span<std::uint8_t, 32> out);

/// The engine that this build is for (see USSL_ENGINE).
const Engine& default_engine();
/// "OpenSSL 3.0.15", "Mbed TLS 3.6.6": the library that is linked, as it names itself.
std::string_view engine_version(const Engine& engine);
/// Whether verification without Options::trusted has a system store to use.
bool has_system_store(const Engine& engine);
/// Whether Options::root_store can be used.
bool has_root_store(const Engine& engine);
/// Releases the memory that the engine keeps apart from contexts and connections, for a port whose
/// heap ends before the process does (a soft reset). Connections that still exist can only be
/// destroyed afterwards; new contexts start the engine again.
void shut_down(const Engine& engine);
/// Makes the engine overwrite every block of memory before it releases it, so that a core dump
/// holds no secrets of closed connections. Process-wide: with OpenSSL, this replaces OpenSSL's
/// allocation functions (CRYPTO_set_mem_functions), so call it before anything else uses OpenSSL.
/// Linking ussl alone never does it. With Mbed TLS there is nothing to do: it wipes its secrets.
/// Returns false, and changes nothing, if OpenSSL has allocated memory before, or if the program
/// has replaced its functions.
bool wipe_released_memory(const Engine& engine);

}  // namespace ussl
