// Signatures by the program, for keys in a secure element or on another machine. For OpenSSL, such
// a key belongs to a provider (provider(7)). The provider exports the public key, and calls the
// session for signatures. It has a library context of its own, so that no other code can use it.

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <cstring>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

// --- keys (provider-keymgmt(7))

struct Signer {
    OpenSslSession* session = nullptr;
    EVP_PKEY* public_key = nullptr;  ///< owned by the context
};
constexpr char signer_parameter[] = "ussl-signer";

void* new_key(void*) {
    return OPENSSL_zalloc(sizeof(Signer));
}

void free_key(void* key) {
    OPENSSL_free(key);
}

int has(const void*, int) {
    return 1;
}

int import_key(void* key, int, const OSSL_PARAM params[]) {
    const OSSL_PARAM* param = OSSL_PARAM_locate_const(params, signer_parameter);
    if (param == nullptr || param->data_size != sizeof(Signer))
        return 0;
    std::memcpy(key, param->data, sizeof(Signer));
    return 1;
}

const OSSL_PARAM* import_types(int) {
    static constexpr OSSL_PARAM types[] = {OSSL_PARAM_octet_string(signer_parameter, nullptr, 0),
                                           OSSL_PARAM_END};
    return types;
}

// Exports the public key, which OpenSSL compares with that of the certificate.
int export_key(void* key, int selection, OSSL_CALLBACK* take, void* argument) {
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
        return 0;
    OSSL_PARAM* params = nullptr;
    // The call may succeed without a result if memory runs out.
    if (EVP_PKEY_todata(static_cast<Signer*>(key)->public_key, EVP_PKEY_PUBLIC_KEY, &params) != 1 ||
        params == nullptr)
        return 0;
    const int taken = take(params, argument);
    OSSL_PARAM_free(params);
    return taken;
}

int get_params(void* key, OSSL_PARAM params[]) {
    return EVP_PKEY_get_params(static_cast<Signer*>(key)->public_key, params);
}

const OSSL_PARAM* gettable_params(void*) {
    static constexpr OSSL_PARAM gettable[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0), OSSL_PARAM_END};
    return gettable;
}

const char* ecdsa_for_ec(int) {
    return "ECDSA";
}

// --- signatures (provider-signature(7))

struct Signing {
    Signer* signer;
    const EVP_MD* hash;
    bool pss;
};

void* new_signing(void*, const char*) {
    return OPENSSL_zalloc(sizeof(Signing));
}

void free_signing(void* context) {
    OPENSSL_free(context);
}

int set_params(void* context, const OSSL_PARAM params[]) {
    // The padding mode is a text or a number, depending on the caller. TLS always uses a salt as
    // long as the hash.
    const OSSL_PARAM* param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    if (param == nullptr)
        return 1;
    int mode = 0;
    const char* name = nullptr;
    if (param->data_type == OSSL_PARAM_INTEGER && OSSL_PARAM_get_int(param, &mode) == 1)
        static_cast<Signing*>(context)->pss = mode == RSA_PKCS1_PSS_PADDING;
    else if (OSSL_PARAM_get_utf8_string_ptr(param, &name) == 1)
        static_cast<Signing*>(context)->pss = std::strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
    else
        return 0;
    return 1;
}

const OSSL_PARAM* settable_params(void*, void*) {
    static constexpr OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, nullptr, 0), OSSL_PARAM_END};
    return settable;
}

int sign_init(void* context, const char* hash, void* key, const OSSL_PARAM params[]) {
    auto& signing = *static_cast<Signing*>(context);
    signing.signer = static_cast<Signer*>(key);
    signing.hash = hash != nullptr ? EVP_get_digestbyname(hash) : nullptr;
    return signing.hash != nullptr && (params == nullptr || set_params(context, params) == 1) ? 1
                                                                                              : 0;
}

int sign(void* context, unsigned char* signature, std::size_t* length, std::size_t capacity,
         const unsigned char* data, std::size_t data_size) {
    const auto& signing = *static_cast<Signing*>(context);
    const EVP_PKEY* key = signing.signer->public_key;
    if (signature == nullptr) {
        *length = static_cast<std::size_t>(EVP_PKEY_get_size(key));
        return 1;
    }
    std::uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(data, data_size, digest, &size, signing.hash, nullptr) != 1)
        return 0;
    SignatureScheme scheme = SignatureScheme::ecdsa;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        scheme = signing.pss ? SignatureScheme::rsa_pss : SignatureScheme::rsa_pkcs1;
    std::size_t written = 0;
    const std::size_t most = capacity < max_signature ? capacity : max_signature;
    if (!signing.signer->session->sign(scheme, {digest, size}, {signature, most}, written))
        return 0;
    *length = written;
    return 1;
}

// --- the provider (provider-base(7))

template <class Function>
void (*dispatched(Function* function))() {
    return reinterpret_cast<void (*)()>(function);
}

#define USSL_KEYMGMT_FUNCTIONS                                                                    \
    {OSSL_FUNC_KEYMGMT_NEW, dispatched(new_key)}, {OSSL_FUNC_KEYMGMT_FREE, dispatched(free_key)}, \
        {OSSL_FUNC_KEYMGMT_HAS, dispatched(has)},                                                 \
        {OSSL_FUNC_KEYMGMT_IMPORT, dispatched(import_key)},                                       \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, dispatched(import_types)},                               \
        {OSSL_FUNC_KEYMGMT_EXPORT, dispatched(export_key)},                                       \
        {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, dispatched(import_types)},                               \
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, dispatched(get_params)}, {                                 \
        OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, dispatched(gettable_params)                            \
    }

const OSSL_DISPATCH rsa_keys[] = {USSL_KEYMGMT_FUNCTIONS, {0, nullptr}};
const OSSL_DISPATCH ec_keys[] = {USSL_KEYMGMT_FUNCTIONS,
                                 {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, dispatched(ecdsa_for_ec)},
                                 {0, nullptr}};
const OSSL_DISPATCH signatures[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, dispatched(new_signing)},
    {OSSL_FUNC_SIGNATURE_FREECTX, dispatched(free_signing)},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, dispatched(set_params)},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, dispatched(settable_params)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, dispatched(sign_init)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, dispatched(sign)},
    {0, nullptr}};

const OSSL_ALGORITHM* query(void*, int operation, int* may_change) {
    static const OSSL_ALGORITHM keys[] = {
        {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=ussl", rsa_keys, nullptr},
        {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=ussl", ec_keys, nullptr},
        {nullptr, nullptr, nullptr, nullptr}};
    static const OSSL_ALGORITHM signing[] = {{"RSA", "provider=ussl", signatures, nullptr},
                                             {"ECDSA", "provider=ussl", signatures, nullptr},
                                             {nullptr, nullptr, nullptr, nullptr}};
    *may_change = 0;
    switch (operation) {
        case OSSL_OP_KEYMGMT:
            return keys;
        case OSSL_OP_SIGNATURE:
            return signing;
        default:
            return nullptr;
    }
}

int start(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH*, const OSSL_DISPATCH** functions,
          void** context) {
    static const OSSL_DISPATCH provider[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, dispatched(query)}, {0, nullptr}};
    *context = const_cast<OSSL_CORE_HANDLE*>(handle);  // unused, but it must not be null
    *functions = provider;
    return 1;
}

}  // namespace

namespace {

// OpenSSL converts a provider's functions on their first use. If memory runs out at that time, the
// library context loses them permanently. This first use must not be in a connection.
bool are_known(OSSL_LIB_CTX* signers) {
    using KeyFunctions = Handle<EVP_KEYMGMT, EVP_KEYMGMT_free>;
    using SignatureFunctions = Handle<EVP_SIGNATURE, EVP_SIGNATURE_free>;
    return KeyFunctions{EVP_KEYMGMT_fetch(signers, "RSA", nullptr)} &&
           KeyFunctions{EVP_KEYMGMT_fetch(signers, "EC", nullptr)} &&
           SignatureFunctions{EVP_SIGNATURE_fetch(signers, "RSA", nullptr)} &&
           SignatureFunctions{EVP_SIGNATURE_fetch(signers, "ECDSA", nullptr)};
}

}  // namespace

LibCtx make_signers(Provider& provider) {
    LibCtx signers{OSSL_LIB_CTX_new()};
    if (signers && OSSL_PROVIDER_add_builtin(signers.get(), "ussl", start) == 1)
        provider.reset(OSSL_PROVIDER_load(signers.get(), "ussl"));
    if (!provider || !are_known(signers.get())) {
        provider.reset();
        signers.reset();
    }
    return signers;
}

Key make_signer(OSSL_LIB_CTX* signers, OpenSslSession& session, EVP_PKEY* public_key) {
    const Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> maker{EVP_PKEY_CTX_new_from_name(
        signers, EVP_PKEY_get_base_id(public_key) == EVP_PKEY_RSA ? "RSA" : "EC", nullptr)};
    Signer signer{&session, public_key};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(signer_parameter, &signer, sizeof signer),
        OSSL_PARAM_construct_end()};
    EVP_PKEY* key = nullptr;
    if (maker && EVP_PKEY_fromdata_init(maker.get()) == 1)
        (void)EVP_PKEY_fromdata(maker.get(), &key, EVP_PKEY_KEYPAIR, params);
    return Key{key};
}

bool sign_with(EVP_PKEY* key, SignatureScheme scheme, Bytes digest, MutableBytes signature,
               std::size_t& length) {
    if (key == nullptr)
        return false;
    const EVP_MD* hash = digest.size() == 32   ? EVP_sha256()
                         : digest.size() == 48 ? EVP_sha384()
                                               : EVP_sha512();
    const Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> signing{EVP_PKEY_CTX_new(key, nullptr)};
    length = signature.size();
    return signing && EVP_PKEY_sign_init(signing.get()) == 1 &&
           EVP_PKEY_CTX_set_signature_md(signing.get(), hash) == 1 &&
           (scheme != SignatureScheme::rsa_pss ||
            (EVP_PKEY_CTX_set_rsa_padding(signing.get(), RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(signing.get(), RSA_PSS_SALTLEN_DIGEST) == 1)) &&
           EVP_PKEY_sign(signing.get(), signature.data(), &length, digest.data(), digest.size()) ==
               1;
}

}  // namespace ussl::openssl
