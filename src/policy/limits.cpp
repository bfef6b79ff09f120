#include "limits.hpp"

#include "ussl/types.hpp"

namespace ussl::policy {

std::uint8_t max_fragment_code(std::optional<std::size_t> limit) {
    if (!limit || *limit >= max_record_size)
        return 0;
    std::uint8_t code = 4;
    while (max_fragment_size(code) > *limit)
        --code;
    return code;
}

std::size_t max_fragment_size(int code) {
    return code >= 1 && code <= 4 ? std::size_t{256} << code : 0;
}

}  // namespace ussl::policy
