// SSLSession: a session to resume. `bytes(session)` stores it, and `SSLSession(data)` restores it.

#include "binding.hpp"

mp_obj_t ussl_session_new(mp_obj_t content) {
    ussl_session_obj_t* self = mp_obj_malloc(ussl_session_obj_t, &ussl_session_type);
    self->content = content;
    return MP_OBJ_FROM_PTR(self);
}

extern "C" {

mp_obj_t ussl_session_make_new(const mp_obj_type_t* type, size_t n_args, size_t n_kw,
                               const mp_obj_t* args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    mp_buffer_info_t bytes;
    if (mp_obj_is_str(args[0]) || !mp_get_buffer(args[0], &bytes, MP_BUFFER_READ))
        mp_raise_TypeError(MP_ERROR_TEXT("SSLSession: data must be bytes"));
    if (bytes.len == 0)
        mp_raise_ValueError(MP_ERROR_TEXT("SSLSession: data must not be empty"));
    // The content is checked when it is used, with the context and the server name.
    return ussl_session_new(mp_obj_new_bytes(static_cast<const byte*>(bytes.buf), bytes.len));
}

mp_int_t ussl_session_get_buffer(mp_obj_t self_in, mp_buffer_info_t* buffer, mp_uint_t flags) {
    const auto* self = static_cast<const ussl_session_obj_t*>(MP_OBJ_TO_PTR(self_in));
    return mp_get_buffer(self->content, buffer, flags) ? 0 : 1;
}

}  // extern "C"
