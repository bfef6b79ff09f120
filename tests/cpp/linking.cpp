// Linking ussl does not replace OpenSSL's allocation functions; wipe_released_memory() does.

#include <openssl/crypto.h>

#include <cstdio>
#include <ussl/connection.hpp>

int main() {
    CRYPTO_malloc_fn allocate = nullptr;
    CRYPTO_realloc_fn reallocate = nullptr;
    CRYPTO_free_fn release = nullptr;
    const auto is_own = [&] {
        CRYPTO_get_mem_functions(&allocate, &reallocate, &release);
        return allocate == CRYPTO_malloc && reallocate == CRYPTO_realloc && release == CRYPTO_free;
    };
    const ussl::Engine& engine = ussl::default_engine();
    if (!is_own())
        return std::puts("linking ussl has replaced OpenSSL's functions"), 1;
    if (!ussl::wipe_released_memory(engine) || is_own())
        return std::puts("wipe_released_memory() has not replaced OpenSSL's functions"), 1;
    if (!ussl::wipe_released_memory(engine))
        return std::puts("a second wipe_released_memory() fails"), 1;
    return ussl::Context::make(engine, {}) ? 0 : 1;
}
