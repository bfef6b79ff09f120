#include "der.hpp"

namespace ussl::pem {

std::optional<Bytes> Der::take(std::uint8_t tag) {
    if (rest_.size() < 2 || rest_[0] != tag)
        return std::nullopt;
    std::size_t size = rest_[1], header = 2;
    if (size >= 0x80) {
        const std::size_t digits = size - 0x80;
        header += digits;
        if (digits == 0 || digits > 4 || rest_.size() < header)
            return std::nullopt;
        size = 0;
        for (const std::uint8_t digit : rest_.subspan(2, digits))
            size = size << 8 | digit;
    }
    if (size > rest_.size() - header)
        return std::nullopt;
    const Bytes content = rest_.subspan(header, size);
    rest_ = rest_.subspan(header + size);
    return content;
}

std::size_t der_size(Bytes data) {
    if (data.size() < 2 || data[0] != Der::sequence || data[1] < 0x81 || data[1] > 0x83)
        return SIZE_MAX;
    Der der(data);
    return der.take(Der::sequence) ? data.size() - der.left() : SIZE_MAX;
}

bool is_one_value(Bytes der) {
    Der value(der);
    return value.take(Der::sequence) && value.at_end();
}

Bytes first_value(Bytes der) {
    Der rest(der);
    return rest.take(Der::sequence) ? der.first(der.size() - rest.left()) : Bytes{};
}

}  // namespace ussl::pem
