#include <cstring>

#include "mbedtls.hpp"

namespace ussl::mbedtls {

Flight::~Flight() {
    release(held_);
}

int Flight::write(Wire& wire, Bytes from) {
    if (from.size() > capacity - size_)
        if (const int ret = send(wire); ret != 0)
            return ret;
    if (held_ == nullptr)
        held_ = static_cast<std::uint8_t*>(allocate(capacity));
    if (held_ == nullptr || from.size() > capacity)
        return write_now(wire, from);
    std::memcpy(held_ + size_, from.data(), from.size());
    size_ += from.size();
    return static_cast<int>(from.size());
}

int Flight::send(Wire& wire) {
    while (size_ != 0) {
        const int ret = write_now(wire, {held_, size_});
        if (ret < 0)
            return ret;
        size_ -= static_cast<std::size_t>(ret);
        std::memmove(held_, held_ + ret, size_);
    }
    return 0;
}

void Flight::end() {
    release(held_);
    held_ = nullptr;
}

int Flight::write_now(Wire& wire, Bytes from) {
    const IoResult result = wire.write(from);
    switch (result.kind) {
        case IoResult::Kind::bytes:
            return static_cast<int>(result.count);
        case IoResult::Kind::would_block:
        case IoResult::Kind::timed_out:
            return MBEDTLS_ERR_SSL_WANT_WRITE;
        default:
            return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
}

}  // namespace ussl::mbedtls
