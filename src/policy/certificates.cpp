#include "certificates.hpp"

#include <algorithm>
#include <bit>

namespace ussl::policy {

bool is_pinned(Bytes pins, std::span<const std::uint8_t, 32> hash) {
    for (; pins.size() >= hash.size(); pins = pins.subspan(hash.size()))
        if (std::equal(hash.begin(), hash.end(), pins.begin()))
            return true;
    return false;
}

bool may_be_critical(Bytes oid) {
    // The extensions of RFC 5280 §4.2.1, whose OIDs are 2.5.29 and a number.
    if (oid.size() != 3 || oid[0] != 0x55 || oid[1] != 0x1D)
        return false;
    switch (oid[2]) {
        case 15:  // key usage
        case 17:  // subject alternative name
        case 19:  // basic constraints
        case 31:  // CRL distribution points
        case 32:  // certificate policies
        case 33:  // policy mappings
        case 36:  // policy constraints
        case 37:  // extended key usage
        case 54:  // inhibit anyPolicy
            return true;
        default:
            return false;
    }
}

Error certificate_error(std::uint16_t failures) {
    Error error;
    error.code = static_cast<Code>(201 + std::countr_zero(failures));
    error.certificate_failures = failures;
    return error;
}

}  // namespace ussl::policy
