// Reads private keys, and detects how they are encrypted.

#include <algorithm>
#include <cstring>

#include "../pem.hpp"
#include "../text.hpp"
#include "formats.hpp"

namespace ussl {
namespace pem {
namespace {

using namespace std::string_view_literals;

constexpr ConfigError no_memory{"out of memory", true};
constexpr ConfigError omitted{USSL_OMITTED("the decryption of `key`", "encrypted_keys")};

// Writes the dotted form of an OID (X.690 §8.19), truncated to the size of `into`.
void write_oid(Bytes oid, std::span<char> into) {
    std::size_t size = 0;
    const auto add = [&](std::uint64_t number) {
        char digits[20];
        std::size_t count = 0;
        do
            digits[count++] = static_cast<char>('0' + number % 10);
        while ((number /= 10) != 0);
        if (size != 0 && size + 1 < into.size())
            into[size++] = '.';
        while (count != 0 && size + 1 < into.size())
            into[size++] = digits[--count];
    };
    std::uint64_t number = 0;
    for (const std::uint8_t byte : oid) {
        number = number << 7 | (byte & 0x7FU);
        if ((byte & 0x80) != 0)
            continue;
        if (size == 0) {
            const std::uint64_t first = std::min<std::uint64_t>(number / 40, 2);
            add(first);
            number -= first * 40;
        }
        add(number);
        number = 0;
    }
    into[size] = '\0';
}

struct Name {
    std::string_view oid;
    const char* name;
};

void name_encryption(KeyContent& key, Bytes oid) {
#ifndef USSL_BOARD
    static constexpr Name names[] = {
        {"\x2B\x06\x01\x04\x01\xDA\x47\x04\x0B"sv, "scrypt"},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x05\x03"sv, "PBE-MD5-DES"},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x05\x0A"sv, "PBE-SHA1-DES"},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x01\x01"sv, "PBE-SHA1-RC4-128"},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x01\x02"sv, "PBE-SHA1-RC4-40"},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x01\x05"sv, "PBE-SHA1-RC2-128"},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x01\x06"sv, "PBE-SHA1-RC2-40"},
        {"\x2B\x0E\x03\x02\x07"sv, "DES-CBC"},
        {"\x2A\x86\x48\x86\xF7\x0D\x03\x02"sv, "RC2-CBC"},
        {"\x2A\x83\x08\x8C\x9A\x4B\x3D\x01\x01\x01\x02"sv, "CAMELLIA-128-CBC"},
        {"\x2A\x83\x08\x8C\x9A\x4B\x3D\x01\x01\x01\x04"sv, "CAMELLIA-256-CBC"},
    };
    for (const Name& one : names)
        if (is(oid, one.oid)) {
            std::strncpy(key.encryption, one.name, sizeof key.encryption - 1);
            return;
        }
#endif
    write_oid(oid, key.encryption);
}

// Returns true for PBES2 (RFC 8018 §6.2, §A.2) with PBKDF2, HMAC with SHA-1 or SHA-2, and AES or
// 3DES in CBC mode.
bool is_common_pbes2(KeyContent& key, Bytes parameters) {
    Der der(parameters);
    Der parts(der.take(Der::sequence).value_or(Bytes{}));
    Der derivation(parts.take(Der::sequence).value_or(Bytes{}));
    Der scheme(parts.take(Der::sequence).value_or(Bytes{}));
    const Bytes kdf = derivation.take(Der::oid).value_or(Bytes{});
    name_encryption(key, kdf);
    if (!is(kdf, "\x2A\x86\x48\x86\xF7\x0D\x01\x05\x0C"))
        return false;
    Der pbkdf2(derivation.take(Der::sequence).value_or(Bytes{}));
    (void)pbkdf2.take(Der::octets);
    while (pbkdf2.take(Der::integer)) {
    }
    if (const auto prf = pbkdf2.take(Der::sequence)) {
        Der identifier(*prf);
        const Bytes hash = identifier.take(Der::oid).value_or(Bytes{});
        name_encryption(key, hash);
        constexpr std::string_view hmac = "\x2A\x86\x48\x86\xF7\x0D\x02";
        constexpr std::uint8_t sha1 = 7, sha512 = 11;
        if (hash.size() != hmac.size() + 1 || !text_of(hash).starts_with(hmac) ||
            hash.back() < sha1 || hash.back() > sha512)
            return false;
    }
    const Bytes cipher = scheme.take(Der::oid).value_or(Bytes{});
    name_encryption(key, cipher);
    for (const std::string_view known :
         {"\x60\x86\x48\x01\x65\x03\x04\x01\x02"sv, "\x60\x86\x48\x01\x65\x03\x04\x01\x16"sv,
          "\x60\x86\x48\x01\x65\x03\x04\x01\x2A"sv, "\x2A\x86\x48\x86\xF7\x0D\x03\x07"sv})
        if (is(cipher, known))
            return true;
    return false;
}

// RFC 5958 §3: an encrypted key starts with its encryption algorithm, any other key with a version.
void look_at_encryption(KeyContent& key) {
    Der der(key.der);
    Der in(der.take(Der::sequence).value_or(Bytes{}));
    const auto identifier = in.take(Der::sequence);
    if (!identifier || !in.is_next(Der::octets))
        return;
    key.is_encrypted = true;
    if constexpr (!features::encrypted_keys)
        return;
    Der algorithm(*identifier);
    const Bytes oid = algorithm.take(Der::oid).value_or(Bytes{});
    if (is(oid, "\x2A\x86\x48\x86\xF7\x0D\x01\x05\x0D")) {
        const std::size_t size = algorithm.left();
        key.is_common = is_common_pbes2(key, identifier->last(size));
        return;
    }
    name_encryption(key, oid);
    // 3DES with three keys or two.
    key.is_pkcs12 = is(oid, "\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x01\x03") ||
                    is(oid, "\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x01\x04");
    key.is_common = key.is_pkcs12;
}

void look_at_headers(KeyContent& key, std::string_view headers) {
    constexpr std::string_view name = "DEK-Info:";
    key.is_encrypted = headers.find("ENCRYPTED") != headers.npos;
    const std::size_t at = headers.find(name);
    if (!key.is_encrypted || at == headers.npos)
        return;
    const std::string_view value = from(headers, at + name.size());
    key.dek_info = trimmed(up_to(value, value.find_first_of("\r\n"sv)));
    const std::string_view cipher = up_to(key.dek_info, key.dek_info.find(','));
    std::memcpy(key.encryption, cipher.data(), std::min(cipher.size(), sizeof key.encryption - 1));
    for (const std::string_view known :
         {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC"})
        key.is_common = key.is_common || cipher == known;
}

}  // namespace

ConfigError unparsed_key(const KeyContent& key, Bytes der) {
    switch (algorithm_of_key(der)) {
        case Algorithm::malformed:
            // One in 256 wrong passwords gives valid padding, and then random content.
            return key.is_encrypted ? wrong_password : invalid_key;
        case Algorithm::common:
            return invalid_key;
        default:
            return unsupported_key;
    }
}

ConfigError unsupported_encryption(const KeyContent& key) {
    ConfigError config_error{"unsupported key encryption"};
    std::memcpy(config_error.named, key.encryption, sizeof config_error.named);
    return config_error;
}

std::expected<KeyContent, ConfigError> read_key(Bytes data) {
    Reader reader(data);
    KeyContent key;
    if (!reader.has_pem()) {
        key.der = data;
        if (!is_one_value(data))
            return std::unexpected(with_hint(invalid_key, data, true));
        look_at_encryption(key);
        if (!features::encrypted_keys && key.is_encrypted)
            return std::unexpected(omitted);
        if (!key.is_encrypted && algorithm_of_key(data) == Algorithm::malformed)
            return std::unexpected(with_hint(invalid_key, data, true));
        return key;
    }
    while (const auto item = reader.next()) {
        if (!item->is_key() && item->kind != Item::Kind::malformed)
            continue;
        ConfigError config_error = reader.at(invalid_key, *item);
        if (item->kind == Item::Kind::malformed)
            config_error.hint = malformed_pem;
        if (const char* hint = looks_like_pem(*item, true)) {
            config_error.hint = hint;
            return std::unexpected(config_error);
        }
        if (item->label == "DSA PRIVATE KEY")
            return std::unexpected(ConfigError{
                USSL_ARGUMENT("unsupported key: TLS does not sign with DSA", "unsupported `key`")});
        std::size_t size = 0;
        if (item->kind == Item::Kind::malformed || !decode(item->base64, key.decoded, size)) {
            if (item->is_pem() && key.decoded.empty())
                return std::unexpected(no_memory);
            config_error.hint = malformed_pem;
            return std::unexpected(config_error);
        }
        key.der = {key.decoded.data(), size};
        look_at_headers(key, item->headers);
        if (key.is_encrypted && key.dek_info.empty()) {
            config_error.hint = malformed_pem;
            return std::unexpected(config_error);
        }
        if (!key.is_encrypted)
            look_at_encryption(key);
        if (!features::encrypted_keys && key.is_encrypted)
            return std::unexpected(omitted);
        // A key encrypted as in RFC 1421 is DER only after decryption.
        if (key.dek_info.empty() && !is_one_value(key.der))
            return std::unexpected(config_error);
        return key;
    }
    return std::unexpected(with_hint(invalid_key, data, true));
}

}  // namespace pem

SecretBytes private_key_of(Bytes content) {
    pem::Reader reader(content);
    Bytes part = content;
    const auto key = pem::read_key(content);
    while (const auto item = reader.has_pem() ? reader.next() : std::nullopt)
        if (item->is_key()) {
            part = pem::bytes_of(item->all);
            break;
        }
    if (key && key->dek_info.empty())
        part = key->der;
    SecretBytes copy(part.size());
    if (!copy.empty())
        std::memcpy(copy.data(), part.data(), part.size());
    return copy;
}

void wipe_private_keys(MutableBytes content) {
    if constexpr (!features::pem)
        return;
    pem::Reader reader(content);
    while (const auto item = reader.next())
        // A malformed item may contain more than its beginning shows, so it is overwritten as well.
        if (item->is_key() || (item->kind == pem::Item::Kind::malformed &&
                               item->all.find("PRIVATE KEY") != item->all.npos)) {
            const auto at = static_cast<std::size_t>(
                reinterpret_cast<const std::uint8_t*>(item->all.data()) - content.data());
            const MutableBytes key = content.subspan(at, item->all.size());
            wipe(key.data(), key.size());
        }
}

}  // namespace ussl
