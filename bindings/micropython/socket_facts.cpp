// Methods of an SSLSocket that report facts about its connection, and its attributes.

#include "context.hpp"
#include "socket_calls.hpp"

namespace {

using ussl::Connection;
using namespace socket_calls;
namespace features = ussl::features;

mp_obj_t version_of(Connection* connection, ussl_socket_obj_t* = nullptr) {
    switch (connection->version()) {
        case ussl::Version::tls1_2:
            return mp_obj_new_str("TLSv1.2", 7);
        case ussl::Version::tls1_3:
            return mp_obj_new_str("TLSv1.3", 7);
        case ussl::Version::none:
            break;
    }
    return mp_const_none;
}

// Returns an SSLSession, or None if there is none (yet).
mp_obj_t session_of(ussl_socket_obj_t* self) {
    if (self->connection == nullptr)
        return mp_const_none;
    return look(self, [](Connection* connection, ussl_socket_obj_t*) -> mp_obj_t {
        const ussl::Bytes session = connection->session();
        if (session.empty())
            return mp_const_none;
        return ussl_session_new(mp_obj_new_bytes(session.data(), session.size()));
    });
}

mp_obj_t reused(ussl_socket_obj_t* self) {
    if (self->connection == nullptr || !connection_of(self)->handshake_done())
        return mp_const_none;
    return look(self, [](Connection* connection, ussl_socket_obj_t*) {
        return mp_obj_new_bool(connection->session_reused());
    });
}

mp_obj_t peer_der(Connection* connection, ussl_socket_obj_t*) {
    const ussl::Bytes der = connection->peer_certificate();
    return der.empty() ? mp_const_none : mp_obj_new_bytes(der.data(), der.size());
}

mp_obj_t peer_dict(Connection* connection, ussl_socket_obj_t*) {
    if (connection->peer_certificate().empty())
        return mp_const_none;
    // As in CPython, the content of an unverified certificate is not returned as a dict.
    return connection->peer_verified() ? ussl_certificate_dict(connection) : mp_obj_new_dict(0);
}

}  // namespace

extern "C" {

mp_obj_t ussl_socket_selected_alpn_protocol(mp_obj_t self) {
    return look(socket_of(self), [](Connection* connection, ussl_socket_obj_t*) -> mp_obj_t {
        const ussl::Bytes protocol = connection->alpn();
        if (protocol.empty())
            return mp_const_none;
        return mp_obj_new_str(reinterpret_cast<const char*>(protocol.data()), protocol.size());
    });
}

mp_obj_t ussl_socket_pending(mp_obj_t self) {
    return mp_obj_new_int_from_uint(connection_of(socket_of(self))->pending());
}

mp_obj_t ussl_socket_version(mp_obj_t self) {
    return look(socket_of(self), version_of);
}

mp_obj_t ussl_socket_cipher(mp_obj_t self) {
    return look(socket_of(self), [](Connection* connection, ussl_socket_obj_t*) -> mp_obj_t {
        const ussl::Cipher cipher = connection->cipher();
        if (cipher.name.empty())
            return mp_const_none;
        const mp_obj_t items[3] = {
            mp_obj_new_str(cipher.name.data(), cipher.name.size()),
            version_of(connection),
            MP_OBJ_NEW_SMALL_INT(cipher.secret_bits),
        };
        return mp_obj_new_tuple(3, items);
    });
}

mp_obj_t ussl_socket_group(mp_obj_t self) {
    return look(socket_of(self), [](Connection* connection, ussl_socket_obj_t*) -> mp_obj_t {
        const std::string_view name = connection->group();
        return name.empty() ? mp_const_none : mp_obj_new_str(name.data(), name.size());
    });
}

mp_obj_t ussl_socket_getpeercert(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    static const mp_arg_t allowed[] = {
        {MP_QSTR_binary_form, MP_ARG_BOOL, {.u_bool = false}},
    };
    mp_arg_val_t values[1];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, 1, allowed, values);
    const bool is_binary = values[0].u_bool;
    if (!features::cert_dict && !is_binary)
        mp_raise_NotImplementedError(
            MP_ERROR_TEXT(USSL_OMITTED("getpeercert() as a dict", "cert_dict")));
    return look(socket_of(args[0]), !features::cert_dict || is_binary ? peer_der : peer_dict);
}

void ussl_socket_attr(mp_obj_t self_in, qstr attr, mp_obj_t* dest) {
    ussl_socket_obj_t* self = socket_of(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        // Only sni_callback can set an attribute, and only `context`.
        if (!features::sni_callback || attr != MP_QSTR_context || !self->chooses ||
            dest[1] == MP_OBJ_NULL)
            return;
        if (!mp_obj_is_exact_type(dest[1], &ussl_context_type))
            mp_raise_TypeError(MP_ERROR_TEXT("context must be an SSLContext"));
        self->context = dest[1];
        dest[0] = MP_OBJ_NULL;  // stored
        return;
    }
    if (attr == MP_QSTR_server_hostname)
        dest[0] = self->server_hostname;
    else if (features::session_export && attr == MP_QSTR_session)
        dest[0] = session_of(self);
    else if (features::socket_facts && attr == MP_QSTR_session_reused)
        dest[0] = reused(self);
    else if (attr == MP_QSTR_context)
        dest[0] = self->context;
    else {
        if constexpr (USSL_OMITS_FEATURES)
            ussl_raise_if_omitted(attr);
        dest[1] = MP_OBJ_SENTINEL;  // look the name up in the methods
    }
}

}  // extern "C"
