#include "root_store.hpp"

#include <algorithm>
#include <cstring>

#include "pem/der.hpp"
#include "policy/rules.hpp"
#include "utc.hpp"

namespace ussl {
namespace {

using pem::Der;

constexpr std::string_view magic = "USSLROOT";
constexpr unsigned format_version = 1;
constexpr std::size_t max_roots = 4096;
constexpr std::size_t max_size = std::size_t{1} << RootStore::place_bits;
// The size of an entry without its fields of variable size.
constexpr std::size_t entry_size = 25;
constexpr std::uint8_t has_distrust_date = 1;
constexpr std::uint8_t has_usual_extensions = 2;
// basicConstraints: critical, CA. keyUsage: critical, keyCertSign and cRLSign.
constexpr std::uint8_t usual_extensions[] = {0x30, 0x0F, 0x06, 0x03, 0x55, 0x1D, 0x13, 0x01, 0x01,
                                             0xFF, 0x04, 0x05, 0x30, 0x03, 0x01, 0x01, 0xFF, 0x30,
                                             0x0E, 0x06, 0x03, 0x55, 0x1D, 0x0F, 0x01, 0x01, 0xFF,
                                             0x04, 0x04, 0x03, 0x02, 0x01, 0x06};

std::uint64_t number(Bytes content, std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        value = value << 8 | content[at + i];
    return value;
}

std::size_t size_in(Bytes content, std::size_t at, std::size_t bytes) {
    return static_cast<std::size_t>(number(content, at, bytes));
}

ConfigError fault(const char* reason, std::size_t at = 0) {
    ConfigError error{reason};
    error.about = ConfigError::About::root_store;
    error.offset = static_cast<std::uint32_t>(at);
    return error;
}

bool is_one(Bytes der, std::uint8_t tag) {
    Der value(der);
    return value.take(tag) && value.at_end();
}

bool are_sequences(Bytes der) {
    Der values(der);
    while (!values.at_end())
        if (!values.take(Der::sequence))
            return false;
    return true;
}

/// Writes DER from its end to its beginning, so that each length is known in advance.
class Writer {
  public:
    explicit Writer(MutableBytes into) : into_(into), at_(into.size()) {}

    [[nodiscard]] std::size_t size() const { return into_.size() - at_; }
    void bytes(Bytes content) {
        at_ -= content.size();
        std::memcpy(into_.data() + at_, content.data(), content.size());
    }
    /// Writes the header of the content that was written since size() was `before`.
    void header(std::uint8_t tag, std::size_t before) {
        std::size_t length = size() - before;
        if (length < 0x80) {
            byte(static_cast<std::uint8_t>(length));
        } else {
            std::uint8_t count = 0;
            for (; length != 0; length >>= 8, ++count)
                byte(static_cast<std::uint8_t>(length));
            byte(0x80 | count);
        }
        byte(tag);
    }
    void value(std::uint8_t tag, Bytes content) {
        const std::size_t before = size();
        bytes(content);
        header(tag, before);
    }

  private:
    void byte(std::uint8_t one) { into_[--at_] = one; }

    MutableBytes into_;
    std::size_t at_;
};

// Writes a time as in RFC 5280 §4.1.2.5.
void write_time(Writer& writer, std::int64_t seconds) {
    const CertificateTime time = utc_of(seconds);
    std::uint8_t text[15];
    std::size_t at = 0;
    const auto two = [&](int value) {
        text[at++] = static_cast<std::uint8_t>('0' + value / 10);
        text[at++] = static_cast<std::uint8_t>('0' + value % 10);
    };
    two(time.year / 100);
    for (const int part :
         {time.year % 100, time.month, time.day, time.hour, time.minute, time.second})
        two(part);
    text[at++] = 'Z';
    constexpr std::uint8_t utc_time = 0x17, generalized_time = 0x18;
    if (time.year >= 1950 && time.year < 2050)
        writer.value(utc_time, Bytes(text).subspan(2));
    else
        writer.value(generalized_time, text);
}

// Returns an algorithm that fits the key, because a certificate must name one. Engines do not
// evaluate the signature of a trust anchor.
Bytes signature_algorithm(Bytes key) {
    static constexpr std::uint8_t rsa[] = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01};
    static constexpr std::uint8_t ec[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
    static constexpr std::uint8_t rsa_with_sha256[] = {
        0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00};
    static constexpr std::uint8_t ecdsa_with_sha256[] = {0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86,
                                                         0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02};
    Der outer(key);
    const Bytes content = outer.take(Der::sequence).value_or(Bytes{});
    Der parts(content);
    const Bytes algorithm = parts.take(Der::sequence).value_or(Bytes{});
    Der fields(algorithm);
    const Bytes oid = fields.take(Der::oid).value_or(Bytes{});
    if (std::ranges::equal(oid, rsa))
        return rsa_with_sha256;
    if (std::ranges::equal(oid, ec))
        return ecdsa_with_sha256;
    return content.first(content.size() - parts.left());
}

}  // namespace

std::uint32_t RootStore::hash(Bytes subject) {
    std::uint32_t value = 0x811C9DC5;  // FNV-1a
    for (const std::uint8_t byte : subject)
        value = (value ^ byte) * 0x01000193;
    return value;
}

bool RootStore::is_same(Bytes a, Bytes b) {
    return std::ranges::equal(a, b);
}

bool RootStore::begins(Bytes content) {
    return content.size() >= magic.size() &&
           std::memcmp(content.data(), magic.data(), magic.size()) == 0;
}

std::expected<RootStore, ConfigError> RootStore::open(Bytes content, Sha256 sha256) {
    const std::string_view begin{reinterpret_cast<const char*>(content.data()),
                                 std::min(content.size(), magic.size())};
    if (begin != magic.substr(0, begin.size()))
        return std::unexpected(fault("not a root store (tools/make_roots makes one)"));
    constexpr const char* truncated = "truncated root store";
    if (content.size() < header_size)
        return std::unexpected(fault(truncated, content.size()));
    constexpr std::size_t size_at = 12, digest_at = 16;
    if (number(content, 8, 2) != format_version)
        return std::unexpected(fault("unsupported format of a root store", 8));
    const std::size_t size = size_in(content, size_at, 4);
    if (content.size() < size)
        return std::unexpected(fault(truncated, content.size()));
    if (content.size() > size)
        return std::unexpected(fault("damaged root store: there is more behind its end", size));
    const Bytes parts[] = {content.first(digest_at), content.subspan(header_size)};
    std::uint8_t digest[32];
    if (!sha256(std::span<const Bytes>(parts), std::span<std::uint8_t, 32>(digest)))
        return std::unexpected(ConfigError{"out of memory", true});
    if (!is_same(digest, content.subspan(digest_at, sizeof digest)))
        return std::unexpected(fault("damaged root store: its SHA-256 is wrong"));
    RootStore store;
    store.content_ = content;
    store.count_ = size_in(content, 10, 2);
    if (const std::optional<ConfigError> error = store.check())
        return std::unexpected(*error);
    return store;
}

// Rejects a store with a correct digest that was not made by tools/make_roots.
std::optional<ConfigError> RootStore::check() const {
    constexpr const char* malformed = "malformed root store";
    if (count_ == 0 || count_ > max_roots || content_.size() > max_size ||
        content_.size() - header_size < count_ * row_size)
        return fault(malformed, header_size);
    std::size_t place = header_size + count_ * row_size;
    std::uint32_t last = 0;
    for (std::size_t row = 0; row < count_; ++row) {
        const std::size_t at = header_size + row * row_size;
        const std::uint32_t of_row = hash_of(row);
        std::size_t size = 0;
        const std::optional<Root> root = root_at(place, size);
        if (!root)
            return fault(malformed, place);
        if (number(content_, at + 4, 4) != place || of_row != hash(root->subject) || of_row < last)
            return fault(malformed, at);
        last = of_row;
        place += size;
    }
    return place == content_.size() ? std::nullopt : std::optional(fault(malformed, place));
}

std::uint32_t RootStore::hash_of(std::size_t row) const {
    return static_cast<std::uint32_t>(number(content_, header_size + row * row_size, 4));
}

std::size_t RootStore::first_row(std::uint32_t hash) const {
    std::size_t low = 0;
    for (std::size_t high = count_; low < high;) {
        const std::size_t middle = low + (high - low) / 2;
        if (hash_of(middle) < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

std::optional<RootStore::Root> RootStore::root_of(std::size_t row) const {
    std::size_t size = 0;
    return root_at(size_in(content_, header_size + row * row_size + 4, 4), size);
}

std::optional<RootStore::Root> RootStore::root_of(std::uint32_t place, Bytes subject) const {
    std::size_t size = 0;
    const std::optional<Root> root = root_at(place, size);
    return root && is_same(root->subject, subject) ? root : std::nullopt;
}

std::optional<RootStore::Root> RootStore::root_at(std::size_t place, std::size_t& size) const {
    if (place > content_.size() || content_.size() - place < entry_size)
        return std::nullopt;
    const Bytes entry = content_.subspan(place);
    const std::uint8_t flags = entry[0];
    if ((flags & ~(has_distrust_date | has_usual_extensions)) != 0)
        return std::nullopt;
    Root root;
    root.place = static_cast<std::uint32_t>(place);
    root.not_before = static_cast<std::int64_t>(number(entry, 9, 8));
    root.not_after = static_cast<std::int64_t>(number(entry, 17, 8));
    std::size_t at = entry_size;
    if ((flags & has_distrust_date) != 0) {
        if (entry.size() - at < 8)
            return std::nullopt;
        root.distrusted_after = static_cast<std::int64_t>(number(entry, at, 8));
        at += 8;
    }
    const struct {
        Bytes& part;
        std::size_t size;
    } parts[] = {{root.subject, size_in(entry, 3, 2)},
                 {root.key, size_in(entry, 5, 2)},
                 {root.serial, entry[1]},
                 {root.key_id, entry[2]},
                 {root.extensions, size_in(entry, 7, 2)}};
    for (const auto& [part, length] : parts) {
        if (entry.size() - at < length)
            return std::nullopt;
        part = entry.subspan(at, length);
        at += length;
    }
    if ((flags & has_usual_extensions) != 0) {
        if (!root.extensions.empty())
            return std::nullopt;
        root.extensions = usual_extensions;
    }
    size = at;
    const auto is_a_date = [](std::int64_t time) {
        constexpr std::int64_t year_0 = -62167219200, end_of_9999 = 253402300799;
        return time >= year_0 && time <= end_of_9999;
    };
    const bool good = is_one(root.subject, Der::sequence) && is_one(root.key, Der::sequence) &&
                      !root.serial.empty() && are_sequences(root.extensions) &&
                      is_a_date(root.not_before) && is_a_date(root.not_after);
    return good ? std::optional(root) : std::nullopt;
}

RootStore::Certificate RootStore::certificate(const Root& root) {
    constexpr std::uint8_t subject_key_id[] = {0x06, 0x03, 0x55, 0x1D, 0x0E};
    constexpr std::uint8_t version_3[] = {0xA0, 0x03, 0x02, 0x01, 0x02};
    constexpr std::uint8_t extensions_tag = 0xA3;
    const Bytes algorithm = signature_algorithm(root.key);
    const std::uint8_t signature[] = {
        0,  // unused bits
        static_cast<std::uint8_t>(root.place >> 24), static_cast<std::uint8_t>(root.place >> 16),
        static_cast<std::uint8_t>(root.place >> 8), static_cast<std::uint8_t>(root.place)};
    // Headers, dates, version and signature need 80 bytes.
    const std::size_t most = 2 * root.subject.size() + root.key.size() + root.serial.size() +
                             root.key_id.size() + root.extensions.size() + 2 * algorithm.size() +
                             128;
    Certificate made{SecretBytes(most)};
    if (made.room.empty())
        return {};
    Writer writer({made.room.data(), made.room.size()});
    writer.value(Der::bit_string, signature);
    writer.bytes(algorithm);
    const std::size_t body = writer.size();
    if (!root.extensions.empty() || !root.key_id.empty()) {
        writer.bytes(root.extensions);
        if (!root.key_id.empty()) {
            const std::size_t extension = writer.size();
            writer.value(Der::octets, root.key_id);
            writer.header(Der::octets, extension);
            writer.bytes(subject_key_id);
            writer.header(Der::sequence, extension);
        }
        writer.header(Der::sequence, body);
        writer.header(extensions_tag, body);
    }
    writer.bytes(root.key);
    writer.bytes(root.subject);
    const std::size_t dates = writer.size();
    write_time(writer, root.not_after);
    write_time(writer, root.not_before);
    writer.header(Der::sequence, dates);
    writer.bytes(root.subject);
    writer.bytes(algorithm);
    writer.value(Der::integer, root.serial);
    writer.bytes(version_3);
    writer.header(Der::sequence, body);
    writer.header(Der::sequence, 0);
    made.begin = made.room.size() - writer.size();
    return made;
}

std::optional<ConfigError> RootStores::open(const Options& options, RootStore::Sha256 sha256) {
    if constexpr (!features::root_store)
        return std::nullopt;  // policy::check() rejects the options
    for (const std::optional<Bytes>& content : options.root_stores)
        if (content)
            if (const auto config_error = add(*content, ConfigError::About::root_store, sha256))
                return config_error;
    if (!policy::uses_system_roots(options) || !options.system_roots)
        return std::nullopt;
    return add(*options.system_roots, ConfigError::About::system_roots, sha256);
}

// A store that is there already is ignored, as a certificate of Options::trusted is.
std::optional<ConfigError> RootStores::add(Bytes content, ConfigError::About option,
                                           RootStore::Sha256 sha256) {
    const auto opened = RootStore::open(content, sha256);
    if (!opened) {
        ConfigError config_error = opened.error();
        config_error.about = option;
        return config_error;
    }
    for (std::size_t i = 0; i < size_; ++i)
        if (stores_[i].is_same(*opened))
            return std::nullopt;
    stores_[size_++] = *opened;
    return std::nullopt;
}

std::size_t RootStores::count() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < size_; ++i)
        count += stores_[i].count();
    return count;
}

std::optional<RootStore::Root> RootStores::find(Bytes signature, Bytes subject) const {
    if (signature.size() != 4)
        return std::nullopt;
    const std::size_t store = signature[0];
    if (store >= size_)
        return std::nullopt;
    const auto place = static_cast<std::uint32_t>(number(signature, 1, 3));
    return stores_[store].root_of(place, subject);
}

}  // namespace ussl
