#pragma once

// cryptolib, and md5 and sha1 of hashlib, as in MicroPython with its own TLS. All functions may raise, as
// in module.h.

#include "module.h"

#ifdef __cplusplus
extern "C" {
#endif

// A hash object; `hasher` is a ussl::Hasher, or NULL once digest() was called.
typedef struct _ussl_hash_obj_t {
    mp_obj_base_t base;
    void *hasher;
} ussl_hash_obj_t;

// An AES object; `cipher` is a ussl::BlockCipher. The first call creates it, and determines the direction.
typedef struct _ussl_aes_obj_t {
    mp_obj_base_t base;
    void *cipher;
    uint8_t mode;
    uint8_t decrypts;
    uint8_t key_size;
    uint8_t key[32];
    uint8_t iv[16];
} ussl_aes_obj_t;

extern const mp_obj_type_t ussl_md5_type;
extern const mp_obj_type_t ussl_sha1_type;
extern const mp_obj_type_t ussl_aes_type;

mp_obj_t ussl_hash_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
mp_obj_t ussl_hash_update(mp_obj_t self, mp_obj_t data);
mp_obj_t ussl_hash_digest(mp_obj_t self);
mp_obj_t ussl_hash_del(mp_obj_t self);
mp_obj_t ussl_aes_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
mp_obj_t ussl_aes_encrypt(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_aes_decrypt(size_t n_args, const mp_obj_t *args);
mp_obj_t ussl_aes_del(mp_obj_t self);

#ifdef __cplusplus
}
#endif
