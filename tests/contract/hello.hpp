#pragma once

// ClientHellos of TLS 1.3 with more, or other, pre-shared key identities than a client offers.

#include <string>
#include <vector>

#include "reader.hpp"

namespace contract {

/// A ClientHello (a whole record) with these identities instead of its own, and for each of them a
/// binder that does not verify. Its own pre_shared_key extension is the last one (RFC 8446
/// §4.2.11).
inline std::string with_identities(const std::string& record,
                                   const std::vector<std::string>& identities) {
    const auto number = [](std::size_t value, std::size_t size) {
        std::string made;
        while (size-- > 0)
            made += static_cast<char>(value >> (8 * size) & 0xFFU);
        return made;
    };
    const auto field = [&](const std::string& content, std::size_t length) {
        return number(content.size(), length) + content;
    };
    constexpr std::size_t record_header = 5, message_header = 4, fixed = 2 + 32;
    Reader hello(std::string_view(record).substr(record_header + message_header));
    hello.bytes(fixed);
    hello.field(1);
    hello.field(2);
    hello.field(1);
    const std::size_t before = record.size() - hello.rest().size();
    Reader extensions = hello.field(2);
    constexpr std::size_t pre_shared_key = 41;
    std::string kept;
    while (!extensions.done()) {
        const std::size_t type = extensions.number(2);
        const std::string content(extensions.field(2).rest());
        if (type != pre_shared_key)
            kept += number(type, 2) + field(content, 2);
    }
    std::string offered, binders;
    for (const std::string& identity : identities) {
        offered += field(identity, 2) + std::string(4, '\0');
        binders += field(std::string(32, 'b'), 1);
    }
    kept += number(pre_shared_key, 2) + field(field(offered, 2) + field(binders, 2), 2);
    const std::string body =
        record.substr(record_header + message_header, before - record_header - message_header) +
        field(kept, 2);
    const std::string message = record.substr(record_header, 1) + field(body, 3);
    return record.substr(0, 3) + field(message, 2);
}

}  // namespace contract
