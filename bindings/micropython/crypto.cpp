// hashlib.md5, hashlib.sha1 and cryptolib.aes over the TLS library; see crypto.h.

#include "ussl/crypto.hpp"

#include <string.h>

#include "crypto.h"
#include "ussl/context.hpp"

namespace {

using ussl::BlockCipher;
using ussl::BlockMode;
using ussl::Bytes;
using ussl::Hash;
using ussl::Hasher;

// Makes the engine wipe released memory, as an import of ussl does: a program may use these modules
// without that import.
void start_engine() {
    ussl::wipe_released_memory(ussl::default_engine());
}

Hash hash_of(const mp_obj_type_t* type) {
    return type == &ussl_md5_type ? Hash::md5 : Hash::sha1;
}

Hasher* hasher_of(mp_obj_t self) {
    auto* hash = static_cast<ussl_hash_obj_t*>(MP_OBJ_TO_PTR(self));
    if (hash->hasher == nullptr)
        mp_raise_ValueError(MP_ERROR_TEXT("hash is final"));
    return static_cast<Hasher*>(hash->hasher);
}

void make_cipher(ussl_aes_obj_t* self) {
    start_engine();
    auto made = ussl::make_aes(ussl::default_engine(), {self->key, self->key_size},
                               static_cast<BlockMode>(self->mode), self->iv, self->decrypts == 0);
    self->cipher = made.release();
}

mp_obj_t process(size_t n_args, const mp_obj_t* args, bool decrypts) {
    auto* self = static_cast<ussl_aes_obj_t*>(MP_OBJ_TO_PTR(args[0]));
    mp_buffer_info_t in;
    mp_get_buffer_raise(args[1], &in, MP_BUFFER_READ);
    if (self->mode != static_cast<uint8_t>(BlockMode::ctr) && in.len % ussl::aes_block != 0)
        mp_raise_ValueError(MP_ERROR_TEXT("blksize % 16"));
    vstr_t vstr;
    mp_buffer_info_t out;
    if (n_args > 2) {
        mp_get_buffer_raise(args[2], &out, MP_BUFFER_WRITE);
        if (out.len < in.len)
            mp_raise_ValueError(MP_ERROR_TEXT("output too small"));
    } else {
        vstr_init_len(&vstr, in.len);
        out.buf = vstr.buf;
    }
    if (self->cipher == nullptr) {
        // __del__ was called, and has wiped the key.
        if (self->key_size == 0)
            mp_raise_ValueError(MP_ERROR_TEXT("key"));
        self->decrypts = decrypts ? 1 : 0;
        make_cipher(self);
        if (self->cipher == nullptr)
            mp_raise_OSError(MP_ENOMEM);
        ussl::wipe(self->key, sizeof self->key);
    } else if ((self->decrypts != 0) != decrypts) {
        mp_raise_ValueError(MP_ERROR_TEXT("can't encrypt & decrypt"));
    }
    if (!static_cast<BlockCipher*>(self->cipher)
             ->process({static_cast<const uint8_t*>(in.buf), in.len},
                       static_cast<uint8_t*>(out.buf)))
        mp_raise_ValueError(MP_ERROR_TEXT("mode"));
    return n_args > 2 ? args[2] : mp_obj_new_bytes_from_vstr(&vstr);
}

}  // namespace

extern "C" {

mp_obj_t ussl_hash_make_new(const mp_obj_type_t* type, size_t n_args, size_t n_kw,
                            const mp_obj_t* args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    ussl_hash_obj_t* self = mp_obj_malloc_with_finaliser(ussl_hash_obj_t, type);
    self->hasher = nullptr;
    start_engine();
    self->hasher = ussl::make_hasher(ussl::default_engine(), hash_of(type)).release();
    if (self->hasher == nullptr)
        mp_raise_OSError(MP_ENOMEM);
    if (n_args != 0)
        ussl_hash_update(MP_OBJ_FROM_PTR(self), args[0]);
    return MP_OBJ_FROM_PTR(self);
}

mp_obj_t ussl_hash_update(mp_obj_t self, mp_obj_t data) {
    Hasher* hasher = hasher_of(self);
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(data, &bytes, MP_BUFFER_READ);
    if (!hasher->update({static_cast<const uint8_t*>(bytes.buf), bytes.len}))
        mp_raise_OSError(MP_ENOMEM);
    return mp_const_none;
}

mp_obj_t ussl_hash_digest(mp_obj_t self) {
    Hasher* hasher = hasher_of(self);
    vstr_t vstr;
    vstr_init_len(&vstr, ussl::size_of(hash_of(mp_obj_get_type(self))));
    if (!hasher->finish(reinterpret_cast<uint8_t*>(vstr.buf)))
        mp_raise_OSError(MP_ENOMEM);
    ussl_hash_del(self);
    return mp_obj_new_bytes_from_vstr(&vstr);
}

mp_obj_t ussl_hash_del(mp_obj_t self_in) {
    auto* self = static_cast<ussl_hash_obj_t*>(MP_OBJ_TO_PTR(self_in));
    delete static_cast<Hasher*>(self->hasher);
    self->hasher = nullptr;
    return mp_const_none;
}

mp_obj_t ussl_aes_make_new(const mp_obj_type_t* type, size_t n_args, size_t n_kw,
                           const mp_obj_t* args) {
    mp_arg_check_num(n_args, n_kw, 2, 3, false);
    const mp_int_t mode = mp_obj_get_int(args[1]);
    if (mode != static_cast<mp_int_t>(BlockMode::ecb) &&
        mode != static_cast<mp_int_t>(BlockMode::cbc) &&
        mode != static_cast<mp_int_t>(BlockMode::ctr))
        mp_raise_ValueError(MP_ERROR_TEXT("mode"));
    mp_buffer_info_t key;
    mp_get_buffer_raise(args[0], &key, MP_BUFFER_READ);
    if (key.len != 16 && key.len != 32)
        mp_raise_ValueError(MP_ERROR_TEXT("key"));
    mp_buffer_info_t iv = {};
    if (n_args > 2 && args[2] != mp_const_none) {
        mp_get_buffer_raise(args[2], &iv, MP_BUFFER_READ);
        if (iv.len != ussl::aes_block)
            mp_raise_ValueError(MP_ERROR_TEXT("IV"));
    } else if (mode != static_cast<mp_int_t>(BlockMode::ecb)) {
        mp_raise_ValueError(MP_ERROR_TEXT("IV"));
    }
    ussl_aes_obj_t* self = mp_obj_malloc_with_finaliser(ussl_aes_obj_t, type);
    self->cipher = nullptr;
    self->mode = static_cast<uint8_t>(mode);
    self->decrypts = 0;
    self->key_size = static_cast<uint8_t>(key.len);
    memcpy(self->key, key.buf, key.len);
    memset(self->iv, 0, sizeof self->iv);
    if (iv.len != 0)
        memcpy(self->iv, iv.buf, iv.len);
    return MP_OBJ_FROM_PTR(self);
}

mp_obj_t ussl_aes_encrypt(size_t n_args, const mp_obj_t* args) {
    return process(n_args, args, false);
}

mp_obj_t ussl_aes_decrypt(size_t n_args, const mp_obj_t* args) {
    return process(n_args, args, true);
}

mp_obj_t ussl_aes_del(mp_obj_t self_in) {
    auto* self = static_cast<ussl_aes_obj_t*>(MP_OBJ_TO_PTR(self_in));
    delete static_cast<BlockCipher*>(self->cipher);
    self->cipher = nullptr;
    ussl::wipe(self->key, sizeof self->key);
    self->key_size = 0;
    return mp_const_none;
}

}  // extern "C"
