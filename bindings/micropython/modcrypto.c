// Tables of the module cryptolib, and of md5 and sha1 of hashlib, which MicroPython lacks without its own
// TLS.

#include "crypto.h"

#if !MICROPY_PY_SSL

#if MICROPY_PY_HASHLIB && MICROPY_MODULE_ATTR_DELEGATION && !(MICROPY_PY_HASHLIB_MD5 && MICROPY_PY_HASHLIB_SHA1)

#if USSL_WITHOUT_CRYPTOLIB

// Called for names that the module hashlib lacks.
void ussl_hashlib_attr(mp_obj_t self, qstr attr, mp_obj_t *dest) {
    (void)self;
    (void)dest;
    ussl_raise_if_omitted(attr);
}

#else

static MP_DEFINE_CONST_FUN_OBJ_2(hash_update_obj, ussl_hash_update);
static MP_DEFINE_CONST_FUN_OBJ_1(hash_digest_obj, ussl_hash_digest);
static MP_DEFINE_CONST_FUN_OBJ_1(hash_del_obj, ussl_hash_del);

static const mp_rom_map_elem_t hash_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_update), MP_ROM_PTR(&hash_update_obj) },
    { MP_ROM_QSTR(MP_QSTR_digest), MP_ROM_PTR(&hash_digest_obj) },
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&hash_del_obj) },
};
static MP_DEFINE_CONST_DICT(hash_locals, hash_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    ussl_md5_type,
    MP_QSTR_md5,
    MP_TYPE_FLAG_NONE,
    make_new, ussl_hash_make_new,
    locals_dict, &hash_locals
    );

MP_DEFINE_CONST_OBJ_TYPE(
    ussl_sha1_type,
    MP_QSTR_sha1,
    MP_TYPE_FLAG_NONE,
    make_new, ussl_hash_make_new,
    locals_dict, &hash_locals
    );

// Called for names that the module hashlib lacks.
void ussl_hashlib_attr(mp_obj_t self, qstr attr, mp_obj_t *dest) {
    (void)self;
    if (dest[0] != MP_OBJ_NULL) {
        return;
    }
    if (attr == MP_QSTR_md5) {
        dest[0] = MP_OBJ_FROM_PTR(&ussl_md5_type);
    } else if (attr == MP_QSTR_sha1) {
        dest[0] = MP_OBJ_FROM_PTR(&ussl_sha1_type);
    }
}

#endif

MP_REGISTER_MODULE_DELEGATION(mp_module_hashlib, ussl_hashlib_attr);

#endif

#if !MICROPY_PY_CRYPTOLIB && !USSL_WITHOUT_CRYPTOLIB

static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aes_encrypt_obj, 2, 3, ussl_aes_encrypt);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aes_decrypt_obj, 2, 3, ussl_aes_decrypt);
static MP_DEFINE_CONST_FUN_OBJ_1(aes_del_obj, ussl_aes_del);

static const mp_rom_map_elem_t aes_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_encrypt), MP_ROM_PTR(&aes_encrypt_obj) },
    { MP_ROM_QSTR(MP_QSTR_decrypt), MP_ROM_PTR(&aes_decrypt_obj) },
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&aes_del_obj) },
};
static MP_DEFINE_CONST_DICT(aes_locals, aes_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    ussl_aes_type,
    MP_QSTR_aes,
    MP_TYPE_FLAG_NONE,
    make_new, ussl_aes_make_new,
    locals_dict, &aes_locals
    );

static const mp_rom_map_elem_t cryptolib_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_cryptolib) },
    { MP_ROM_QSTR(MP_QSTR_aes), MP_ROM_PTR(&ussl_aes_type) },
    { MP_ROM_QSTR(MP_QSTR_MODE_ECB), MP_ROM_INT(1) },
    { MP_ROM_QSTR(MP_QSTR_MODE_CBC), MP_ROM_INT(2) },
    { MP_ROM_QSTR(MP_QSTR_MODE_CTR), MP_ROM_INT(6) },
};
static MP_DEFINE_CONST_DICT(cryptolib_globals, cryptolib_globals_table);

const mp_obj_module_t ussl_cryptolib_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&cryptolib_globals,
};
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_cryptolib, ussl_cryptolib_module);

#endif

#endif
