// What ussl asks of a board (see docs/porting.md): memory, entropy, the time.

#include "binding.h"

// --- memory: MicroPython's heap

// The collector does not look into Mbed TLS's own variables, and so all blocks hang together. What
// is in them are ussl's and Mbed TLS's objects only, never one of the program's.
typedef struct _ussl_block_t {
    struct _ussl_block_t *next;
    struct _ussl_block_t *previous;
} ussl_block_t;

MP_REGISTER_ROOT_POINTER(struct _ussl_block_t *ussl_blocks);

void *ussl_port_allocate(size_t bytes) {
    const size_t size = sizeof(ussl_block_t) + bytes;
    if (size < bytes) {
        return NULL;
    }
    ussl_block_t *block = m_malloc_maybe(size);
    if (block == NULL && !gc_is_locked()) {
        // The first attempt has collected; forgotten sockets that were found then have let go of
        // their blocks, which are free after the next collection only.
        gc_collect();
        block = m_malloc_maybe(size);
    }
    if (block == NULL) {
        return NULL;
    }
    block->previous = NULL;
    block->next = MP_STATE_PORT(ussl_blocks);
    if (block->next != NULL) {
        block->next->previous = block;
    }
    MP_STATE_PORT(ussl_blocks) = block;
    return block + 1;
}

void ussl_port_release(void *memory) {
    if (memory == NULL) {
        return;
    }
    ussl_block_t *block = (ussl_block_t *)memory - 1;
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        MP_STATE_PORT(ussl_blocks) = block->next;
    }
    #if MICROPY_MALLOC_USES_ALLOCATED_SIZE
    m_free(block, gc_nbytes(block));
    #else
    m_free(block);
    #endif
}

// --- entropy: the port's hardware; what cannot be had is an error here, never a weak guess

#if defined(USSL_PORT_ENTROPY)

// The port or board has its own ussl_port_entropy().

#elif defined(ESP_PLATFORM)

#include "esp_random.h"

int ussl_port_entropy(unsigned char *into, size_t size) {
    esp_fill_random(into, size);
    return 0;
}

#elif defined(PICO_RP2040) || defined(PICO_RP2350)

#include "pico/rand.h"

int ussl_port_entropy(unsigned char *into, size_t size) {
    while (size != 0) {
        const uint64_t random = get_rand_64();
        const size_t n = MIN(size, sizeof(random));
        memcpy(into, &random, n);
        into += n;
        size -= n;
    }
    return 0;
}

#elif defined(MICROPY_HW_ENABLE_RNG) && MICROPY_HW_ENABLE_RNG

#include "rng.h"

int ussl_port_entropy(unsigned char *into, size_t size) {
    while (size != 0) {
        const uint32_t random = rng_get();
        const size_t n = MIN(size, sizeof(random));
        memcpy(into, &random, n);
        into += n;
        size -= n;
    }
    return 0;
}

#else
#error "ussl: this port has no source of entropy that ussl knows; define USSL_PORT_ENTROPY and ussl_port_entropy() as in docs/porting.md"
#endif

// --- the time: seconds since 1970-01-01, UTC

#ifndef USSL_PORT_TIME
long long ussl_port_time(void) {
    return (long long)(mp_hal_time_ns() / 1000000000);
}
#endif
