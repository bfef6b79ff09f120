// What ussl asks of a board (see docs/porting/README.md): memory, entropy, a unique number, the time.

#include <string.h>

#include "binding.h"

// --- memory: MicroPython's heap

// The collector does not look into Mbed TLS's own variables, and so all blocks hang together. What
// is in them are ussl's and Mbed TLS's objects only, never one of the program's.
typedef struct _ussl_block_t {
    struct _ussl_block_t *next;
    struct _ussl_block_t *previous;
} ussl_block_t;

// In a handshake, Mbed TLS asks for some 5,000 small blocks and returns them at once; the collector's
// allocator takes hundreds of instructions for each. Some that come back wait for the next who asks,
// until the library's call is over.
#define SPARE_SIZES (8) // of 1 to 8 of the collector's blocks
#ifndef USSL_MOST_SPARES
#define USSL_MOST_SPARES (12)
#endif

// Another core may be at the collector's work, which lets go of forgotten sockets, and so of blocks.
#if MICROPY_PY_THREAD && !MICROPY_PY_THREAD_GIL
#define LOCK() mp_uint_t lock_state = MICROPY_BEGIN_ATOMIC_SECTION()
#define UNLOCK() MICROPY_END_ATOMIC_SECTION(lock_state)
#else
#define LOCK()
#define UNLOCK()
#endif

// A soft reset makes a new heap without clearing root pointers or static variables. What is kept in them is therefore
// valid only while `heap_is_known`, which the finaliser of one object of the heap (ussl_heap) ends:
//
// - The object is made before the first block of a heap, whoever allocates it (hashlib may, without an import of
//   ussl), and a root pointer keeps it: an ordinary collection never finalises it.
// - Every port calls gc_sweep_all() before it makes a new heap, which runs all finalisers. Until it is over nothing is
//   allocated (the heap is locked), so that the memory of the old heap is still intact, in whatever order they run.
//
// Nothing else is asked of a port. A hard reset clears static variables.
static bool heap_is_known;
MP_REGISTER_ROOT_POINTER(struct _mp_obj_base_t *ussl_heap);

MP_REGISTER_ROOT_POINTER(struct _ussl_block_t *ussl_blocks);
MP_REGISTER_ROOT_POINTER(struct _ussl_block_t *ussl_spares[8]);
static uint8_t spares;

#ifdef USSL_MEMORY_FIGURES
// For bench/mcu, which finds them by their names in the firmware.
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

// NULL: there is none of that kind.
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

// false: there are enough of them.
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
    // A list or a cache that the binding keeps in static variables or root pointers is emptied here as well.
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

// false: there is no memory, or the heap is about to end.
static bool know_heap(void) {
    if (heap_is_known) {
        return true;
    }
    // The functions of MicroPython that make such an object raise, which Mbed TLS's callers must not see.
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
        // The first attempt has collected; forgotten sockets that were found then have let go of
        // their blocks, which are free after the next collection only.
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
    if (memory == NULL || !heap_is_known) { // it ends with the heap
        return;
    }
    ussl_block_t *block = (ussl_block_t *)memory - 1;
    unlink_block(block);
    const size_t size = gc_nbytes(block); // 0: the collector is at work
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

// --- atomic operations that the processor has no instructions for (Cortex-M0: none; RISC-V: none of one byte)

// g++ calls these functions of libatomic, which compilers for boards come without. Weak: an SDK may have its own. By their
// names for the linker, because the compiler reserves those for C.
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

// --- entropy: the port's hardware; what cannot be had is an error here, never a weak guess

#if defined(USSL_PORT_ENTROPY) || defined(NO_QSTR)

// The port or board has its own ussl_port_entropy(); or MicroPython only looks for names.

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

// --- a number that no other board has, and how many bytes of it there are

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

// On a port without a clock, such as nrf and zephyr, this is near the port's epoch: CERT_CLOCK, without verify_time.
long long ussl_port_time(void) {
    return (long long)timeutils_nanoseconds_since_epoch_to_nanoseconds_since_1970(mp_hal_time_ns()) / 1000000000;
}

#endif
