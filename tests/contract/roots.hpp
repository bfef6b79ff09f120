#pragma once

// Root stores as tools/make_roots makes them, and others, from the test certificates.

#include <algorithm>
#include <chrono>

#include "contract.hpp"
#include "pem.hpp"
#include "pem/der.hpp"

namespace contract::roots {

using ussl::pem::Der;

inline std::string text_of(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

inline std::string big_endian(std::uint64_t value, int bytes) {
    std::string made;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        made += static_cast<char>(value >> shift);
    return made;
}

/// A root as tools/make_roots reads it, but for extensions: basicConstraints and keyUsage.
struct Entry {
    std::string subject, key, serial, key_id;
    std::int64_t not_before = 0;
    std::int64_t not_after = 0;
    std::optional<std::int64_t> distrusted_after;
    std::uint8_t flags = 2;  // the usual extensions
    std::string extensions;

    [[nodiscard]] std::string written() const {
        const std::uint8_t all = flags | (distrusted_after ? 1 : 0);
        return big_endian(all, 1) + big_endian(serial.size(), 1) + big_endian(key_id.size(), 1) +
               big_endian(subject.size(), 2) + big_endian(key.size(), 2) +
               big_endian(extensions.size(), 2) +
               big_endian(static_cast<std::uint64_t>(not_before), 8) +
               big_endian(static_cast<std::uint64_t>(not_after), 8) +
               (distrusted_after ? big_endian(static_cast<std::uint64_t>(*distrusted_after), 8)
                                 : "") +
               subject + key + serial + key_id + extensions;
    }
};

inline std::int64_t seconds(Bytes time) {
    const std::string digits = (time.size() == 13 ? "20" : "") + text_of(time);
    const auto number = [&](std::size_t at, std::size_t size) {
        return std::stoi(digits.substr(at, size));
    };
    using namespace std::chrono;
    const sys_days day{year{number(0, 4)} / number(4, 2) / number(6, 2)};
    return duration_cast<std::chrono::seconds>(day.time_since_epoch()).count() +
           3600 * number(8, 2) + 60 * number(10, 2) + number(12, 2);
}

/// Of a certificate in PEM.
inline Entry entry_of(const std::string& name) {
    const auto content = ussl::pem::read_first_certificate(bytes(cert(name)));
    Der outer(content->der);
    Der certificate(*outer.take(Der::sequence));
    const Bytes tbs = *certificate.take(Der::sequence);
    Der fields(tbs);
    const auto whole = [&] {
        const std::size_t before = fields.left();
        (void)fields.take(Der::sequence);
        return text_of(tbs.subspan(tbs.size() - before, before - fields.left()));
    };
    Entry entry;
    (void)fields.take(Der::context_0);
    entry.serial = text_of(*fields.take(Der::integer));
    (void)whole();
    (void)whole();
    Der dates(*fields.take(Der::sequence));
    entry.not_before = seconds(*dates.take(dates.tag()));
    entry.not_after = seconds(*dates.take(dates.tag()));
    entry.subject = whole();
    entry.key = whole();
    return entry;
}

inline std::uint32_t hash(const std::string& subject) {
    std::uint32_t value = 0x811C9DC5;
    for (const char byte : subject)
        value = (value ^ static_cast<std::uint8_t>(byte)) * 0x01000193;
    return value;
}

/// Puts the digest where it belongs.
inline std::string sealed(std::string store) {
    std::uint8_t digest[32];
    const Bytes parts[] = {bytes(store).first(16), bytes(store).subspan(48)};
    EXPECT_TRUE(ussl::openssl_engine.sha256(std::span<const Bytes>(parts),
                                            std::span<std::uint8_t, 32>(digest)));
    return store.replace(16, 32, text_of(digest));
}

inline std::string store_of(std::vector<Entry> entries) {
    std::ranges::sort(entries, {}, [](const Entry& entry) { return hash(entry.subject); });
    std::string index, written;
    for (const Entry& entry : entries) {
        index += big_endian(hash(entry.subject), 4) +
                 big_endian(48 + 8 * entries.size() + written.size(), 4);
        written += entry.written();
    }
    const std::size_t size = 48 + index.size() + written.size();
    return sealed("USSLROOT" + big_endian(1, 2) + big_endian(entries.size(), 2) +
                  big_endian(size, 4) + std::string(32, '\0') + index + written);
}

inline std::string store_of(const std::string& name) {
    return store_of(std::vector{entry_of(name)});
}

}  // namespace contract::roots
