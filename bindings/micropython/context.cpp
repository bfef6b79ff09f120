// SSLContext: credentials, trust anchors and verification options that sockets share.

#include <string.h>

#include <algorithm>
#include <new>
#include <utility>

#include "arguments.hpp"
#include "context.hpp"
#include "errors.hpp"

namespace {

using ussl::Context;

ussl_context_obj_t* context_of(mp_obj_t self) {
    return static_cast<ussl_context_obj_t*>(MP_OBJ_TO_PTR(self));
}

// Wipes the key that was read from a file, its only copy outside of the engine.
void drop_own_key(ussl_context_obj_t* self) {
    if (self->own_key == nullptr)
        return;
    ussl::wipe(self->own_key, self->own_key_size);
    ussl::release(std::exchange(self->own_key, nullptr));
}

// Copies one name at a time. The interpreter may raise while it creates a string of the name, which
// must not unwind an engine's loop.
struct Names final : ussl::SuiteVisitor {
    void suite(uint16_t, std::string_view name) noexcept override {
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

// Returns the name of the n-th suite, in the spelling of MicroPython's own module, or MP_OBJ_NULL
// if there are fewer.
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

// Counts certificates and CRLs; raises if they are invalid.
ussl::StoreStats stats_of(mp_obj_t trusted, mp_obj_t root_stores, bool system_store,
                          const ussl_sources_t* sources) {
    ussl_context_obj_t* trial = ussl_context_new(false);
    trial->verify_mode = trusted != mp_const_none ? 2 : 0;  // CRLs require it
    trial->trusted = trusted;
    trial->root_stores = root_stores;
    trial->system_store = system_store ? 1 : 0;
    Context* made = ussl_context_get(trial, sources);
    const ussl::StoreStats stats = made->store_stats();
    made->drop();
    ussl_context_changed(trial);
    return stats;
}

// Concatenates certificates and CRLs.
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
        mp_raise_TypeError(MP_ERROR_TEXT("trusted certificates are in either cadata or cafile"));
    ussl_sources_t sources = {};
    ussl_load_trusted(&sources.trusted, has_data ? MP_QSTR_cadata : MP_QSTR_cafile,
                      has_data ? cadata : cafile, has_data && is_content);
    const mp_obj_t more = sources.trusted.content;
    if (sources.trusted.is_store) {
        // A context of its own is tried first, so that an error changes nothing.
        ussl_context_obj_t* trial = ussl_context_new(false);
        ussl_context_add_store(trial, &sources.trusted);
        (void)stats_of(mp_const_none, trial->root_stores, false, &sources);
        ussl_context_add_store(self, &sources.trusted);
        ussl_context_changed(self);
        return;
    }
    const ussl::StoreStats stats = stats_of(more, mp_const_none, false, &sources);
    // A private key in the file is not used.
    mp_buffer_info_t bytes;
    if (sources.trusted.from_file && mp_get_buffer(more, &bytes, MP_BUFFER_READ))
        ussl::wipe_private_keys({static_cast<uint8_t*>(bytes.buf), bytes.len});

    self->trusted = joined(self->trusted, more);
    // CRLs are checked by default if there are any.
    if (ussl::features::crl && stats.crls != 0 && self->verify_flags < 0)
        self->verify_flags = USSL_VERIFY_CRL_CHECK_LEAF;
    ussl_context_changed(self);
}

// The objects of load_cert_chain(), in memory, so that they can be wiped after an exception.
struct Identity {
    ussl_context_obj_t* self;
    ussl_context_obj_t* trial;
    mp_obj_t password;
    ussl_sources_t sources;
};

// Wipes private keys only, because the certificates in the same file are still needed.
void wipe_keys(const ussl_sources_t& sources) {
    mp_buffer_info_t bytes;
    ussl_source_wipe(&sources.key);
    if (sources.certificate.from_file &&
        mp_get_buffer(sources.certificate.content, &bytes, MP_BUFFER_READ))
        ussl::wipe_private_keys({static_cast<uint8_t*>(bytes.buf), bytes.len});
}

// Copies the private key. Returns false if memory runs out.
bool take_key(ussl_context_obj_t* self, mp_obj_t content) {
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(content, &bytes, MP_BUFFER_READ);
    const ussl::SecretBytes key =
        ussl::private_key_of({static_cast<const uint8_t*>(bytes.buf), bytes.len});
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
    // As in CPython, one file may contain both. If a callback signs, the key is optional.
    const bool in_one = keyfile == mp_const_none && (self->sign_callback == mp_const_none ||
                                                     holds_key(sources.certificate.content));
    ussl_source_t& key = in_one ? sources.certificate : sources.key;

    // A context of its own is tried first, so that an error is raised here and changes nothing.
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
    ussl_context_changed(trial);
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
    ussl_context_changed(self);
}

// Returns a context for one connection, with the answer of psk_client_callback.
ussl_context_obj_t* with_psk_of_callback(const ussl_context_obj_t* self) {
    // TLS 1.3 has no hint. In TLS 1.2, the server's hint arrives after the key was selected.
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

ussl_context_obj_t* ussl_context_new(bool server) {
    void* memory = mp_obj_malloc_with_finaliser(ussl_context_obj_t, &ussl_context_type);
    auto* self = new (memory) ussl_context_obj_t{.base = {&ussl_context_type}};
    if (server) {
        self->server = 1;
        self->check_hostname = 0;
        self->handshake_timeout = MP_OBJ_NEW_SMALL_INT(30);
    }
    return self;
}

extern "C" {

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
    // load_verify_locations(cadata) as in MicroPython, cafile= as in CPython.
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

// The argument is CPython's `purpose`. It is ignored, because the protocol of the context implies
// it.
mp_obj_t ussl_context_load_default_certs(size_t n_args, const mp_obj_t* args) {
    (void)n_args;
    ussl_context_obj_t* self = context_of(args[0]);
    if (!ussl::has_system_store(ussl::default_engine()) && !ussl_firmware_roots())
        mp_raise_ValueError(
            MP_ERROR_TEXT("load_default_certs: this firmware has no root store (USSL_ROOTS=none)"));
    self->system_store = 1;
    ussl_context_changed(self);
    return mp_const_none;
}

mp_obj_t ussl_context_cert_store_stats(mp_obj_t self_in) {
    const ussl_context_obj_t* self = context_of(self_in);
    const ussl::StoreStats counts =
        stats_of(self->trusted, self->root_stores, self->system_store != 0, nullptr);
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

// Accepts a list of names, or a str of names with ":" between them.
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
        ussl_list(suites, &count, &names, "set_ciphers: suites must be a list of str, or a str");
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
    ussl_context_changed(self);
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
    ussl_list(protocols, &count, &names, wanted);
    vstr_t vstr;
    vstr_init(&vstr, 32);
    for (size_t i = 0; i < count; ++i) {
        mp_buffer_info_t name;
        if (!mp_get_buffer(names[i], &name, MP_BUFFER_READ))
            mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%s"), wanted);
        // The library rejects a length of 0, which replaces lengths that do not fit into a byte.
        vstr_add_byte(&vstr, static_cast<byte>(name.len < 256 ? name.len : 0));
        vstr_add_strn(&vstr, static_cast<const char*>(name.buf), name.len);
    }
    ussl_context_obj_t* trial = ussl_context_new(false);
    trial->alpn = count != 0 ? mp_obj_new_bytes_from_vstr(&vstr) : mp_const_none;
    ussl_context_check(trial, nullptr);
    ussl_context_obj_t* self = context_of(self_in);
    self->alpn = trial->alpn;
    ussl_context_changed(self);
    return mp_const_none;
}

mp_obj_t ussl_context_set_groups_str(mp_obj_t self, mp_obj_t groups) {
    ussl_context_set_groups(context_of(self), groups);
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
    ussl_context_changed(self);
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
    ussl_context_changed(context_of(self));
    drop_own_key(context_of(self));
    return mp_const_none;
}

}  // extern "C"
