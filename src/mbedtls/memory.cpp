#include <cstdint>
#include <cstring>

#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

// Mbed TLS reports lack of memory with many error codes, and sometimes as a verification error.
#ifdef USSL_BOARD
bool lacked = false;
#else
thread_local bool lacked = false;
#endif

}  // namespace

bool take_lack_of_memory() {
    const bool was = lacked;
    lacked = false;
    return was;
}

bool lacks_memory() {
    lacked = true;
    return false;
}

}  // namespace ussl::mbedtls

extern "C" void* ussl_mbedtls_calloc(std::size_t count, std::size_t size) {
    void* memory = nullptr;
    if (size == 0 || count <= SIZE_MAX / size)
        memory = ussl::allocate(count * size);
    if (memory != nullptr)
        std::memset(memory, 0, count * size);
    else if (count != 0 && size != 0)
        ussl::mbedtls::lacked = true;
    return memory;
}

extern "C" void ussl_mbedtls_free(void* memory) {
    ussl::release(memory);
}
