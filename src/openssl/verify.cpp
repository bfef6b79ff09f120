#include "../policy.hpp"
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

Session* session_of(X509_STORE_CTX* store) {
    const auto* ssl = static_cast<const SSL*>(
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    return Session::of(ssl);
}

// Keeps every failure and goes on, so that a program hears all that is wrong at once.
int collect(int ok, X509_STORE_CTX* store) {
    if (ok != 0)
        return 1;
    const int error = X509_STORE_CTX_get_error(store);
    session_of(store)->certificate_failures |= failure_bit(code_of(error));
    return error != X509_V_ERR_OUT_OF_MEM && error != X509_V_ERR_UNSPECIFIED &&
           error != X509_V_ERR_STORE_LOOKUP;
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

// A trusted certificate's own signature proves nothing and is not looked at.
bool chain_is_weak(X509_STORE_CTX* store) {
    STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store);
    const int untrusted = X509_STORE_CTX_get_num_untrusted(store);
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        X509* certificate = sk_X509_value(chain, i);
        if (key_is_weak(certificate) || (i < untrusted && signature_is_weak(certificate)))
            return true;
    }
    return false;
}

std::string_view text_of(const ASN1_STRING* string) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<std::size_t>(ASN1_STRING_length(string))};
}

bool is_for(X509* certificate, const HostName& name) {
    HostNameCheck check(name);
    const AlternativeNames names{static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    if (!names && X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0)
        check.alternative_other();  // there, but unreadable
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* alternative = sk_GENERAL_NAME_value(names.get(), i);
        if (alternative->type == GEN_DNS) {
            check.alternative_dns(text_of(alternative->d.dNSName));
        } else if (alternative->type == GEN_IPADD) {
            const std::string_view address = text_of(alternative->d.iPAddress);
            check.alternative_address(
                {reinterpret_cast<const std::uint8_t*>(address.data()), address.size()});
        } else {
            check.alternative_other();
        }
    }
    // The last common name is the most specific one.
    const X509_NAME* subject = X509_get_subject_name(certificate);
    int last = -1;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        last = at;
    if (last >= 0)
        check.common_name(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last))));
    return check.matches();
}

// The alert follows from the X.509 error that OpenSSL is left with.
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
            return X509_V_ERR_CERT_HAS_EXPIRED;  // certificate_expired
        default:
            return X509_V_ERR_CERT_REJECTED;  // bad_certificate
    }
}

// Whether the certificate, or its public key, is one of the pinned ones.
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

void verify(X509_STORE_CTX* store, Session& session) {
    const Context& context = session.context();
    X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(store);
    // Whatever stands in ca_certs is trusted, root or not; strength is judged below.
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, 0);
    if (const std::optional<std::int64_t> time = context.verify_time())
        X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(*time));
    X509_STORE_CTX_set_verify_cb(store, collect);
    const int verified = X509_verify_cert(store);
    std::uint16_t& failures = session.certificate_failures;
    if (verified <= 0 && failures == 0)
        failures = failure_bit(Code::CERT_INVALID);
    if (chain_is_weak(store))
        failures |= failure_bit(Code::CERT_WEAK);
    if (session.name() != nullptr && context.checks_hostname() &&
        !is_for(X509_STORE_CTX_get0_cert(store), *session.name()))
        failures |= failure_bit(Code::CERT_HOSTNAME);
    if (!context.verifies_by_program())
        return;
    STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store);
    for (int i = sk_X509_num(chain) - 1; i >= 0 && !session.wire().aborted(); --i)
        failures |= session.judge(sk_X509_value(chain, i), i);
}

}  // namespace

int verify_chain(X509_STORE_CTX* store, void*) {
    Session& session = *session_of(store);
    const Context& context = session.context();
    if (context.uses_psk()) {
        session.psk_ignored = true;
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return 0;
    }
    X509* peer = X509_STORE_CTX_get0_cert(store);
    std::uint16_t& failures = session.certificate_failures;
    if (!context.pins().empty() && !is_pinned(context.pins(), peer))
        failures |= failure_bit(Code::CERT_PIN);
    if (context.verify() != Verify::none)
        verify(store, session);
    bool& lacked_memory = session.verification_lacked_memory;
    lacked_memory |= take_lack_of_memory();
    lacked_memory |= X509_STORE_CTX_get_error(store) == X509_V_ERR_OUT_OF_MEM;
    lacked_memory |= failures != 0 && any_is_spoiled(X509_STORE_CTX_get0_untrusted(store));
    if (failures == 0 && !lacked_memory) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, lacked_memory
                                        ? X509_V_ERR_OUT_OF_MEM
                                        : x509_error_of(policy::certificate_error(failures).code));
    return 0;
}

}  // namespace ussl::openssl
