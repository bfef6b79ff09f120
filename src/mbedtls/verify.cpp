#include <cstring>

#include "../pem.hpp"
#include "../policy/certificates.hpp"
#include "../policy/limits.hpp"
#include "../text.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

using policy::failure_bit;

#ifdef USSL_PATCHED_MBEDTLS
static_assert(USSL_MOST_SIGNATURE_CHECKS == policy::max_signature_checks);
#endif

bool same(const mbedtls_x509_buf& a, const mbedtls_x509_buf& b) {
    return a.len == b.len && (a.len == 0 || std::memcmp(a.p, b.p, a.len) == 0);
}

Bytes bytes_of(const mbedtls_x509_buf& buffer) {
    return {buffer.p, buffer.len};
}

std::string_view text_of(const mbedtls_x509_buf& buffer) {
    return {reinterpret_cast<const char*>(buffer.p), buffer.len};
}

bool key_is_weak(const mbedtls_pk_context& key) {
    const auto bits = static_cast<int>(mbedtls_pk_get_bitlen(&key));
    if (mbedtls_pk_can_do(&key, MBEDTLS_PK_RSA) != 0)
        return bits < policy::minimum_rsa_bits;
    return mbedtls_pk_can_do(&key, MBEDTLS_PK_ECKEY) == 0 || bits < policy::minimum_ec_bits;
}

bool signature_is_weak(const mbedtls_x509_crt& certificate) {
    const mbedtls_md_info_t* md = mbedtls_md_info_from_type(certificate.sig_md);
    return md == nullptr || mbedtls_md_get_size(md) * 8 < policy::minimum_hash_bits;
}

bool may_sign_certificates(const mbedtls_x509_crt& certificate) {
    return certificate.ca_istrue != 0 &&
           mbedtls_x509_crt_check_key_usage(&certificate, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
}

// Returns true if a certificate names `issuer` as its issuer. RFC 5280 §8: the names must be
// identical byte by byte. §4.2.1.1: the authority key identifier must match.
bool issued(const mbedtls_x509_crt& issuer, const mbedtls_x509_crt& certificate) {
    const auto& named = certificate.authority_key_id;
    const auto fits = [](const mbedtls_x509_buf& wanted, const mbedtls_x509_buf& has) {
        return wanted.len == 0 || has.len == 0 || same(wanted, has);
    };
    if (!same(issuer.subject_raw, certificate.issuer_raw) ||
        !fits(named.keyIdentifier, issuer.subject_key_id) ||
        !fits(named.authorityCertSerialNumber, issuer.serial) ||
        mbedtls_pk_can_do(&issuer.pk, certificate.sig_pk) == 0)
        return false;
    // Only the first directoryName (tag 4) is compared.
    constexpr unsigned char directory =
        MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 4;
    for (const auto* name = &named.authorityCertIssuer; name != nullptr && name->buf.len != 0;
         name = name->next)
        if (name->buf.tag == directory)
            return same(name->buf, issuer.issuer_raw);
    return true;
}

enum class Signature : std::uint8_t { good, wrong, unsupported };

// Checks the signature of a certificate or a CRL.
template <class Signed>
Signature signature_of(const Signed& what, const mbedtls_x509_crt& issuer) {
    const mbedtls_md_info_t* md = mbedtls_md_info_from_type(what.sig_md);
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    if (md == nullptr || mbedtls_md(md, what.tbs.p, what.tbs.len, hash) != 0)
        return Signature::unsupported;
    // The const_cast is safe: Mbed TLS does not change the key.
    switch (mbedtls_pk_verify_ext(what.sig_pk, what.sig_opts,
                                  const_cast<mbedtls_pk_context*>(&issuer.pk), what.sig_md, hash,
                                  mbedtls_md_get_size(md), what.sig.p, what.sig.len)) {
        case 0:
            return Signature::good;
        case MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE:
        case MBEDTLS_ERR_PK_BAD_INPUT_DATA:  // the key is too long
            return Signature::unsupported;
        default:
            return Signature::wrong;
    }
}

// Mbed TLS reports every certificate without a trusted issuer in the same way. This function finds
// the reason among the peer's chain and the roots. It is a wrong signature, or an issuer that must
// not issue certificates; in the second case, the issuer is the certificate that fails.
void add_reason(const mbedtls_x509_crt& roots, const mbedtls_x509_crt& certificate, int depth,
                Found& found) {
    const auto add = [&](Code code) { found.add(failure_bit(code), &certificate, depth); };
    const bool is_own_issuer = issued(certificate, certificate);
    const Code alone =
        is_own_issuer && depth == 0 ? Code::CERT_SELF_SIGNED : Code::CERT_UNKNOWN_ISSUER;
    if (is_own_issuer && signature_of(certificate, certificate) == Signature::good)
        return add(alone);  // even if others have the same name
    const mbedtls_x509_crt* issuer = nullptr;
    for (const mbedtls_x509_crt* list :
         {&roots, static_cast<const mbedtls_x509_crt*>(certificate.next)})
        for (const mbedtls_x509_crt* candidate = list;
             candidate != nullptr && candidate->version != 0; candidate = candidate->next) {
            if (!issued(*candidate, certificate))
                continue;
            if (issuer == nullptr)
                issuer = candidate;
            if (!may_sign_certificates(*candidate))
                continue;
            // The first signature that can be checked decides, because a peer may send many
            // candidates.
            const Signature signature = signature_of(certificate, *candidate);
            if (signature == Signature::wrong)
                return add(Code::CERT_BAD_SIGNATURE);
            if (signature == Signature::good)
                return found.add(failure_bit(Code::CERT_INVALID), candidate, depth + 1);
        }
    if (issuer != nullptr)
        return found.add(failure_bit(Code::CERT_INVALID), issuer, depth + 1);
    add(alone);
}

// RFC 5280 §4.2.1.3, §4.2.1.12: a certificate with a purpose must not be used for others. As in
// OpenSSL, this includes CA certificates, "any purpose" is not sufficient, and Netscape's
// certificate type still counts.
bool purpose_fits(const mbedtls_x509_crt& certificate, int depth, bool of_server) {
    if (depth == 0 &&
        mbedtls_x509_crt_check_key_usage(&certificate, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
        return false;
    const int type = depth != 0  ? MBEDTLS_X509_NS_CERT_TYPE_SSL_CA
                     : of_server ? MBEDTLS_X509_NS_CERT_TYPE_SSL_SERVER
                                 : MBEDTLS_X509_NS_CERT_TYPE_SSL_CLIENT;
    if ((certificate.ext_types & MBEDTLS_X509_EXT_NS_CERT_TYPE) != 0 &&
        (certificate.ns_cert_type & type) == 0)
        return false;
    if ((certificate.ext_types & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) == 0)
        return true;
    constexpr std::string_view server{MBEDTLS_OID_SERVER_AUTH,
                                      MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)};
    constexpr std::string_view client{MBEDTLS_OID_CLIENT_AUTH,
                                      MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)};
    for (const mbedtls_x509_sequence* at = &certificate.ext_key_usage; at != nullptr; at = at->next)
        if (text_of(at->buf) == (of_server ? server : client))
            return true;
    return false;
}

constexpr int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;

bool is_oid(Bytes oid, std::string_view wanted) {
    return oid.size() == wanted.size() && std::memcmp(oid.data(), wanted.data(), oid.size()) == 0;
}

template <class Take>
bool for_each_extension(const mbedtls_x509_crt& certificate, Take take) {
    return mbedtls::for_each_extension(certificate.v3_ext.p,
                                       certificate.v3_ext.p + certificate.v3_ext.len, take);
}

// RFC 5280 §4.2: an extension must not occur twice, and no critical extension may be unknown. Name
// constraints (§4.2.1.10) are rejected even if they are not critical, because Mbed TLS does not
// evaluate them.
bool extensions_are_understood(const mbedtls_x509_crt& certificate) {
    constexpr std::string_view name_constraints{MBEDTLS_OID_NAME_CONSTRAINTS,
                                                MBEDTLS_OID_SIZE(MBEDTLS_OID_NAME_CONSTRAINTS)};
    return for_each_extension(certificate, [&](const Extension& one) {
        int times = 0;
        (void)for_each_extension(certificate, [&](const Extension& other) {
            times +=
                is_oid(other.oid, {reinterpret_cast<const char*>(one.oid.data()), one.oid.size()})
                    ? 1
                    : 0;
            return times < 2;
        });
        return times == 1 && !is_oid(one.oid, name_constraints) &&
               (!one.critical || policy::may_be_critical(one.oid));
    });
}

// X.690 §8.19.2: a component must not start with zero bits, and the last one must be complete. Mbed
// TLS accepts any bytes as an unknown OID.
bool is_whole(Bytes oid) {
    bool begins = true;
    for (const std::uint8_t byte : oid) {
        if (begins && byte == 0x80)
            return false;
        begins = byte < 0x80;
    }
    return !oid.empty() && begins;
}

// Returns true for the extensions of proxy certificates (RFC 3820), and of certificates of IP
// addresses and AS numbers (RFC 3779): their rules are not supported.
bool has_other_rules(Bytes oid) {
    constexpr std::string_view extensions_of_pkix = "\x2B\x06\x01\x05\x05\x07\x01";
    constexpr std::uint32_t addresses = 1U << 7, numbers = 1U << 8, proxy = 1U << 14;
    const std::size_t size = extensions_of_pkix.size();
    return oid.size() == size + 1 && is_oid(oid.first(size), extensions_of_pkix) &&
           oid[size] < 32 && ((addresses | numbers | proxy) >> oid[size] & 1) != 0;
}

// RFC 5280 §4.1.2.8 forbids CAs to use them. Mbed TLS accepts any constructed value, such as
// extensions with a wrong tag, which it then does not evaluate.
bool has_no_unique_identifiers(const mbedtls_x509_crt& certificate) {
    return certificate.issuer_id.p == nullptr && certificate.subject_id.p == nullptr;
}

// RFC 5280 §4.1.2.5: times include seconds, and their zone is Z. Mbed TLS does not require this.
bool dates_are_whole(const mbedtls_x509_crt& certificate) {
    unsigned char* at = certificate.issuer_raw.p + certificate.issuer_raw.len;
    const unsigned char* end = certificate.subject_raw.p;
    std::size_t size = 0;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    for (int i = 0; i < 2; ++i) {
        const bool is_utc = at != end && *at == MBEDTLS_ASN1_UTC_TIME;
        if (mbedtls_asn1_get_tag(&at, end, &size,
                                 is_utc ? MBEDTLS_ASN1_UTC_TIME : MBEDTLS_ASN1_GENERALIZED_TIME) !=
                0 ||
            size != (is_utc ? 13U : 15U) || at[size - 1] != 'Z')
            return false;
        at += size;
    }
    return true;
}

using pem::Der;

// Returns the content of the next value and advances. Empty: it has another tag, or no content.
Bytes taken_from(Der& der, std::uint8_t tag) {
    const auto content = der.take(tag);
    return content ? *content : Bytes{};
}

bool is_one_element(Bytes der) {
    Der value(der);
    return value.take(value.tag()) && value.at_end();
}

// Returns true if the text consists of characters of Unicode with `width` bytes each.
bool is_wide_text(Bytes text, std::size_t width) {
    if (text.size() % width != 0)
        return false;
    for (; !text.empty(); text = text.subspan(width)) {
        std::uint32_t character = 0;
        for (const std::uint8_t byte : text.first(width))
            character = character << 8 | byte;
        if (!is_unicode(character))
            return false;
    }
    return true;
}

// Returns true if the value of an attribute has the encoding of its type (X.690 §8.6.2, §8.23).
bool is_attribute_value(std::uint8_t type, Bytes value) {
    if (type == MBEDTLS_ASN1_UTF8_STRING)
        return is_utf8(value);
    if (type == MBEDTLS_ASN1_BIT_STRING)
        return !value.empty() && value[0] < 8;
    if (type == MBEDTLS_ASN1_BMP_STRING)
        return is_wide_text(value, 2);
    return type != MBEDTLS_ASN1_UNIVERSAL_STRING || is_wide_text(value, 4);
}

// RFC 5280 §4.1.2.4.
bool is_distinguished_name(Bytes name) {
    Der parts(name);
    const auto rdns = parts.take(Der::sequence);
    if (!rdns || !parts.at_end())
        return false;
    for (Der left(*rdns); !left.at_end();) {
        const auto rdn = left.take(Der::set);
        if (!rdn)
            return false;
        for (Der attributes(*rdn); !attributes.at_end();) {
            Der pair(taken_from(attributes, Der::sequence));
            const Bytes oid = taken_from(pair, Der::oid);
            const std::uint8_t type = pair.tag();
            const auto value = pair.take(type);
            if (!is_whole(oid) || !value || !pair.at_end() || !is_attribute_value(type, *value))
                return false;
        }
    }
    return true;
}

// Returns true if the content is one string: DirectoryString (RFC 5280 §4.1.2.4).
bool is_string(Bytes content) {
    constexpr std::uint32_t types = 1U << MBEDTLS_ASN1_UTF8_STRING |
                                    1U << MBEDTLS_ASN1_PRINTABLE_STRING |
                                    1U << MBEDTLS_ASN1_T61_STRING | 1U << MBEDTLS_ASN1_BMP_STRING |
                                    1U << MBEDTLS_ASN1_UNIVERSAL_STRING;
    Der string(content);
    const std::uint8_t type = string.tag();
    return is_one_element(content) && type < 32 && (types >> type & 1) != 0 &&
           is_attribute_value(type, taken_from(string, type));
}

// Returns true if this is a valid GeneralName (RFC 5280 §4.2.1.6). Mbed TLS accepts any content for
// the types that it does not use, and ignores whether their tags are constructed.
bool is_general_name(std::uint8_t tag, Bytes content) {
    constexpr std::uint8_t other_name = 0xA0, mail = 0x81, dns = 0x82, x400_address = 0xA3,
                           directory_name = 0xA4, edi_party = 0xA5, uri = 0x86, address = 0x87,
                           registered_id = 0x88;
    Der parts(content);
    switch (tag) {
        case mail:
        case dns:
        case x400_address:
        case uri:
        case address:
            return true;
        case other_name:
            return is_whole(taken_from(parts, Der::oid)) &&
                   is_one_element(taken_from(parts, Der::context_0)) && parts.at_end();
        case directory_name:
            return is_distinguished_name(content);
        case edi_party: {
            constexpr std::uint8_t assigner = 0xA0, party = 0xA1;
            return (!parts.is_next(assigner) || is_string(taken_from(parts, assigner))) &&
                   is_string(taken_from(parts, party)) && parts.at_end();
        }
        case registered_id:
            return is_whole(content);
        default:
            return false;
    }
}

// Returns true if the list is valid GeneralNames (RFC 5280 §4.2.1.6), without the tag of the list.
bool are_general_names(Bytes list) {
    for (Der names(list); !names.at_end();) {
        const std::uint8_t tag = names.tag();
        const auto name = names.take(tag);
        if (!name || !is_general_name(tag, *name))
            return false;
    }
    return true;
}

bool are_general_names(const mbedtls_x509_sequence& list) {
    for (const mbedtls_x509_sequence* at = &list; at != nullptr && at->buf.p != nullptr;
         at = at->next)
        if (!is_general_name(static_cast<std::uint8_t>(at->buf.tag), bytes_of(at->buf)))
            return false;
    return true;
}

// RFC 5280 §4.2.1.6: there must be at least one name.
bool alternatives_are_names(const mbedtls_x509_crt& certificate) {
    return (certificate.ext_types & MBEDTLS_X509_EXT_SUBJECT_ALT_NAME) == 0 ||
           (certificate.subject_alt_names.buf.p != nullptr &&
            are_general_names(certificate.subject_alt_names));
}

// RFC 5280 §4.2.1.13. Checked here because OpenSSL parses this extension, and Mbed TLS does not.
bool are_distribution_points(Bytes value) {
    constexpr std::uint8_t name_tag = 0xA0, full_name = 0xA0, relative_name = 0xA1, reasons = 0x81,
                           issuer = 0xA2;
    Der parts(value);
    const auto list = parts.take(Der::sequence);
    if (!list || !parts.at_end())
        return false;
    for (Der points(*list); !points.at_end();) {
        const auto point = points.take(Der::sequence);
        if (!point)
            return false;
        Der fields(*point);
        // A malformed field is not taken: the fields are then not at their end.
        if (const auto content = fields.take(name_tag)) {
            Der name(*content);
            const auto full = name.take(full_name);
            if ((full ? !are_general_names(*full) : !name.take(relative_name)) || !name.at_end())
                return false;
        }
        (void)fields.take(reasons);
        if (const auto names = fields.take(issuer); names && !are_general_names(*names))
            return false;
        if (!fields.at_end())
            return false;
    }
    return true;
}

bool extensions_are_readable(const mbedtls_x509_crt& certificate) {
    constexpr std::string_view distribution_points{
        MBEDTLS_OID_CRL_DISTRIBUTION_POINTS, MBEDTLS_OID_SIZE(MBEDTLS_OID_CRL_DISTRIBUTION_POINTS)};
    return for_each_extension(certificate, [&](const Extension& extension) {
        return is_whole(extension.oid) && !has_other_rules(extension.oid) &&
               (!is_oid(extension.oid, distribution_points) ||
                are_distribution_points(extension.value));
    });
}

// Returns false for keys that Mbed TLS parses although they are invalid or it misreads them. These
// are RSA keys with negative numbers, and points that are not uncompressed (RFC 8422 §5.4.1).
bool key_is_readable(const mbedtls_x509_crt& certificate) {
    unsigned char* at = certificate.pk_raw.p;
    const unsigned char* end = at + certificate.pk_raw.len;
    std::size_t size = 0;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)  // the algorithm
        return false;
    at += size;
    if (mbedtls_asn1_get_bitstring_null(&at, end, &size) != 0 || size == 0)
        return false;
    if (mbedtls_pk_can_do(&certificate.pk, MBEDTLS_PK_RSA) == 0) {
        constexpr unsigned char uncompressed = 4;  // SEC 1 §2.3.3
        return mbedtls_pk_can_do(&certificate.pk, MBEDTLS_PK_ECDSA) != 0 && *at == uncompressed;
    }
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    for (int i = 0; i < 2; ++i) {
        if (mbedtls_asn1_get_tag(&at, end, &size, MBEDTLS_ASN1_INTEGER) != 0 || size == 0 ||
            (*at & 0x80) != 0)
            return false;
        at += size;
    }
    return true;
}

// X.690 §8.3.2: an INTEGER has the shortest possible encoding.
bool serial_is_a_number(const mbedtls_x509_buf& serial) {
    if (serial.len < 2)
        return serial.len == 1;
    return !((serial.p[0] == 0 && serial.p[1] < 0x80) ||
             (serial.p[0] == 0xFF && serial.p[1] >= 0x80));
}

bool name_is_readable(const mbedtls_x509_name& name) {
    for (const mbedtls_x509_name* at = &name; at != nullptr; at = at->next)
        if ((at->oid.p != nullptr && !is_whole(bytes_of(at->oid))) ||
            !is_attribute_value(static_cast<std::uint8_t>(at->val.tag), bytes_of(at->val)))
            return false;
    return true;
}

// RSA-PSS must use one hash for both parts (RFC 4055 §3.1 recommends it): Mbed TLS supports no
// others.
bool signature_is_readable(const mbedtls_x509_crt& certificate) {
    const auto* pss = static_cast<const mbedtls_pk_rsassa_pss_options*>(certificate.sig_opts);
    return pss == nullptr || pss->mgf1_hash_id == certificate.sig_md;
}

#if USSL_HAS_CRLS

bool is_signed_by(const mbedtls_x509_crl& crl, const mbedtls_x509_crt& issuer) {
    return mbedtls_x509_crt_check_key_usage(&issuer, MBEDTLS_X509_KU_CRL_SIGN) == 0 &&
           signature_of(crl, issuer) == Signature::good;
}

// Checks revocation (RFC 5280 §6.3) with CRLs that cover all certificates of their issuer. Mbed TLS
// uses only CRLs that are present, and does not report a missing one. The newest valid CRL decides.
// If none is valid, that is a failure, and a revocation in the newest CRL is reported as well.
std::uint16_t revocation_of(const MbedContext& context, const mbedtls_x509_crt& certificate,
                            const mbedtls_x509_crt* issuer) {
    const std::int64_t clock = now();
    const mbedtls_x509_time time = x509_time(context.settings().verify_time.at(clock));
    const mbedtls_x509_crl* best = nullptr;
    bool best_is_good = false;
    for (const mbedtls_x509_crl* crl = &context.crls(); crl != nullptr; crl = crl->next) {
        if (crl->version == 0 || !same(crl->issuer_raw, certificate.issuer_raw))
            continue;
        const bool good =
            issuer != nullptr && mbedtls_x509_time_cmp(&crl->next_update, &time) >= 0 &&
            mbedtls_x509_time_cmp(&crl->this_update, &time) <= 0 && is_signed_by(*crl, *issuer);
        const bool newer =
            best == nullptr || mbedtls_x509_time_cmp(&crl->this_update, &best->this_update) > 0;
        if (best == nullptr || (good && !best_is_good) || (good == best_is_good && newer)) {
            best = crl;
            best_is_good = good;
        }
    }
    std::uint16_t failures = 0;
    if (!best_is_good) {
        const bool early = best != nullptr && issuer != nullptr &&
                           mbedtls_x509_time_cmp(&best->this_update, &time) > 0 &&
                           is_signed_by(*best, *issuer);
        failures |=
            failure_bit(early ? context.settings().verify_time.not_yet_valid(clock, Code::CERT_CRL)
                              : Code::CERT_CRL);
    }
    if (best != nullptr && mbedtls_x509_crt_is_revoked(&certificate, best) != 0)
        failures |= failure_bit(Code::CERT_REVOKED);
    return failures;
}

// A trust anchor needs no CRL, and a self-issued one cannot be revoked. Any other trust anchor is
// revoked by a CRL that is present, as other certificates are.
std::uint16_t revocation_of_anchor(const MbedContext& context, const mbedtls_x509_crt& anchor) {
    if (same(anchor.subject_raw, anchor.issuer_raw))
        return 0;
    Certificates issuers;
    context.add_named(anchor.issuer_raw, issuers);
    const mbedtls_x509_crt* issuer = &issuers;
    while (issuer != nullptr && (issuer->version == 0 || !issued(*issuer, anchor)))
        issuer = issuer->next;
    return revocation_of(context, anchor, issuer) & failure_bit(Code::CERT_REVOKED);
}

#else

std::uint16_t revocation_of(const MbedContext&, const mbedtls_x509_crt&, const mbedtls_x509_crt*) {
    return 0;
}
std::uint16_t revocation_of_anchor(const MbedContext&, const mbedtls_x509_crt&) {
    return 0;
}

#endif

}  // namespace

bool is_among_trusted(const MbedContext& context, const mbedtls_x509_crt& certificate) {
    for (const mbedtls_x509_crt* root = &context.trusted(); root != nullptr; root = root->next)
        if (root->version != 0 && same(root->raw, certificate.raw))
            return true;
#if USSL_HAS_SYSTEM_FOLDER
    Certificates in_folder;
    context.add_of_folder(certificate.subject_raw, in_folder);
    for (const mbedtls_x509_crt* root = &in_folder; root != nullptr; root = root->next)
        if (root->version != 0 && same(root->raw, certificate.raw))
            return true;
#endif
    if (!same(certificate.issuer_raw, certificate.subject_raw))
        return false;
    // The fields in the root store identify a certificate.
    bool found = false;
    context.root_stores().for_each(
        bytes_of(certificate.subject_raw), [&](const RootStore::Root& root) {
            const mbedtls_x509_time begin = x509_time(root.not_before);
            const mbedtls_x509_time end = x509_time(root.not_after);
            found = std::ranges::equal(root.key, bytes_of(certificate.pk_raw)) &&
                    std::ranges::equal(root.serial, bytes_of(certificate.serial)) &&
                    mbedtls_x509_time_cmp(&begin, &certificate.valid_from) == 0 &&
                    mbedtls_x509_time_cmp(&end, &certificate.valid_to) == 0;
            return !found;
        });
    return found;
}

bool for_each_extension(unsigned char* at, const unsigned char* end,
                        bool (*take)(void* data, const Extension& extension), void* data) {
    std::size_t size = 0;
    if (at == nullptr)
        return true;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    end = at + size;
    while (at != end) {
        if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
            return false;
        unsigned char* next = at + size;
        if (mbedtls_asn1_get_tag(&at, next, &size, MBEDTLS_ASN1_OID) != 0)
            return false;
        const Bytes oid{at, size};
        at += size;
        int critical = 0;  // the default if it is absent
        (void)mbedtls_asn1_get_bool(&at, next, &critical);
        Bytes value;
        if (mbedtls_asn1_get_tag(&at, next, &size, MBEDTLS_ASN1_OCTET_STRING) == 0)
            value = {at, size};
        if (!take(data, Extension{oid, critical != 0, value}))
            return false;
        at = next;
    }
    return true;
}

bool names_are_readable(const mbedtls_x509_crt& certificate) {
    return name_is_readable(certificate.issuer) && name_is_readable(certificate.subject);
}

bool is_readable(const mbedtls_x509_crt& certificate) {
    constexpr std::size_t empty = 2;  // only a tag and a length
    return (certificate.v3_ext.p == nullptr || certificate.v3_ext.len > empty) &&
           extensions_are_readable(certificate) && has_no_unique_identifiers(certificate) &&
           dates_are_whole(certificate) && serial_is_a_number(certificate.serial) &&
           key_is_readable(certificate) && signature_is_readable(certificate) &&
           alternatives_are_names(certificate) &&
           are_general_names(certificate.authority_key_id.authorityCertIssuer) &&
           names_are_readable(certificate) &&
           ((certificate.ext_types & MBEDTLS_X509_EXT_KEY_USAGE) == 0 ||
            certificate.key_usage != 0);
}

// RFC 5280 §4.2.1.9: a certificate without basicConstraints must not issue others. Mbed TLS makes
// an exception for trusted certificates of versions 1 and 2. The owner of a trusted device
// certificate could then issue certificates for other devices. Only a self-signed version 1
// certificate may issue: for the others, the version is changed to disable the exception.
void restrict_issuers(mbedtls_x509_crt& trusted) {
    for (mbedtls_x509_crt* at = &trusted; at != nullptr && at->version != 0; at = at->next) {
        const bool may_issue = at->version == 1 && same(at->subject_raw, at->issuer_raw) &&
                               signature_of(*at, *at) == Signature::good;
        if (at->version < 3 && !may_issue)
            at->version = 3;
    }
}

std::optional<RootStore::Root> root_of(const MbedContext& context,
                                       const mbedtls_x509_crt& certificate) {
    return context.root_stores().root_of(bytes_of(certificate.sig),
                                         bytes_of(certificate.subject_raw));
}

void find_failures(const MbedContext& context, const mbedtls_x509_crt& certificate,
                   const mbedtls_x509_crt* issuer, const mbedtls_x509_crt& roots, int depth,
                   std::uint32_t flags, Found& found) {
    std::uint16_t failures = 0;
#ifndef USSL_PATCHED_MBEDTLS
    if (!is_readable(certificate))
        return found.add(failure_bit(Code::CERT_INVALID), &certificate, depth);
#endif
    // The topmost certificate is a trust anchor, unless no trusted issuer was found.
    bool trusted = issuer == nullptr && (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0;
    // Every certificate in ca_certs is a trust anchor, even if it is not self-signed.
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
        trusted = is_among_trusted(context, certificate);
        if (!trusted)
            add_reason(roots, certificate, depth, found);
    } else if (issuer != nullptr && !issued(*issuer, certificate)) {
        // Mbed TLS compares only names, and ignores upper and lower case.
        failures |= failure_bit(Code::CERT_UNKNOWN_ISSUER);
    }
    // A port's Mbed TLS may have another clock or epoch.
    const std::int64_t clock = now();
    const mbedtls_x509_time time = x509_time(context.settings().verify_time.at(clock));
    if (mbedtls_x509_time_cmp(&certificate.valid_to, &time) < 0)
        failures |= failure_bit(Code::CERT_EXPIRED);
    if (mbedtls_x509_time_cmp(&certificate.valid_from, &time) > 0)
        failures |= failure_bit(
            context.settings().verify_time.not_yet_valid(clock, Code::CERT_NOT_YET_VALID));
    const CrlCheck check = context.settings().crl_check;
    if (check == CrlCheck::chain || (check == CrlCheck::leaf && depth == 0))
        failures |= trusted ? revocation_of_anchor(context, certificate)
                            : revocation_of(context, certificate, issuer);
    if (!extensions_are_understood(certificate))
        failures |= failure_bit(Code::CERT_INVALID);
    // A trust anchor's own signature proves nothing and is not checked.
    if (key_is_weak(certificate.pk) || (!trusted && signature_is_weak(certificate)))
        failures |= failure_bit(Code::CERT_WEAK);
    if (!purpose_fits(certificate, depth, context.settings().role == Role::client))
        failures |= failure_bit(Code::CERT_PURPOSE);
    found.add(failures, &certificate, depth);
}

bool is_for(const mbedtls_x509_crt& certificate, const HostName& name) {
    HostNameCheck check(name);
    // RFC 5280 §4.2.1.6: the tag number is the type of a GeneralName.
    constexpr unsigned char dns = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
    constexpr unsigned char address = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;
    for (const mbedtls_x509_sequence* at = &certificate.subject_alt_names;
         at != nullptr && at->buf.p != nullptr; at = at->next) {
        if (at->buf.tag == dns)
            check.alternative_dns(text_of(at->buf));
        else if (at->buf.tag == address)
            check.alternative_address({at->buf.p, at->buf.len});
        else
            check.alternative_other();
    }
    // The last common name is the most specific one.
    const mbedtls_x509_name* last = nullptr;
    for (const mbedtls_x509_name* at = &certificate.subject; at != nullptr; at = at->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &at->oid) == 0)
            last = at;
    if (last != nullptr)
        check.common_name(text_of(last->val));
    return check.matches();
}

bool is_pinned(Bytes pins, const mbedtls_x509_crt& certificate) {
    for (const mbedtls_x509_buf& of : {certificate.raw, certificate.pk_raw}) {
        const Bytes part{of.p, of.len};
        std::uint8_t hash[32];
        if (sha256({&part, 1}, hash) && policy::is_pinned(pins, hash))
            return true;
    }
    return false;
}

// Returns the alert that OpenSSL sends for the same failure.
std::uint8_t alert_of(Code worst) {
    switch (worst) {
        case Code::CERT_REVOKED:
            return MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED;
        case Code::CERT_UNKNOWN_ISSUER:
        case Code::CERT_SELF_SIGNED:
            return MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA;
        case Code::CERT_PURPOSE:
            return MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT;
        case Code::CERT_EXPIRED:
        case Code::CERT_NOT_YET_VALID:
        case Code::CERT_CLOCK:
            return MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED;
        default:
            return MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
    }
}

// Called for the complete path, which ends at the first trusted certificate (RFC 5280 §6.1). If
// that is the peer's own, the other certificates do not matter.
void MbedSession::judge_path(int depth, Found& found) {
    const Link* path = path_.get();
    const bool alone = is_among_trusted(context(), *path->certificate);
    if (!alone && depth != 0)
        judge_age(*path[depth].certificate, found);
    for (int i = alone ? 0 : depth; i >= 0; --i) {
        const mbedtls_x509_crt& certificate = *path[i].certificate;
        const mbedtls_x509_crt* issuer = i != depth && !alone ? path[i + 1].certificate : nullptr;
        const std::uint32_t untrusted = alone ? MBEDTLS_X509_BADCERT_NOT_TRUSTED : 0;
        find_failures(context(), certificate, issuer,
                      issuers_ != nullptr ? *issuers_ : context().trusted(), i,
                      path[i].flags | untrusted, found);
        const bool is_shown = i != depth || alone || !root_of(context(), certificate);
        if (features::context && context().settings().verifies_by_program && is_shown)
            found.add(callbacks_.verify_certificate({certificate.raw.p, certificate.raw.len}, i),
                      &certificate, i);
    }
}

// Mozilla ends the trust in a root for certificates whose validity starts after a given date.
void MbedSession::judge_age(const mbedtls_x509_crt& anchor, Found& found) const {
    const mbedtls_x509_crt& certificate = *path_->certificate;
    const auto root = root_of(context(), anchor);
    if (!root || !root->distrusted_after)
        return;
    const mbedtls_x509_time until = x509_time(*root->distrusted_after);
    if (mbedtls_x509_time_cmp(&certificate.valid_from, &until) > 0)
        found.add(policy::failure_bit(Code::CERT_UNKNOWN_ISSUER), &certificate, 0);
}

int MbedSession::find_issuers(const mbedtls_x509_crt& certificate, mbedtls_x509_crt*& found) {
    issuers_ = nullptr;
    auto* list = static_cast<mbedtls_x509_crt*>(mbedtls_calloc(1, sizeof(mbedtls_x509_crt)));
    if (list == nullptr)
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    mbedtls_x509_crt_init(list);
    found = list;
    context().add_named(certificate.issuer_raw, *list);
    if (list->version != 0)
        issuers_ = list;
    return 0;
}

#ifndef USSL_PATCHED_MBEDTLS

// Counts the signatures that Mbed TLS may check to find a path: of each certificate, with each
// candidate that has the issuer's name.
bool MbedSession::limit_signatures(const mbedtls_x509_crt& chain, const mbedtls_x509_crt* trusted) {
    signatures_are_limited_ = true;
    int checks = 0;
    const auto count = [&](const mbedtls_x509_buf& issuer, const mbedtls_x509_crt* among) {
        for (; among != nullptr; among = among->next)
            if (among->subject_raw.len == issuer.len &&
                std::memcmp(among->subject_raw.p, issuer.p, issuer.len) == 0)
                ++checks;
    };
    for (const mbedtls_x509_crt* at = &chain; at != nullptr; at = at->next) {
        count(at->issuer_raw, at->next);
        count(at->issuer_raw, trusted);
    }
    return checks <= policy::max_signature_checks;
}

#endif

int MbedSession::verify(mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags) {
#ifndef USSL_PATCHED_MBEDTLS
    // The firmware was linked without --wrap, so the limit is missing.
    if (!signatures_are_limited_)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
#endif
    const bool verifies = context().settings().verify != Verify::none;
    if (verifies && !path_) {  // the topmost certificate
        path_.reset(
            static_cast<Link*>(allocate((static_cast<std::size_t>(depth) + 1) * sizeof(Link))));
        if (!path_)
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        path_depth_ = depth;
    }
    if (verifies)
        path_.get()[depth] = {&certificate, flags};
    flags = 0;
    if (depth != 0)
        return 0;
    was_verified_ = true;
    Found found;
    if (verifies) {
        judge_path(path_depth_, found);
        path_.reset();
        issuers_ = nullptr;
    }
    if (!context().settings().pins().empty() &&
        !is_pinned(context().settings().pins(), certificate))
        found.add(policy::failure_bit(Code::CERT_PIN), &certificate, 0);
#ifndef MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
    if (!keep_peer_certificate({certificate.raw.p, certificate.raw.len}))
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
#endif
    if (verifies && context().settings().checks_hostname && name_ != nullptr &&
        !is_for(certificate, *name_))
        found.add(policy::failure_bit(Code::CERT_HOSTNAME), &certificate, 0);
    keep_found(found);
    return 0;
}

void MbedSession::keep_found(const Found& found) {
    certificate_failures_ = found.all();
    if (found.worst() == nullptr)
        return;
    const mbedtls_x509_crt& certificate = *found.worst();
    std::optional<std::int64_t> clock;
    if (policy::concerns_dates(certificate_failures_))
        clock = context().settings().verify_time.at(now());
    failed_.keep({.subject = {certificate.subject_raw.p, certificate.subject_raw.len},
                  .issuer = {certificate.issuer_raw.p, certificate.issuer_raw.len},
                  .not_before = time_of(certificate.valid_from),
                  .not_after = time_of(certificate.valid_to),
                  .clock = clock});
}

int verify_hook(void* session, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
    return static_cast<MbedSession*>(session)->verify(*certificate, depth, *flags);
}

}  // namespace ussl::mbedtls

#ifdef USSL_PATCHED_MBEDTLS
int ussl_mbedtls_is_readable(const mbedtls_x509_crt* certificate) {
    return ussl::mbedtls::is_readable(*certificate) ? 1 : 0;
}
#else

// Used without patches/mbedtls-signature-limit.patch: with --wrap (in micropython.mk and
// micropython.cmake), the linker redirects Mbed TLS's call to this function.
extern "C" {

int __real_mbedtls_x509_crt_verify_restartable(
    mbedtls_x509_crt*, mbedtls_x509_crt*, mbedtls_x509_crl*, const mbedtls_x509_crt_profile*,
    const char*, std::uint32_t*, int (*)(void*, mbedtls_x509_crt*, int, std::uint32_t*), void*,
    mbedtls_x509_crt_restart_ctx*);

int __wrap_mbedtls_x509_crt_verify_restartable(
    mbedtls_x509_crt* chain, mbedtls_x509_crt* trusted, mbedtls_x509_crl* crls,
    const mbedtls_x509_crt_profile* profile, const char* name, std::uint32_t* flags,
    int (*verify)(void*, mbedtls_x509_crt*, int, std::uint32_t*), void* session,
    mbedtls_x509_crt_restart_ctx* restart) {
    if (verify == ussl::mbedtls::verify_hook &&
        !static_cast<ussl::mbedtls::MbedSession*>(session)->limit_signatures(*chain, trusted)) {
        *flags = UINT32_MAX;
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    return __real_mbedtls_x509_crt_verify_restartable(chain, trusted, crls, profile, name, flags,
                                                      verify, session, restart);
}
}

#endif

#ifdef MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK

int ussl_mbedtls_looks_up_issuers(const mbedtls_ssl_context* ssl) {
    return static_cast<const ussl::mbedtls::MbedSession*>(
               mbedtls_ssl_get_user_data_p(const_cast<mbedtls_ssl_context*>(ssl)))
                   ->looks_up_issuers()
               ? 1
               : 0;
}

int ussl_mbedtls_find_issuers(void* ssl, const mbedtls_x509_crt* certificate,
                              mbedtls_x509_crt** found) {
    return static_cast<ussl::mbedtls::MbedSession*>(
               mbedtls_ssl_get_user_data_p(static_cast<mbedtls_ssl_context*>(ssl)))
        ->find_issuers(*certificate, *found);
}

#endif
