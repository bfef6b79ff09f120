#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

using Party = CertificateVisitor::Party;
using AltName = CertificateVisitor::AltName;

struct Attribute {
    std::string_view oid;
    std::string_view name;
};

// The names of attributes in OpenSSL, and therefore in CPython (RFC 4519, RFC 2985).
constexpr Attribute attributes[] = {
    {MBEDTLS_OID_AT_CN, "commonName"},
    {MBEDTLS_OID_AT_SUR_NAME, "surname"},
    {MBEDTLS_OID_AT_SERIAL_NUMBER, "serialNumber"},
    {MBEDTLS_OID_AT_COUNTRY, "countryName"},
    {MBEDTLS_OID_AT_LOCALITY, "localityName"},
    {MBEDTLS_OID_AT_STATE, "stateOrProvinceName"},
    {MBEDTLS_OID_AT_ORGANIZATION, "organizationName"},
    {MBEDTLS_OID_AT_ORG_UNIT, "organizationalUnitName"},
    {MBEDTLS_OID_AT_TITLE, "title"},
    {MBEDTLS_OID_AT_POSTAL_ADDRESS, "postalAddress"},
    {MBEDTLS_OID_AT_POSTAL_CODE, "postalCode"},
    {MBEDTLS_OID_AT_GIVEN_NAME, "givenName"},
    {MBEDTLS_OID_AT_INITIALS, "initials"},
    {MBEDTLS_OID_AT_GENERATION_QUALIFIER, "generationQualifier"},
    {MBEDTLS_OID_AT_DN_QUALIFIER, "dnQualifier"},
    {MBEDTLS_OID_AT_PSEUDONYM, "pseudonym"},
    {MBEDTLS_OID_DOMAIN_COMPONENT, "domainComponent"},
    {MBEDTLS_OID_UID, "userId"},
    {MBEDTLS_OID_PKCS9_EMAIL, "emailAddress"},
};

// Collects UTF-8 text of limited size. Longer names are truncated.
class Utf8 {
  public:
    void add(std::uint32_t c) {
        if (c < 0x80)
            put(c);
        else if (c < 0x800)
            put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
        else if (c < 0x10000)
            put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
        else
            put(0xF0 | (c >> 18 & 7)), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)),
                put(0x80 | (c & 0x3F));
    }
    [[nodiscard]] std::string_view text() const { return {text_, size_}; }

  private:
    void put(std::uint32_t byte) {
        if (size_ < sizeof text_)
            text_[size_++] = static_cast<char>(byte);
    }
    char text_[512];
    std::size_t size_ = 0;
};

void visit_name(const mbedtls_x509_name& name, Party party, CertificateVisitor& visitor) {
    bool starts_rdn = true;
    for (const mbedtls_x509_name* at = &name; at != nullptr && at->oid.p != nullptr;
         at = at->next) {
        const std::string_view oid{reinterpret_cast<const char*>(at->oid.p), at->oid.len};
        char dotted[80];
        std::string_view key;
        for (const Attribute& attribute : attributes)
            if (attribute.oid == oid)
                key = attribute.name;
        if (key.empty()) {
            const int size = mbedtls_oid_get_numeric_string(dotted, sizeof dotted, &at->oid);
            key = {dotted, size > 0 ? static_cast<std::size_t>(size) : 0};
        }
        const Bytes value{at->val.p, at->val.len};
        std::size_t width = 0;  // bytes of a character; 0: UTF-8
        if (at->val.tag == MBEDTLS_ASN1_BMP_STRING)
            width = 2;
        else if (at->val.tag == MBEDTLS_ASN1_UNIVERSAL_STRING)
            width = 4;
        else if (at->val.tag == MBEDTLS_ASN1_T61_STRING)
            width = 1;
        if (width == 0) {
            visitor.attribute(party, starts_rdn, key,
                              {reinterpret_cast<const char*>(value.data()), value.size()});
        } else {
            Utf8 utf8;
            for (std::size_t i = 0; i + width <= value.size(); i += width) {
                std::uint32_t c = 0;
                for (std::size_t k = 0; k < width; ++k)
                    c = c << 8 | value[i + k];
                utf8.add(c);
            }
            visitor.attribute(party, starts_rdn, key, utf8.text());
        }
        starts_rdn = at->next_merged == 0;
    }
}

// Converts the serial number from DER's two's complement (X.690 §8.3.3). Returns false if memory
// runs out.
bool visit_identity(const mbedtls_x509_crt& certificate, CertificateVisitor& visitor) {
    Bytes magnitude{certificate.serial.p, certificate.serial.len};
    const bool negative = !magnitude.empty() && (magnitude[0] & 0x80) != 0;
    SecretBytes negated;
    if (negative) {
        negated = SecretBytes(magnitude.size());
        if (negated.empty())
            return false;
        unsigned carry = 1;
        for (std::size_t i = magnitude.size(); i-- != 0; carry >>= 8) {
            carry += static_cast<std::uint8_t>(~magnitude[i]);
            negated.data()[i] = static_cast<std::uint8_t>(carry);
        }
        magnitude = {negated.data(), negated.size()};
    }
    while (magnitude.size() > 1 && magnitude[0] == 0)
        magnitude = magnitude.subspan(1);
    visitor.identity(certificate.version, {magnitude, negative});
    return true;
}

}  // namespace

CertificateVisitor::Time time_of(const mbedtls_x509_time& time) {
    return {time.year, time.mon, time.day, time.hour, time.min, time.sec};
}

bool describe(const mbedtls_x509_crt& certificate, CertificateVisitor& visitor) {
    if constexpr (!features::cert_dict) {
        visitor.validity(time_of(certificate.valid_from), time_of(certificate.valid_to));
        return true;
    }
    if (!visit_identity(certificate, visitor))
        return false;
    visit_name(certificate.subject, Party::subject, visitor);
    visit_name(certificate.issuer, Party::issuer, visitor);
    visitor.encoded({certificate.raw.p, certificate.raw.len},
                    {certificate.pk_raw.p, certificate.pk_raw.len});
    visitor.validity(time_of(certificate.valid_from), time_of(certificate.valid_to));
    for (const mbedtls_x509_sequence* at = &certificate.subject_alt_names;
         at != nullptr && at->buf.p != nullptr; at = at->next) {
        const Bytes value{at->buf.p, at->buf.len};
        // RFC 5280 §4.2.1.6: the tag number is the type of a GeneralName.
        switch (at->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
            case 1:
                visitor.alternative_name(AltName::email, value);
                break;
            case 2:
                visitor.alternative_name(AltName::dns, value);
                break;
            case 6:
                visitor.alternative_name(AltName::uri, value);
                break;
            case 7:
                visitor.alternative_name(AltName::ip, value);
                break;
            default:
                break;
        }
    }
    return true;
}

bool describe_first(Bytes data, CertificateVisitor& visitor) {
    Certificates certificate;
    return parse_first_certificate(data, certificate) && describe(certificate, visitor);
}

}  // namespace ussl::mbedtls
