#include "edit.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace fuzz {
namespace {

constexpr std::size_t header = 5;
constexpr std::size_t message_header = 4;

std::size_t length_at(const std::string& text, std::size_t at, std::size_t bytes) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        length = length << 8U | static_cast<std::uint8_t>(text[at + i]);
    return length;
}

void put_length(std::string& text, std::size_t at, std::size_t bytes, std::size_t length) {
    for (std::size_t i = bytes; i-- > 0; length >>= 8U)
        text[at + i] = static_cast<char>(length & 0xFFU);
}

/// To examine an input: USSL_FUZZ_SHOW=1 prints its changes.
void show(unsigned unit, const std::string& before, const std::string& after) {
    static const bool wanted = std::getenv("USSL_FUZZ_SHOW") != nullptr;
    if (!wanted)
        return;
    const auto differ = std::ranges::mismatch(before, after);
    const auto at = static_cast<std::size_t>(differ.in1 - before.begin());
    std::fprintf(stderr, "unit %u (type %d), %zu bytes to %zu, from byte %zu on:", unit,
                 before.empty() ? -1 : before[0], before.size(), after.size(), at);
    for (const std::string& text : {before, after}) {
        for (const char c : text.substr(std::min(at, text.size()), 16))
            std::fprintf(stderr, " %02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        std::fputs(" |", stderr);
    }
    std::fputc('\n', stderr);
}

}  // namespace

Editor::Editor(Input& input) {
    const auto count = input.ConsumeIntegralInRange<std::size_t>(0, 6);
    for (std::size_t i = 0; i < count; ++i) {
        Edit edit{};
        edit.kind = input.ConsumeEnum<Kind>();
        edit.unit = input.ConsumeIntegralInRange<std::uint8_t>(0, 15);
        edit.at = input.ConsumeIntegralInRange<std::uint16_t>(0, 1023);
        edit.count = input.ConsumeIntegral<std::uint8_t>();
        edit.fits = input.ConsumeBool();
        // The last one has all that is left.
        edit.bytes = i + 1 == count ? input.ConsumeRemainingBytesAsString()
                                    : input.ConsumeBytesAsString(edit.count);
        edits_.push_back(std::move(edit));
    }
}

void Editor::apply(const Edit& edit, std::string& unit) {
    // Not modulo: of units that differ in length only, the same place is changed.
    const std::size_t at = std::min<std::size_t>(edit.at, unit.size());
    switch (edit.kind) {
        case Kind::flip:
            if (at < unit.size())
                unit[at] = static_cast<char>(unit[at] ^ edit.count);
            break;
        case Kind::replace:
            unit.replace(at, edit.bytes.size(), edit.bytes);
            break;
        case Kind::insert:
            unit.insert(at, edit.bytes);
            break;
        case Kind::erase:
            unit.erase(at, edit.count);
            break;
        case Kind::cut:
            unit.erase(at);
            break;
        case Kind::drop:
            unit.clear();
            break;
        case Kind::twice:
            unit += std::string(unit);
            break;
        case Kind::take_over:
            unit.replace(at, std::string::npos, edit.bytes);
            taken_over_ = true;
            break;
    }
}

bool Editor::next(std::string& unit) {
    const std::string before = unit;
    bool fits = false;
    if (taken_over_)
        unit.clear();
    for (const Edit& edit : edits_) {
        if (edit.unit != units_ || taken_over_)
            continue;
        apply(edit, unit);
        fits = fits || (edit.fits && edit.kind != Kind::twice && edit.kind != Kind::take_over);
    }
    if (unit != before)
        show(units_, before, unit);
    ++units_;
    changed_ = changed_ || unit != before;
    return fits;
}

void Editor::records(Ring& ring, std::size_t from) {
    std::string arrived(ring.bytes.begin() + static_cast<std::ptrdiff_t>(from), ring.bytes.end());
    ring.bytes.resize(from);
    while (!arrived.empty()) {
        std::size_t size = arrived.size();
        if (size >= header)
            size = std::min(size, header + length_at(arrived, 3, 2));
        std::string unit = arrived.substr(0, size);
        arrived.erase(0, size);
        // In the clear, a record of the handshake mostly holds one message.
        const bool one_message = size >= header + message_header && unit[0] == 22 &&
                                 length_at(unit, header + 1, 3) + header + message_header == size;
        if (next(unit) && unit.size() >= header) {
            put_length(unit, 3, 2, unit.size() - header);
            if (one_message && unit.size() >= header + message_header)
                put_length(unit, header + 1, 3, unit.size() - header - message_header);
        }
        ring.add(unit);
    }
}

std::size_t put_message(std::string message, std::uint8_t* at, std::size_t room) {
    message.resize(std::clamp(message.size(), message_header, room));
    std::ranges::copy(message, at);
    return message.size();
}

}  // namespace fuzz
