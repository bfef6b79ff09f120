// The result of unwrap() if the peer sent plaintext after its close_notify, before it received
// ours. This stream returns these bytes, which were read ahead, and then those of the socket.

#include <string.h>

#include <string_view>

#include "binding.hpp"

#ifdef USSL_READS_AHEAD

namespace {

ussl_unwrapped_obj_t* unwrapped_of(mp_obj_t self) {
    return static_cast<ussl_unwrapped_obj_t*>(MP_OBJ_TO_PTR(self));
}

// Returns the bytes that are read before those of the stream.
std::string_view held_by(const ussl_unwrapped_obj_t* self) {
    size_t all;
    const char* trailing_plaintext = mp_obj_str_get_data(self->trailing_plaintext, &all);
    return std::string_view(trailing_plaintext, all).substr(self->taken);
}

}  // namespace

mp_obj_t ussl_unwrapped_new(mp_obj_t stream, const uint8_t* trailing_plaintext, size_t size) {
    ussl_unwrapped_obj_t* self = mp_obj_malloc(ussl_unwrapped_obj_t, &ussl_unwrapped_type);
    self->stream = stream;
    self->trailing_plaintext = mp_obj_new_bytes(trailing_plaintext, size);
    self->taken = 0;
    return MP_OBJ_FROM_PTR(self);
}

extern "C" {

mp_uint_t ussl_unwrapped_stream_read(mp_obj_t self_in, void* buf, mp_uint_t size, int* errcode) {
    ussl_unwrapped_obj_t* self = unwrapped_of(self_in);
    const std::string_view held = held_by(self);
    if (held.empty())
        return mp_get_stream(self->stream)->read(self->stream, buf, size, errcode);
    const size_t count = size < held.size() ? size : held.size();
    memcpy(buf, held.data(), count);
    self->taken += count;
    return count;
}

mp_uint_t ussl_unwrapped_stream_write(mp_obj_t self_in, const void* buf, mp_uint_t size,
                                      int* errcode) {
    const mp_obj_t stream = unwrapped_of(self_in)->stream;
    return mp_get_stream(stream)->write(stream, buf, size, errcode);
}

mp_uint_t ussl_unwrapped_stream_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg,
                                      int* errcode) {
    ussl_unwrapped_obj_t* self = unwrapped_of(self_in);
    const std::string_view held = held_by(self);
    // A poll of the descriptor alone would not find the buffered bytes.
    if (request == MP_STREAM_GET_FILENO && !held.empty()) {
        *errcode = MP_EINVAL;
        return MP_STREAM_ERROR;
    }
    const mp_uint_t result =
        mp_get_stream(self->stream)->ioctl(self->stream, request, arg, errcode);
    if (request == MP_STREAM_CLOSE)
        self->taken += held.size();
    if (request == MP_STREAM_POLL && result != MP_STREAM_ERROR && !held.empty())
        return result | (arg & MP_STREAM_POLL_RD);
    return result;
}

// Methods that do not read are those of the stream. Methods that read, but do not exist here, are
// hidden, because they would skip the buffered bytes.
void ussl_unwrapped_attr(mp_obj_t self, qstr attr, mp_obj_t* dest) {
    if (dest[0] != MP_OBJ_NULL)
        return;  // nothing can be stored
    const mp_map_t* reads = &MP_OBJ_TYPE_GET_SLOT(&ussl_unwrapped_type, locals_dict)->map;
    if (mp_map_lookup(const_cast<mp_map_t*>(reads), MP_OBJ_NEW_QSTR(attr), MP_MAP_LOOKUP) !=
        nullptr)
        dest[1] = MP_OBJ_SENTINEL;
    else if (attr != MP_QSTR_recvfrom && attr != MP_QSTR_makefile && attr != MP_QSTR_fileno)
        mp_load_method_maybe(unwrapped_of(self)->stream, attr, dest);
}

}  // extern "C"

#endif
