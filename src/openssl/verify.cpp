#include <algorithm>
#include <climits>
#include <ctime>

#include "../policy/certificates.hpp"
#include "../policy/limits.hpp"
#include "../text.hpp"
#include "openssl.hpp"

namespace ussl::openssl {
namespace {

using policy::failure_bit;

Code code_of(int error) {
    switch (error) {
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
        case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
            return Code::CERT_BAD_SIGNATURE;
        case X509_V_ERR_CERT_REVOKED:
            return Code::CERT_REVOKED;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return Code::CERT_SELF_SIGNED;
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED:
            return Code::CERT_UNKNOWN_ISSUER;
        case X509_V_ERR_UNABLE_TO_GET_CRL:
        case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
        case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
        case X509_V_ERR_CRL_SIGNATURE_FAILURE:
        case X509_V_ERR_CRL_NOT_YET_VALID:
        case X509_V_ERR_CRL_HAS_EXPIRED:
        case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
        case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
        case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
        case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
        case X509_V_ERR_DIFFERENT_CRL_SCOPE:
        case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
            return Code::CERT_CRL;
        case X509_V_ERR_INVALID_PURPOSE:
            return Code::CERT_PURPOSE;
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return Code::CERT_EXPIRED;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return Code::CERT_NOT_YET_VALID;
        default:
            return Code::CERT_INVALID;
    }
}

OpenSslSession* session_of(X509_STORE_CTX* store) {
    const auto* ssl = static_cast<const SSL*>(
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    return OpenSslSession::of(ssl);
}

// RFC 5280 §4.1.2.5: a certificate is still valid in its last second.
bool is_last_second(X509_STORE_CTX* store, int error) {
    const std::optional<std::int64_t> time =
        session_of(store)->context().settings().verify_time.given;
    const ASN1_TIME* end = nullptr;
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        end = X509_get0_notAfter(X509_STORE_CTX_get_current_cert(store));
    else if (error == X509_V_ERR_CRL_HAS_EXPIRED)
        end = X509_CRL_get0_nextUpdate(X509_STORE_CTX_get0_current_crl(store));
    return time && end != nullptr && ASN1_TIME_cmp_time_t(end, static_cast<time_t>(*time)) == 0;
}

// Stores each failure and continues, so that a program gets all failures at once.
int collect(int ok, X509_STORE_CTX* store) {
    if (ok != 0)
        return 1;
    const int error = X509_STORE_CTX_get_error(store);
    if (is_last_second(store, error))
        return 1;
    Code code = code_of(error);
    // A trust anchor needs neither an issuer nor a CRL.
    const bool of_trusted =
        X509_STORE_CTX_get_error_depth(store) >= X509_STORE_CTX_get_num_untrusted(store);
    if (of_trusted && code == Code::CERT_CRL)
        return 1;
    // For an issuer that is not a CA, OpenSSL reports both errors.
    if (code == Code::CERT_PURPOSE && X509_STORE_CTX_get_error_depth(store) > 0 &&
        X509_check_ca(X509_STORE_CTX_get_current_cert(store)) == 0)
        code = Code::CERT_INVALID;
    if (error == X509_V_ERR_CERT_NOT_YET_VALID || error == X509_V_ERR_CRL_NOT_YET_VALID)
        code = session_of(store)->context().settings().verify_time.not_yet_valid(std::time(nullptr),
                                                                                 code);
    session_of(store)->state().found.add(failure_bit(code), X509_STORE_CTX_get_current_cert(store),
                                         X509_STORE_CTX_get_error_depth(store));
    return error != X509_V_ERR_OUT_OF_MEM && error != X509_V_ERR_UNSPECIFIED &&
           error != X509_V_ERR_STORE_LOOKUP && error != X509_V_ERR_CERT_CHAIN_TOO_LONG;
}

Bytes bytes_of(const ASN1_STRING* string) {
    return {ASN1_STRING_get0_data(string), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

void free_types(ASN1_SEQUENCE_ANY* types) {
    sk_ASN1_TYPE_pop_free(types, ASN1_TYPE_free);
}

Bytes bytes_of(const ASN1_OBJECT* oid) {
    return {OBJ_get0_data(oid), OBJ_length(oid)};
}

// RFC 5280 §8: issuer and subject names must be identical byte by byte. OpenSSL would compare the
// texts, which not every engine supports.
bool same_bytes(const X509_NAME* a, const X509_NAME* b) {
    const unsigned char* data[2] = {};
    std::size_t size[2] = {};
    return X509_NAME_get0_der(a, &data[0], &size[0]) == 1 &&
           X509_NAME_get0_der(b, &data[1], &size[1]) == 1 &&
           std::ranges::equal(Bytes{data[0], size[0]}, Bytes{data[1], size[1]});
}

// Returns true for curves that TLS supports on any engine, and for named curves that are rejected
// as too weak.
bool is_known_curve(const X509_ALGOR* algorithm) {
    int type = V_ASN1_UNDEF;
    const void* parameters = nullptr;
    X509_ALGOR_get0(nullptr, &type, &parameters, algorithm);
    if (type != V_ASN1_OBJECT)  // explicit parameters
        return false;
    switch (OBJ_obj2nid(static_cast<const ASN1_OBJECT*>(parameters))) {
        case NID_X9_62_prime192v1:
        case NID_secp224r1:
        case NID_X9_62_prime256v1:
        case NID_secp384r1:
        case NID_secp521r1:
            return true;
        default:
            return false;
    }
}

// RFC 8017 §3.1: the lowest bit of modulus and exponent is 1, and both are greater than 1. OpenSSL
// would misread negative numbers.
bool is_rsa_key(const unsigned char* der, int size) {
    const Handle<ASN1_SEQUENCE_ANY, free_types> numbers{d2i_ASN1_SEQUENCE_ANY(nullptr, &der, size)};
    if (sk_ASN1_TYPE_num(numbers.get()) != 2)
        return false;
    for (int i = 0; i < 2; ++i) {
        const ASN1_TYPE* number = sk_ASN1_TYPE_value(numbers.get(), i);
        if (number->type != V_ASN1_INTEGER ||
            ASN1_STRING_type(number->value.integer) == V_ASN1_NEG_INTEGER)
            return false;
        const Bytes bytes = bytes_of(number->value.integer);
        if (bytes.empty() || bytes.back() % 2 == 0 || (bytes.size() == 1 && bytes[0] == 1))
            return false;
    }
    return true;
}

bool key_is_readable(X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    if (key == nullptr)
        return false;
    const unsigned char* data = nullptr;
    int size = 0;
    X509_ALGOR* algorithm = nullptr;
    X509_PUBKEY_get0_param(nullptr, &data, &size, &algorithm, X509_get_X509_PUBKEY(certificate));
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
        case EVP_PKEY_RSA_PSS:
            return is_rsa_key(data, size);
        case EVP_PKEY_EC: {
            constexpr unsigned char uncompressed = 4;  // SEC 1 §2.3.3
            return is_known_curve(algorithm) && size > 0 && *data == uncompressed;
        }
        case EVP_PKEY_ED25519:
        case EVP_PKEY_ED448:
            return true;
        default:
            return false;
    }
}

// Returns the DER of an algorithm's parameters if they are a SEQUENCE, otherwise empty.
Bytes parameters_of(const X509_ALGOR* algorithm) {
    int type = V_ASN1_UNDEF;
    const void* parameters = nullptr;
    X509_ALGOR_get0(nullptr, &type, &parameters, algorithm);
    return type == V_ASN1_SEQUENCE ? bytes_of(static_cast<const ASN1_STRING*>(parameters))
                                   : Bytes{};
}

}  // namespace

// RSA-PSS must use one hash for both parts (RFC 4055 §3.1 recommends it), because not every engine
// supports others.
int hash_of_pss(const X509_ALGOR* pss) {
    const Bytes parameters = parameters_of(pss);
    const unsigned char* at = parameters.data();
    const Handle<RSA_PSS_PARAMS, RSA_PSS_PARAMS_free> read{
        d2i_RSA_PSS_PARAMS(nullptr, &at, static_cast<long>(parameters.size()))};
    if (!read)
        return NID_undef;
    Handle<X509_ALGOR, X509_ALGOR_free> mask;
    if (read->maskGenAlgorithm != nullptr) {
        const Bytes inner = parameters_of(read->maskGenAlgorithm);
        at = inner.data();
        mask.reset(d2i_X509_ALGOR(nullptr, &at, static_cast<long>(inner.size())));
    }
    // The default for absent parameters is SHA-1.
    const auto hash_of = [](const X509_ALGOR* given) {
        return given != nullptr ? OBJ_obj2nid(given->algorithm) : NID_sha1;
    };
    const int hash = hash_of(read->hashAlgorithm);
    return hash == hash_of(mask.get()) ? hash : NID_undef;
}

namespace {

// Up to OpenSSL 3, `flags` contains the number of unused bits of the last byte; there is no
// function for it.
template <class BitString>
bool is_whole_bytes(const BitString* bits) {
    if constexpr (requires { bits->flags; }) {
        constexpr long unused_bits = 7;
        return (bits->flags & unused_bits) == 0;
    } else {
        std::size_t length = 0;
        int unused_bits = 0;
        return ASN1_BIT_STRING_get_length(bits, &length, &unused_bits) == 1 && unused_bits == 0;
    }
}

bool signature_is_readable(X509* certificate) {
    const ASN1_BIT_STRING* signature = nullptr;
    const X509_ALGOR* algorithm = nullptr;
    X509_get0_signature(&signature, &algorithm, certificate);
    const bool is_pss = OBJ_obj2nid(algorithm->algorithm) == NID_rsassaPss;
    return is_whole_bytes(signature) &&
           X509_ALGOR_cmp(algorithm, X509_get0_tbs_sigalg(certificate)) == 0 &&
           X509_get_signature_info(certificate, nullptr, nullptr, nullptr, nullptr) == 1 &&
           (!is_pss || hash_of_pss(algorithm) != NID_undef);
}

bool is_empty_list(auto* extension) {  // const since OpenSSL 4
    constexpr std::uint8_t empty_sequence[] = {0x30, 0};
    return std::ranges::equal(bytes_of(X509_EXTENSION_get_data(extension)), empty_sequence);
}

// These lists must have at least one entry (RFC 5280 §4.2.1.6, §4.2.1.12).
bool has_empty_list(X509* certificate) {
    for (const int list : {NID_subject_alt_name, NID_ext_key_usage}) {
        const int at = X509_get_ext_by_NID(certificate, list, -1);
        if (at >= 0 && is_empty_list(X509_get_ext(certificate, at)))
            return true;
    }
    return false;
}

// RFC 5280 §4.1.2.5: times include seconds, and their zone is Z.
bool is_whole(const ASN1_TIME* time) {
    const std::size_t size = ASN1_STRING_type(time) == V_ASN1_UTCTIME ? 13 : 15;
    const Bytes text = bytes_of(time);
    std::tm parts;
    return text.size() == size && text.back() == 'Z' && ASN1_TIME_to_tm(time, &parts) == 1;
}

// RFC 5280 §4.2.1.6: an IP address has 4 or 16 bytes.
bool addresses_are_whole(X509* certificate) {
    const AlternativeNames names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_IPADD)
            continue;
        const int size = ASN1_STRING_length(name->d.iPAddress);
        if (size != 4 && size != 16)
            return false;
    }
    return true;
}

// OpenSSL treats a path length that is out of range as absent.
bool path_length_is_a_number(X509* certificate) {
    const Handle<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free> constraints{
        static_cast<BASIC_CONSTRAINTS*>(
            X509_get_ext_d2i(certificate, NID_basic_constraints, nullptr, nullptr))};
    std::int64_t length = 0;
    return !constraints || constraints->pathlen == nullptr ||
           (ASN1_INTEGER_get_int64(&length, constraints->pathlen) == 1 && length >= 0 &&
            length < INT_MAX);
}

}  // namespace

Bytes encoded(const X509_NAME* name) {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    return X509_NAME_get0_der(name, &data, &size) == 1 ? Bytes{data, size} : Bytes{};
}

std::optional<RootStore::Root> root_of(const OpenSslContext& context, X509* certificate) {
    const ASN1_BIT_STRING* signature = nullptr;
    X509_get0_signature(&signature, nullptr, certificate);
    return context.root_stores().root_of(bytes_of(signature),
                                         encoded(X509_get_subject_name(certificate)));
}

bool authority_is_whole(X509* certificate) {
    return (X509_get0_authority_issuer(certificate) == nullptr) ==
           (X509_get0_authority_serial(certificate) == nullptr);
}

namespace {

// Returns true if this certificate conforms to RFC 5280. OpenSSL is less strict in some points, and
// detects many errors only later.
bool is_readable(X509* certificate) {
    const STACK_OF(X509_EXTENSION)* extensions = X509_get0_extensions(certificate);
    const long version = X509_get_version(certificate);
    const ASN1_BIT_STRING* ids[2] = {};
    X509_get0_uids(certificate, &ids[0], &ids[1]);
    // The rules of proxy certificates (RFC 3820), and of IP addresses and AS numbers (RFC 3779),
    // are not supported.
    return (X509_get_extension_flags(certificate) & (EXFLAG_INVALID | EXFLAG_PROXY)) == 0 &&
           X509_get_ext_by_NID(certificate, NID_sbgp_ipAddrBlock, -1) < 0 &&
           X509_get_ext_by_NID(certificate, NID_sbgp_autonomousSysNum, -1) < 0 &&
           version >= X509_VERSION_1 && version <= X509_VERSION_3 &&
           (extensions == nullptr ||
            (version == X509_VERSION_3 && sk_X509_EXTENSION_num(extensions) > 0)) &&
           // Mbed TLS does not fully support unique identifiers, and RFC 5280 §4.1.2.8 forbids CAs
           // to use them.
           ids[0] == nullptr && ids[1] == nullptr &&
           X509_NAME_entry_count(X509_get_issuer_name(certificate)) > 0 &&
           is_whole(X509_get0_notBefore(certificate)) &&
           is_whole(X509_get0_notAfter(certificate)) && key_is_readable(certificate) &&
           signature_is_readable(certificate) && !has_empty_list(certificate) &&
           authority_is_whole(certificate) && addresses_are_whole(certificate) &&
           path_length_is_a_number(certificate);
}

bool are_readable(const STACK_OF(X509) * chain) {
    for (int i = 0; i < sk_X509_num(chain); ++i)
        if (!is_readable(sk_X509_value(chain, i)))
            return false;
    return true;
}

// RFC 5280 §4.2: an extension must not occur twice, and no critical extension may be unknown.
// §4.2.1.10: name constraints must not be empty.
bool extensions_are_understood(X509* certificate) {
    for (int i = 0; i < X509_get_ext_count(certificate); ++i) {
        auto* extension = X509_get_ext(certificate, i);
        const ASN1_OBJECT* oid = X509_EXTENSION_get_object(extension);
        if (X509_get_ext_by_OBJ(certificate, oid, i) >= 0)
            return false;
        if (OBJ_obj2nid(oid) == NID_name_constraints
                ? is_empty_list(extension)
                : X509_EXTENSION_get_critical(extension) != 0 &&
                      !policy::may_be_critical(bytes_of(oid)))
            return false;
    }
    return true;
}

// RFC 5280 §4.2.1.3, §4.2.1.12: stricter than OpenSSL. A peer's certificate must allow signatures,
// and other purposes do not imply those of TLS.
bool purpose_fits(X509* certificate, int depth, bool of_server) {
    const std::uint32_t flags = X509_get_extension_flags(certificate);
    if (depth == 0 && (flags & EXFLAG_KUSAGE) != 0 &&
        (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) == 0)
        return false;
    return (flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(certificate) &
                                             (of_server ? XKU_SSL_SERVER : XKU_SSL_CLIENT)) != 0;
}

bool key_is_weak(X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    if (key == nullptr)
        return true;
    const int bits = EVP_PKEY_get_bits(key);
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
        case EVP_PKEY_RSA_PSS:
            return bits < policy::minimum_rsa_bits;
        case EVP_PKEY_EC:
            return bits < policy::minimum_ec_bits;
        case EVP_PKEY_ED25519:
        case EVP_PKEY_ED448:
            return false;
        default:
            return true;
    }
}

bool signature_is_weak(X509* certificate) {
    int digest = NID_undef;
    int key = NID_undef;
    if (X509_get_signature_info(certificate, &digest, &key, nullptr, nullptr) != 1)
        return true;
    if (key == NID_ED25519 || key == NID_ED448)
        return false;
    const EVP_MD* md = EVP_get_digestbynid(digest);
    return md == nullptr || EVP_MD_get_size(md) * 8 < policy::minimum_hash_bits;
}

std::string_view text_of(const ASN1_STRING* string) {
    const Bytes bytes = bytes_of(string);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The last common name is the most specific one.
std::string_view common_name_of(X509* certificate) {
    const X509_NAME* subject = X509_get_subject_name(certificate);
    int last = -1;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        last = at;
    return last >= 0 ? text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)))
                     : std::string_view{};
}

bool is_for(X509* certificate, const HostName& name) {
    HostNameCheck check(name);
    const AlternativeNames names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    if (!names && X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0)
        check.alternative_other();  // present, but unreadable
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* alternative = sk_GENERAL_NAME_value(names.get(), i);
        if (alternative->type == GEN_DNS) {
            check.alternative_dns(text_of(alternative->d.dNSName));
        } else if (alternative->type == GEN_IPADD) {
            check.alternative_address(bytes_of(alternative->d.iPAddress));
        } else {
            check.alternative_other();
        }
    }
    if (const std::string_view common = common_name_of(certificate); !common.empty())
        check.common_name(common);
    return check.matches();
}

bool is_wildcard(std::string_view name) {
    return name.starts_with("*.");
}

// Returns true if `name` is in the domain of the wildcard, apart from its first label.
bool is_in_domain_of(std::string_view wildcard, std::string_view name) {
    if (name.starts_with('.'))
        name.remove_prefix(1);
    const std::size_t dot = name.find('.');
    const std::string_view domain = dot < name.size() ? from(name, dot) : std::string_view{};
    return std::ranges::equal(domain, from(wildcard, 1), {}, lower, lower);
}

// Returns true if name constraints forbid a wildcard of the peer's certificate (RFC 5280
// §4.2.1.10). OpenSSL does not consider that a wildcard also matches an excluded name. It also does
// not apply constraints to a wildcard in a common name.
bool wildcard_is_forbidden(X509* peer, X509* authority) {
    const Handle<NAME_CONSTRAINTS, NAME_CONSTRAINTS_free> constraints{
        static_cast<NAME_CONSTRAINTS*>(
            X509_get_ext_d2i(authority, NID_name_constraints, nullptr, nullptr))};
    if (!constraints)
        return false;
    const auto any_dns = [](const STACK_OF(GENERAL_SUBTREE) * subtrees, auto fits) {
        for (int i = 0; i < sk_GENERAL_SUBTREE_num(subtrees); ++i) {
            const GENERAL_NAME* base = sk_GENERAL_SUBTREE_value(subtrees, i)->base;
            if (base->type == GEN_DNS && fits(text_of(base->d.dNSName)))
                return true;
        }
        return false;
    };
    const AlternativeNames names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(peer, NID_subject_alt_name, nullptr, nullptr))};
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS || !is_wildcard(text_of(name->d.dNSName)))
            continue;
        const auto excludes = [&](std::string_view excluded) {
            return is_in_domain_of(text_of(name->d.dNSName), excluded);
        };
        if (any_dns(constraints->excludedSubtrees, excludes))
            return true;
    }
    const auto any = [](std::string_view) { return true; };
    return !names && is_wildcard(common_name_of(peer)) &&
           (any_dns(constraints->permittedSubtrees, any) ||
            any_dns(constraints->excludedSubtrees, any));
}

// RFC 5280 §4.2.1.9: a certificate of version 3 without basicConstraints must not issue others. The
// same applies to version 2. A version 1 certificate may issue only if it is self-signed. Otherwise
// the owner of a trusted device certificate could issue certificates for other devices. OpenSSL
// accepts any trust anchor with keyCertSign, and compares only the names.
bool may_issue(X509* certificate) {
    constexpr int authority = 1;
    constexpr int self_signed_v1 = 3;
    const int kind = X509_check_ca(certificate);
    return kind == authority ||
           (kind == self_signed_v1 && X509_verify(certificate, X509_get0_pubkey(certificate)) == 1);
}

// Returns the X.509 error that makes OpenSSL send the right alert.
int x509_error_of(Code worst) {
    switch (worst) {
        case Code::CERT_REVOKED:
            return X509_V_ERR_CERT_REVOKED;  // certificate_revoked
        case Code::CERT_UNKNOWN_ISSUER:
        case Code::CERT_SELF_SIGNED:
            return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;  // unknown_ca
        case Code::CERT_PURPOSE:
            return X509_V_ERR_INVALID_PURPOSE;  // unsupported_certificate
        case Code::CERT_EXPIRED:
        case Code::CERT_NOT_YET_VALID:
        case Code::CERT_CLOCK:
            return X509_V_ERR_CERT_HAS_EXPIRED;  // certificate_expired
        default:
            return X509_V_ERR_CERT_REJECTED;  // bad_certificate
    }
}

// Returns true if the certificate or its public key is pinned.
bool is_pinned(Bytes pins, X509* certificate) {
    std::uint8_t hash[32];
    if (X509_digest(certificate, EVP_sha256(), hash, nullptr) == 1 && policy::is_pinned(pins, hash))
        return true;
    unsigned char* key = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    const bool hashed = size > 0 && EVP_Digest(key, static_cast<std::size_t>(size), hash, nullptr,
                                               EVP_sha256(), nullptr) == 1;
    OPENSSL_free(key);
    return hashed && policy::is_pinned(pins, hash);
}

bool any_is_spoiled(STACK_OF(X509) * certificates) {
    for (int i = 0; i < sk_X509_num(certificates); ++i)
        if (is_spoiled(sk_X509_value(certificates, i)))
            return true;
    return false;
}

void free_certificates(STACK_OF(X509) * certificates) {
    sk_X509_pop_free(certificates, X509_free);
}

void free_stack(STACK_OF(X509) * certificates) {
    sk_X509_free(certificates);
}

void free_crls(STACK_OF(X509_CRL) * crls) {
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
}

// Returns true if `trusted` was made of the root store's entry for `certificate`. The stored fields
// identify a certificate.
bool was_made_of(const OpenSslContext& context, X509* trusted, X509* certificate) {
    return root_of(context, trusted) &&
           same_bytes(X509_get_subject_name(trusted), X509_get_subject_name(certificate)) &&
           same_bytes(X509_get_issuer_name(trusted), X509_get_issuer_name(certificate)) &&
           ASN1_INTEGER_cmp(X509_get0_serialNumber(trusted), X509_get0_serialNumber(certificate)) ==
               0 &&
           ASN1_TIME_compare(X509_get0_notBefore(trusted), X509_get0_notBefore(certificate)) == 0 &&
           ASN1_TIME_compare(X509_get0_notAfter(trusted), X509_get0_notAfter(certificate)) == 0 &&
           EVP_PKEY_eq(X509_get0_pubkey(trusted), X509_get0_pubkey(certificate)) == 1;
}

bool is_among_trusted(X509_STORE_CTX* store, X509* certificate) {
    const OpenSslContext& context = session_of(store)->context();
    const Handle<STACK_OF(X509), free_certificates> trusted{
        X509_STORE_CTX_get1_certs(store, X509_get_subject_name(certificate))};
    for (int i = 0; i < sk_X509_num(trusted.get()); ++i)
        if (X509_cmp(sk_X509_value(trusted.get(), i), certificate) == 0 ||
            was_made_of(context, sk_X509_value(trusted.get(), i), certificate))
            return true;
    return false;
}

bool is_signed_by_one_of(X509_CRL* crl, STACK_OF(X509) * issuers) {
    for (int i = 0; i < sk_X509_num(issuers); ++i) {
        X509* issuer = sk_X509_value(issuers, i);
        if ((X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0 &&
            X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1)
            return true;
    }
    return false;
}

// A trust anchor needs no CRL, and a self-issued one cannot be revoked. Any other trust anchor is
// revoked by a CRL that is present, as other certificates are. The newest valid CRL decides, or the
// newest one if none is valid. OpenSSL only uses CRLs of issuers in the chain.
bool anchor_is_revoked(X509_STORE_CTX* store, X509* anchor) {
    const X509_NAME* issuer = X509_get_issuer_name(anchor);
    if (same_bytes(X509_get_subject_name(anchor), issuer))
        return false;
    const Handle<STACK_OF(X509_CRL), free_crls> crls{X509_STORE_CTX_get1_crls(store, issuer)};
    const Handle<STACK_OF(X509), free_certificates> issuers{X509_STORE_CTX_get1_certs(
        store, const_cast<X509_NAME*>(issuer))};  // not const up to OpenSSL 3.0
    const auto now =
        static_cast<time_t>(session_of(store)->context().settings().verify_time.at(time(nullptr)));
    X509_CRL* best = nullptr;
    bool best_is_good = false;
    for (int i = 0; i < sk_X509_CRL_num(crls.get()); ++i) {
        X509_CRL* crl = sk_X509_CRL_value(crls.get(), i);
        const bool good = ASN1_TIME_cmp_time_t(X509_CRL_get0_lastUpdate(crl), now) <= 0 &&
                          ASN1_TIME_cmp_time_t(X509_CRL_get0_nextUpdate(crl), now) >= 0 &&
                          is_signed_by_one_of(crl, issuers.get());
        const bool newer = best == nullptr || ASN1_TIME_compare(X509_CRL_get0_lastUpdate(crl),
                                                                X509_CRL_get0_lastUpdate(best)) > 0;
        if (best == nullptr || (good && !best_is_good) || (good == best_is_good && newer)) {
            best = crl;
            best_is_good = good;
        }
    }
    X509_REVOKED* entry = nullptr;
    return best != nullptr && X509_CRL_get0_by_cert(best, &entry, anchor) == 1;
}

bool is_expired(X509* certificate, std::time_t time) {
    return ASN1_TIME_cmp_time_t(X509_get0_notAfter(certificate), time) < 0;
}

bool is_not_yet_valid(X509* certificate, std::time_t time) {
    return ASN1_TIME_cmp_time_t(X509_get0_notBefore(certificate), time) > 0;
}

// Returns the trusted CA with the same name and key as a self-signed certificate, which is then a
// renewed version. Prefers one that is valid at that time. nullptr: there is none.
Certificate renewed_from(X509_STORE_CTX* store, X509* certificate, std::time_t time) {
    Certificate found;
    if (X509_self_signed(certificate, 1) != 1)
        return found;
    const Handle<STACK_OF(X509), free_certificates> trusted{
        X509_STORE_CTX_get1_certs(store, X509_get_subject_name(certificate))};
    for (int i = 0; i < sk_X509_num(trusted.get()); ++i) {
        X509* ca = sk_X509_value(trusted.get(), i);
        const bool may_sign = X509_check_ca(ca) != 0 &&
                              (X509_get_key_usage(ca) & KU_KEY_CERT_SIGN) != 0 &&
                              X509_check_issued(ca, certificate) == X509_V_OK;
        if (may_sign && same_bytes(X509_get_subject_name(ca), X509_get_issuer_name(certificate)) &&
            EVP_PKEY_eq(X509_get0_pubkey(ca), X509_get0_pubkey(certificate)) == 1 &&
            (!found || is_expired(found.get(), time) || is_not_yet_valid(found.get(), time)) &&
            X509_up_ref(ca) == 1)
            found.reset(ca);
    }
    return found;
}

// As X509_verify_cert(), for a path of one trusted certificate.
int verify_alone(X509_STORE_CTX* store, X509* certificate) {
    const Handle<STACK_OF(X509), free_stack> alone{sk_X509_new_null()};
    if (!alone || sk_X509_push(alone.get(), certificate) <= 0) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
        return -1;
    }
    STACK_OF(X509)* shown = X509_STORE_CTX_get0_untrusted(store);
    X509_STORE_CTX_set0_untrusted(store, nullptr);
    X509_STORE_CTX_set0_trusted_stack(store, alone.get());
    const int verified = X509_verify_cert(store);
    X509_STORE_CTX_set0_untrusted(store, shown);
    return verified;
}

// As X509_verify_cert(), but handles two kinds of paths as RFC 5280 §6.1 requires.
int verify_path(X509_STORE_CTX* store, OpenSslSession& session) {
    X509* peer = X509_STORE_CTX_get0_cert(store);
    // A path ends at the first trusted certificate. If that is the peer's own, the other
    // certificates do not matter and may have expired. A CRL can still revoke it.
    if (is_among_trusted(store, peer)) {
        if (session.context().settings().crl_check != CrlCheck::none &&
            anchor_is_revoked(store, peer))
            session.state().found.add(failure_bit(Code::CERT_REVOKED), peer, 0);
        return verify_alone(store, peer);
    }
    // A renewed self-signed certificate is accepted below its old version, if that one is a trusted
    // CA. OpenSSL only accepts a self-signed certificate if it is trusted byte by byte.
    const VerifyTime& verify_time = session.context().settings().verify_time;
    const std::time_t clock = std::time(nullptr);
    const auto time = static_cast<std::time_t>(verify_time.at(clock));
    Certificate ca = renewed_from(store, peer, time);
    if (!ca || session.context().settings().crl_check != CrlCheck::none)
        return X509_verify_cert(store);
    const int verified = verify_alone(store, peer);
    if (is_expired(ca.get(), time))
        session.state().found.add(failure_bit(Code::CERT_EXPIRED), ca.get(), 1);
    if (is_not_yet_valid(ca.get(), time))
        session.state().found.add(
            failure_bit(verify_time.not_yet_valid(clock, Code::CERT_NOT_YET_VALID)), ca.get(), 1);
    if (signature_is_weak(peer))
        session.state().found.add(failure_bit(Code::CERT_WEAK), peer, 0);
    // For the checks of the whole path below.
    STACK_OF(X509)* path = X509_STORE_CTX_get1_chain(store);
    if (path == nullptr || sk_X509_push(path, ca.get()) <= 0) {
        free_certificates(path);
        X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
        return -1;
    }
    [[maybe_unused]] X509* const of_path = ca.release();
    X509_STORE_CTX_set0_verified_chain(store, path);
    return verified;
}

// Mozilla ends the trust in a root for certificates whose validity starts after a given date.
void judge_age(OpenSslSession& session, X509* peer, X509* anchor) {
    const auto root = root_of(session.context(), anchor);
    if (root && root->distrusted_after &&
        ASN1_TIME_cmp_time_t(X509_get0_notBefore(peer),
                             static_cast<time_t>(*root->distrusted_after)) > 0)
        session.state().found.add(failure_bit(Code::CERT_UNKNOWN_ISSUER), peer, 0);
}

// Replaces all failures, because the error concerns no single certificate.
void set_invalid(OpenSslSession& session) {
    session.state().found = {};
    session.state().found.add(failure_bit(Code::CERT_INVALID), nullptr, 0);
}

void verify(X509_STORE_CTX* store, OpenSslSession& session) {
    const OpenSslContext& context = session.context();
    X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(store);
    // Every certificate in ca_certs is a trust anchor, even if it is not self-signed. The strength
    // is checked below.
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, 0);
    X509_VERIFY_PARAM_set_depth(param, policy::max_intermediates);
    if (const std::optional<std::int64_t> time = context.settings().verify_time.given)
        X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(*time));
    if (context.settings().crl_check != CrlCheck::none)
        X509_VERIFY_PARAM_set_flags(param,
                                    static_cast<unsigned long>(context.settings().crl_check));
    X509_STORE_CTX_set_verify_cb(store, collect);
    const int verified = verify_path(store, session);
    if (verified <= 0 && session.state().found.all() == 0)
        set_invalid(session);
    // The limits are the same on all engines.
    if (X509_STORE_CTX_get_error(store) == X509_V_ERR_CERT_CHAIN_TOO_LONG ||
        session.state().signature_checks > policy::max_signature_checks)
        return set_invalid(session);
    X509* peer = X509_STORE_CTX_get0_cert(store);
    STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store);
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        X509* certificate = sk_X509_value(chain, i);
        const bool is_trusted = i >= X509_STORE_CTX_get_num_untrusted(store);
        std::uint16_t failures = 0;
        // A trust anchor's own signature proves nothing and is not checked.
        if (key_is_weak(certificate) || (!is_trusted && signature_is_weak(certificate)))
            failures |= failure_bit(Code::CERT_WEAK);
        if (!extensions_are_understood(certificate))
            failures |= failure_bit(Code::CERT_INVALID);
        if (!purpose_fits(certificate, i, context.settings().role == Role::client))
            failures |= failure_bit(Code::CERT_PURPOSE);
        if (i > 0 && (!may_issue(certificate) || wildcard_is_forbidden(peer, certificate)))
            failures |= failure_bit(Code::CERT_INVALID);
        const bool is_checked = context.settings().crl_check == CrlCheck::chain ||
                                (context.settings().crl_check == CrlCheck::leaf && i == 0);
        if (is_checked && is_trusted && anchor_is_revoked(store, certificate))
            failures |= failure_bit(Code::CERT_REVOKED);
        session.state().found.add(failures, certificate, i);
    }
    if (const int top = sk_X509_num(chain) - 1; top > 0)
        judge_age(session, peer, sk_X509_value(chain, top));
    if (session.name() != nullptr && context.settings().checks_hostname &&
        !is_for(peer, *session.name()))
        session.state().found.add(failure_bit(Code::CERT_HOSTNAME), peer, 0);
    if (!context.settings().verifies_by_program)
        return;
    for (int i = sk_X509_num(chain) - 1; i >= 0 && !session.transport().aborted(); --i) {
        X509* certificate = sk_X509_value(chain, i);
        if (i == 0 || !root_of(context, certificate))
            session.state().found.add(session.verify_certificate(certificate, i), certificate, i);
    }
}

}  // namespace

namespace {

bool can_be_issuer(X509* issuer, X509* certificate) {
    const int found = X509_check_issued(issuer, certificate);
    // A missing keyCertSign is reported later, with the certificate.
    return (found == X509_V_OK || found == X509_V_ERR_KEYUSAGE_NO_CERTSIGN) &&
           same_bytes(X509_get_subject_name(issuer), X509_get_issuer_name(certificate));
}

// Returns true if the peer sent another CA certificate with the same name and a different key.
bool has_namesake_shown(X509_STORE_CTX* store, X509* issuer) {
    const STACK_OF(X509)* shown = X509_STORE_CTX_get0_untrusted(store);
    for (int i = 0; i < sk_X509_num(shown); ++i) {
        X509* other = sk_X509_value(shown, i);
        if (X509_NAME_cmp(X509_get_subject_name(other), X509_get_subject_name(issuer)) == 0 &&
            EVP_PKEY_eq(X509_get0_pubkey(other), X509_get0_pubkey(issuer)) != 1)
            return true;
    }
    return false;
}

// Returns the key that signed a certificate. Candidates are the CAs with the issuer's name, trusted
// ones first. If none of them signed it, returns the key of the first CA that was sent, or else
// trusted. The wrong signature is then reported later. Returns nullptr if too many signatures were
// checked.
EVP_PKEY* signer_of(X509_STORE_CTX* store, X509* certificate, int& checks) {
    const X509_NAME* name = X509_get_issuer_name(certificate);
    const Handle<STACK_OF(X509), free_certificates> trusted{X509_STORE_CTX_get1_certs(
        store, const_cast<X509_NAME*>(name))};  // not const up to OpenSSL 3.0
    EVP_PKEY* first = nullptr;
    for (const STACK_OF(X509) * candidates :
         {static_cast<const STACK_OF(X509)*>(trusted.get()),
          static_cast<const STACK_OF(X509)*>(X509_STORE_CTX_get0_untrusted(store))}) {
        bool is_first = true;
        for (int i = 0; i < sk_X509_num(candidates); ++i) {
            X509* candidate = sk_X509_value(candidates, i);
            if (!can_be_issuer(candidate, certificate))
                continue;
            if (++checks > policy::max_signature_checks)
                return nullptr;
            EVP_PKEY* key = X509_get0_pubkey(candidate);
            if (X509_verify(certificate, key) == 1)
                return key;
            if (std::exchange(is_first, false))
                first = key;
        }
    }
    return first;
}

}  // namespace

void OpenSslSession::keep_found() {
    const std::uint16_t failures = handshake_.certificate_failures = handshake_.found.all();
    const X509* certificate = handshake_.found.worst();
    handshake_.found = {};
    if (certificate == nullptr)
        return;
    std::optional<std::int64_t> clock;
    if (policy::concerns_dates(failures))
        clock = context().settings().verify_time.at(std::time(nullptr));
    failed_.keep({.subject = encoded(X509_get_subject_name(certificate)),
                  .issuer = encoded(X509_get_issuer_name(certificate)),
                  .not_before = time_of(X509_get0_notBefore(certificate)),
                  .not_after = time_of(X509_get0_notAfter(certificate)),
                  .clock = clock});
}

int is_issued(X509_STORE_CTX* store, X509* certificate, X509* issuer) {
    if (!same_bytes(X509_get_subject_name(issuer), X509_get_issuer_name(certificate)))
        return 0;
    // If several CAs have the same name, the issuer is the one that signed. OpenSSL by itself would
    // only try the first one. The search must precede any rejection of the first candidate. OpenSSL
    // calls this for the others with its store locked, and signer_of() locks it, too.
    OpenSslSession& session = *session_of(store);
    const bool has_namesakes =
        session.context().trusts_namesakes() || has_namesake_shown(store, issuer);
    if (has_namesakes && session.state().signed_certificate != certificate) {
        session.state().signed_certificate = certificate;
        session.state().signed_by = signer_of(store, certificate, session.state().signature_checks);
    }
    if (!can_be_issuer(issuer, certificate))
        return 0;
    if (!has_namesakes)
        return 1;
    return session.state().signed_by != nullptr &&
                   EVP_PKEY_eq(X509_get0_pubkey(issuer), session.state().signed_by) == 1
               ? 1
               : 0;
}

int verify_chain(X509_STORE_CTX* store, void*) {
    OpenSslSession& session = *session_of(store);
    const OpenSslContext& context = session.context();
    if (context.settings().uses_psk) {
        session.state().psk_ignored = true;
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return 0;
    }
    X509* peer = X509_STORE_CTX_get0_cert(store);
    if (!context.settings().pins().empty() && !is_pinned(context.settings().pins(), peer))
        session.state().found.add(failure_bit(Code::CERT_PIN), peer, 0);
    if (!are_readable(X509_STORE_CTX_get0_untrusted(store)))
        set_invalid(session);
    else if (context.settings().verify != Verify::none)
        verify(store, session);
    session.keep_found();
    const std::uint16_t failures = session.state().certificate_failures;
    bool& lacked_memory = session.state().verification_lacked_memory;
    lacked_memory |= take_lack_of_memory();
    lacked_memory |= X509_STORE_CTX_get_error(store) == X509_V_ERR_OUT_OF_MEM;
    lacked_memory |= failures != 0 && any_is_spoiled(X509_STORE_CTX_get0_untrusted(store));
    if (failures == 0 && !lacked_memory) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    // OpenSSL sends both of the first two as internal_error (RFC 8446 §6.2).
    X509_STORE_CTX_set_error(store, lacked_memory ? X509_V_ERR_OUT_OF_MEM
                                    : session.transport().aborted()
                                        ? X509_V_ERR_UNSPECIFIED
                                        : x509_error_of(policy::certificate_error(failures).code));
    return 0;
}

}  // namespace ussl::openssl
