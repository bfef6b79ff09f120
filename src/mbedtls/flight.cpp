#include <cstring>

#include "mbedtls.hpp"

namespace ussl::mbedtls {

Flight::~Flight() {
    release(held_);
}

int Flight::write(RecordTransport& wire, Bytes from) {
    if (from.size() > most - size_)
        if (const int ret = send(wire); ret != 0)
            return ret;
    if (!make_room(from.size())) {
        const int ret = send(wire);
        return ret != 0 ? ret : write_now(wire, from);
    }
    std::memcpy(held_ + size_, from.data(), from.size());
    size_ += from.size();
    return static_cast<int>(from.size());
}

bool Flight::make_room(std::size_t bytes) {
    if (size_ + bytes <= capacity_)
        return true;
    if (size_ + bytes > most)
        return false;
    auto* larger = static_cast<std::uint8_t*>(allocate(size_ + bytes));
    if (larger == nullptr)
        return false;
    if (size_ != 0)
        std::memcpy(larger, held_, size_);
    release(held_);
    held_ = larger;
    capacity_ = size_ + bytes;
    return true;
}

int Flight::send(RecordTransport& wire) {
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
    capacity_ = 0;
}

int Flight::write_now(RecordTransport& wire, Bytes from) {
    const int ret = result_of(wire.write(from), MBEDTLS_ERR_SSL_WANT_WRITE);
    return ret != 0 ? ret : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

}  // namespace ussl::mbedtls
