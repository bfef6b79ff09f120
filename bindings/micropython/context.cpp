// SSLContext: credentials, trust and verification that many sockets share.

#include <string.h>

#include <atomic>

#include "binding.h"
#include "ussl/context.hpp"

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

// The contexts of wrap_socket(), which makes one for every call: calls with the same options share
// one for as long as the collector leaves any of them alive, so that keys and certificates are not
// parsed again and again. Holds no key longer than the sockets that use it would.
struct Shared {
    uint8_t fingerprint[32];
    Context* context;
    unsigned users;
};
Shared shared[8];
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

Context* find_shared(const uint8_t* fingerprint) {
    const SharedLock lock;
    for (Shared& entry : shared) {
        if (entry.users == 0 || memcmp(entry.fingerprint, fingerprint, 32) != 0)
            continue;
        ++entry.users;
        entry.context->retain();
        return entry.context;
    }
    return nullptr;
}

// false: there is no room; the context stays its owner's alone.
bool add_shared(const uint8_t* fingerprint, Context* context) {
    const SharedLock lock;
    for (Shared& entry : shared) {
        if (entry.users != 0)
            continue;
        memcpy(entry.fingerprint, fingerprint, 32);
        entry.context = context;
        entry.users = 1;
        return true;
    }
    return false;
}

void leave_shared(const Context* context) {
    const SharedLock lock;
    for (Shared& entry : shared)
        if (entry.users != 0 && entry.context == context)
            --entry.users;
}

struct Made {
    const char* refusal;
    bool out_of_memory;
};
Options options_of(const ussl_context_obj_t* self) {
    return Options{.role = self->server != 0 ? ussl::Role::server : ussl::Role::client,
                   .key = bytes_of(self->key),
                   .key_password = bytes_of(self->key_password),
                   .certificate = bytes_of(self->certificate),
                   .trusted = bytes_of(self->trusted),
                   .verify = static_cast<ussl::Verify>(self->verify_mode),
                   .psk_identity = bytes_of(self->psk_identity),
                   .psk_key = bytes_of(self->psk_key),
                   .psk_server = self->psk_keys != mp_const_none,
                   .psk_hint = bytes_of(self->psk_hint),
                   .record_size_limit = self->record_size_limit != 0
                                            ? std::optional<std::size_t>(self->record_size_limit)
                                            : std::nullopt};
}

Made make(ussl_context_obj_t* self) {
    const ussl::Engine& engine = ussl::default_engine();
    const Options options = options_of(self);
    uint8_t fingerprint[32];
    const bool share = self->share != 0 && ussl::fingerprint(engine, options, fingerprint);
    if (share) {
        self->made = find_shared(fingerprint);
        self->is_shared = self->made != nullptr;
        if (self->made != nullptr)
            return {nullptr, false};
    }
    auto made = Context::make(engine, options);
    if (!made)
        return {made.error().reason, made.error().out_of_memory};
    self->made = made->get();
    self->is_shared = share && add_shared(fingerprint, made->get());
    made->detach();
    return {nullptr, false};
}

void forget_made(ussl_context_obj_t* self) {
    auto* made = static_cast<Context*>(self->made);
    self->made = nullptr;
    if (made == nullptr)
        return;
    if (self->is_shared != 0)
        leave_shared(made);
    made->drop();
}

}  // namespace

extern "C" {

ussl_context_obj_t* ussl_context_new(bool server) {
    ussl_context_obj_t* self = mp_obj_malloc_with_finaliser(ussl_context_obj_t, &ussl_context_type);
    self->key = self->key_password = self->certificate = self->trusted = mp_const_none;
    self->psk_identity = self->psk_key = self->psk_keys = self->psk_hint = mp_const_none;
    self->server = server ? 1 : 0;
    self->verify_mode = self->share = self->is_shared = 0;
    self->record_size_limit = 0;
    self->made = nullptr;
    return self;
}

void ussl_context_forget_all() {
    const SharedLock lock;
    for (Shared& entry : shared)
        entry = {};
}

void* ussl_context_get(ussl_context_obj_t* self) {
    if (self->made != nullptr)
        return self->made;
    Made made = make(self);
    if (made.out_of_memory) {
        // What forgotten sockets hold is memory that the collector does not see.
        gc_collect();
        made = make(self);
    }
    if (made.refusal != nullptr)
        ussl_raise_refusal(made.refusal, made.out_of_memory);
    return self->made;
}

mp_obj_t ussl_context_make_new(const mp_obj_type_t* type, size_t n_args, size_t n_kw,
                               const mp_obj_t* args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    const mp_int_t protocol = mp_obj_get_int(args[0]);
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
        if (attr == MP_QSTR_verify_mode)
            dest[0] = MP_OBJ_NEW_SMALL_INT(self->verify_mode);
        else if (attr == MP_QSTR_record_size_limit)
            dest[0] = self->record_size_limit != 0 ? MP_OBJ_NEW_SMALL_INT(self->record_size_limit)
                                                   : mp_const_none;
        else
            dest[1] = MP_OBJ_SENTINEL;  // the methods
        return;
    }
    if (dest[1] == MP_OBJ_NULL)
        return;  // whatever is left alone raises AttributeError
    if (attr == MP_QSTR_verify_mode)
        self->verify_mode = ussl_verify_mode(dest[1]);
    else if (attr == MP_QSTR_record_size_limit)
        self->record_size_limit = ussl_record_size_limit(dest[1]);
    else
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
    bool from_file;
    const mp_obj_t certificate = ussl_load(values[ARG_certfile].u_obj, &from_file);
    // As CPython: one file may hold both.
    const mp_obj_t key = values[ARG_keyfile].u_obj == mp_const_none
                             ? certificate
                             : ussl_load(values[ARG_keyfile].u_obj, &from_file);

    // Tried on its own first, so that what is wrong is said here and changes nothing.
    ussl_context_obj_t* trial = ussl_context_new(self->server != 0);
    trial->certificate = certificate;
    trial->key = key;
    trial->key_password = values[ARG_password].u_obj;
    ussl_context_get(trial);

    self->certificate = certificate;
    self->key = key;
    self->key_password = values[ARG_password].u_obj;
    forget_made(self);
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
    const bool cadata = values[ARG_cadata].u_obj != mp_const_none;
    if (cadata == (values[ARG_cafile].u_obj != mp_const_none))
        mp_raise_TypeError(MP_ERROR_TEXT("either cadata or cafile"));
    bool from_file;
    const mp_obj_t trusted = ussl_load(values[cadata ? ARG_cadata : ARG_cafile].u_obj, &from_file);

    ussl_context_obj_t* trial = ussl_context_new(false);
    trial->trusted = trusted;
    ussl_context_get(trial);

    ussl_context_obj_t* self = context_of(args[0]);
    self->trusted = trusted;
    forget_made(self);
    return mp_const_none;
}

mp_obj_t ussl_context_wrap_socket(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    enum {
        ARG_server_side,
        ARG_do_handshake_on_connect,
        ARG_server_hostname,
        ARG_suppress_ragged_eofs,
        ARG_count
    };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_server_side, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_PTR(nullptr)}},
        {MP_QSTR_do_handshake_on_connect, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true}},
        {MP_QSTR_server_hostname, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_suppress_ragged_eofs, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = true}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args - 2, args + 2, kw_args, ARG_count, allowed, values);
    ussl_context_obj_t* self = context_of(args[0]);
    if (values[ARG_server_side].u_obj != MP_OBJ_NULL &&
        mp_obj_is_true(values[ARG_server_side].u_obj) != (self->server != 0))
        mp_raise_ValueError(MP_ERROR_TEXT("server_side does not fit the context's protocol"));
    return ussl_socket_new(self, args[1], values[ARG_server_hostname].u_obj,
                           values[ARG_do_handshake_on_connect].u_bool,
                           values[ARG_suppress_ragged_eofs].u_bool);
}

mp_obj_t ussl_context_del(mp_obj_t self) {
    forget_made(context_of(self));
    return mp_const_none;
}

}  // extern "C"
