// Distinguished names: the canonical form has the hash that OpenSSL computes.

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "canonical_name.hpp"
#include "fuzz.hpp"

namespace fuzz {
namespace {

constexpr std::size_t longest = 4096;

unsigned long hash_of(Bytes canonical) {
    unsigned char sha1[EVP_MAX_MD_SIZE];
    expect(EVP_Digest(canonical.data(), canonical.size(), sha1, nullptr, EVP_sha1(), nullptr) == 1,
           "a SHA-1");
    unsigned long hash = 0;
    for (int i = 3; i >= 0; --i)
        hash = hash << 8 | sha1[i];
    return hash;
}

std::optional<unsigned long> openssl_hash_of(Bytes name) {
    const unsigned char* at = name.data();
    X509_NAME* parsed = d2i_X509_NAME(nullptr, &at, static_cast<long>(name.size()));
    int good = 0;
    const unsigned long hash =
        parsed != nullptr ? X509_NAME_hash_ex(parsed, nullptr, nullptr, &good) : 0;
    X509_NAME_free(parsed);
    return good != 0 && at == name.data() + name.size() ? std::optional(hash) : std::nullopt;
}

// The length is not always the shortest one.
std::string value_of(std::uint8_t tag, const std::string& content) {
    std::string header(1, static_cast<char>(tag));
    if (content.size() >= 0x80)
        header += {'\x82', static_cast<char>(content.size() >> 8)};
    return header + static_cast<char>(content.size()) + content;
}

// A name with texts of several types. OpenSSL parses most of them.
std::string made_of(Input& input) {
    std::string rdns;
    while (input.remaining_bytes() > 0 && rdns.size() < longest) {
        std::string rdn;
        do {
            constexpr std::uint8_t types[] = {0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E, 0x12, 0x03};
            const std::uint8_t kind = input.ConsumeIntegralInRange<std::uint8_t>(3, 12);
            const std::uint8_t type = input.PickValueInArray(types);
            // Without unused bits, which must be zero in DER.
            const std::string text =
                std::string(type == 0x03 ? 1 : 0, '\0') + input.ConsumeRandomLengthString(300);
            rdn += value_of(0x30, std::string("\x06\x03\x55\x04") + static_cast<char>(kind) +
                                      value_of(type, text));
        } while (input.ConsumeBool() && rdn.size() < longest);
        rdns += value_of(0x31, rdn);
    }
    return value_of(0x30, rdns);
}

}  // namespace

void run(Input& input) {
    const bool is_made = input.ConsumeBool();
    const std::string name = is_made ? made_of(input) : input.ConsumeRemainingBytesAsString();
    std::vector<std::uint8_t> room(2 * name.size());
    const auto canonical = ussl::canonical_name(bytes(name), room);
    const auto wanted = openssl_hash_of(bytes(name));
    if (canonical && wanted)
        expect(hash_of(*canonical) == *wanted, "the hash of OpenSSL");
    expect(!is_made || !wanted || canonical, "each name that OpenSSL accepts");
    if (!canonical)
        return;
    // The canonical form is the same for itself.
    std::vector<std::uint8_t> again(2 * room.size());
    const std::string whole =
        value_of(0x30, {reinterpret_cast<const char*>(canonical->data()), canonical->size()});
    const auto second = ussl::canonical_name(bytes(whole), again);
    expect(second && std::ranges::equal(*second, *canonical), "a canonical form of itself");
    // Each byte of room is needed.
    if (!canonical->empty())
        expect(!ussl::canonical_name(bytes(name), MutableBytes(room).first(canonical->size() - 1)),
               "enough room");
}

}  // namespace fuzz
