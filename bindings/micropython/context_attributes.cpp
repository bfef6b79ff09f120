// The attributes of an SSLContext, in one table, and their conversion to ussl::Options.

#include <algorithm>
#include <chrono>

#include "arguments.hpp"
#include "context.hpp"
#include "errors.hpp"

#ifdef NO_QSTR  // MicroPython's search for interned strings
#define MICROPY_BUILD_DATE "2000-01-01"
#else
#include "genhdr/mpversion.h"
#endif

#ifdef USSL_ROOTS
extern "C" const uint8_t ussl_roots[], ussl_roots_end[];  // roots.c
#endif

namespace {

using ussl::Bytes;
using ussl::Options;
namespace features = ussl::features;
using Self = ussl_context_obj_t;

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

// The beginning of the build day, which is also in sys.version.
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

std::optional<std::span<const uint16_t>> numbers_of(mp_obj_t numbers) {
    const std::optional<Bytes> bytes = bytes_of(numbers);
    if (!bytes)
        return std::nullopt;
    return std::span(reinterpret_cast<const uint16_t*>(bytes->data()),
                     bytes->size() / sizeof(uint16_t));
}

std::optional<Bytes> key_of(const ussl_context_obj_t* self) {
    if (self->own_key != nullptr)
        return Bytes{self->own_key, self->own_key_size};
    return bytes_of(self->key);
}

// ecdsa_sign_callback receives the private key, and is only called if there is one. If it returns
// None, the key signs.
bool has_sign_callback(const ussl_context_obj_t* self) {
    if constexpr (!features::sign_callback)
        return false;
    return self->sign_callback != mp_const_none ||
           (self->ecdsa_sign_callback != mp_const_none && key_of(self));
}

std::optional<ussl::CrlCheck> crl_check_of(const ussl_context_obj_t* self) {
    if (!features::crl || self->verify_flags < 0)
        return std::nullopt;
    return static_cast<ussl::CrlCheck>(self->verify_flags);
}

bool has_psk(const ussl_context_obj_t* self) {
    return self->psk_identity != mp_const_none || self->psk_keys != mp_const_none ||
           self->psk_server_callback != mp_const_none;
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

constexpr size_t pin_size = 32;

// Joins a list of pins into one bytes object; None stays None.
mp_obj_t join_pins(mp_obj_t list) {
    if (list == mp_const_none)
        return mp_const_none;
    size_t count;
    mp_obj_t* pins;
    ussl_list(list, &count, &pins, "pins must be a list of bytes, or None");
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
        ussl_raise_row(ussl::Code::PSK_INVALID);
}

// --- getters and setters of members that are stored as the program passes them

template <mp_obj_t Self::* member>
mp_obj_t get_object(const Self* self) {
    return self->*member;
}
template <auto member>
mp_obj_t get_number(const Self* self) {
    return mp_obj_new_int_from_uint(self->*member);
}
template <auto member>
mp_obj_t get_bool(const Self* self) {
    return mp_obj_new_bool(self->*member);
}
template <auto member>
void set_bool(Self* self, qstr, mp_obj_t value) {
    self->*member = mp_obj_is_true(value) ? 1 : 0;
}
template <mp_obj_t Self::* member>
void set_callback(Self* self, qstr name, mp_obj_t value) {
    self->*member = ussl_callback(value, name);
}

// --- the others

void set_verify_mode(Self* self, qstr name, mp_obj_t value) {
    self->verify_mode = ussl_verify_mode(value, name);
}
void set_check_hostname(Self* self, qstr, mp_obj_t value) {
    self->check_hostname = mp_obj_is_true(value) ? 1 : 0;
    // As in CPython, the host name is only checked if the certificate is verified.
    if (self->check_hostname != 0 && self->verify_mode == 0)
        self->verify_mode = 2;
}
[[maybe_unused]] mp_obj_t get_verify_flags(const Self* self) {
    return MP_OBJ_NEW_SMALL_INT(self->verify_flags < 0 ? 0 : self->verify_flags);
}
[[maybe_unused]] void set_verify_flags(Self* self, qstr name, mp_obj_t value) {
    const mp_int_t number = ussl_int(value, name);
    if (number != 0 && number != USSL_VERIFY_CRL_CHECK_LEAF &&
        number != USSL_VERIFY_CRL_CHECK_CHAIN)
        mp_raise_ValueError(
            MP_ERROR_TEXT("verify_flags must be VERIFY_DEFAULT, "
                          "VERIFY_CRL_CHECK_LEAF or VERIFY_CRL_CHECK_CHAIN"));
    self->verify_flags = static_cast<int8_t>(number);
}
void set_verify_time(Self* self, qstr name, mp_obj_t value) {
    if (value != mp_const_none)
        (void)ussl_seconds(value, name);
    self->verify_time = value;
}
mp_obj_t get_pins(const Self* self) {
    return pins_of(self->pins);
}
void set_pins(Self* self, qstr, mp_obj_t value) {
    self->pins = join_pins(value);
}
void set_minimum_version(Self* self, qstr name, mp_obj_t value) {
    const uint16_t version = version_of(value, name);
    check_versions(version, self->maximum_version);
    self->minimum_version = version;
}
void set_maximum_version(Self* self, qstr name, mp_obj_t value) {
    const uint16_t version = version_of(value, name);
    check_versions(self->minimum_version, version);
    self->maximum_version = version;
}
void set_psk_identity(Self* self, qstr name, mp_obj_t value) {
    check_psk(ussl_text_or_bytes(value, name), self->psk_key);
    self->psk_identity = value;
}
void set_psk_key(Self* self, qstr name, mp_obj_t value) {
    check_psk(self->psk_identity, ussl_only_bytes(value, name));
    self->psk_key = value;
}
void set_psk_keys(Self* self, qstr name, mp_obj_t value) {
    if (value != mp_const_none)
        ussl_check_psk_keys(value, name);
    self->psk_keys = value;
}
[[maybe_unused]] void set_sni_callback(Self* self, qstr name, mp_obj_t value) {
    if (self->server == 0 && value != mp_const_none)
        mp_raise_ValueError(MP_ERROR_TEXT("sni_callback is only valid for a server"));
    self->sni_callback = ussl_callback(value, name);
}
[[maybe_unused]] void set_keylog_filename(Self* self, qstr, mp_obj_t value) {
    if (value != mp_const_none && !mp_obj_is_str(value))
        mp_raise_TypeError(MP_ERROR_TEXT("keylog_filename must be str, or None"));
    self->keylog_filename = value;
}
void set_handshake_timeout(Self* self, qstr name, mp_obj_t value) {
    (void)ussl_milliseconds(value, name);
    self->handshake_timeout = value;
}
void set_linger(Self* self, qstr name, mp_obj_t value) {
    (void)ussl_milliseconds_from_0(value, name);
    self->linger = value;
}
void set_session_lifetime(Self* self, qstr name, mp_obj_t value) {
    const mp_int_t seconds = ussl_int(value, name);
    if (seconds < 1 || seconds > static_cast<mp_int_t>(ussl::max_session_lifetime))
        mp_raise_ValueError(MP_ERROR_TEXT("session_lifetime must be 1 to 604800 seconds"));
    self->session_lifetime = static_cast<uint32_t>(seconds);
}
void set_num_tickets(Self* self, qstr name, mp_obj_t value) {
    const mp_int_t tickets = ussl_int(value, name);
    if (self->server == 0)
        mp_raise_ValueError(MP_ERROR_TEXT("num_tickets is only valid for a server"));
    if (tickets < 0 || tickets > 16)
        mp_raise_ValueError(MP_ERROR_TEXT("num_tickets must be 0 to 16"));
    self->tickets = static_cast<uint8_t>(tickets);
}
mp_obj_t get_record_size_limit(const Self* self) {
    return self->record_size_limit != 0 ? MP_OBJ_NEW_SMALL_INT(self->record_size_limit)
                                        : mp_const_none;
}
void set_record_size_limit(Self* self, qstr, mp_obj_t value) {
    self->record_size_limit = ussl_record_size_limit(value);
}

constexpr char wanted_groups[] = "groups must be a list of str, a str, or None";

void add_group(vstr_t* numbers, std::string_view name) {
    const uint16_t number = ussl::group_of(name);
    constexpr size_t most = 64;
    if (number == 0)
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("groups: unknown group '%.*s'"),
                          static_cast<int>(std::min(name.size(), most)), name.data());
    vstr_add_strn(numbers, reinterpret_cast<const char*>(&number), sizeof number);
}

// Converts names to a bytes object of 16-bit numbers.
mp_obj_t group_numbers(mp_obj_t groups) {
    vstr_t numbers;
    vstr_init(&numbers, ussl::max_groups * sizeof(uint16_t));
    size_t size;
    if (mp_obj_is_str(groups)) {
        const char* text = mp_obj_str_get_data(groups, &size);
        std::string_view rest(text, size);
        for (size_t end = 0; end != std::string_view::npos; rest.remove_prefix(end + 1)) {
            end = rest.find(':');
            add_group(&numbers, rest.substr(0, end));
            if (end == std::string_view::npos)
                break;
        }
    } else {
        size_t count;
        mp_obj_t* names;
        ussl_list(groups, &count, &names, wanted_groups);
        for (size_t i = 0; i < count; ++i) {
            if (!mp_obj_is_str(names[i]))
                mp_raise_TypeError(MP_ERROR_TEXT(wanted_groups));
            const char* name = mp_obj_str_get_data(names[i], &size);
            add_group(&numbers, {name, size});
        }
    }
    return mp_obj_new_bytes_from_vstr(&numbers);
}

mp_obj_t get_groups(const Self* self) {
    uint16_t defaults[ussl::max_groups];
    std::span<const uint16_t> numbers;
    if (const std::optional<std::span<const uint16_t>> chosen = numbers_of(self->groups))
        numbers = *chosen;
    else
        numbers = {defaults, ussl::default_groups(ussl::default_engine(), defaults)};
    const mp_obj_t list = mp_obj_new_list(0, nullptr);
    for (const uint16_t number : numbers) {
        const std::string_view name = ussl::group_name(number);
        mp_obj_list_append(list, mp_obj_new_str(name.data(), name.size()));
    }
    return list;
}
void set_groups(Self* self, qstr, mp_obj_t value) {
    ussl_context_set_groups(self, value);
}

struct Attribute {
    qstr_short_t name;
    mp_obj_t (*get)(const Self* self);
    /// Raises if the value is invalid; then nothing has changed.
    void (*set)(Self* self, qstr name, mp_obj_t value);
};

// clang-format off
constexpr Attribute attributes[] = {
    {MP_QSTR_verify_mode, get_number<&Self::verify_mode>, set_verify_mode},
    {MP_QSTR_check_hostname, get_bool<&Self::check_hostname>, set_check_hostname},
    USSL_IF(CRL, {MP_QSTR_verify_flags, get_verify_flags, set_verify_flags},)
    {MP_QSTR_verify_callback, get_object<&Self::verify_callback>, set_callback<&Self::verify_callback>},
    {MP_QSTR_verify_time, get_object<&Self::verify_time>, set_verify_time},
    {MP_QSTR_pins, get_pins, set_pins},
    {MP_QSTR_minimum_version, get_number<&Self::minimum_version>, set_minimum_version},
    {MP_QSTR_maximum_version, get_number<&Self::maximum_version>, set_maximum_version},
    {MP_QSTR_groups, get_groups, set_groups},
    {MP_QSTR_psk_identity, get_object<&Self::psk_identity>, set_psk_identity},
    {MP_QSTR_psk_key, get_object<&Self::psk_key>, set_psk_key},
    {MP_QSTR_server_psk_keys, get_object<&Self::psk_keys>, set_psk_keys},
    {MP_QSTR_record_size_limit, get_record_size_limit, set_record_size_limit},
    {MP_QSTR_gather_writes, get_bool<&Self::gather_writes>, set_bool<&Self::gather_writes>},
    {MP_QSTR_handshake_timeout, get_object<&Self::handshake_timeout>, set_handshake_timeout},
    {MP_QSTR_linger, get_object<&Self::linger>, set_linger},
    USSL_IF(SNI_CALLBACK, {MP_QSTR_sni_callback, get_object<&Self::sni_callback>, set_sni_callback},)
    USSL_IF(SIGN_CALLBACK, {MP_QSTR_sign_callback, get_object<&Self::sign_callback>, set_callback<&Self::sign_callback>},)
    USSL_IF(SIGN_CALLBACK, {MP_QSTR_ecdsa_sign_callback, get_object<&Self::ecdsa_sign_callback>, set_callback<&Self::ecdsa_sign_callback>},)
    USSL_IF(KEYLOG, {MP_QSTR_keylog_filename, get_object<&Self::keylog_filename>, set_keylog_filename},)
    {MP_QSTR_resumption, get_bool<&Self::resumption>, set_bool<&Self::resumption>},
    {MP_QSTR_num_tickets, get_number<&Self::tickets>, set_num_tickets},
    {MP_QSTR_session_lifetime, get_number<&Self::session_lifetime>, set_session_lifetime},
};
// clang-format on

// CERT_NONE is the default of a client, as in MicroPython.
ussl::Verify verify_of(const Self* self) {
    const auto verify = static_cast<ussl::Verify>(self->verify_mode);
    return verify == ussl::Verify::none && self->server == 0
               ? ussl::Verify::insecure_no_verification
               : verify;
}

}  // namespace

static_assert(ussl::option_count == 31, "is the new option set below, and an attribute above?");
ussl::Options ussl_options_of(const ussl_context_obj_t* self) {
    Options options{
        .role = self->server != 0 ? ussl::Role::server : ussl::Role::client,
        .key = key_of(self),
        .key_password = bytes_of(self->key_password),
        .certificate = bytes_of(self->certificate),
        .sign_by_program = has_sign_callback(self) && self->certificate != mp_const_none,
        .trusted = bytes_of(self->trusted),
        .system_roots = ussl_firmware_roots(),
        .system_store = self->system_store != 0,
        .verify = verify_of(self),
        .crl_check = crl_check_of(self),
        .check_hostname = self->check_hostname != 0,
        .verify_by_program = features::context && self->verify_callback != mp_const_none,
        .verify_time = features::context ? time_of(self->verify_time) : std::nullopt,
        .build_time = build_time,
        .pins = features::context ? bytes_of(self->pins) : std::nullopt,
        .psk_identity = bytes_of(self->psk_identity),
        .psk_key = bytes_of(self->psk_key),
        .psk_server = self->psk_keys != mp_const_none || self->psk_server_callback != mp_const_none,
        .psk_hint = bytes_of(self->psk_hint),
        .minimum_version = static_cast<ussl::Version>(self->minimum_version),
        .maximum_version = static_cast<ussl::Version>(self->maximum_version),
        .suites = features::context ? numbers_of(self->suites) : std::nullopt,
        .groups = features::context ? numbers_of(self->groups) : std::nullopt,
        .alpn = features::alpn ? bytes_of(self->alpn) : std::nullopt,
        .choose_by_name = features::sni_callback && self->sni_callback != mp_const_none,
        .key_log = features::keylog && self->keylog_filename != mp_const_none,
        .resumption = self->resumption != 0,
        .tickets = self->tickets,
        .session_lifetime = self->session_lifetime,
        .record_size_limit = self->record_size_limit != 0
                                 ? std::optional<std::size_t>(self->record_size_limit)
                                 : std::nullopt};
    if (self->root_stores != mp_const_none) {
        size_t count;
        mp_obj_t* stores;
        mp_obj_get_array(self->root_stores, &count, &stores);
        std::transform(stores, stores + count, options.root_stores.begin(), bytes_of);
    }
    // With certificates and pre-shared keys, only the latter are used, as in MicroPython's own
    // module.
    if (has_psk(self) && self->strict == 0) {
        options.key = options.key_password = options.certificate = options.trusted = std::nullopt;
        options.root_stores = {};
        options.crl_check = std::nullopt;
        options.sign_by_program = options.system_store = false;
    }
    return options;
}

std::optional<Bytes> ussl_firmware_roots() {
#ifdef USSL_ROOTS
    if (ussl::features::root_store && ussl::has_root_store(ussl::default_engine()))
        return Bytes{ussl_roots, static_cast<size_t>(ussl_roots_end - ussl_roots)};
#endif
    return std::nullopt;
}

void ussl_context_add_store(Self* self, const ussl_source_t* source) {
    size_t count = 0;
    mp_obj_t* before = nullptr;
    if (self->root_stores != mp_const_none)
        mp_obj_get_array(self->root_stores, &count, &before);
    if (count == ussl::max_root_stores)
        mp_raise_msg_varg(&mp_type_ValueError,
                          MP_ERROR_TEXT("%q: a context has at most 3 root stores; "
                                        "tools/make_roots combines several"),
                          source->argument);
    mp_obj_t stores[ussl::max_root_stores] = {};
    std::copy(before, before + count, stores);
    stores[count] = source->content;
    self->root_stores = mp_obj_new_tuple(count + 1, stores);
}

void ussl_context_set_groups(Self* self, mp_obj_t groups) {
    mp_obj_t numbers = mp_const_none;
    if (groups != mp_const_none) {
        // A context of its own is tried first, so that an error changes nothing.
        Self* trial = ussl_context_new(false);
        numbers = trial->groups = group_numbers(groups);
        ussl_context_check(trial, nullptr);
        ussl_context_changed(trial);
    }
    self->groups = numbers;
    ussl_context_changed(self);
}

void ussl_list(mp_obj_t list, size_t* count, mp_obj_t** items, const char* otherwise) {
    if (!mp_obj_is_type(list, &mp_type_list) && !mp_obj_is_type(list, &mp_type_tuple))
        mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%s"), otherwise);
    mp_obj_get_array(list, count, items);
}

extern "C" void ussl_context_attr(mp_obj_t self_in, qstr name, mp_obj_t* dest) {
    auto* self = static_cast<Self*>(MP_OBJ_TO_PTR(self_in));
    const bool loads = dest[0] == MP_OBJ_NULL;
    for (const Attribute& attribute : attributes) {
        if (attribute.name != name)
            continue;
        if (loads) {
            dest[0] = attribute.get(self);
        } else if (dest[1] != MP_OBJ_NULL) {  // deleting it is an AttributeError
            attribute.set(self, name, dest[1]);
            ussl_context_changed(self);
            dest[0] = MP_OBJ_NULL;  // stored
        }
        return;
    }
    if constexpr (USSL_OMITS_FEATURES)
        ussl_raise_if_omitted(name);
    if (loads)
        dest[1] = MP_OBJ_SENTINEL;  // look the name up in the methods
}
