#include <cstring>

#include "../policy.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {
namespace {

using policy::failure_bit;

bool same(const mbedtls_x509_buf& a, const mbedtls_x509_buf& b) {
    return a.len == b.len && (a.len == 0 || std::memcmp(a.p, b.p, a.len) == 0);
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

// The name fits and, where both have one, the key's identifier (RFC 5280 §4.2.1.1).
bool issued(const mbedtls_x509_crt& issuer, const mbedtls_x509_crt& certificate) {
    const auto& wanted = certificate.authority_key_id.keyIdentifier;
    return same(issuer.subject_raw, certificate.issuer_raw) &&
           (wanted.len == 0 || issuer.subject_key_id.len == 0 ||
            same(issuer.subject_key_id, wanted));
}

// Mbed TLS says of every certificate that nobody vouches for no more than that. Those behind it in
// the peer's chain, and the roots, tell why.
Code why_not_trusted(const Context& context, const mbedtls_x509_crt& certificate, int depth) {
    for (const mbedtls_x509_crt* list :
         {&context.trusted(), static_cast<const mbedtls_x509_crt*>(certificate.next)})
        for (const mbedtls_x509_crt* candidate = list;
             candidate != nullptr && candidate->version != 0; candidate = candidate->next)
            if (issued(*candidate, certificate))
                return may_sign_certificates(*candidate) ? Code::CERT_BAD_SIGNATURE
                                                         : Code::CERT_INVALID;
    return depth == 0 && issued(certificate, certificate) ? Code::CERT_SELF_SIGNED
                                                          : Code::CERT_UNKNOWN_ISSUER;
}

bool is_among_trusted(const Context& context, const mbedtls_x509_crt& certificate) {
    for (const mbedtls_x509_crt* root = &context.trusted(); root != nullptr; root = root->next)
        if (root->version != 0 && same(root->raw, certificate.raw))
            return true;
    return false;
}

// RFC 5280 §4.2.1.3, §4.2.1.12: a certificate that says what it is for is for nothing else.
// One that issues for a purpose of its own, too, as with OpenSSL, which like this takes "any
// purpose" for none.
bool purpose_fits(const mbedtls_x509_crt& certificate, int depth, bool of_server) {
    if (depth == 0 &&
        mbedtls_x509_crt_check_key_usage(&certificate, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
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

// The extensions of RFC 5280 §4.2.1, by the last number of their OIDs.
enum Extension : std::uint8_t {
    key_usage = 15,
    subject_alt_name = 17,
    basic_constraints = 19,
    name_constraints = 30,
    crl_distribution_points = 31,
    policies = 32,
    policy_mappings = 33,
    policy_constraints = 36,
    extended_key_usage = 37,
    inhibit_any_policy = 54,
    another = 0,
};

Extension extension_of(Bytes oid) {
    constexpr std::size_t size = MBEDTLS_OID_SIZE(MBEDTLS_OID_ID_CE);
    return oid.size() == size + 1 && std::memcmp(oid.data(), MBEDTLS_OID_ID_CE, size) == 0
               ? static_cast<Extension>(oid[size])
               : another;
}

// Those that may be critical: what Mbed TLS looks at and, as with OpenSSL, what says nothing of who
// the certificate is for: policies, and where its CRL is.
bool may_be_critical(Extension extension) {
    switch (extension) {
        case key_usage:
        case subject_alt_name:
        case basic_constraints:
        case crl_distribution_points:
        case policies:
        case policy_mappings:
        case policy_constraints:
        case extended_key_usage:
        case inhibit_any_policy:
            return true;
        default:
            return false;
    }
}

// RFC 5280 §4.2: not if there is a critical extension that nobody understands. §4.2.1.10: nor name
// constraints, critical or not, for Mbed TLS does not read them.
bool extensions_are_understood(const mbedtls_x509_crt& certificate) {
    constexpr int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    unsigned char* at = certificate.v3_ext.p;
    if (at == nullptr)
        return true;
    const unsigned char* end = at + certificate.v3_ext.len;
    std::size_t size = 0;
    if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
        return false;
    while (at != end) {
        if (mbedtls_asn1_get_tag(&at, end, &size, sequence) != 0)
            return false;
        unsigned char* next = at + size;
        if (mbedtls_asn1_get_tag(&at, next, &size, MBEDTLS_ASN1_OID) != 0)
            return false;
        const Extension extension = extension_of({at, size});
        at += size;
        int critical = 0;  // and stays, where it is left out
        (void)mbedtls_asn1_get_bool(&at, next, &critical);
        if (extension == name_constraints || (critical != 0 && !may_be_critical(extension)))
            return false;
        at = next;
    }
    return true;
}

// What Mbed TLS would say of the dates if it were that time.
std::uint32_t flags_at(std::int64_t seconds, const mbedtls_x509_crt& certificate) {
    const auto time = static_cast<mbedtls_time_t>(seconds);
    mbedtls_x509_time now;
    if (time != seconds || mbedtls_x509_time_gmtime(time, &now) != 0)
        return MBEDTLS_X509_BADCERT_EXPIRED;
    std::uint32_t flags = 0;
    if (mbedtls_x509_time_cmp(&certificate.valid_to, &now) < 0)
        flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    if (mbedtls_x509_time_cmp(&certificate.valid_from, &now) > 0)
        flags |= MBEDTLS_X509_BADCERT_FUTURE;
    return flags;
}

#ifdef MBEDTLS_X509_CRL_PARSE_C

bool is_in_date(const mbedtls_x509_crl& crl, std::optional<std::int64_t> time) {
    if (!time)
        return mbedtls_x509_time_is_past(&crl.next_update) == 0 &&
               mbedtls_x509_time_is_future(&crl.this_update) == 0;
    const auto seconds = static_cast<mbedtls_time_t>(*time);
    mbedtls_x509_time now;
    return seconds == *time && mbedtls_x509_time_gmtime(seconds, &now) == 0 &&
           mbedtls_x509_time_cmp(&crl.next_update, &now) >= 0 &&
           mbedtls_x509_time_cmp(&crl.this_update, &now) <= 0;
}

bool is_signed_by(const mbedtls_x509_crl& crl, const mbedtls_x509_crt& issuer) {
    const mbedtls_md_info_t* md = mbedtls_md_info_from_type(crl.sig_md);
    std::uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    if (md == nullptr || mbedtls_x509_crt_check_key_usage(&issuer, MBEDTLS_X509_KU_CRL_SIGN) != 0 ||
        mbedtls_md(md, crl.tbs.p, crl.tbs.len, hash) != 0)
        return false;
    auto& key = const_cast<mbedtls_pk_context&>(issuer.pk);
    return mbedtls_pk_verify_ext(crl.sig_pk, crl.sig_opts, &key, crl.sig_md, hash,
                                 mbedtls_md_get_size(md), crl.sig.p, crl.sig.len) == 0;
}

// RFC 5280 §6.3, for CRLs that are about all certificates of their issuer. Mbed TLS looks at those
// that there are, and does not mind if there is none. The newest that is good decides; without one,
// what another says is told as well.
std::uint16_t revocation_of(const Context& context, const mbedtls_x509_crt& certificate,
                            const mbedtls_x509_crt* issuer) {
    const mbedtls_x509_crl* best = nullptr;
    bool best_is_good = false;
    for (const mbedtls_x509_crl* crl = &context.crls(); crl != nullptr; crl = crl->next) {
        if (crl->version == 0 || !same(crl->issuer_raw, certificate.issuer_raw))
            continue;
        const bool good = issuer != nullptr && is_in_date(*crl, context.verify_time()) &&
                          is_signed_by(*crl, *issuer);
        const bool newer =
            best == nullptr || mbedtls_x509_time_cmp(&crl->this_update, &best->this_update) > 0;
        if (best == nullptr || (good && !best_is_good) || (good == best_is_good && newer)) {
            best = crl;
            best_is_good = good;
        }
    }
    std::uint16_t failures = best_is_good ? 0 : failure_bit(Code::CERT_CRL);
    if (best != nullptr && mbedtls_x509_crt_is_revoked(&certificate, best) != 0)
        failures |= failure_bit(Code::CERT_REVOKED);
    return failures;
}

#else

std::uint16_t revocation_of(const Context&, const mbedtls_x509_crt&, const mbedtls_x509_crt*) {
    return 0;
}

#endif

}  // namespace

std::uint16_t failures_of(const Context& context, const mbedtls_x509_crt& certificate,
                          const mbedtls_x509_crt* issuer, int depth, std::uint32_t flags,
                          bool trusted) {
    std::uint16_t failures = 0;
    // Whatever stands in ca_certs is trusted, root or not.
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
        trusted = is_among_trusted(context, certificate);
        if (!trusted)
            failures |= failure_bit(why_not_trusted(context, certificate, depth));
    }
    const std::optional<std::int64_t> time = context.verify_time();
    const std::uint32_t dates = time ? flags_at(*time, certificate) : flags;
    if ((dates & MBEDTLS_X509_BADCERT_EXPIRED) != 0)
        failures |= failure_bit(Code::CERT_EXPIRED);
    if ((dates & MBEDTLS_X509_BADCERT_FUTURE) != 0)
        failures |= failure_bit(Code::CERT_NOT_YET_VALID);
    const CrlCheck check = context.crl_check();
    if (!trusted && (check == CrlCheck::chain || (check == CrlCheck::leaf && depth == 0)))
        failures |= revocation_of(context, certificate, issuer);
    if (!extensions_are_understood(certificate))
        failures |= failure_bit(Code::CERT_INVALID);
    // A trusted certificate's own signature proves nothing and is not looked at.
    if (key_is_weak(certificate.pk) || (!trusted && signature_is_weak(certificate)))
        failures |= failure_bit(Code::CERT_WEAK);
    if (!purpose_fits(certificate, depth, context.role() == Role::client))
        failures |= failure_bit(Code::CERT_PURPOSE);
    return failures;
}

bool is_for(const mbedtls_x509_crt& certificate, const HostName& name) {
    HostNameCheck check(name);
    // RFC 5280 §4.2.1.6: the choice of a GeneralName is its tag's number.
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

// The same words for the same failures as OpenSSL.
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
            return MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED;
        default:
            return MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
    }
}

}  // namespace ussl::mbedtls
