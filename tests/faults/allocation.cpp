#include "allocation.hpp"

#include <malloc.h>
#include <openssl/crypto.h>

#include <cstdlib>

// Linked with --wrap=malloc and --wrap=free: the library's own allocations call these functions.
extern "C" void* __real_malloc(std::size_t size);
extern "C" void* __wrap_malloc(std::size_t size);
extern "C" void __real_free(void* memory);
extern "C" void __wrap_free(void* memory);

namespace faults {
namespace {

bool armed = false;
std::size_t count = 0;
std::size_t fails_at = 0;
std::size_t alive = 0;
std::size_t alive_bytes = 0;
Shortage kind = Shortage::once;

bool fails() {
    if (!armed)
        return false;
    ++count;
    return kind == Shortage::once ? count == fails_at : count >= fails_at;
}

void* allocate(std::size_t size) {
    void* memory = fails() ? nullptr : __real_malloc(size);
    alive += memory != nullptr ? 1 : 0;
    alive_bytes += malloc_usable_size(memory);
    return memory;
}
void let_go(void* memory) {
    alive -= memory != nullptr ? 1 : 0;
    alive_bytes -= malloc_usable_size(memory);
    __real_free(memory);
}

void* engine_malloc(std::size_t size, const char*, int) {
    return allocate(size);
}
void* engine_realloc(void* old, std::size_t size, const char*, int) {
    if (old == nullptr)
        return allocate(size);
    if (fails())
        return nullptr;
    const std::size_t before = malloc_usable_size(old);
    void* memory = std::realloc(old, size);
    if (memory != nullptr)
        alive_bytes += malloc_usable_size(memory) - before;
    return memory;
}
void engine_free(void* memory, const char*, int) {
    let_go(memory);
}

// OpenSSL takes these only before its first allocation.
const bool taken = CRYPTO_set_mem_functions(engine_malloc, engine_realloc, engine_free) == 1;

}  // namespace

void arm(std::size_t nth, Shortage shortage) {
    if (!taken)
        std::abort();
    count = 0;
    fails_at = nth;
    kind = shortage;
    armed = true;
}

std::size_t asked() {
    return count;
}

std::size_t disarm() {
    armed = false;
    return count;
}

std::size_t live() {
    // OpenSSL keeps some for each thread, among them its queue of errors.
    OPENSSL_thread_stop();
    return alive;
}

std::size_t live_bytes() {
    return alive_bytes;
}

}  // namespace faults

extern "C" void* __wrap_malloc(std::size_t size) {
    return faults::allocate(size);
}

extern "C" void __wrap_free(void* memory) {
    faults::let_go(memory);
}
