// The port functions of ussl for boards (docs/porting/README.md): memory, entropy, a unique number, the time.

#include <string.h>

#include "module.h"

// --- memory: MicroPython's heap

// All blocks are linked in a list that is a root, because the collector does not scan Mbed TLS's static
// variables. They contain objects of ussl and Mbed TLS only, never references to Python objects.
typedef struct _ussl_block_t {
    struct _ussl_block_t *next;
    struct _ussl_block_t *previous;
} ussl_block_t;

// In a handshake, Mbed TLS allocates about 5,000 small blocks and releases them soon. The collector's
// allocator takes hundreds of instructions for each. Some released blocks are therefore kept for the next
// allocations, until the call of the library has ended.
#define SPARE_SIZES (8) // of 1 to 8 of the collector's blocks
#ifndef USSL_MOST_SPARES
#define USSL_MOST_SPARES (12)
#endif

// The collector may run on another core. It releases unreachable sockets, and therefore blocks.
#if MICROPY_PY_THREAD && !MICROPY_PY_THREAD_GIL
#define LOCK() mp_uint_t lock_state = MICROPY_BEGIN_ATOMIC_SECTION()
#define UNLOCK() MICROPY_END_ATOMIC_SECTION(lock_state)
#else
#define LOCK()
#define UNLOCK()
#endif

// A soft reset creates a new heap without clearing root pointers or static variables. Their pointers are therefore valid
// only while `heap_is_known` is true. The finaliser of one object of the heap (ussl_heap) sets it to false:
//
// - The object is created before the first block of a heap, also if hashlib allocates that block, without an import of
//   ussl. A root pointer refers to the object, so that an ordinary collection never finalises it.
// - Every port calls gc_sweep_all() before it creates a new heap, which runs all finalisers. The heap is locked
//   meanwhile, so that the memory of the old heap is intact in any order of the finalisers.
//
// A port needs to do nothing else. A hard reset clears static variables.
static bool heap_is_known;
MP_REGISTER_ROOT_POINTER(struct _mp_obj_base_t *ussl_heap);

MP_REGISTER_ROOT_POINTER(struct _ussl_block_t *ussl_blocks);
MP_REGISTER_ROOT_POINTER(struct _ussl_block_t *ussl_spares[8]);
static uint8_t spares;

#ifdef USSL_MEMORY_FIGURES
// bench/mcu finds these variables by their names in the firmware.
volatile size_t ussl_memory_in_use;
volatile size_t ussl_memory_peak;
#endif

static ussl_block_t *new_block(size_t size) {
    ussl_block_t *block = m_malloc_maybe(size);
    #ifdef USSL_MEMORY_FIGURES
    if (block != NULL) {
        ussl_memory_in_use += gc_nbytes(block);
        ussl_memory_peak = MAX(ussl_memory_peak, ussl_memory_in_use);
    }
    #endif
    return block;
}

static void free_block(ussl_block_t *block, size_t size) {
    (void)size;
    #ifdef USSL_MEMORY_FIGURES
    ussl_memory_in_use -= size;
    #endif
    #if MICROPY_MALLOC_USES_ALLOCATED_SIZE
    m_free(block, size);
    #else
    m_free(block);
    #endif
}

// Returns NULL if there is no spare block of that size.
static ussl_block_t *take_spare(size_t kind) {
    LOCK();
    ussl_block_t *block = MP_STATE_PORT(ussl_spares)[kind];
    if (block != NULL) {
        MP_STATE_PORT(ussl_spares)[kind] = block->next;
        --spares;
    }
    UNLOCK();
    return block;
}

// Returns false if there are enough spare blocks.
static bool keep_spare(ussl_block_t *block, size_t kind) {
    LOCK();
    const bool keep = spares < USSL_MOST_SPARES;
    if (keep) {
        block->next = MP_STATE_PORT(ussl_spares)[kind];
        MP_STATE_PORT(ussl_spares)[kind] = block;
        ++spares;
    }
    UNLOCK();
    return keep;
}

static void link_block(ussl_block_t *block) {
    LOCK();
    block->previous = NULL;
    block->next = MP_STATE_PORT(ussl_blocks);
    if (block->next != NULL) {
        block->next->previous = block;
    }
    MP_STATE_PORT(ussl_blocks) = block;
    UNLOCK();
}

static void unlink_block(ussl_block_t *block) {
    LOCK();
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        MP_STATE_PORT(ussl_blocks) = block->next;
    }
    UNLOCK();
}

void ussl_port_trim(void) {
    for (size_t i = 0; spares != 0 && i < SPARE_SIZES; ++i) {
        ussl_block_t *block;
        while ((block = take_spare(i)) != NULL) {
            free_block(block, gc_nbytes(block));
        }
    }
}

static mp_obj_t heap_del(mp_obj_t self) {
    (void)self;
    // Clears all lists and caches that the binding has in static variables or root pointers.
    ussl_context_heap_ends();
    ussl_forget_deliveries();
    heap_is_known = false;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(heap_del_obj, heap_del);

static const mp_rom_map_elem_t heap_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&heap_del_obj) },
};
static MP_DEFINE_CONST_DICT(heap_locals, heap_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    heap_type,
    MP_QSTR_object,
    MP_TYPE_FLAG_NONE,
    locals_dict, &heap_locals
    );

// Returns false if there is no memory, or if the heap is about to end.
static bool know_heap(void) {
    if (heap_is_known) {
        return true;
    }
    // MicroPython's functions for this may raise, which must not unwind Mbed TLS.
    mp_obj_base_t *heap = gc_alloc(sizeof(*heap), GC_ALLOC_FLAG_HAS_FINALISER);
    if (heap == NULL) {
        return false;
    }
    heap->type = &heap_type;
    MP_STATE_VM(ussl_heap) = heap;
    MP_STATE_PORT(ussl_blocks) = NULL;
    memset(MP_STATE_PORT(ussl_spares), 0, sizeof(MP_STATE_PORT(ussl_spares)));
    spares = 0;
    #ifdef USSL_MEMORY_FIGURES
    ussl_memory_in_use = 0;
    #endif
    heap_is_known = true;
    return true;
}

void *ussl_port_allocate(size_t bytes) {
    const size_t size = sizeof(ussl_block_t) + bytes;
    if (size < bytes || !know_heap()) {
        return NULL;
    }
    const size_t kind = (size - 1) / MICROPY_BYTES_PER_GC_BLOCK;
    ussl_block_t *block = kind < SPARE_SIZES ? take_spare(kind) : NULL;
    if (block == NULL) {
        block = new_block(size);
    }
    if (block == NULL && !gc_is_locked()) {
        // The first attempt has run the collector. The blocks of unreachable sockets, released by their
        // finalisers, are free only after the next collection.
        ussl_port_trim();
        gc_collect();
        block = new_block(size);
    }
    if (block == NULL) {
        return NULL;
    }
    link_block(block);
    return block + 1;
}

void ussl_port_release(void *memory) {
    if (memory == NULL || !heap_is_known) { // the block ends with the heap
        return;
    }
    ussl_block_t *block = (ussl_block_t *)memory - 1;
    unlink_block(block);
    const size_t size = gc_nbytes(block); // 0: the collector is running
    const size_t kind = size / MICROPY_BYTES_PER_GC_BLOCK - 1;
    if (kind >= SPARE_SIZES || !keep_spare(block, kind)) {
        free_block(block, size);
    }
}

void ussl_port_collect(void) {
    if (!gc_is_locked()) {
        gc_collect();
    }
}

// --- atomic operations for processors without such instructions (Cortex-M0: none; RISC-V: none of one byte)

// g++ calls these functions of libatomic, which compilers for boards lack. They are weak, because an SDK may have its own.
// They get their names by __asm__, because the compiler reserves these names in C.
#define ATOMIC_OPERATIONS(size, type) \
    __attribute__((weak)) type ussl_exchange_##size(volatile type *object, type value) __asm__ ("__atomic_exchange_" #size); \
    type ussl_exchange_##size(volatile type *object, type value) { \
        const mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION(); \
        const type before = *object; \
        *object = value; \
        MICROPY_END_ATOMIC_SECTION(state); \
        return before; \
    } \
    __attribute__((weak)) bool ussl_compare_exchange_##size(volatile type *object, type *expected, type value) \
    __asm__ ("__atomic_compare_exchange_" #size); \
    bool ussl_compare_exchange_##size(volatile type *object, type *expected, type value) { \
        const mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION(); \
        const type before = *object; \
        const bool same = before == *expected; \
        if (same) { \
            *object = value; \
        } \
        MICROPY_END_ATOMIC_SECTION(state); \
        *expected = before; \
        return same; \
    } \
    __attribute__((weak)) type ussl_fetch_add_##size(volatile type *object, type value) __asm__ ("__atomic_fetch_add_" #size); \
    type ussl_fetch_add_##size(volatile type *object, type value) { \
        const mp_uint_t state = MICROPY_BEGIN_ATOMIC_SECTION(); \
        const type before = *object; \
        *object = before + value; \
        MICROPY_END_ATOMIC_SECTION(state); \
        return before; \
    } \
    __attribute__((weak)) type ussl_fetch_sub_##size(volatile type *object, type value) __asm__ ("__atomic_fetch_sub_" #size); \
    type ussl_fetch_sub_##size(volatile type *object, type value) { \
        return ussl_fetch_add_##size(object, -value); \
    }

#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_1
ATOMIC_OPERATIONS(1, uint8_t)
#endif
#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_4
ATOMIC_OPERATIONS(4, uint32_t)
#endif

// --- entropy from the port's hardware; a failure is an error, and weaker sources are never used

#if defined(USSL_PORT_ENTROPY) || defined(NO_QSTR)

// The port or board has its own ussl_port_entropy(); or MicroPython is searching for interned strings.

#elif defined(ESP_PLATFORM)

#include "sdkconfig.h"

#include "bootloader_random.h"
#include "esp_random.h"
#include "esp_rom_sys.h"
#include "soc/soc_caps.h"
#if SOC_WIFI_SUPPORTED && CONFIG_ESP_WIFI_ENABLED
#include "esp_wifi.h"
#endif
#if SOC_BT_SUPPORTED && CONFIG_BT_CONTROLLER_ENABLED
#include "esp_bt.h"
#endif

#include "entropy_esp32.h"

#elif defined(PICO_RP2040) || defined(PICO_RP2350)

#include "entropy_rp2.h"

#elif defined(STM32_HAL_H) && MICROPY_HW_ENABLE_RNG

#include "rng.h"
#include "entropy_stm32.h"

#else
#error "ussl: this port has no source of entropy that ussl knows; define USSL_PORT_ENTROPY and ussl_port_entropy() as in docs/porting/adding-a-port.md"
#endif

// --- a number that is unique to the board; returns its size

#if defined(USSL_PORT_UNIQUE_ID) || defined(NO_QSTR)

// The port or board has its own ussl_port_unique_id().

#elif defined(ESP_PLATFORM)

#include "esp_mac.h"

size_t ussl_port_unique_id(unsigned char *into, size_t size) {
    uint8_t id[6];
    if (esp_efuse_mac_get_default(id) != ESP_OK) {
        return 0;
    }
    size = MIN(size, sizeof(id));
    memcpy(into, id, size);
    return size;
}

#elif defined(PICO_RP2040) || defined(PICO_RP2350)

#include "pico/unique_id.h"

size_t ussl_port_unique_id(unsigned char *into, size_t size) {
    pico_unique_board_id_t id;
    pico_get_unique_board_id(&id);
    size = MIN(size, sizeof(id.id));
    memcpy(into, id.id, size);
    return size;
}

#elif defined(STM32_HAL_H)

size_t ussl_port_unique_id(unsigned char *into, size_t size) {
    size = MIN(size, 12);
    memcpy(into, (const uint8_t *)MP_HAL_UNIQUE_ID_ADDRESS, size);
    return size;
}

#else

size_t ussl_port_unique_id(unsigned char *into, size_t size) {
    (void)into, (void)size;
    return 0;
}

#endif

// --- the time: seconds since 1970-01-01, UTC

#ifndef USSL_PORT_TIME

// On a port without a clock, such as nrf and zephyr, this is near the port's epoch. Without verify_time, the error is then
// CERT_CLOCK.
long long ussl_port_time(void) {
    return (long long)timeutils_nanoseconds_since_epoch_to_nanoseconds_since_1970(mp_hal_time_ns()) / 1000000000;
}

#endif
