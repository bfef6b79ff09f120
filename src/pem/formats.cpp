#include "formats.hpp"

#include "../pem.hpp"
#include "../switches.h"
#include "../text.hpp"

namespace ussl::pem {

using namespace std::string_view_literals;

namespace {

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

}  // namespace

const char* looks_like_pem(const Item& item, bool wants_key) {
    if constexpr (!features::error_texts)
        return nullptr;
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

const char* looks_like(Bytes data, bool wants_key) {
    if (!features::pem && contains_pem(text_of(data)))
        return USSL_OMITTED("PEM", "pem");
    if constexpr (!features::error_texts)
        return nullptr;
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

}  // namespace ussl::pem
