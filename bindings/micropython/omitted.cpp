// The names of features that this build omits (src/switches.h). Using one raises an AttributeError
// that names the switch. Unused in a build with all features.

#include <string.h>

#include "switches.h"

#include "module.h"

namespace {

enum Feature : uint8_t {
    alpn,
    cert_dict,
    context,
    crl,
    cryptolib,
    keylog,
    self_signed,
    session_export,
    sign_callback,
    sni_callback,
    socket_facts
};
constexpr char feature_names[] =
    "alpn\0cert_dict\0context\0crl\0cryptolib\0keylog\0self_signed\0session_export\0sign_"
    "callback\0sni_callback\0socket_facts";

// Names in the module, of attributes and of methods.
struct Name {
    qstr_short_t name;
    Feature feature;
};
// clang-format off
constexpr Name names[] = {
    USSL_IF_OMITTED(ALPN, {MP_QSTR_set_alpn_protocols, alpn},)
    USSL_IF_OMITTED(ALPN, {MP_QSTR_selected_alpn_protocol, alpn},)
    USSL_IF_OMITTED(CERT_DICT, {MP_QSTR_cert_info, cert_dict},)
    USSL_IF_OMITTED(CONTEXT, {MP_QSTR_SSLContext, context},)
    USSL_IF_OMITTED(CONTEXT, {MP_QSTR_create_default_context, context},)
    USSL_IF_OMITTED(CONTEXT, {MP_QSTR_Purpose, context},)
    USSL_IF_OMITTED(CONTEXT, {MP_QSTR_TLSVersion, context},)
    USSL_IF_OMITTED(CRL, {MP_QSTR_verify_flags, crl},)
    USSL_IF_OMITTED(CRL, {MP_QSTR_VERIFY_CRL_CHECK_LEAF, crl},)
    USSL_IF_OMITTED(CRL, {MP_QSTR_VERIFY_CRL_CHECK_CHAIN, crl},)
    USSL_IF_OMITTED(CRYPTOLIB, {MP_QSTR_md5, cryptolib},)
    USSL_IF_OMITTED(CRYPTOLIB, {MP_QSTR_sha1, cryptolib},)
    USSL_IF_OMITTED(KEYLOG, {MP_QSTR_keylog_filename, keylog},)
    USSL_IF_OMITTED(SELF_SIGNED, {MP_QSTR_self_signed, self_signed},)
    USSL_IF_OMITTED(SESSION_EXPORT, {MP_QSTR_SSLSession, session_export},)
    USSL_IF_OMITTED(SESSION_EXPORT, {MP_QSTR_session, session_export},)
    USSL_IF_OMITTED(SIGN_CALLBACK, {MP_QSTR_sign_callback, sign_callback},)
    USSL_IF_OMITTED(SIGN_CALLBACK, {MP_QSTR_ecdsa_sign_callback, sign_callback},)
    USSL_IF_OMITTED(SNI_CALLBACK, {MP_QSTR_sni_callback, sni_callback},)
    USSL_IF_OMITTED(SOCKET_FACTS, {MP_QSTR_version, socket_facts},)
    USSL_IF_OMITTED(SOCKET_FACTS, {MP_QSTR_cipher, socket_facts},)
    USSL_IF_OMITTED(SOCKET_FACTS, {MP_QSTR_group, socket_facts},)
    USSL_IF_OMITTED(SOCKET_FACTS, {MP_QSTR_session_reused, socket_facts},)
    {MP_QSTRnull, alpn},
};
// clang-format on

}  // namespace

extern "C" void ussl_raise_if_omitted(qstr name) {
    for (const Name& one : names) {
        if (one.name != name)
            continue;
        const char* feature = feature_names;
        for (int i = one.feature; i != 0; --i)
            feature += strlen(feature) + 1;
        mp_raise_msg_varg(&mp_type_AttributeError,
                          MP_ERROR_TEXT("%q is not in this build (USSL_WITH=%s)"), name, feature);
    }
}

// The module's __getattr__, for names that it lacks.
extern "C" mp_obj_t ussl_module_getattr(mp_obj_t name) {
    ussl_raise_if_omitted(mp_obj_str_get_qstr(name));
    mp_raise_msg_varg(&mp_type_AttributeError, MP_ERROR_TEXT("module has no attribute '%q'"),
                      mp_obj_str_get_qstr(name));
}
