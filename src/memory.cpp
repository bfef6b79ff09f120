#include "ussl/memory.hpp"

#include <cstring>

#ifdef USSL_PORT_MEMORY
extern "C" void* ussl_port_allocate(std::size_t bytes);
extern "C" void ussl_port_release(void* memory);
extern "C" void ussl_port_trim();
extern "C" void ussl_port_collect();
#else
#include <cstdlib>
#endif

namespace ussl {

#ifdef USSL_PORT_MEMORY
void* allocate(std::size_t bytes) noexcept {
    return ussl_port_allocate(bytes);
}
void release(void* memory) noexcept {
    ussl_port_release(memory);
}
void trim() noexcept {
    ussl_port_trim();
}
void collect() noexcept {
    ussl_port_collect();
}
#else
void* allocate(std::size_t bytes) noexcept {
    return std::malloc(bytes);
}
void release(void* memory) noexcept {
    std::free(memory);
}
void trim() noexcept {}
void collect() noexcept {}
#endif

void wipe(void* memory, std::size_t bytes) noexcept {
    std::memset(memory, 0, bytes);
    // The compiler must assume that the zeros are read.
    asm volatile("" : : "r"(memory) : "memory");
}

}  // namespace ussl
