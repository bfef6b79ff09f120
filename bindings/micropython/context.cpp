// SSLContext: credentials, trust and verification that many sockets share.

#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "errors.hpp"
#include "ussl/context.hpp"

#ifdef NO_QSTR  // MicroPython only looks for names
#define MICROPY_BUILD_DATE "2000-01-01"
#else
#include "genhdr/mpversion.h"
#endif

namespace {

using ussl::Bytes;
using ussl::Context;
using ussl::Options;

ussl_context_obj_t* context_of(mp_obj_t self) {
    return static_cast<ussl_context_obj_t*>(MP_OBJ_TO_PTR(self));
}

std::optional<Bytes> bytes_of(mp_obj_t object) {
    mp_buffer_info_t buffer;
    if (object == mp_const_none || !mp_get_buffer(object, &buffer, MP_BUFFER_READ))
        return std::nullopt;
    return Bytes{static_cast<const uint8_t*>(buffer.buf), buffer.len};
}

std::optional<int64_t> time_of(mp_obj_t seconds) {
    if (seconds == mp_const_none)
        return std::nullopt;
    return ussl_seconds(seconds, MP_QSTR_verify_time);
}

// The beginning of the day, which stands in sys.version as well.
constexpr int64_t build_time = [] {
    constexpr std::string_view text = MICROPY_BUILD_DATE;
    const auto number = [&](size_t from, size_t size) {
        int value = 0;
        for (const char digit : text.substr(from, size))
            value = 10 * value + digit - '0';
        return value;
    };
    const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                           std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                           std::chrono::day(static_cast<unsigned>(number(8, 2)))};
    return int64_t{86400} * std::chrono::sys_days(date).time_since_epoch().count();
}();

std::optional<std::span<const uint16_t>> suites_of(mp_obj_t numbers) {
    const std::optional<Bytes> bytes = bytes_of(numbers);
    if (!bytes)
        return std::nullopt;
    return std::span(reinterpret_cast<const uint16_t*>(bytes->data()),
                     bytes->size() / sizeof(uint16_t));
}

// The contexts of wrap_socket(), which makes one for every call: calls with the same options share
// one for as long as the collector leaves any of them alive, so that keys and certificates are not
// parsed again and again. Holds no key longer than the sockets that use it would; those that have
// none, a client's that has roots at the most, stay for later calls, and with them their sessions.
struct Shared {
    uint8_t digest[32];
    Context* context;  // counted once for this table
    unsigned users;
    uint32_t last_use;
};
Shared shared[8];
// Of those that nobody uses.
#ifdef USSL_BOARD
constexpr unsigned max_kept = 1;
#else
constexpr unsigned max_kept = 4;
#endif
uint32_t uses;
std::atomic_flag shared_lock = ATOMIC_FLAG_INIT;

// Threads of the unix port run at the same time. Nothing is allocated or raised while it is held.
class SharedLock {
  public:
    SharedLock() {
        while (shared_lock.test_and_set(std::memory_order_acquire)) {
        }
    }
    ~SharedLock() { shared_lock.clear(std::memory_order_release); }
    SharedLock(const SharedLock&) = delete;
    SharedLock& operator=(const SharedLock&) = delete;
};

Context* find_shared(const uint8_t* digest) {
    const SharedLock lock;
    for (Shared& entry : shared) {
        if (entry.context == nullptr || memcmp(entry.digest, digest, 32) != 0)
            continue;
        ++entry.users;
        entry.last_use = ++uses;
        entry.context->retain();
        return entry.context;
    }
    return nullptr;
}

// In place of the one that was used longest ago, if there is no room: its sockets go on with it,
// and so do those that wait for the collector.
void add_shared(const uint8_t* digest, Context* context) {
    Context* replaced = nullptr;
    {
        const SharedLock lock;
        Shared* place = &shared[0];
        for (Shared& entry : shared) {
            if (entry.context == nullptr) {
                place = &entry;
                break;
            }
            if (uses - entry.last_use > uses - place->last_use)
                place = &entry;
        }
        replaced = place->context;
        memcpy(place->digest, digest, 32);
        place->context = context;
        place->users = 1;
        place->last_use = ++uses;
        context->retain();
    }
    if (replaced != nullptr)
        replaced->drop();
}

// Of those that nobody uses, the one that was used longest ago, if there are more than `most`; out
// of the table, for the caller to drop.
Context* take_unused(unsigned most) {
    const SharedLock lock;
    Shared* oldest = nullptr;
    unsigned unused = 0;
    for (Shared& entry : shared) {
        if (entry.context == nullptr || entry.users != 0)
            continue;
        ++unused;
        if (oldest == nullptr || uses - entry.last_use > uses - oldest->last_use)
            oldest = &entry;
    }
    if (unused <= most)
        return nullptr;
    Context* context = oldest->context;
    *oldest = {};
    return context;
}

void drop_unused(unsigned most) {
    while (Context* context = take_unused(most))
        context->drop();
}

void leave_shared(const Context* context, bool keep) {
    Context* gone = nullptr;
    {
        const SharedLock lock;
        for (Shared& entry : shared) {
            if (entry.context != context || --entry.users != 0 || keep)
                continue;
            gone = entry.context;
            entry = {};
        }
    }
    if (gone != nullptr)
        gone->drop();
    drop_unused(max_kept);
}

std::optional<Bytes> key_of(const ussl_context_obj_t* self) {
    if (self->own_key != nullptr)
        return Bytes{self->own_key, self->own_key_size};
    return bytes_of(self->key);
}

// Of the key that was read from a file, the only copy outside of the engine.
void drop_own_key(ussl_context_obj_t* self) {
    if (self->own_key == nullptr)
        return;
    ussl::wipe(self->own_key, self->own_key_size);
    ussl::release(std::exchange(self->own_key, nullptr));
}

// ecdsa_sign_callback is shown the key, and leaves it to that to sign what it does not.
bool has_sign_callback(const ussl_context_obj_t* self) {
    return self->sign_callback != mp_const_none ||
           (self->ecdsa_sign_callback != mp_const_none && key_of(self));
}

std::optional<ussl::CrlCheck> crl_check_of(const ussl_context_obj_t* self) {
    if (self->verify_flags < 0)
        return std::nullopt;
    return static_cast<ussl::CrlCheck>(self->verify_flags);
}

bool has_psk(const ussl_context_obj_t* self) {
    return self->psk_identity != mp_const_none || self->psk_keys != mp_const_none ||
           self->psk_server_callback != mp_const_none;
}

Options options_of(const ussl_context_obj_t* self) {
    Options options{
        .role = self->server != 0 ? ussl::Role::server : ussl::Role::client,
        .key = key_of(self),
        .key_password = bytes_of(self->key_password),
        .certificate = bytes_of(self->certificate),
        .sign_by_program = has_sign_callback(self) && self->certificate != mp_const_none,
        .trusted = bytes_of(self->trusted),
        .system_store = self->system_store != 0,
        .verify = static_cast<ussl::Verify>(self->verify_mode),
        .crl_check = crl_check_of(self),
        .check_hostname = self->check_hostname != 0,
        .verify_by_program = self->verify_callback != mp_const_none,
        .verify_time = time_of(self->verify_time),
        .build_time = build_time,
        .pins = bytes_of(self->pins),
        .psk_identity = bytes_of(self->psk_identity),
        .psk_key = bytes_of(self->psk_key),
        .psk_server = self->psk_keys != mp_const_none || self->psk_server_callback != mp_const_none,
        .psk_hint = bytes_of(self->psk_hint),
        .minimum_version = static_cast<ussl::Version>(self->minimum_version),
        .maximum_version = static_cast<ussl::Version>(self->maximum_version),
        .suites = suites_of(self->suites),
        .alpn = bytes_of(self->alpn),
        .choose_by_name = self->sni_callback != mp_const_none,
        .key_log = self->keylog_filename != mp_const_none,
        .resumption = self->resumption != 0,
        .tickets = self->tickets,
        .session_lifetime = self->session_lifetime,
        .record_size_limit = self->record_size_limit != 0
                                 ? std::optional<std::size_t>(self->record_size_limit)
                                 : std::nullopt};
    // An SSLContext that has both uses only the pre-shared keys, as MicroPython's own does.
    if (has_psk(self) && self->strict == 0) {
        options.key = options.key_password = options.certificate = options.trusted = std::nullopt;
        options.crl_check = std::nullopt;
        options.sign_by_program = options.system_store = false;
    }
    return options;
}

// Gives the context what was made of it, unless another thread was quicker, or it has changed
// since. Returns, counted, what a connection is to be made with.
Context* publish(ussl_context_obj_t* self, Context* mine, bool is_shared, bool keeps,
                 uint32_t generation) {
    Context* used = mine;
    bool published = false;
    {
        const SharedLock lock;
        if (self->generation == generation && self->made == nullptr) {
            self->made = mine;
            self->is_shared = is_shared;
            self->keeps = keeps;
            published = true;
        } else if (self->generation == generation) {
            used = static_cast<Context*>(self->made);
        }
        used->retain();
    }
    if (!published) {
        if (is_shared)
            leave_shared(mine, keeps);
        mine->drop();
    }
    return used;
}

// Why not; none: it was made.
std::optional<ussl::ConfigError> make(ussl_context_obj_t* self, Context** result) {
    const uint32_t generation = self->generation;
    const ussl::Engine& engine = ussl::default_engine();
    const Options options = options_of(self);
    uint8_t digest[32];
    const bool share = self->share != 0 && ussl::options_digest(engine, options, digest);
    Context* mine = share ? find_shared(digest) : nullptr;
    bool is_shared = mine != nullptr;
    if (mine == nullptr) {
        auto made = Context::make(engine, options);
        if (!made)
            return made.error();
        is_shared = share;
        if (is_shared)
            add_shared(digest, made->get());
        mine = made->detach();
    }
    const bool keeps = self->server == 0 && !options.key && !options.psk_key;
    *result = publish(self, mine, is_shared, keeps, generation);
    return std::nullopt;
}

uint16_t version_of(mp_obj_t number, qstr attribute) {
    const mp_int_t version = ussl_int(number, attribute);
    if (version != static_cast<mp_int_t>(ussl::Version::tls1_2) &&
        version != static_cast<mp_int_t>(ussl::Version::tls1_3))
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q must be TLSv1_2 or TLSv1_3"),
                          attribute);
    return static_cast<uint16_t>(version);
}

void check_versions(uint16_t minimum, uint16_t maximum) {
    if (minimum > maximum)
        mp_raise_ValueError(MP_ERROR_TEXT("minimum_version must not be above maximum_version"));
}

uint8_t tickets_of(const ussl_context_obj_t* self, mp_obj_t number) {
    const mp_int_t tickets = ussl_int(number, MP_QSTR_num_tickets);
    if (self->server == 0)
        mp_raise_ValueError(MP_ERROR_TEXT("num_tickets is only valid for a server"));
    if (tickets < 0 || tickets > 16)
        mp_raise_ValueError(MP_ERROR_TEXT("num_tickets must be 0 to 16"));
    return static_cast<uint8_t>(tickets);
}

uint32_t session_lifetime_of(mp_obj_t number) {
    const mp_int_t seconds = ussl_int(number, MP_QSTR_session_lifetime);
    if (seconds < 1 || seconds > static_cast<mp_int_t>(ussl::max_session_lifetime))
        mp_raise_ValueError(MP_ERROR_TEXT("session_lifetime must be 1 to 604800 seconds"));
    return static_cast<uint32_t>(seconds);
}

int8_t verify_flags_of(mp_obj_t flags) {
    const mp_int_t number = ussl_int(flags, MP_QSTR_verify_flags);
    if (number != 0 && number != USSL_VERIFY_CRL_CHECK_LEAF &&
        number != USSL_VERIFY_CRL_CHECK_CHAIN)
        mp_raise_ValueError(
            MP_ERROR_TEXT("verify_flags must be VERIFY_DEFAULT, "
                          "VERIFY_CRL_CHECK_LEAF or VERIFY_CRL_CHECK_CHAIN"));
    return static_cast<int8_t>(number);
}

void get_array(mp_obj_t list, size_t* count, mp_obj_t** items, const char* otherwise) {
    if (!mp_obj_is_type(list, &mp_type_list) && !mp_obj_is_type(list, &mp_type_tuple))
        mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%s"), otherwise);
    mp_obj_get_array(list, count, items);
}

constexpr size_t pin_size = 32;

// A list of pins as one bytes object, one behind the other; None stays None.
mp_obj_t join_pins(mp_obj_t list) {
    if (list == mp_const_none)
        return mp_const_none;
    size_t count;
    mp_obj_t* pins;
    get_array(list, &count, &pins, "pins must be a list of bytes, or None");
    vstr_t vstr;
    vstr_init(&vstr, count * pin_size + 1);
    for (size_t i = 0; i < count; ++i) {
        mp_buffer_info_t pin;
        if (mp_obj_is_str(pins[i]) || !mp_get_buffer(pins[i], &pin, MP_BUFFER_READ))
            mp_raise_TypeError(MP_ERROR_TEXT("pins must be a list of bytes, or None"));
        if (pin.len != pin_size)
            mp_raise_ValueError(MP_ERROR_TEXT("pins must be SHA-256 hashes, 32 bytes each"));
        vstr_add_strn(&vstr, static_cast<const char*>(pin.buf), pin.len);
    }
    if (count == 0)
        mp_raise_ValueError(MP_ERROR_TEXT("pins must not be empty"));
    return mp_obj_new_bytes_from_vstr(&vstr);
}

mp_obj_t pins_of(mp_obj_t joined) {
    if (joined == mp_const_none)
        return mp_const_none;
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(joined, &bytes, MP_BUFFER_READ);
    const mp_obj_t list = mp_obj_new_list(0, nullptr);
    for (size_t at = 0; at < bytes.len; at += pin_size)
        mp_obj_list_append(list,
                           mp_obj_new_bytes(static_cast<const byte*>(bytes.buf) + at, pin_size));
    return list;
}

// One name at a time is copied out: the interpreter may raise while it makes its own string of it,
// which must not unwind an engine's loop.
struct Names final : ussl::SuiteVisitor {
    void suite(uint16_t, std::string_view name) override {
        if (count++ != wanted)
            return;
        size = std::min(name.size(), sizeof text);
        memcpy(text, name.data(), size);
    }
    size_t wanted = 0;
    size_t count = 0;
    size_t size = 0;
    char text[64];
};

// The name of the n-th suite, as MicroPython's own module spells it; MP_OBJ_NULL: there are not as
// many.
mp_obj_t suite_name(size_t n) {
    Names names;
    names.wanted = n;
    if (!ussl::for_each_suite(ussl::default_engine(), names))
        mp_raise_OSError(MP_ENOMEM);
    if (names.size == 0)
        return MP_OBJ_NULL;
    std::replace(names.text, names.text + names.size, '_', '-');
    // In TLS 1.3 there is no "WITH": "TLS1-3-AES-128-GCM-SHA256".
    constexpr std::string_view tls = "TLS-";
    constexpr std::string_view tls1_3 = "TLS1-3-";
    const std::string_view name{names.text, names.size};
    if (name.find("-WITH-") != std::string_view::npos)
        return mp_obj_new_str(name.data(), name.size());
    vstr_t vstr;
    vstr_init(&vstr, tls1_3.size() + name.size());
    vstr_add_strn(&vstr, tls1_3.data(), tls1_3.size());
    vstr_add_strn(&vstr, name.data() + tls.size(), name.size() - tls.size());
    return mp_obj_new_str_from_vstr(&vstr);
}

MP_NORETURN void raise_suite_count() {
    mp_raise_ValueError(MP_ERROR_TEXT("set_ciphers: 1 to 64 cipher suites"));
}

MP_NORETURN void raise_unknown_suite(const char* name, size_t size) {
    if (size == 0)
        mp_raise_ValueError(MP_ERROR_TEXT(
            "set_ciphers: a str must name suites of TLS 1.2; use a list for TLS 1.3"));
    constexpr size_t most = 64;
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("set_ciphers: no cipher suite '%.*s'"),
                      static_cast<int>(size < most ? size : most), name);
}

void forget_made(ussl_context_obj_t* self) {
    Context* made = nullptr;
    bool is_shared = false;
    bool keeps = false;
    {
        const SharedLock lock;
        made = static_cast<Context*>(self->made);
        is_shared = self->is_shared != 0;
        keeps = self->keeps != 0;
        self->made = nullptr;
        self->is_shared = 0;
        ++self->generation;
    }
    if (made == nullptr)
        return;
    if (is_shared)
        leave_shared(made, keeps);
    made->drop();
}

// Counted; nullptr: it is still to be made.
Context* made_of(ussl_context_obj_t* self) {
    const SharedLock lock;
    auto* made = static_cast<Context*>(self->made);
    if (made != nullptr)
        made->retain();
    return made;
}

void* get(ussl_context_obj_t* self, const ussl_sources_t* sources) {
    if (Context* before = made_of(self))
        return before;
    Context* result = nullptr;
    std::optional<ussl::ConfigError> config_error = make(self, &result);
    if (config_error && config_error->out_of_memory) {
        // What forgotten sockets hold is memory that the collector does not see.
        ussl_context_trim();
        gc_collect();
        config_error = make(self, &result);
    }
    if (config_error)
        ussl_raise(*config_error, sources, self);
    return result;
}

// MP_OBJ_NULL: there is none of that name.
mp_obj_t attribute(const ussl_context_obj_t* self, qstr name) {
    switch (name) {
        case MP_QSTR_verify_mode:
            return MP_OBJ_NEW_SMALL_INT(self->verify_mode);
        case MP_QSTR_check_hostname:
            return mp_obj_new_bool(self->check_hostname);
        case MP_QSTR_verify_flags:
            if (self->verify_flags < 0)
                return MP_OBJ_NEW_SMALL_INT(0);
            return MP_OBJ_NEW_SMALL_INT(self->verify_flags);
        case MP_QSTR_verify_callback:
            return self->verify_callback;
        case MP_QSTR_sign_callback:
            return self->sign_callback;
        case MP_QSTR_ecdsa_sign_callback:
            return self->ecdsa_sign_callback;
        case MP_QSTR_verify_time:
            return self->verify_time;
        case MP_QSTR_pins:
            return pins_of(self->pins);
        case MP_QSTR_minimum_version:
            return MP_OBJ_NEW_SMALL_INT(self->minimum_version);
        case MP_QSTR_maximum_version:
            return MP_OBJ_NEW_SMALL_INT(self->maximum_version);
        case MP_QSTR_psk_identity:
            return self->psk_identity;
        case MP_QSTR_psk_key:
            return self->psk_key;
        case MP_QSTR_server_psk_keys:
            return self->psk_keys;
        case MP_QSTR_sni_callback:
            return self->sni_callback;
        case MP_QSTR_keylog_filename:
            return self->keylog_filename;
        case MP_QSTR_handshake_timeout:
            return self->handshake_timeout;
        case MP_QSTR_linger:
            return self->linger;
        case MP_QSTR_resumption:
            return mp_obj_new_bool(self->resumption);
        case MP_QSTR_session_lifetime:
            return mp_obj_new_int_from_uint(self->session_lifetime);
        case MP_QSTR_num_tickets:
            return MP_OBJ_NEW_SMALL_INT(self->tickets);
        case MP_QSTR_gather_writes:
            return mp_obj_new_bool(self->gather_writes);
        case MP_QSTR_record_size_limit:
            return self->record_size_limit != 0 ? MP_OBJ_NEW_SMALL_INT(self->record_size_limit)
                                                : mp_const_none;
        default:
            return MP_OBJ_NULL;
    }
}

// As in MicroPython's own module, the largest lengths are checked when both are set, and raise
// OSError.
void check_psk(mp_obj_t identity, mp_obj_t key) {
    const std::optional<Bytes> name = bytes_of(identity);
    const std::optional<Bytes> secret = bytes_of(key);
    const bool is_empty = (name && name->empty()) || (secret && secret->empty());
    const bool is_long =
        name && secret &&
        (name->size() > ussl::max_psk_identity || secret->size() > ussl::max_psk_key);
    if (is_empty || is_long)
        ussl_raise_row(static_cast<unsigned>(ussl::Code::PSK_INVALID));
}

// Raises if the value is none that the attribute can have. false: there is none of that name.
bool set_attribute(ussl_context_obj_t* self, qstr name, mp_obj_t value) {
    switch (name) {
        case MP_QSTR_verify_mode:
            self->verify_mode = ussl_verify_mode(value, name);
            return true;
        case MP_QSTR_check_hostname:
            self->check_hostname = mp_obj_is_true(value) ? 1 : 0;
            // As in CPython: a name is no use without the rest.
            if (self->check_hostname != 0 && self->verify_mode == 0)
                self->verify_mode = 2;
            return true;
        case MP_QSTR_verify_flags:
            self->verify_flags = verify_flags_of(value);
            return true;
        case MP_QSTR_verify_callback:
            self->verify_callback = ussl_callback(value, name);
            return true;
        case MP_QSTR_sign_callback:
            self->sign_callback = ussl_callback(value, name);
            return true;
        case MP_QSTR_ecdsa_sign_callback:
            self->ecdsa_sign_callback = ussl_callback(value, name);
            return true;
        case MP_QSTR_verify_time:
            if (value != mp_const_none)
                (void)ussl_seconds(value, name);
            self->verify_time = value;
            return true;
        case MP_QSTR_pins:
            self->pins = join_pins(value);
            return true;
        case MP_QSTR_minimum_version:
            check_versions(version_of(value, name), self->maximum_version);
            self->minimum_version = version_of(value, name);
            return true;
        case MP_QSTR_maximum_version:
            check_versions(self->minimum_version, version_of(value, name));
            self->maximum_version = version_of(value, name);
            return true;
        case MP_QSTR_psk_identity:
            check_psk(ussl_text_or_bytes(value, name), self->psk_key);
            self->psk_identity = value;
            return true;
        case MP_QSTR_psk_key:
            check_psk(self->psk_identity, ussl_only_bytes(value, name));
            self->psk_key = value;
            return true;
        case MP_QSTR_server_psk_keys:
            if (value != mp_const_none)
                ussl_check_psk_keys(value, name);
            self->psk_keys = value;
            return true;
        case MP_QSTR_sni_callback:
            if (self->server == 0 && value != mp_const_none)
                mp_raise_ValueError(MP_ERROR_TEXT("sni_callback is only valid for a server"));
            self->sni_callback = ussl_callback(value, name);
            return true;
        case MP_QSTR_keylog_filename:
            if (value != mp_const_none && !mp_obj_is_str(value))
                mp_raise_TypeError(MP_ERROR_TEXT("keylog_filename must be str, or None"));
            self->keylog_filename = value;
            return true;
        case MP_QSTR_handshake_timeout:
            (void)ussl_milliseconds(value, name);
            self->handshake_timeout = value;
            return true;
        case MP_QSTR_linger:
            (void)ussl_milliseconds_from_0(value, name);
            self->linger = value;
            return true;
        case MP_QSTR_resumption:
            self->resumption = mp_obj_is_true(value) ? 1 : 0;
            return true;
        case MP_QSTR_session_lifetime:
            self->session_lifetime = session_lifetime_of(value);
            return true;
        case MP_QSTR_num_tickets:
            self->tickets = tickets_of(self, value);
            return true;
        case MP_QSTR_gather_writes:
            self->gather_writes = mp_obj_is_true(value) ? 1 : 0;
            return true;
        case MP_QSTR_record_size_limit:
            self->record_size_limit = ussl_record_size_limit(value);
            return true;
        default:
            return false;
    }
}

// What a context was given as trusted; raises what is wrong with it.
ussl::StoreStats stats_of(mp_obj_t trusted, bool system_store, const ussl_sources_t* sources) {
    ussl_context_obj_t* trial = ussl_context_new(false);
    trial->verify_mode = trusted != mp_const_none ? 2 : 0;  // CRLs require it
    trial->trusted = trusted;
    trial->system_store = system_store ? 1 : 0;
    auto* made = static_cast<Context*>(get(trial, sources));
    const ussl::StoreStats stats = made->store_stats();
    made->drop();
    forget_made(trial);
    return stats;
}

// Certificates and CRLs, one behind the other.
mp_obj_t joined(mp_obj_t first, mp_obj_t second) {
    if (first == mp_const_none)
        return second;
    vstr_t vstr;
    vstr_init(&vstr, 256);
    for (const mp_obj_t part : {first, second}) {
        mp_buffer_info_t bytes;
        mp_get_buffer_raise(part, &bytes, MP_BUFFER_READ);
        vstr_add_strn(&vstr, static_cast<const char*>(bytes.buf), bytes.len);
        vstr_add_byte(&vstr, '\n');
    }
    return mp_obj_new_bytes_from_vstr(&vstr);
}

bool holds_key(mp_obj_t content) {
    mp_buffer_info_t bytes;
    return mp_get_buffer(content, &bytes, MP_BUFFER_READ) &&
           std::string_view(static_cast<const char*>(bytes.buf), bytes.len)
                   .find("PRIVATE KEY-----") != std::string_view::npos;
}

void load_verify_locations(ussl_context_obj_t* self, mp_obj_t cadata, mp_obj_t cafile,
                           bool is_content) {
    const bool has_data = cadata != mp_const_none;
    if (has_data == (cafile != mp_const_none))
        mp_raise_TypeError(MP_ERROR_TEXT("load_verify_locations() takes either cadata or cafile"));
    ussl_sources_t sources = {};
    ussl_load(&sources.trusted, has_data ? MP_QSTR_cadata : MP_QSTR_cafile,
              has_data ? cadata : cafile, has_data && is_content);
    const mp_obj_t more = sources.trusted.content;
    const ussl::StoreStats stats = stats_of(more, false, &sources);
    // A key that stands there is of no use.
    mp_buffer_info_t bytes;
    if (sources.trusted.from_file && mp_get_buffer(more, &bytes, MP_BUFFER_READ))
        ussl::wipe_private_keys({static_cast<uint8_t*>(bytes.buf), bytes.len});

    self->trusted = joined(self->trusted, more);
    // Whoever gives one wants it looked at.
    if (stats.crls != 0 && self->verify_flags < 0)
        self->verify_flags = USSL_VERIFY_CRL_CHECK_LEAF;
    forget_made(self);
}

// What load_cert_chain() works with: an exception finds all of it in memory.
struct Identity {
    ussl_context_obj_t* self;
    ussl_context_obj_t* trial;
    mp_obj_t password;
    ussl_sources_t sources;
};

// The certificates in the same file are still needed.
void wipe_keys(const ussl_sources_t& sources) {
    mp_buffer_info_t bytes;
    ussl_source_wipe(&sources.key);
    if (sources.certificate.from_file &&
        mp_get_buffer(sources.certificate.content, &bytes, MP_BUFFER_READ))
        ussl::wipe_private_keys({static_cast<uint8_t*>(bytes.buf), bytes.len});
}

// false: no memory.
bool take_key(ussl_context_obj_t* self, mp_obj_t content) {
    const std::optional<Bytes> bytes = bytes_of(content);
    const ussl::SecretBytes key = ussl::private_key_of(bytes.value_or(Bytes{}));
    if (key.empty())
        return false;
    self->own_key = static_cast<unsigned char*>(ussl::allocate(key.size()));
    if (self->own_key == nullptr)
        return false;
    self->own_key_size = key.size();
    memcpy(self->own_key, key.data(), key.size());
    return true;
}

void load_identity(Identity& identity, mp_obj_t certfile, mp_obj_t keyfile) {
    ussl_context_obj_t* self = identity.self;
    ussl_sources_t& sources = identity.sources;
    ussl_load(&sources.certificate, MP_QSTR_certfile, certfile, false);
    ussl_load(&sources.key, MP_QSTR_keyfile, keyfile, false);
    // As CPython: one file may hold both. There need be no key where a callback signs.
    const bool in_one = keyfile == mp_const_none && (self->sign_callback == mp_const_none ||
                                                     holds_key(sources.certificate.content));
    ussl_source_t& key = in_one ? sources.certificate : sources.key;

    // Tried on its own first, so that what is wrong is said here and changes nothing.
    ussl_context_obj_t* trial = ussl_context_new(self->server != 0);
    identity.trial = trial;
    trial->certificate = sources.certificate.content;
    trial->key = key.content;
    trial->key_password = identity.password;
    trial->sign_callback = self->sign_callback;
    trial->ecdsa_sign_callback = self->ecdsa_sign_callback;
    ussl_sources_t named = sources;
    if (in_one)
        named.key = sources.certificate;
    ussl_context_check(trial, &named);
    forget_made(trial);
    if (key.from_file && key.content != mp_const_none) {
        if (!take_key(trial, key.content))
            mp_raise_type(&mp_type_MemoryError);
        trial->key = mp_const_none;
    }

    drop_own_key(self);
    self->certificate = trial->certificate;
    self->key = trial->key;
    self->own_key = std::exchange(trial->own_key, nullptr);
    self->own_key_size = trial->own_key_size;
    self->key_password = identity.password;
    forget_made(self);
}

// What psk_client_callback says for one connection, as a context of its own.
ussl_context_obj_t* with_psk_of_callback(const ussl_context_obj_t* self) {
    // TLS 1.3 has no hint, and with TLS 1.2 the server's comes too late: the key is already chosen.
    const mp_obj_t answer = mp_call_function_1(self->psk_client_callback, mp_const_none);
    mp_obj_t* pair;
    mp_obj_get_array_fixed_n(answer, 2, &pair);
    if (pair[0] == mp_const_none || pair[1] == mp_const_none)
        mp_raise_ValueError(
            MP_ERROR_TEXT("psk_client_callback must return an identity and a key, not None"));
    ussl_context_obj_t* one = ussl_context_new(false);
    *one = *self;
    one->made = nullptr;
    one->own_key = nullptr;
    one->is_shared = 0;
    one->share = 1;
    one->psk_identity = ussl_text_or_bytes(pair[0], MP_QSTR_psk_identity);
    one->psk_key = ussl_only_bytes(pair[1], MP_QSTR_psk_key);
    return one;
}

}  // namespace

extern "C" {

ussl_context_obj_t* ussl_context_new(bool server) {
    ussl_context_obj_t* self = mp_obj_malloc_with_finaliser(ussl_context_obj_t, &ussl_context_type);
    self->key = self->key_password = self->certificate = self->trusted = mp_const_none;
    self->psk_identity = self->psk_key = self->psk_keys = self->psk_hint = mp_const_none;
    self->psk_client_callback = self->psk_server_callback = self->verify_callback = mp_const_none;
    self->sign_callback = self->ecdsa_sign_callback = mp_const_none;
    self->verify_time = self->pins = self->suites = self->alpn = mp_const_none;
    self->handshake_timeout = server ? MP_OBJ_NEW_SMALL_INT(30) : mp_const_none;
    self->keylog_filename = self->sni_callback = mp_const_none;
    self->linger = MP_OBJ_NEW_SMALL_INT(10);
    self->server = server ? 1 : 0;
    self->verify_flags = -1;
    self->verify_mode = self->strict = self->share = self->is_shared = self->keeps = 0;
    self->system_store = self->gather_writes = self->aliases = 0;
    self->check_hostname = server ? 0 : 1;
    self->resumption = self->tickets = 1;
    self->minimum_version = static_cast<uint16_t>(ussl::Version::tls1_2);
    self->maximum_version = static_cast<uint16_t>(ussl::Version::tls1_3);
    self->record_size_limit = 0;
    self->session_lifetime = ussl::default_session_lifetime;
    self->made = nullptr;
    self->own_key = nullptr;
    self->own_key_size = 0;
    self->generation = 0;
    return self;
}

void ussl_context_heap_ends() {
    // Nobody else runs: the collector has stopped the other threads. SSLContexts and sockets that
    // are finalised later drop their own counts.
    for (Shared& entry : shared)
        if (Context* context = std::exchange(entry, {}).context)
            context->drop();
    ussl::shut_down(ussl::default_engine());
}

void ussl_context_trim() {
    drop_unused(0);
}

void* ussl_context_get(ussl_context_obj_t* self) {
    return get(self, nullptr);
}

void ussl_context_drop(void* made) {
    static_cast<Context*>(made)->drop();
}

void ussl_context_check(ussl_context_obj_t* self, const ussl_sources_t* sources) {
    ussl_context_drop(get(self, sources));
}

mp_obj_t ussl_context_make_new(const mp_obj_type_t* type, size_t n_args, size_t n_kw,
                               const mp_obj_t* args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    const mp_int_t protocol = ussl_int(args[0], MP_QSTR_protocol);
    if (protocol != USSL_PROTOCOL_TLS_CLIENT && protocol != USSL_PROTOCOL_TLS_SERVER)
        mp_raise_ValueError(
            MP_ERROR_TEXT("protocol must be PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER"));
    ussl_context_obj_t* self = ussl_context_new(protocol == USSL_PROTOCOL_TLS_SERVER);
    self->verify_mode = self->server != 0 ? 0 : 2;
    return MP_OBJ_FROM_PTR(self);
}

void ussl_context_attr(mp_obj_t self_in, qstr attr, mp_obj_t* dest) {
    ussl_context_obj_t* self = context_of(self_in);
    if (dest[0] == MP_OBJ_NULL) {
        dest[0] = attribute(self, attr);
        if (dest[0] == MP_OBJ_NULL)
            dest[1] = MP_OBJ_SENTINEL;  // the methods
        return;
    }
    // What cannot be deleted or is not there raises AttributeError.
    if (dest[1] == MP_OBJ_NULL || !set_attribute(self, attr, dest[1]))
        return;
    forget_made(self);
    dest[0] = MP_OBJ_NULL;  // stored
}

mp_obj_t ussl_context_load_cert_chain(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    enum { ARG_certfile, ARG_keyfile, ARG_password, ARG_count };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_certfile, MP_ARG_OBJ | MP_ARG_REQUIRED, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_keyfile, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_password, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, ARG_count, allowed, values);
    ussl_context_obj_t* self = context_of(args[0]);
    Identity identity = {};
    identity.self = self;
    identity.password = values[ARG_password].u_obj;
    identity.sources.key.content = identity.sources.certificate.content = mp_const_none;
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        wipe_keys(identity.sources);
        if (identity.trial != nullptr)
            drop_own_key(identity.trial);
        nlr_jump(nlr.ret_val);
    }
    load_identity(identity, values[ARG_certfile].u_obj, values[ARG_keyfile].u_obj);
    nlr_pop();
    wipe_keys(identity.sources);
    return mp_const_none;
}

mp_obj_t ussl_context_load_verify_locations(size_t n_args, const mp_obj_t* args,
                                            mp_map_t* kw_args) {
    // load_verify_locations(cadata) as MicroPython has it; cafile= as CPython has it.
    enum { ARG_cadata, ARG_cafile, ARG_count };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_cadata, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_cafile, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, ARG_count, allowed, values);
    // A str without a keyword is a path, as in CPython, where that argument is `cafile`.
    load_verify_locations(context_of(args[0]), values[ARG_cadata].u_obj, values[ARG_cafile].u_obj,
                          n_args == 1);
    return mp_const_none;
}

mp_obj_t ussl_context_wrap_socket(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    enum {
        ARG_server_side,
        ARG_do_handshake_on_connect,
        ARG_server_hostname,
        ARG_suppress_ragged_eofs,
        ARG_session,
        ARG_count
    };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_server_side, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_do_handshake_on_connect, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true}},
        {MP_QSTR_server_hostname, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_suppress_ragged_eofs, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true}},
        {MP_QSTR_session, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args - 2, args + 2, kw_args, ARG_count, allowed, values);
    ussl_context_obj_t* self = context_of(args[0]);
    if (values[ARG_server_side].u_obj != MP_OBJ_NULL &&
        mp_obj_is_true(values[ARG_server_side].u_obj) != (self->server != 0))
        mp_raise_ValueError(
            MP_ERROR_TEXT("server_side does not match the protocol of the context"));
    ussl_context_obj_t* made_from =
        self->psk_client_callback != mp_const_none ? with_psk_of_callback(self) : self;
    return ussl_socket_new(self, made_from, args[1], values[ARG_server_hostname].u_obj,
                           values[ARG_do_handshake_on_connect].u_bool,
                           values[ARG_suppress_ragged_eofs].u_bool, values[ARG_session].u_obj);
}

// The argument is CPython's purpose, which a context's protocol says already.
mp_obj_t ussl_context_load_default_certs(size_t n_args, const mp_obj_t* args) {
    (void)n_args;
    ussl_context_obj_t* self = context_of(args[0]);
    if (!ussl::has_system_store(ussl::default_engine()))
        mp_raise_ValueError(MP_ERROR_TEXT("this port has no system store of certificates"));
    self->system_store = 1;
    forget_made(self);
    return mp_const_none;
}

mp_obj_t ussl_context_cert_store_stats(mp_obj_t self_in) {
    const ussl_context_obj_t* self = context_of(self_in);
    const ussl::StoreStats counts = stats_of(self->trusted, self->system_store != 0, nullptr);
    const mp_obj_t stats = mp_obj_new_dict(4);
    const auto store = [stats](qstr name, size_t count) {
        mp_obj_dict_store(stats, MP_OBJ_NEW_QSTR(name), mp_obj_new_int_from_uint(count));
    };
    store(MP_QSTR_x509, counts.certificates);
    store(MP_QSTR_x509_ca, counts.authorities);
    store(MP_QSTR_crl, counts.crls);
    store(MP_QSTR_unsupported, counts.unsupported);
    return stats;
}

// A list of names, or a str of several with ":" between them.
mp_obj_t ussl_context_set_ciphers(mp_obj_t self_in, mp_obj_t suites) {
    const ussl::Engine& engine = ussl::default_engine();
    uint16_t numbers[ussl::max_suites];
    size_t count = 0;
    if (mp_obj_is_str(suites)) {
        size_t size;
        const char* text = mp_obj_str_get_data(suites, &size);
        std::string_view unknown;
        count = ussl::parse_suites(engine, {text, size}, numbers, unknown);
        if (count == 0)
            raise_unknown_suite(unknown.data(), unknown.size());
    } else {
        mp_obj_t* names;
        get_array(suites, &count, &names, "set_ciphers: suites must be a list of str, or a str");
        if (count == 0 || count > ussl::max_suites)
            raise_suite_count();
        for (size_t i = 0; i < count; ++i) {
            size_t size;
            if (!mp_obj_is_str(names[i]))
                mp_raise_TypeError(
                    MP_ERROR_TEXT("set_ciphers: suites must be a list of str, or a str"));
            const char* name = mp_obj_str_get_data(names[i], &size);
            numbers[i] = ussl::suite_of(engine, {name, size});
            if (numbers[i] == 0)
                raise_unknown_suite(name, size);
        }
    }
    ussl_context_obj_t* self = context_of(self_in);
    self->suites =
        mp_obj_new_bytes(reinterpret_cast<const byte*>(numbers), count * sizeof numbers[0]);
    forget_made(self);
    return mp_const_none;
}

mp_obj_t ussl_context_get_ciphers(mp_obj_t self) {
    (void)self;
    const mp_obj_t list = mp_obj_new_list(0, nullptr);
    mp_obj_t name;
    for (size_t i = 0; (name = suite_name(i)) != MP_OBJ_NULL; ++i)
        mp_obj_list_append(list, name);
    return list;
}

mp_obj_t ussl_context_set_alpn_protocols(mp_obj_t self_in, mp_obj_t protocols) {
    size_t count;
    mp_obj_t* names;
    constexpr char wanted[] = "set_alpn_protocols: protocols must be a list of str or bytes";
    get_array(protocols, &count, &names, wanted);
    vstr_t vstr;
    vstr_init(&vstr, 32);
    for (size_t i = 0; i < count; ++i) {
        mp_buffer_info_t name;
        if (!mp_get_buffer(names[i], &name, MP_BUFFER_READ))
            mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%s"), wanted);
        // What is out of bounds the library says in its words.
        vstr_add_byte(&vstr, static_cast<byte>(name.len < 256 ? name.len : 0));
        vstr_add_strn(&vstr, static_cast<const char*>(name.buf), name.len);
    }
    ussl_context_obj_t* trial = ussl_context_new(false);
    trial->alpn = count != 0 ? mp_obj_new_bytes_from_vstr(&vstr) : mp_const_none;
    ussl_context_check(trial, nullptr);
    ussl_context_obj_t* self = context_of(self_in);
    self->alpn = trial->alpn;
    forget_made(self);
    return mp_const_none;
}

mp_obj_t ussl_context_set_psk_client_callback(mp_obj_t self_in, mp_obj_t callback) {
    ussl_context_obj_t* self = context_of(self_in);
    if (self->server != 0)
        mp_raise_ValueError(MP_ERROR_TEXT("set_psk_client_callback is only valid for a client"));
    self->psk_client_callback = ussl_callback(callback, MP_QSTR_callback);
    return mp_const_none;
}

mp_obj_t ussl_context_set_psk_server_callback(size_t n_args, const mp_obj_t* args) {
    ussl_context_obj_t* self = context_of(args[0]);
    if (self->server == 0)
        mp_raise_ValueError(MP_ERROR_TEXT("set_psk_server_callback is only valid for a server"));
    const mp_obj_t hint =
        n_args > 2 ? ussl_text_or_bytes(args[2], MP_QSTR_identity_hint) : mp_const_none;
    self->psk_server_callback = ussl_callback(args[1], MP_QSTR_callback);
    self->psk_hint = args[1] != mp_const_none ? hint : mp_const_none;
    forget_made(self);
    return mp_const_none;
}

mp_obj_t ussl_create_default_context(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    enum { ARG_purpose, ARG_cafile, ARG_cadata, ARG_count };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_purpose, MP_ARG_INT, {.u_int = USSL_PURPOSE_SERVER_AUTH}},
        {MP_QSTR_cafile, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_cadata, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args, args, kw_args, ARG_count, allowed, values);
    const mp_int_t purpose = values[ARG_purpose].u_int;
    if (purpose != USSL_PURPOSE_SERVER_AUTH && purpose != USSL_PURPOSE_CLIENT_AUTH)
        mp_raise_ValueError(MP_ERROR_TEXT("purpose must be Purpose.SERVER_AUTH or CLIENT_AUTH"));
    const bool server = purpose == USSL_PURPOSE_CLIENT_AUTH;
    ussl_context_obj_t* self = ussl_context_new(server);
    self->verify_mode = server ? 0 : 2;
    const mp_obj_t cafile = values[ARG_cafile].u_obj;
    const mp_obj_t cadata = values[ARG_cadata].u_obj;
    if (cafile != mp_const_none || cadata != mp_const_none)
        load_verify_locations(self, cadata, cafile, true);
    return MP_OBJ_FROM_PTR(self);
}

mp_obj_t ussl_context_del(mp_obj_t self) {
    forget_made(context_of(self));
    drop_own_key(context_of(self));
    return mp_const_none;
}

}  // extern "C"
