#include "pem.hpp"

#include <algorithm>
#include <cstring>

#include "text.hpp"

namespace ussl {
namespace pem {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view begin_marker = "-----BEGIN ";
constexpr std::string_view end_marker = "-----END ";
constexpr std::string_view dashes = "-----";
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::string_view blanks = " \t\r\n\0"sv;

constexpr ConfigError invalid_certificate{"invalid cert"};
constexpr ConfigError no_memory{"out of memory", true};
constexpr char malformed_pem[] = "the PEM is malformed";

// How to convert a file. Flash of a board is for other things.
#ifdef USSL_BOARD
#define USSL_LOOKS(what, command) "this looks like " what
#else
#define USSL_LOOKS(what, command) "this looks like " what "; convert it with: " command " "
#endif

std::string_view text_of(Bytes data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

bool is(Bytes oid, std::string_view wanted) {
    return text_of(oid) == wanted;
}

std::string_view trimmed(std::string_view text) {
    text = from(text, std::min(text.find_first_not_of(blanks), text.size()));
    return up_to(text, text.find_last_not_of(blanks) + 1);
}

// The size of the DER value that `data` begins with, if it is of certificates, CRLs or keys, which
// have their size in one byte to three: no text goes on behind a "0" like that. SIZE_MAX: it is
// none.
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

// No control characters, which DER that was cut off is full of.
bool is_text(std::string_view line) {
    return std::ranges::all_of(line, [](char c) {
        return blanks.find(c) != blanks.npos || static_cast<unsigned char>(c) >= 0x20;
    });
}

// RFC 4648 §4: the value of a digit and 1, or 0. Neither branches nor memory depend on it: it may
// be of a private key.
unsigned value_of(std::uint8_t digit) {
    const unsigned c = digit;
    const auto within = [c](unsigned low, unsigned high) {
        return ((low - 1 - c) & (c - high - 1)) >> 31;
    };
    return within('A', 'Z') * (c - 'A' + 1) + within('a', 'z') * (c - 'a' + 27) +
           within('0', '9') * (c - '0' + 53) + within('+', '+') * 63 + within('/', '/') * 64;
}

// false: it is malformed, or there is no memory, and `into` is empty.
bool decode(std::string_view base64, SecretBytes& into, std::size_t& size) {
    into = SecretBytes(base64.size() / 4 * 3 + 3);
    if (into.empty())
        return false;
    unsigned group = 0, digits = 0, padding = 0;
    size = 0;
    for (const char c : base64) {
        if (blanks.find(c) != blanks.npos)
            continue;
        const unsigned value = value_of(static_cast<std::uint8_t>(c));
        if (c == '=' ? digits + padding < 2 || digits + padding >= 4 : value == 0 || padding != 0)
            return false;
        if (c == '=') {
            ++padding;
            continue;
        }
        group = group << 6 | (value - 1);
        if (++digits != 4)
            continue;
        for (unsigned shift = 24; shift != 0; shift -= 8)
            into.data()[size++] = static_cast<unsigned char>(group >> (shift - 8));
        group = digits = 0;
    }
    if (digits == 0)
        return padding == 0 && size != 0;
    if (digits + padding != 4)
        return false;
    group <<= 6 * padding;
    for (unsigned shift = 24; shift != 8 * padding; shift -= 8)
        into.data()[size++] = static_cast<unsigned char>(group >> (shift - 8));
    return true;
}

// One block of PEM, one DER value, or what is neither.
struct Item {
    enum class Kind : std::uint8_t { pem, der, malformed };
    Kind kind;
    std::string_view all;      ///< from the first byte to the last
    std::string_view label{};  ///< "CERTIFICATE"
    std::string_view headers{};
    std::string_view base64{};

    [[nodiscard]] bool is_key() const { return label.ends_with("PRIVATE KEY"); }
    [[nodiscard]] bool is_certificate() const {
        return label == "CERTIFICATE" || label == "X509 CERTIFICATE" ||
               label == "TRUSTED CERTIFICATE";
    }
    [[nodiscard]] bool is_crl() const { return label == "X509 CRL"; }
    /// What may stand beside a certificate or key, and is of no use here.
    [[nodiscard]] bool is_beside() const {
        return label.ends_with("KEY") || label.ends_with("PARAMETERS");
    }
};

// Walks over a file. Between blocks may be any lines of text, "Bag Attributes" for example.
class Reader {
  public:
    explicit Reader(Bytes data)
        : all_(text_of(data)), rest_(all_), has_pem_(all_.find(begin_marker) != all_.npos) {}

    std::optional<Item> next();
    [[nodiscard]] bool has_pem() const { return has_pem_; }
    /// Says where in the file an item begins.
    ConfigError at(ConfigError config_error, const Item& item) const;

  private:
    std::string_view take(std::size_t size) {
        const std::string_view taken = up_to(rest_, size);
        rest_ = from(rest_, taken.size());
        return taken;
    }
    Item block();

    std::string_view all_;
    std::string_view rest_;
    bool has_pem_;
};

ConfigError Reader::at(ConfigError config_error, const Item& item) const {
    const auto offset = static_cast<std::size_t>(item.all.data() - all_.data());
    if (item.kind == Item::Kind::pem || (has_pem_ && item.kind == Item::Kind::malformed))
        config_error.line =
            1 + static_cast<std::uint32_t>(std::ranges::count(up_to(all_, offset), '\n'));
    else
        config_error.offset = static_cast<std::uint32_t>(offset);
    return config_error;
}

// What begins with begin_marker.
Item Reader::block() {
    const std::string_view text = from(rest_, begin_marker.size());
    const std::string_view label = up_to(text, text.find_first_of("\r\n-"sv));
    std::string_view body = from(text, label.size());
    const std::string_view next_begin = from(body, std::min(body.find(begin_marker), body.size()));
    const std::size_t end = body.find(end_marker);
    const std::string_view behind =
        from(body, end == body.npos ? body.size() : end + end_marker.size());
    if (!body.starts_with(dashes) || end == body.npos || next_begin.size() > behind.size() ||
        !behind.starts_with(label) || !from(behind, label.size()).starts_with(dashes)) {
        // All up to the next block, for the engine to call it malformed.
        return {Item::Kind::malformed, take(rest_.size() - next_begin.size()), label};
    }
    Item item{Item::Kind::pem, {}, label};
    item.all = take(rest_.size() - behind.size() + label.size() + dashes.size());
    body = trimmed(from(up_to(body, end), dashes.size()));
    // RFC 1421 §4.6: headers, and an empty line.
    item.base64 = body;
    for (;;) {
        const std::string_view line = up_to(item.base64, item.base64.find_first_of("\r\n"sv));
        if (line.find(':') == line.npos)
            break;
        item.base64 = trimmed(from(item.base64, line.size()));
    }
    item.headers = up_to(body, body.size() - item.base64.size());
    return item;
}

std::optional<Item> Reader::next() {
    for (;;) {
        take(std::min(rest_.find_first_not_of(blanks), rest_.size()));
        if (rest_.starts_with(byte_order_mark)) {
            take(byte_order_mark.size());
            continue;
        }
        if (rest_.empty())
            return std::nullopt;
        if (const std::size_t size = der_size(bytes_of(rest_)); size <= rest_.size())
            return Item{Item::Kind::der, take(size)};
        if (rest_.starts_with(begin_marker))
            return block();
        const std::string_view line = up_to(rest_, rest_.find_first_of("\r\n"sv));
        // The end of what has no beginning is damaged, and so is a line that is no text.
        if (!has_pem_ || !is_text(line) || line.starts_with(end_marker))
            return Item{Item::Kind::malformed, take(rest_.size())};
        take(line.size());
    }
}

constexpr std::string_view rsa = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01";
constexpr std::string_view rsa_pss = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A";
constexpr std::string_view ec = "\x2A\x86\x48\xCE\x3D\x02\x01";
constexpr std::string_view ed25519 = "\x2B\x65\x70";
constexpr std::string_view ed448 = "\x2B\x65\x71";

// The curves that ussl can say of whether they are too weak, or that TLS has (RFC 8422 §5.1.1).
Algorithm algorithm_of_curve(Bytes curve) {
    for (const std::string_view known :
         {"\x2A\x86\x48\xCE\x3D\x03\x01\x01"sv, "\x2A\x86\x48\xCE\x3D\x03\x01\x07"sv,
          "\x2B\x81\x04\x00\x21"sv, "\x2B\x81\x04\x00\x22"sv, "\x2B\x81\x04\x00\x23"sv})
        if (is(curve, known))
            return Algorithm::common;
    return Algorithm::unsupported;
}

// Of an AlgorithmIdentifier (RFC 5280 §4.1.1.2).
Algorithm algorithm_of(Bytes identifier) {
    Der der(identifier);
    const auto oid = der.take(Der::oid);
    if (!oid)
        return Algorithm::malformed;
    if (is(*oid, rsa))
        return Algorithm::common;
    if (is(*oid, ec)) {
        const auto curve = der.take(Der::oid);
        return curve ? algorithm_of_curve(*curve) : Algorithm::unsupported;
    }
    return is(*oid, rsa_pss) || is(*oid, ed25519) || is(*oid, ed448) ? Algorithm::rare
                                                                     : Algorithm::unsupported;
}

const char* looks_like_der(Bytes data, bool wants_key) {
    Der der(data);
    const auto outer = der.take(Der::sequence);
    if (!outer)
        return nullptr;
    Der in(*outer);
    if (const auto type = in.take(Der::oid))  // RFC 5652 §3
        return is(*type, "\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02")
                   ? USSL_LOOKS("PKCS#7", "openssl pkcs7 -inform DER -print_certs -in")
                   : nullptr;
    if (const auto version = in.take(Der::integer)) {
        if (is(*version, "\x03") && in.is_next(Der::sequence))  // RFC 7292 §4
            return USSL_LOOKS("PKCS#12", "openssl pkcs12 -nodes -in");
        return wants_key ? nullptr : "this looks like a private key: are the two files swapped?";
    }
    const auto inner = in.take(Der::sequence);
    if (!inner)
        return nullptr;
    Der first(*inner);
    if (first.is_next(Der::oid) && in.is_next(Der::octets))  // RFC 5958 §3
        return wants_key ? nullptr : "this looks like a private key: are the two files swapped?";
    if (algorithm_of_certificate(data) != Algorithm::malformed)
        return wants_key ? "this looks like a certificate: are the two files swapped?" : nullptr;
    const auto version = first.take(Der::integer);
    if (version && is(*version, "\0"sv) && first.is_next(Der::sequence))  // RFC 2986 §4
        return USSL_LOOKS("a certificate request, which a CA makes a certificate of",
                          "openssl x509 -req -inform DER -CA ca.crt -CAkey ca.key -in");
    return nullptr;
}

const char* looks_like_pem(const Item& item, bool wants_key) {
    if (item.label == "PKCS7" || item.label == "CMS")
        return USSL_LOOKS("PKCS#7", "openssl pkcs7 -print_certs -in");
    if (item.label.ends_with("CERTIFICATE REQUEST"))
        return USSL_LOOKS("a certificate request, which a CA makes a certificate of",
                          "openssl x509 -req -CA ca.crt -CAkey ca.key -in");
    if (item.label == "OPENSSH PRIVATE KEY")
        return USSL_LOOKS("an OpenSSH key, which openssl does not read", "ssh-keygen -p -m PEM -f");
    if (item.is_key())
        return wants_key ? nullptr : "this looks like a private key: are the two files swapped?";
    if (item.label.ends_with("PUBLIC KEY"))
        return "this looks like a public key";
    if (item.is_certificate() && wants_key)
        return "this looks like a certificate: are the two files swapped?";
    return nullptr;
}

// What a file without a key, or without a certificate, is instead.
const char* looks_like(Bytes data, bool wants_key) {
    const std::string_view text = text_of(data);
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
        text.starts_with("-\0-\0"sv) || text.starts_with("\0-\0-"sv))
        return USSL_LOOKS("UTF-16", "iconv -f UTF-16 -t UTF-8");
    if (text.starts_with("\xFE\xED\xFE\xED") || text.starts_with("\xCE\xCE\xCE\xCE"))
#ifdef USSL_BOARD
        return "this looks like a Java key store";
#else
        return "this looks like a Java key store; convert it with keytool -importkeystore "
               "-deststoretype PKCS12 -destkeystore made.p12 -srckeystore, and then: openssl "
               "pkcs12 "
               "-nodes -in made.p12";
#endif
    if (trimmed(text.starts_with(byte_order_mark) ? from(text, byte_order_mark.size()) : text)
            .starts_with('<'))
        return "this looks like HTML or XML: a page was saved instead of the file";
    if (text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-"))
        return "this looks like an OpenSSH public key";
    Reader reader(data);
    if (!reader.has_pem())
        return looks_like_der(data, wants_key);
    while (const auto item = reader.next())
        if (const char* hint = looks_like_pem(*item, wants_key))
            return hint;
    return nullptr;
}

ConfigError with_hint(ConfigError config_error, Bytes data, bool wants_key) {
    config_error.hint = looks_like(data, wants_key);
    return config_error;
}

// What OpenSSL's TRUSTED CERTIFICATE has behind the certificate (X509_CERT_AUX): whether it says
// for which purposes it is trusted, or is not. ussl does not evaluate that.
bool has_trust_settings(Bytes aux) {
    Der der(aux);
    const auto settings = der.take(Der::sequence);
    return !settings || !der.at_end() || Der(*settings).is_next(Der::sequence) ||
           Der(*settings).is_next(Der::context_0);
}

// The first value of `der`, whole.
Bytes first_value(Bytes der) {
    Der rest(der);
    return rest.take(Der::sequence) ? der.first(der.size() - rest.left()) : Bytes{};
}

enum class Purpose : std::uint8_t { chain, trusted, system };

class PemOrDerReader {
  public:
    PemOrDerReader(Bytes data, Taker& taker, Purpose purpose)
        : data_(data), taker_(taker), purpose_(purpose), reader_(data) {}
    std::optional<ConfigError> read();
    [[nodiscard]] std::size_t unsupported() const { return unsupported_; }

  private:
    using Taken = Taker::Taken;
    Taken take(const Item& item, bool& lacks_memory);
    Taken take_certificate(Bytes der, bool trusted_label);

    Bytes data_;
    Taker& taker_;
    Purpose purpose_;
    Reader reader_;
    std::size_t certificates_ = 0, crls_ = 0, unsupported_ = 0;
    bool has_settings_ = false;
    bool is_bad_pem_ = false;  ///< of the last that was malformed: not what is in it
};

Taker::Taken PemOrDerReader::take_certificate(Bytes der, bool trusted_label) {
    if (trusted_label) {
        const Bytes certificate = first_value(der);
        if (certificate.empty())
            return Taken::malformed;
        // Of one's own certificate they do not matter.
        if (certificate.size() != der.size() && purpose_ != Purpose::chain &&
            has_trust_settings(der.subspan(certificate.size()))) {
            has_settings_ = true;
            return Taken::unsupported;
        }
        der = certificate;
    }
    const Algorithm algorithm = algorithm_of_certificate(der);
    if (algorithm == Algorithm::malformed || algorithm == Algorithm::unsupported)
        return algorithm == Algorithm::malformed ? Taken::malformed : Taken::unsupported;
    return taker_.certificate(der);
}

Taker::Taken PemOrDerReader::take(const Item& item, bool& lacks_memory) {
    Bytes der = bytes_of(item.all);
    SecretBytes decoded;
    if (item.kind == Item::Kind::pem) {
        std::size_t size = 0;
        // Nobody has an encrypted certificate.
        if (!item.headers.empty() || !decode(item.base64, decoded, size)) {
            lacks_memory = item.headers.empty() && decoded.empty();
            is_bad_pem_ = item.headers.empty();
            return Taken::malformed;
        }
        der = {decoded.data(), size};
    }
    const bool may_be_crl = item.kind == Item::Kind::der || item.is_crl();
    const bool is_certificate =
        item.is_certificate() ||
        (item.kind == Item::Kind::der && algorithm_of_certificate(der) != Algorithm::malformed);
    const bool trusted_label = item.label == "TRUSTED CERTIFICATE";
    if (!trusted_label && !is_one_value(der))
        return Taken::malformed;
    if (is_certificate) {
        const Taken taken = take_certificate(der, trusted_label);
        certificates_ += taken == Taken::yes ? 1U : 0U;
        unsupported_ += taken == Taken::unsupported ? 1U : 0U;
        return taken;
    }
    if (!may_be_crl || purpose_ == Purpose::chain)
        return Taken::malformed;
    const Taken taken = taker_.crl(der);
    crls_ += taken == Taken::yes ? 1U : 0U;
    return taken;
}

std::optional<ConfigError> PemOrDerReader::read() {
    constexpr ConfigError unsupported{"unsupported cert: this engine does not have its algorithm"};
    std::optional<Item> skipped;
    while (const auto item = reader_.next()) {
        if (item->kind == Item::Kind::pem && item->is_beside() &&
            item->label != "OPENSSH PRIVATE KEY")
            continue;
        bool lacks_memory = false;
        const Taken taken =
            item->kind == Item::Kind::malformed ? Taken::malformed : take(*item, lacks_memory);
        if (lacks_memory)
            return no_memory;
        if (taken == Taken::yes || purpose_ == Purpose::system)
            continue;
        if (taken == Taken::unsupported) {
            if (purpose_ == Purpose::chain)
                return reader_.at(unsupported, *item);
            if (!skipped)
                skipped = item;
            continue;
        }
        if (taken == Taken::refused)
            return reader_.at(ConfigError{taker_.config_error()}, *item);
        ConfigError config_error = reader_.at(invalid_certificate, *item);
        if (certificates_ + crls_ + unsupported_ == 0)
            config_error.hint = looks_like(data_, false);
        if (config_error.hint == nullptr &&
            (is_bad_pem_ || (item->kind == Item::Kind::malformed && reader_.has_pem())))
            config_error.hint = malformed_pem;
        return config_error;
    }
    if (purpose_ == Purpose::system)
        return std::nullopt;
    if (certificates_ == 0 && skipped) {
        // OpenSSL's own words for what takes them off.
        constexpr ConfigError settings{
            "unsupported cert", false,
            USSL_LOOKS("a TRUSTED CERTIFICATE with trust settings", "openssl x509 -in")};
        return reader_.at(has_settings_ ? settings : unsupported, *skipped);
    }
    if (certificates_ + crls_ == 0)
        return with_hint(invalid_certificate, data_, false);
    return std::nullopt;
}

// The dotted text of an OID (X.690 §8.19), cut off where there is no more room.
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

// RFC 8018 §6.2, §A.2: PBKDF2 with HMAC of SHA-1 or SHA-2, and AES or 3DES in CBC mode.
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

// RFC 5958 §3: an encrypted key begins with how it is encrypted, any other with a version.
void look_at_encryption(KeyContent& key) {
    Der der(key.der);
    Der in(der.take(Der::sequence).value_or(Bytes{}));
    const auto identifier = in.take(Der::sequence);
    if (!identifier || !in.is_next(Der::octets))
        return;
    key.is_encrypted = true;
    Der algorithm(*identifier);
    const Bytes oid = algorithm.take(Der::oid).value_or(Bytes{});
    if (is(oid, "\x2A\x86\x48\x86\xF7\x0D\x01\x05\x0D")) {
        const std::size_t size = algorithm.left();
        key.is_common = is_common_pbes2(key, identifier->last(size));
        return;
    }
    name_encryption(key, oid);
    // With 3DES, of three keys or two.
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

Algorithm algorithm_of_certificate(Bytes der) {
    Der whole(der);
    const auto certificate = whole.take(Der::sequence);
    if (!certificate)
        return Algorithm::malformed;
    Der parts(*certificate);
    const auto signed_part = parts.take(Der::sequence);
    if (!signed_part || !parts.take(Der::sequence) || !parts.take(Der::bit_string) ||
        !parts.at_end())
        return Algorithm::malformed;
    Der in(*signed_part);
    (void)in.take(Der::context_0);  // the version
    if (!in.take(Der::integer))     // the serial number
        return Algorithm::malformed;
    for (int i = 0; i < 4; ++i)  // signature, issuer, validity, subject
        if (!in.take(Der::sequence))
            return Algorithm::malformed;
    const auto key = in.take(Der::sequence);
    if (!key)
        return Algorithm::malformed;
    Der of_key(*key);
    const auto identifier = of_key.take(Der::sequence);
    return identifier && of_key.take(Der::bit_string) ? algorithm_of(*identifier)
                                                      : Algorithm::malformed;
}

Algorithm algorithm_of_key(Bytes der) {
    Der whole(der);
    Der in(whole.take(Der::sequence).value_or(Bytes{}));
    if (!in.take(Der::integer) || !whole.at_end())
        return Algorithm::malformed;
    if (const auto identifier = in.take(Der::sequence))  // PKCS#8
        return in.is_next(Der::octets) ? algorithm_of(*identifier) : Algorithm::malformed;
    if (in.take(Der::octets)) {  // SEC 1
        const auto parameters = in.take(Der::context_0);
        if (!parameters)
            return Algorithm::common;
        const auto curve = Der(*parameters).take(Der::oid);
        return curve ? algorithm_of_curve(*curve) : Algorithm::unsupported;
    }
    return in.take(Der::integer) ? Algorithm::common : Algorithm::malformed;  // PKCS#1
}

ConfigError unparsed_key(const KeyContent& key, Bytes der) {
    switch (algorithm_of_key(der)) {
        case Algorithm::malformed:
            // One wrong password of 256 comes to padding that is right, and to nonsense.
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
            return std::unexpected(ConfigError{"unsupported key: TLS does not sign with DSA"});
        std::size_t size = 0;
        if (item->kind == Item::Kind::malformed || !decode(item->base64, key.decoded, size)) {
            if (item->kind == Item::Kind::pem && key.decoded.empty())
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
        // What is encrypted in the old way is DER only when it has been decrypted.
        if (key.dek_info.empty() && !is_one_value(key.der))
            return std::unexpected(config_error);
        return key;
    }
    return std::unexpected(with_hint(invalid_key, data, true));
}

std::optional<Content> read_first_certificate(Bytes data) {
    Reader reader(data);
    while (const auto item = reader.next()) {
        Content content{{}, bytes_of(item->all)};
        std::size_t size = 0;
        if (item->kind == Item::Kind::der &&
            algorithm_of_certificate(content.der) == Algorithm::malformed)
            continue;  // a CRL
        if (item->kind == Item::Kind::der)
            return content;
        if (item->kind == Item::Kind::pem && !item->is_certificate())
            continue;
        if (item->kind == Item::Kind::malformed || !item->headers.empty() ||
            !decode(item->base64, content.decoded, size))
            break;
        content.der = {content.decoded.data(), size};
        if (item->label == "TRUSTED CERTIFICATE")
            content.der = first_value(content.der);
        if (!is_one_value(content.der))
            break;
        return content;
    }
    return std::nullopt;
}

std::optional<ConfigError> read_chain(Bytes data, Taker& taker) {
    return PemOrDerReader(data, taker, Purpose::chain).read();
}

std::optional<ConfigError> read_trusted(Bytes data, Taker& taker, std::size_t& unsupported) {
    PemOrDerReader values(data, taker, Purpose::trusted);
    std::optional<ConfigError> config_error = values.read();
    unsupported += values.unsupported();
    return config_error;
}

bool read_system(Bytes data, Taker& taker, std::size_t& unsupported) {
    PemOrDerReader values(data, taker, Purpose::system);
    const bool has_memory = !values.read();
    unsupported += values.unsupported();
    return has_memory;
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
    pem::Reader reader(content);
    while (const auto item = reader.next())
        // Nobody knows what else there is behind what is malformed.
        if (item->is_key() || (item->kind == pem::Item::Kind::malformed &&
                               item->all.find("PRIVATE KEY") != item->all.npos)) {
            const auto at = static_cast<std::size_t>(
                reinterpret_cast<const std::uint8_t*>(item->all.data()) - content.data());
            const MutableBytes key = content.subspan(at, item->all.size());
            wipe(key.data(), key.size());
        }
}

}  // namespace ussl
