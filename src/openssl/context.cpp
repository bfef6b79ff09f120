// Sets up an SSL_CTX from Options.

#include <cstring>
#include <ctime>

#include "../policy/limits.hpp"
#include "../policy/suites.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

constexpr char signature_algorithms[] =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"
    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ed448:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512";

// Options of newer versions, by number: the headers may be older than the library.
constexpr std::uint64_t no_certificate_compression = SSL_OP_BIT(32) | SSL_OP_BIT(33);
constexpr std::uint64_t prefer_no_dhe_kex = SSL_OP_BIT(35);

// Applies OpenSSL's own rules of level 2 (112 bits), except for certificates. verify_chain() checks
// the peer's certificates, because it knows the whole chain. This side may use any certificate that
// it can sign with.
int security_callback(const SSL* ssl, const SSL_CTX* ctx, int op, int bits, int nid, void* other,
                      void* fallback) {
    const int what = op & ~SSL_SECOP_PEER;
    if (what == SSL_SECOP_EE_KEY || what == SSL_SECOP_CA_KEY || what == SSL_SECOP_CA_MD)
        return 1;
    // The policy and the program choose the cipher suites.
    if (what == SSL_SECOP_CIPHER_SUPPORTED || what == SSL_SECOP_CIPHER_SHARED ||
        what == SSL_SECOP_CIPHER_CHECK)
        return 1;
    using Callback = int (*)(const SSL*, const SSL_CTX*, int, int, int, void*, void*);
    return reinterpret_cast<Callback>(fallback)(ssl, ctx, op, bits, nid, other, nullptr);
}

void info_callback(const SSL* ssl, int where, int value) {
    constexpr int fatal = 2;
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && value >> 8 == fatal)
        OpenSslSession::of(ssl)->alert_sent(static_cast<std::uint8_t>(value & 0xFF));
}

// RFC 7301 §3.2: this side's order decides. Without a common protocol, the handshake fails.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void* context) {
    const Bytes known = static_cast<const OpenSslContext*>(context)->alpn();
    if (known.empty())
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, size, known.data(), static_cast<unsigned>(known.size()),
                              offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int choose_context(SSL* ssl, int* alert, void*) {
    *alert = OpenSslSession::of(ssl)->choose_context();
    return *alert == 0 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

std::expected<Owned<EngineContext>, ConfigError> OpenSslContext::make(
    const ContextSettings& settings, const Options& options) {
    // If time_t has 32 bits, it ends in 2038, and a later time would overflow.
    const std::optional<std::int64_t> time = settings.verify_time.given;
    if (time && static_cast<time_t>(*time) != *time)
        return std::unexpected(
            ConfigError{"verify_time is out of range for this build of OpenSSL"});
    auto made = try_to_make(settings, options);
    // OpenSSL reports a key as invalid if memory runs out while it parses the key. A second failure
    // is real.
    if (!made && !made.error().out_of_memory)
        made = try_to_make(settings, options);
    return made;
}

std::expected<Owned<OpenSslContext>, ConfigError> OpenSslContext::try_to_make(
    const ContextSettings& settings, const Options& options) {
    static constexpr ConfigError no_memory{"out of memory", true};
    Owned<OpenSslContext> context{new OpenSslContext(settings)};
    if (!context)
        return std::unexpected(no_memory);
    const bool set_up = context->set_up(options);
    std::optional<ConfigError> config_error;
    if (!set_up)
        config_error = ConfigError{"the TLS engine could not be set up"};
    if (!config_error)
        config_error = context->load_identity(options);
    if (!config_error)
        config_error = context->load_trusted(options);
    const bool lacked_memory = take_lack_of_memory();
    if (!config_error)
        return context;
    if (lacked_memory)
        return std::unexpected(no_memory);
    return std::unexpected(*config_error);
}

static_assert(option_count == 31, "does this engine need the new option?");
bool OpenSslContext::set_up(const Options& options) {
    ERR_clear_error();
    const bool client = settings().role == Role::client;
    bio_method_.reset(make_bio_method());
    ctx_.reset(SSL_CTX_new(client ? TLS_client_method() : TLS_server_method()));
    SSL_CTX* ctx = ctx_.get();
    if (ctx == nullptr || !bio_method_)
        return false;
    // Sets everything that /etc/ssl/openssl.cnf could have changed.
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set0_security_ex_data(ctx, reinterpret_cast<void*>(SSL_CTX_get_security_callback(ctx)));
    SSL_CTX_set_security_callback(ctx, security_callback);
    SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_LEGACY_SERVER_CONNECT |
                                   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    SSL_CTX_clear_options(ctx, prefer_no_dhe_kex);
    // RFC 8879: otherwise a client would decompress data of an unauthenticated server.
    SSL_CTX_set_options(ctx, no_certificate_compression);
    // RecordTransport detects an end of stream without close_notify. OpenSSL must not treat it as
    // an error, so that a program can still answer a peer that has closed its direction.
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // Without wipe_released_memory(), plaintext must be wiped after each read.
    if (!wipes_released_memory())
        SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    // NO_AUTO_CHAIN: only the certificates in `certificate` are sent; none are added from
    // `trusted`.
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    if (settings().resumes)
        set_up_sessions(options);
    if (!client)
        SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, this);
    if (features::sni_callback && options.choose_by_name)
        SSL_CTX_set_tlsext_servername_callback(ctx, choose_context);
    if (settings().logs_keys)
        SSL_CTX_set_keylog_callback(ctx, [](const SSL* ssl, const char* line) {
            OpenSslSession::of(ssl)->callbacks().log_key(line);
        });
    SSL_CTX_set_info_callback(ctx, info_callback);
    // OpenSSL calls this if the server accepts no signature of the client's certificate.
    if (client && options.certificate)
        SSL_CTX_set_client_cert_cb(ctx, [](SSL* ssl, X509**, EVP_PKEY**) {
            OpenSslSession::of(ssl)->withhold_certificate();
            return 0;
        });
    SSL_CTX_set_dh_auto(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, [](char*, int, int, void*) { return 0; });

    if (options.record_size_limit) {
        const std::uint8_t code = policy::max_fragment_code(options.record_size_limit);
        if (SSL_CTX_set_max_send_fragment(ctx, static_cast<long>(*options.record_size_limit)) !=
                1 ||
            SSL_CTX_set_tlsext_max_fragment_length(ctx, code) != 1)
            return false;
    }

    int mode = SSL_VERIFY_NONE;
    // A client with CERT_NONE accepts every certificate that can be parsed.
    if (client || settings().verify != Verify::none || !settings().pins().empty())
        mode = SSL_VERIFY_PEER;
    if (!client && settings().verify == Verify::required)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    // A pre-shared key authenticates both ends. A client must still reject the certificate of a
    // server that does not know the key.
    if (settings().uses_psk)
        mode = client ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    SSL_CTX_set_verify(ctx, mode, nullptr);
    SSL_CTX_set_cert_verify_callback(ctx, verify_chain, nullptr);
    // OpenSSL 4 passes the certificates as const, 3 does not.
    X509_STORE_set_check_issued(
        SSL_CTX_get_cert_store(ctx), [](X509_STORE_CTX* store, auto* certificate, auto* issuer) {
            return is_issued(store, const_cast<X509*>(certificate), const_cast<X509*>(issuer));
        });
    SSL_CTX_set_max_cert_list(ctx, static_cast<long>(policy::longest_chain));

    const policy::Offer offer = policy::offer_of(options);
    return SSL_CTX_set_min_proto_version(ctx, static_cast<int>(offer.minimum_version)) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, static_cast<int>(offer.maximum_version)) == 1 &&
           set_up_groups(options) && SSL_CTX_set1_sigalgs_list(ctx, signature_algorithms) == 1 &&
           set_suites(offer) && (!settings().uses_psk || set_up_psk(options)) &&
           (!options.alpn || set_up_alpn(*options.alpn));
}

bool OpenSslContext::set_up_alpn(Bytes alpn) {
    if (settings().role == Role::client)
        return SSL_CTX_set_alpn_protos(ctx_.get(), alpn.data(),
                                       static_cast<unsigned>(alpn.size())) == 0;
    alpn_.reset(static_cast<std::uint8_t*>(allocate(alpn.size())));
    if (!alpn_)
        return false;
    std::memcpy(alpn_.get(), alpn.data(), alpn.size());
    alpn_size_ = alpn.size();
    return true;
}

Owned<EngineSession> OpenSslContext::make_session(SessionResources& resources,
                                                  const HostName* name) {
    return OpenSslSession::make(*this, resources, name);
}

}  // namespace ussl::openssl
