#include <ctime>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

using Party = CertificateVisitor::Party;
using AltName = CertificateVisitor::AltName;

Bytes bytes_of(const ASN1_STRING* string) {
    return {ASN1_STRING_get0_data(string), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

void visit_name(const X509_NAME* name, Party party, CertificateVisitor& visitor) {
    int last_rdn = -1;
    for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
        const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT* object = X509_NAME_ENTRY_get_object(entry);
        char dotted[80];
        const int nid = OBJ_obj2nid(object);
        const char* key = nid != NID_undef ? OBJ_nid2ln(nid) : dotted;
        if (nid == NID_undef)
            OBJ_obj2txt(dotted, sizeof dotted, object, 1);
        unsigned char* utf8 = nullptr;
        const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
        const int rdn = X509_NAME_ENTRY_set(entry);
        if (size >= 0)
            visitor.attribute(
                party, rdn != last_rdn, key,
                {reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size)});
        last_rdn = rdn;
        OPENSSL_free(utf8);
    }
}

}  // namespace

CertificateVisitor::Time time_of(const ASN1_TIME* time) {
    struct tm tm{};
    ASN1_TIME_to_tm(time, &tm);
    return {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec};
}

void describe(X509* certificate, CertificateVisitor& visitor) {
    const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
    visitor.identity(static_cast<int>(X509_get_version(certificate)) + 1,
                     {bytes_of(serial), ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER});
    visit_name(X509_get_subject_name(certificate), Party::subject, visitor);
    visit_name(X509_get_issuer_name(certificate), Party::issuer, visitor);
    unsigned char* der = nullptr;
    unsigned char* key = nullptr;
    const int size = i2d_X509(certificate, &der);
    const int key_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    if (size > 0 && key_size > 0)
        visitor.encoded({der, static_cast<std::size_t>(size)},
                        {key, static_cast<std::size_t>(key_size)});
    OPENSSL_free(der);
    OPENSSL_free(key);
    visitor.validity(time_of(X509_get0_notBefore(certificate)),
                     time_of(X509_get0_notAfter(certificate)));
    const AlternativeNames names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        switch (name->type) {
            case GEN_DNS:
                visitor.alternative_name(AltName::dns, bytes_of(name->d.dNSName));
                break;
            case GEN_IPADD:
                visitor.alternative_name(AltName::ip, bytes_of(name->d.iPAddress));
                break;
            case GEN_EMAIL:
                visitor.alternative_name(AltName::email, bytes_of(name->d.rfc822Name));
                break;
            case GEN_URI:
                visitor.alternative_name(AltName::uri, bytes_of(name->d.uniformResourceIdentifier));
                break;
            default:
                break;
        }
    }
}

bool describe_first(Bytes data, CertificateVisitor& visitor) {
    const Certificate certificate = first_certificate(data);
    if (certificate)
        describe(certificate.get(), visitor);
    ERR_clear_error();
    return certificate != nullptr;
}

}  // namespace ussl::openssl
