// OpenSSL wipes keys, but does not wipe other memory before release: the encoded form of a key,
// connection secrets, plaintext. These functions keep all of it out of core dumps.

#include <malloc.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <cstring>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

void* take(std::size_t size, const char*, int) {
    return size != 0 ? std::malloc(size) : nullptr;
}

void let_go(void* memory, const char*, int) {
    if (const std::size_t size = malloc_usable_size(memory); size != 0)
        wipe(memory, size);
    std::free(memory);
}

void* take_more(void* memory, std::size_t size, const char* file, int line) {
    const std::size_t before = malloc_usable_size(memory);
    if (size != 0 && size <= before)
        return memory;
    void* more = take(size, file, line);
    if (more != nullptr && memory != nullptr)
        std::memcpy(more, memory, before);
    if (more != nullptr || size == 0)
        let_go(memory, file, line);
    return more;
}

CRYPTO_malloc_fn allocation_function() {
    CRYPTO_malloc_fn allocate = nullptr;
    CRYPTO_realloc_fn reallocate = nullptr;
    CRYPTO_free_fn free = nullptr;
    CRYPTO_get_mem_functions(&allocate, &reallocate, &free);
    return allocate;
}

}  // namespace

bool wipes_released_memory() {
    return allocation_function() == take;
}

// OpenSSL accepts new functions only before its first allocation. Functions of the program are not
// replaced.
bool wipe_released_memory() {
    return wipes_released_memory() || (allocation_function() == CRYPTO_malloc &&
                                       CRYPTO_set_mem_functions(take, take_more, let_go) == 1);
}

}  // namespace ussl::openssl
