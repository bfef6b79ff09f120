#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "../engines.hpp"
#include "../groups.hpp"
#include "../policy.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

// First the hybrid that protects against later decryption with a quantum computer; X25519 is the
// quickest of the others, and every peer has the NIST curves.
constexpr std::uint16_t best_groups[] = {0x11EC, 29, 23, 24, 25};
constexpr char signature_algorithms[] =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"
    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:ed448:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512";

// Options of newer versions, by number: the library may be newer than the headers.
constexpr std::uint64_t no_certificate_compression = SSL_OP_BIT(32) | SSL_OP_BIT(33);
constexpr std::uint64_t prefer_no_dhe_kex = SSL_OP_BIT(35);

// --- the stream as a BIO

// What OpenSSL takes from a stream's function. Nothing but an end is 0: OpenSSL lets some of its
// own functions return it, and a 0 of theirs has a meaning of its own.
int returned(const IoResult& result) {
    switch (result.kind) {
        case IoResult::Kind::bytes:
            return 1;
        case IoResult::Kind::end:
            return 0;
        default:
            return -1;
    }
}

OpenSslSession* session_of(BIO* bio) {
    return static_cast<OpenSslSession*>(BIO_get_data(bio));
}

int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* count) {
    BIO_clear_retry_flags(bio);
    const IoResult result =
        session_of(bio)->transport().read({reinterpret_cast<std::uint8_t*>(into), size});
    if (result.kind == IoResult::Kind::would_block || result.kind == IoResult::Kind::timed_out)
        BIO_set_retry_read(bio);
    *count = result.count;
    return returned(result);
}

int bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* count) {
    BIO_clear_retry_flags(bio);
    const IoResult result =
        session_of(bio)->transport().write({reinterpret_cast<const std::uint8_t*>(from), size});
    if (result.kind == IoResult::Kind::would_block || result.kind == IoResult::Kind::timed_out)
        BIO_set_retry_write(bio);
    *count = result.count;
    return returned(result);
}

long bio_control(BIO* bio, int command, long, void*) {
    switch (command) {
        case BIO_CTRL_FLUSH:
            return 1;
        case BIO_CTRL_EOF:
            return session_of(bio)->transport().ended() ? 1 : 0;
        default:
            return 0;
    }
}

BIO_METHOD* make_bio_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ussl stream");
    if (method != nullptr) {
        BIO_meth_set_read_ex(method, bio_read);
        BIO_meth_set_write_ex(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

// --- callbacks

// OpenSSL's own rules at level 2 (112 bits), but for certificates: the peer's are judged by
// verify_chain(), which knows all of the chain, and this side's own may be whatever it can sign
// with.
int security_callback(const SSL* ssl, const SSL_CTX* ctx, int op, int bits, int nid, void* other,
                      void* fallback) {
    const int what = op & ~SSL_SECOP_PEER;
    if (what == SSL_SECOP_EE_KEY || what == SSL_SECOP_CA_KEY || what == SSL_SECOP_CA_MD)
        return 1;
    // Which suites there are, the policy and the program decide.
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

const SSL_CIPHER* find_suite(SSL* ssl, std::uint16_t suite) {
    const unsigned char id[2] = {static_cast<unsigned char>(suite >> 8),
                                 static_cast<unsigned char>(suite & 0xFF)};
    return SSL_CIPHER_find(ssl, id);
}

// "A:B:C" of the suites that this OpenSSL has.
bool write_names(SSL* ssl, std::span<const std::uint16_t> suites, std::span<char> into) {
    std::size_t used = 0;
    into[0] = '\0';
    for (const std::uint16_t suite : suites) {
        const SSL_CIPHER* cipher = find_suite(ssl, suite);
        if (cipher == nullptr)
            continue;
        const int n = std::snprintf(into.data() + used, into.size() - used, "%s%s",
                                    used != 0 ? ":" : "", SSL_CIPHER_get_name(cipher));
        if (n < 0 || used + static_cast<std::size_t>(n) >= into.size())
            return false;
        used += static_cast<std::size_t>(n);
    }
    return used != 0 || suites.empty();
}

bool for_each_suite(SuiteVisitor& visitor) {
    const SslCtx ctx{SSL_CTX_new(TLS_method())};
    const Ssl probe{ctx ? SSL_new(ctx.get()) : nullptr};
    if (!probe) {
        ERR_clear_error();
        return false;
    }
    for (const std::uint16_t suite : policy::every_suite)
        if (const SSL_CIPHER* cipher = find_suite(probe.get(), suite))
            visitor.suite(suite, SSL_CIPHER_standard_name(cipher));
    return true;
}

// "*A:B:C", in which "*" asks for a key share. OpenSSL until 3.4 does not have it, and none of the
// groups that need it: it sends a share of the first group.
void write_groups(std::span<const std::uint16_t> wanted, std::span<char, 256> into) {
    bool marks = groups::find(wanted.front())->needs_second_share;
    char* at = into.data();
    for (const std::uint16_t number : wanted) {
        const groups::Group& group = *groups::find(number);
        if (at != into.data())
            *at++ = ':';
        if (marks && (number == wanted.front() || !group.needs_second_share))
            *at++ = '*';
        marks = marks && group.needs_second_share;
        at = std::ranges::copy(group.name, at).out;
        // OpenSSL until 3.1 does not know these in lower case.
        if (group.name.starts_with('x'))
            at[-static_cast<std::ptrdiff_t>(group.name.size())] = 'X';
    }
    *at = '\0';
}

std::optional<std::uint32_t> find_groups() {
    static std::atomic<std::uint32_t> known{0};
    std::uint32_t found = known.load(std::memory_order_relaxed);
    if (found != 0)
        return found;
    const SslCtx ctx{SSL_CTX_new(TLS_method())};
    for (std::size_t i = 0; ctx && i < std::size(groups::all); ++i) {
        char name[256];
        write_groups({&groups::all[i].number, 1}, name);
        if (SSL_CTX_set1_groups_list(ctx.get(), name) == 1)
            found |= std::uint32_t{1} << i;
    }
    if (take_lack_of_memory() || !ctx)
        return std::nullopt;
    known.store(found, std::memory_order_relaxed);
    return found;
}

// RFC 7301 §3.2: this side's order decides, and nothing in common ends the handshake.
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

// false: no memory.
bool copy(Bytes from, std::unique_ptr<std::uint8_t, Release>& into, std::size_t& size) {
    into.reset(static_cast<std::uint8_t*>(allocate(from.size())));
    if (!into)
        return false;
    std::memcpy(into.get(), from.data(), from.size());
    size = from.size();
    return true;
}

}  // namespace

bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) {
    const DigestContext digest{EVP_MD_CTX_new()};
    bool good = digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1;
    for (const Bytes part : parts)
        good = good && EVP_DigestUpdate(digest.get(), part.data(), part.size()) == 1;
    return good && EVP_DigestFinal_ex(digest.get(), out.data(), nullptr) == 1;
}

// --- Context

std::expected<Owned<EngineContext>, ConfigError> OpenSslContext::make(const Options& options) {
    // Where time_t has 32 bits, it ends in 2038: a later time would become one before 1970.
    if (options.verify_time && static_cast<time_t>(*options.verify_time) != *options.verify_time)
        return std::unexpected(
            ConfigError{"verify_time is out of range for this build of OpenSSL"});
    auto made = try_to_make(options);
    // OpenSSL calls a key invalid that it had no memory to look into. What it says twice is so.
    if (!made && !made.error().out_of_memory)
        made = try_to_make(options);
    return made;
}

std::expected<Owned<OpenSslContext>, ConfigError> OpenSslContext::try_to_make(
    const Options& options) {
    static constexpr ConfigError no_memory{"out of memory", true};
    Owned<OpenSslContext> context{new OpenSslContext};
    if (!context)
        return std::unexpected(no_memory);
    context->role_ = options.role;
    context->verify_ = options.verify;
    context->psk_ = policy::uses_psk(options);
    context->checks_hostname_ = options.check_hostname;
    context->by_program_ = options.verify_by_program;
    context->verify_time_ = {options.verify_time, options.build_time};
    if (options.pins && !copy(*options.pins, context->pins_, context->pins_size_))
        return std::unexpected(no_memory);
    const bool set_up = context->set_up(options);
    std::optional<ConfigError> config_error;
    if (!set_up)
        config_error = ConfigError{"the TLS engine could not be set up"};
    if (!config_error)
        config_error = context->load_identity(options);
    if (!config_error)
        config_error = context->load_trusted(options);
    if (!config_error)
        context->crl_check_ = policy::crl_check_of(options, context->store_stats());
    const bool lacked_memory = take_lack_of_memory();
    if (!config_error)
        return context;
    if (lacked_memory)
        return std::unexpected(no_memory);
    return std::unexpected(*config_error);
}

static_assert(option_count == 30, "does this engine need the new option?");
bool OpenSslContext::set_up(const Options& options) {
    ERR_clear_error();
    const bool client = role_ == Role::client;
    bio_method_.reset(make_bio_method());
    ctx_.reset(SSL_CTX_new(client ? TLS_client_method() : TLS_server_method()));
    SSL_CTX* ctx = ctx_.get();
    if (ctx == nullptr || !bio_method_)
        return false;
    // Everything that /etc/ssl/openssl.cnf could have changed is set again here.
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set0_security_ex_data(ctx, reinterpret_cast<void*>(SSL_CTX_get_security_callback(ctx)));
    SSL_CTX_set_security_callback(ctx, security_callback);
    SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_LEGACY_SERVER_CONNECT |
                                   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    SSL_CTX_clear_options(ctx, prefer_no_dhe_kex);
    // RFC 8879: a client would decompress data of a server that it has not authenticated.
    SSL_CTX_set_options(ctx, no_certificate_compression);
    // End of stream without close_notify is told apart by the wire, and must not keep a program
    // from answering a peer that has only closed its own direction.
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (!wipes_released_memory())
        SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    // NO_AUTO_CHAIN: what is sent is what certfile holds, whatever ca_certs has.
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    if (policy::resumes(options))
        set_up_sessions(options);
    if (!client)
        SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, this);
    if (options.choose_by_name)
        SSL_CTX_set_tlsext_servername_callback(ctx, choose_context);
    if (options.key_log)
        SSL_CTX_set_keylog_callback(ctx, [](const SSL* ssl, const char* line) {
            OpenSslSession::of(ssl)->callbacks().log_key(line);
        });
    SSL_CTX_set_info_callback(ctx, info_callback);
    // Asked for a certificate if there is none that the server accepts signatures of.
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
    // A client with CERT_NONE takes any certificate, but one that cannot be read.
    if (client || verify_ != Verify::none || pins_)
        mode = SSL_VERIFY_PEER;
    if (!client && verify_ == Verify::required)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    // A key authenticates both ends; a client still has to look, and refuse, when a server that
    // does not know the key sends a certificate instead.
    if (psk_)
        mode = client ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    SSL_CTX_set_verify(ctx, mode, nullptr);
    SSL_CTX_set_cert_verify_callback(ctx, verify_chain, nullptr);
    // OpenSSL 4 passes the certificates as const, 3 does not.
    X509_STORE_set_check_issued(
        SSL_CTX_get_cert_store(ctx), [](X509_STORE_CTX* store, auto* certificate, auto* issuer) {
            return is_issued(store, const_cast<X509*>(certificate), const_cast<X509*>(issuer));
        });
    SSL_CTX_set_max_cert_list(ctx, static_cast<long>(policy::longest_chain));

    std::uint16_t storage[max_groups];
    const std::span<const std::uint16_t> wanted = groups::of(openssl_engine, options, storage);
    if (wanted.empty())
        return false;
    char names[256];
    write_groups(wanted, names);
    const policy::Offer offer = policy::offer_of(options);
    return SSL_CTX_set_min_proto_version(ctx, static_cast<int>(offer.minimum_version)) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, static_cast<int>(offer.maximum_version)) == 1 &&
           SSL_CTX_set1_groups_list(ctx, names) == 1 &&
           SSL_CTX_set1_sigalgs_list(ctx, signature_algorithms) == 1 && set_suites(offer) &&
           (!psk_ || set_up_psk(options)) && (!options.alpn || set_up_alpn(*options.alpn));
}

void OpenSslContext::set_up_sessions(const Options& options) {
    SSL_CTX* ctx = ctx_.get();
    if (role_ == Role::client) {
        SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(ctx,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
        SSL_CTX_sess_set_new_cb(ctx, [](SSL* ssl, SSL_SESSION* session) {
            OpenSslSession::of(ssl)->keep_session(session);
            return 0;  // it stays OpenSSL's
        });
        return;
    }
    // In TLS 1.3 the sessions stay here, and a ticket is only a number (SSL_OP_NO_TICKET): no key
    // opens all of them. Of TLS 1.2, some clients know numbers only, and some know tickets only.
    SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_client_hello_cb(ctx, choose_tickets, nullptr);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, use_ticket_key);
    constexpr unsigned char name[] = "ussl";
    constexpr long most = 1024;
    SSL_CTX_set_session_id_context(ctx, name, sizeof name);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ctx, most);
    session_lifetime_ = options.session_lifetime;
    SSL_CTX_set_timeout(
        ctx, static_cast<long>(std::min(policy::ticket_lifetime, options.session_lifetime)));
    SSL_CTX_set_num_tickets(ctx, options.tickets);
    SSL_CTX_set_session_ticket_cb(
        ctx,
        [](SSL* ssl, void*) {
            OpenSslSession::of(ssl)->limit_session();
            return 1;
        },
        nullptr, nullptr);
}

bool OpenSslContext::set_up_alpn(Bytes alpn) {
    if (role_ == Role::client)
        return SSL_CTX_set_alpn_protos(ctx_.get(), alpn.data(),
                                       static_cast<unsigned>(alpn.size())) == 0;
    return copy(alpn, alpn_, alpn_size_);
}

bool OpenSslContext::set_suites(const policy::Offer& offer) {
    // OpenSSL finds a suite by its number only through a connection.
    const Ssl probe{SSL_new(ctx_.get())};
    if (!probe)
        return false;
    constexpr std::size_t longest_name = 40;
    char tls1_2[policy::every_suite.size() * longest_name];
    char tls1_3[policy::every_suite.size() * longest_name];
    // Without any of TLS 1.2, it is not among the versions, and its list is of no matter.
    return write_names(probe.get(), offer.tls1_2(), tls1_2) &&
           write_names(probe.get(), offer.tls1_3(), tls1_3) &&
           (tls1_2[0] == '\0' || SSL_CTX_set_cipher_list(ctx_.get(), tls1_2) == 1) &&
           SSL_CTX_set_ciphersuites(ctx_.get(), tls1_3) == 1;
}

Owned<EngineSession> OpenSslContext::make_session(SessionResources& resources,
                                                  const HostName* name) {
    return OpenSslSession::make(*this, resources, name);
}

// --- Session

// The error queue is the thread's, and belongs to whoever used OpenSSL last.
static void forget_others_errors() {
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

Owned<EngineSession> OpenSslSession::make(const OpenSslContext& context,
                                          SessionResources& resources, const HostName* name) {
    Owned<OpenSslSession> session{new OpenSslSession(context, resources, name)};
    if (!session)
        return nullptr;
    session->ssl_.reset(SSL_new(context.ctx_.get()));
    Bio bio{BIO_new(context.bio_method_.get())};
    SSL* ssl = session->ssl_.get();
    if (ssl == nullptr || !bio || SSL_set_app_data(ssl, session.get()) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    BIO_set_data(bio.get(), session.get());
    BIO_set_init(bio.get(), 1);
    BIO* stream = bio.release();
    SSL_set_bio(ssl, stream, stream);
    if (!session->use_signer(context)) {
        ERR_clear_error();
        return nullptr;
    }
    const bool client = context.role_ == Role::client;
    forget_others_errors();
    if (client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    // OpenSSL 3.2 and newer allocate there, and report a failure in the queue only.
    const bool has_state = ERR_peek_error() == 0;
    if (!has_state || (client && name != nullptr && !name->is_address() &&
                       SSL_set_tlsext_host_name(ssl, name->dns_c_str()) != 1)) {
        ERR_clear_error();
        return nullptr;
    }
    return session;
}

OpenSslSession::~OpenSslSession() {
    // For a connection that merely ended OpenSSL would forget the session. It has to after a
    // failure only (RFC 5246 §7.2.2).
    if (established_ && failure_.code == Code::none)
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    OPENSSL_clear_free(retry_, retry_size_);
    OPENSSL_free(peer_der_);
}

// With SSL_OP_CLEANSE_PLAINTEXT, OpenSSL 3.2 to 4.0 wipe a buffer here that has been freed already.
// Plaintext that was read has been wiped.
static void free_buffers(SSL* ssl) {
    const bool cleanses = (SSL_get_options(ssl) & SSL_OP_CLEANSE_PLAINTEXT) != 0;
    if (cleanses)
        SSL_clear_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_free_buffers(ssl);
    if (cleanses)
        SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

Outcome OpenSslSession::handshake() {
    forget_others_errors();
    const Outcome outcome = outcome_of(SSL_do_handshake(ssl_.get()));
    established_ = outcome.kind == Outcome::Kind::done;
    // From here on rest() does it: a buffer for each record would take a twentieth of the time.
    if (established_)
        SSL_clear_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
    return outcome;
}

// What OpenSSL receives a record into, and a little more.
constexpr std::size_t read_buffer = max_record_size + 1024;

Outcome OpenSslSession::read(MutableBytes into) {
    // OpenSSL gives a connection up that it has no memory for a record of. It is asked first.
    if (established_ && !has_buffers_) {
        void* probe = OPENSSL_malloc(read_buffer);
        if (probe == nullptr) {
            ERR_clear_error();
            return Outcome::no_memory();
        }
        OPENSSL_free(probe);
        has_buffers_ = true;
    }
    forget_others_errors();
    std::size_t count = 0;
    char probe = 0;
    const int ret = into.empty() ? SSL_peek_ex(ssl_.get(), &probe, 1, &count)
                                 : SSL_read_ex(ssl_.get(), into.data(), into.size(), &count);
    if (ret == 1)
        return Outcome::done(count);
    const Outcome outcome = outcome_of(ret);
    // A record that is too short to hold a tag is an internal error to OpenSSL up to 3.0.19.
    if (outcome.kind == Outcome::Kind::failed && established_ &&
        ERR_GET_REASON(failure_.detail) == ERR_R_INTERNAL_ERROR && failure_.code == Code::ENGINE)
        failure_.code = Code::RECORD_CORRUPT;
    return outcome;
}

Outcome OpenSslSession::write(Bytes from) {
    forget_others_errors();
    std::size_t count = 0;
    const int ret = SSL_write_ex(ssl_.get(), from.data(), from.size(), &count);
    if (ret == 1)
        return Outcome::done(count);
    const Outcome outcome = outcome_of(ret);
    if (outcome.kind != Outcome::Kind::want_write)
        return outcome;
    retry_ = static_cast<std::uint8_t*>(OPENSSL_memdup(from.data(), from.size()));
    if (retry_ == nullptr) {
        failure_ = take_error(*this);
        failure_.code = Code::NO_MEMORY;
        return Outcome::failed();
    }
    retry_size_ = from.size();
    return Outcome::want_write(from.size());
}

Outcome OpenSslSession::flush() {
    forget_others_errors();
    std::size_t count = 0;
    const int ret = SSL_write_ex(ssl_.get(), retry_, retry_size_, &count);
    if (ret != 1)
        return outcome_of(ret);
    OPENSSL_clear_free(retry_, retry_size_);
    retry_ = nullptr;
    retry_size_ = 0;
    return Outcome::done();
}

Outcome OpenSslSession::close_notify() {
    forget_others_errors();
    // 0: sent, and the peer's has not come yet.
    const int ret = SSL_shutdown(ssl_.get());
    return ret >= 0 ? Outcome::done() : outcome_of(ret);
}

void OpenSslSession::release_idle_buffers() {
    // What is being read, OpenSSL up to 3.0.13 would free under its own feet (CVE-2024-4741).
    if (pending() == 0 && !transport_.inside_record()) {
        free_buffers(ssl_.get());
        has_buffers_ = false;
    }
}

Outcome OpenSslSession::outcome_of(int ret) {
    if (ret == 1)
        return Outcome::done();
    // After the peer's goodbye, OpenSSL would call a write that the program ended an end, too.
    if (transport_.aborted()) {
        failure_ = take_error(*this);
        return Outcome::failed();
    }
    switch (SSL_get_error(ssl_.get(), ret)) {
        case SSL_ERROR_WANT_READ:
            return Outcome::want_read();
        case SSL_ERROR_WANT_WRITE:
            return Outcome::want_write();
        case SSL_ERROR_ZERO_RETURN:
            return Outcome::end();
        default:
            failure_ = take_error(*this);
            if (failure_.alert == Error::Alert::none && was_alert_sent_) {
                failure_.alert = Error::Alert::sent;
                failure_.alert_number = alert_sent_;
            }
            return Outcome::failed();
    }
}

std::uint8_t OpenSslSession::choose_context() {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (const std::uint8_t alert =
            callbacks_.choose_context(name != nullptr ? name : "", context_->uses_psk()))
        return alert;
    const auto* other = static_cast<const OpenSslContext*>(callbacks_.chosen_engine_context());
    // With a second ClientHello, nothing is left to do.
    if (other == nullptr || context_ == other)
        return 0;
    context_ = other;
    return use_identity(*other) ? 0 : SSL_AD_INTERNAL_ERROR;
}

// Shows another context's certificate, and verifies clients as it does. SSL_set_SSL_CTX() would
// take over its cipher suites, too, some of them in TLS 1.2 and others after HelloRetryRequest.
bool OpenSslSession::use_identity(const OpenSslContext& other) {
    SSL* ssl = ssl_.get();
    SSL_CTX* ctx = other.ctx_.get();
    STACK_OF(X509)* chain = nullptr;
    SSL_certs_clear(ssl);
    if (SSL_CTX_get0_chain_certs(ctx, static_cast<void*>(&chain)) != 1 ||
        SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(ctx), SSL_CTX_get0_privatekey(ctx),
                             chain, 1) != 1 ||
        !use_signer(other) || SSL_set1_verify_cert_store(ssl, SSL_CTX_get_cert_store(ctx)) != 1)
        return false;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), nullptr);
    STACK_OF(X509_NAME)* authorities = SSL_dup_CA_list(SSL_CTX_get_client_CA_list(ctx));
    SSL_set_client_CA_list(ssl, authorities);  // which takes it over
    return authorities != nullptr;
}

// Where the program signs for the context, the key is the session's own.
bool OpenSslSession::use_signer(const OpenSslContext& context) {
    if (!context.signers_)
        return true;
    EVP_PKEY* public_key = X509_get0_pubkey(SSL_get_certificate(ssl_.get()));
    const Key signer = make_signer(context.signers_.get(), *this, public_key);
    return signer && SSL_use_PrivateKey(ssl_.get(), signer.get()) == 1;
}

bool OpenSslSession::sign(SignatureScheme scheme, Bytes digest, MutableBytes signature,
                          std::size_t& length) {
    const Secret<max_scalar>& scalar = context().scalar_;
    switch (callbacks_.sign(scheme, digest, {scalar.data(), scalar.size()}, signature, length)) {
        case SignAnswer::made:
            return true;
        case SignAnswer::own_key:
            return sign_with(context().own_key_.get(), scheme, digest, signature, length);
        case SignAnswer::aborted:
            break;
    }
    return false;
}

void OpenSslSession::keep_session(SSL_SESSION* session) {
    if (SSL_SESSION_is_resumable(session) != 1)
        return;
    const int size = i2d_SSL_SESSION(session, nullptr);
    SecretBytes saved(size > 0 ? static_cast<std::size_t>(size) : 0);
    if (saved.empty())
        return;
    unsigned char* at = saved.data();
    i2d_SSL_SESSION(session, &at);
    new_session_ = {std::move(saved),
                    static_cast<std::uint32_t>(SSL_SESSION_get_ticket_lifetime_hint(session))};
}

Outcome OpenSslSession::resume(Bytes session) {
    const unsigned char* at = session.data();
    const SslSession saved{d2i_SSL_SESSION(nullptr, &at, static_cast<long>(session.size()))};
    // Another version of OpenSSL may have read the certificate.
    const bool good = saved && SSL_SESSION_get0_peer(saved.get()) != nullptr &&
                      SSL_set_session(ssl_.get(), saved.get()) == 1;
    if (take_lack_of_memory())
        return Outcome::no_memory();
    return good ? Outcome::done() : Outcome::failed();
}

// A ticket of a resumed connection is as old as the full handshake that it comes from, which
// OpenSSL carries along in its application data.
void OpenSslSession::limit_session() {
    SSL_SESSION* session = SSL_get_session(ssl_.get());
    const std::int64_t now = time(nullptr);
    std::int64_t verified_at = now;
    void* data = nullptr;
    std::size_t size = 0;
    if (SSL_session_reused(ssl_.get()) == 1 &&
        SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size == sizeof verified_at)
        std::memcpy(&verified_at, data, size);
    std::int64_t left = verified_at + context_->session_lifetime_ - now;
    // Without memory for the time, the next ticket would not know it.
    if (SSL_SESSION_set1_ticket_appdata(session, &verified_at, sizeof verified_at) != 1)
        left = 0;
    SSL_SESSION_set_timeout(
        session, static_cast<long>(std::clamp<std::int64_t>(left, 0, policy::ticket_lifetime)));
}

void OpenSslSession::alert_sent(std::uint8_t number) {
    was_alert_sent_ = true;
    alert_sent_ = number;
}

std::size_t OpenSslSession::pending() const {
    return static_cast<std::size_t>(SSL_pending(ssl_.get()));
}

SessionFacts OpenSslSession::facts() const {
    const SSL* ssl = ssl_.get();
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    const auto version = static_cast<Version>(SSL_version(ssl));
    // In TLS 1.2 the group of a resumed session is that of its full handshake.
    const char* group = nullptr;
    if (SSL_session_reused(ssl) != 1 || version != Version::tls1_2)
        group =
            SSL_group_to_name(ssl_.get(), static_cast<int>(SSL_get_negotiated_group(ssl_.get())));
    return {.version = version,
            .cipher = {SSL_CIPHER_standard_name(cipher), SSL_CIPHER_get_bits(cipher, nullptr)},
            .group = group != nullptr ? group_of(group) : std::uint16_t{0},
            .alpn = {protocol, size},
            .resumed = SSL_session_reused(ssl) == 1};
}

std::uint16_t OpenSslSession::verify_certificate(X509* certificate, int depth) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    if (size <= 0) {
        verification_lacked_memory = true;
        return 0;
    }
    const std::uint16_t failures =
        callbacks_.verify_certificate({der, static_cast<std::size_t>(size)}, depth);
    OPENSSL_free(der);
    return failures;
}

Bytes OpenSslSession::peer_certificate() const {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr)
        return {};
    if (peer_der_ == nullptr)
        peer_der_size_ = i2d_X509(certificate, &peer_der_);
    if (peer_der_size_ <= 0)
        return {};
    return {peer_der_, static_cast<std::size_t>(peer_der_size_)};
}

bool OpenSslSession::describe_peer(CertificateVisitor& visitor) const {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr)
        return false;
    openssl::describe(certificate, visitor);
    ERR_clear_error();
    return true;
}

}  // namespace ussl::openssl

namespace ussl {

const Engine openssl_engine{
    .version =
        [] {
            // "OpenSSL 3.0.15 3 Sep 2024": the date is nobody's business.
            std::string_view text = OpenSSL_version(OPENSSL_VERSION);
            text.remove_suffix(text.size() - text.find(' ', sizeof "OpenSSL"));
            return text;
        },
    .has_system_store = true,
    .has_root_store = true,
    .has_tls1_3 = true,
    .has_psk = true,
    .has_alpn = true,
    .has_crls = true,
    .has_signing_by_program = true,
    .for_each_suite = openssl::for_each_suite,
    .best_groups = openssl::best_groups,
    .find_groups = openssl::find_groups,
    .sha256 = openssl::sha256,
    .now = [] { return static_cast<std::int64_t>(time(nullptr)); },
    .random =
        [](MutableBytes out) { return RAND_bytes(out.data(), static_cast<int>(out.size())) == 1; },
    .crypto = &openssl::crypto,
    .describe = openssl::describe_first,
    .make_self_signed = openssl::make_self_signed,
    .make_context = openssl::OpenSslContext::make,
    .shut_down = [] {},  // a host's process ends with its heap
    .wipe_released_memory = openssl::wipe_released_memory,
};

}  // namespace ussl
