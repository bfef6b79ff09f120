#include "canonical_name.hpp"

#ifndef USSL_BOARD

#include <algorithm>

#include "pem/der.hpp"
#include "text.hpp"

namespace ussl {
namespace {

using pem::Der;

constexpr std::uint8_t bit_string = 0x03, utf8_string = 0x0C, numeric_string = 0x12,
                       printable_string = 0x13, t61_string = 0x14, ia5_string = 0x16,
                       universal_string = 0x1C, bmp_string = 0x1E;

// Returns the number of bytes of a character; 0: the type is not a text that is converted.
std::size_t width_of(std::uint8_t type) {
    switch (type) {
        case utf8_string:  // its bytes are copied
        case printable_string:
        case t61_string:  // as in OpenSSL, ISO 8859-1
        case ia5_string:
            return 1;
        case bmp_string:
            return 2;
        case universal_string:
            return 4;
        default:
            return 0;
    }
}

// X.690 §11.2.1: unused bits are zero.
bool is_bit_string(Bytes value) {
    return !value.empty() && value[0] < 8 &&
           (value.size() == 1 ? value[0] == 0 : (value.back() & ((1U << value[0]) - 1)) == 0);
}

class Writer {
  public:
    explicit Writer(MutableBytes into) : into_(into) {}

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] Bytes written() const { return into_.first(size_); }

    bool put(std::uint8_t byte) {
        if (size_ == into_.size())
            return false;
        into_[size_++] = byte;
        return true;
    }
    bool put(Bytes bytes) {
        return std::ranges::all_of(bytes, [this](std::uint8_t byte) { return put(byte); });
    }
    // Converts the written bytes from `begin` to the content of a value.
    bool wrap(std::uint8_t tag, std::size_t begin) {
        const std::size_t content = size_ - begin;
        const std::size_t header = size_;
        std::size_t digits = 0;
        while (content >= 0x80 && content >> 8 * digits != 0)
            ++digits;
        bool good =
            put(tag) && put(static_cast<std::uint8_t>(digits == 0 ? content : 0x80 + digits));
        for (; digits != 0; --digits)
            good = good && put(static_cast<std::uint8_t>(content >> 8 * (digits - 1)));
        move_back(begin, header);
        return good;
    }
    // Moves the last value to its place among the sorted ones from `first` (X.690 §11.6).
    void sort_in(std::size_t first, std::size_t last) {
        Der sorted(written().subspan(first, last - first));
        const Bytes value = written().subspan(last);
        for (std::size_t at = first; !sorted.at_end(); at = last - sorted.left()) {
            (void)sorted.take(Der::sequence);
            const Bytes other = written().subspan(at, last - sorted.left() - at);
            if (std::ranges::lexicographical_compare(value, other))
                return move_back(at, last);
        }
    }

  private:
    // Moves the bytes from `last` to the end to `first`.
    void move_back(std::size_t first, std::size_t last) {
        std::rotate(into_.begin() + static_cast<std::ptrdiff_t>(first),
                    into_.begin() + static_cast<std::ptrdiff_t>(last),
                    into_.begin() + static_cast<std::ptrdiff_t>(size_));
    }

    MutableBytes into_;
    std::size_t size_ = 0;
};

bool put_utf8(Writer& out, std::uint32_t character) {
    if (!is_unicode(character))
        return false;
    const int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    constexpr std::uint8_t first[] = {0, 0xC0, 0xE0, 0xF0};
    bool good = out.put(static_cast<std::uint8_t>(first[more] | character >> 6 * more));
    for (int i = more; i != 0; --i)
        good = good && out.put(static_cast<std::uint8_t>(0x80 | (character >> 6 * (i - 1) & 0x3F)));
    return good;
}

bool is_space(std::uint32_t character) {
    return character == ' ' || (character >= '\t' && character <= '\r');
}

// Only ASCII letters and spaces are changed.
bool put_text(Writer& out, std::uint8_t type, Bytes value) {
    const std::size_t width = width_of(type);
    if (value.size() % width != 0 || (type == utf8_string && !is_utf8(value)))
        return false;
    const std::size_t begin = out.size();
    bool spaces = false;
    for (std::size_t at = 0; at < value.size(); at += width) {
        std::uint32_t character = 0;
        for (const std::uint8_t byte : value.subspan(at, width))
            character = character << 8 | byte;
        if (is_space(character)) {
            spaces = out.size() != begin;
            continue;
        }
        if (spaces && !out.put(' '))
            return false;
        spaces = false;
        if (character < 0x80)
            character = static_cast<std::uint8_t>(lower(static_cast<char>(character)));
        if (type == utf8_string ? !out.put(static_cast<std::uint8_t>(character))
                                : !put_utf8(out, character))
            return false;
    }
    return out.wrap(utf8_string, begin);
}

bool put_attribute(Writer& out, Bytes attribute) {
    const std::size_t begin = out.size();
    Der pair(attribute);
    const auto oid = pair.take(Der::oid);
    if (!oid || !out.put(*oid) || !out.wrap(Der::oid, begin))
        return false;
    const std::uint8_t type = pair.tag();
    const auto value = pair.take(type);
    if (!value || !pair.at_end())
        return false;
    if (width_of(type) != 0)
        return put_text(out, type, *value) && out.wrap(Der::sequence, begin);
    const std::size_t copy = out.size();
    return (type == numeric_string || (type == bit_string && is_bit_string(*value))) &&
           out.put(*value) && out.wrap(type, copy) && out.wrap(Der::sequence, begin);
}

}  // namespace

std::optional<Bytes> canonical_name(Bytes name, MutableBytes into) {
    Der whole(name);
    const auto rdns = whole.take(Der::sequence);
    if (!rdns || !whole.at_end())
        return std::nullopt;
    Writer out(into);
    for (Der left(*rdns); !left.at_end();) {
        const auto rdn = left.take(Der::set);
        if (!rdn || rdn->empty())
            return std::nullopt;
        const std::size_t set = out.size();
        for (Der attributes(*rdn); !attributes.at_end();) {
            const std::size_t last = out.size();
            const auto attribute = attributes.take(Der::sequence);
            if (!attribute || !put_attribute(out, *attribute))
                return std::nullopt;
            out.sort_in(set, last);
        }
        if (!out.wrap(Der::set, set))
            return std::nullopt;
    }
    return out.written();
}

}  // namespace ussl

#endif
