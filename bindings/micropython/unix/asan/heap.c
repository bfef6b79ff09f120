// The module `_heap`, with which tests make allocations fail.

#include "py/gc.h"
#include "py/runtime.h"

void *__real_gc_alloc(size_t n_bytes, unsigned int alloc_flags);
void *__wrap_gc_alloc(size_t n_bytes, unsigned int alloc_flags);
void *__real_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);
void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);

static size_t count;
static size_t fails_at; // 0: never
static bool from_then_on;

static bool fails(void) {
    ++count;
    return fails_at != 0 && (from_then_on ? count >= fails_at : count == fails_at);
}

void *__wrap_gc_alloc(size_t n_bytes, unsigned int alloc_flags) {
    return fails() ? NULL : __real_gc_alloc(n_bytes, alloc_flags);
}

void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move) {
    return fails() ? NULL : __real_gc_realloc(ptr, n_bytes, allow_move);
}

// fail(nth, from_then_on): makes the nth allocation from now fail; 0: none.
static mp_obj_t heap_fail(mp_obj_t nth, mp_obj_t lasting) {
    fails_at = mp_obj_get_int(nth);
    from_then_on = mp_obj_is_true(lasting);
    count = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(heap_fail_obj, heap_fail);

// plenty(): ends the failures; returns the number of allocations since fail().
static mp_obj_t heap_plenty(void) {
    fails_at = 0;
    return MP_OBJ_NEW_SMALL_INT(count);
}
static MP_DEFINE_CONST_FUN_OBJ_0(heap_plenty_obj, heap_plenty);

static const mp_rom_map_elem_t heap_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__heap) },
    { MP_ROM_QSTR(MP_QSTR_fail), MP_ROM_PTR(&heap_fail_obj) },
    { MP_ROM_QSTR(MP_QSTR_plenty), MP_ROM_PTR(&heap_plenty_obj) },
};
static MP_DEFINE_CONST_DICT(heap_globals, heap_globals_table);

const mp_obj_module_t heap_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&heap_globals,
};
MP_REGISTER_MODULE(MP_QSTR__heap, heap_module);
