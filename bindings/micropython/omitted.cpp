// The names of features that this build omits (src/switches.h). Using one raises an AttributeError
// that names the switch. Unused in a build with all features.

#include "switches.h"

#include "module.h"

namespace {

namespace features = ussl::features;

// Returns the feature of a name in the module, of an attribute or of a method. nullptr: not of an
// omitted feature.
const char* omitted_feature_of(qstr name) {
    const auto is = [name](auto... names) { return ((name == names) || ...); };
    if (!features::alpn && is(MP_QSTR_set_alpn_protocols, MP_QSTR_selected_alpn_protocol))
        return "alpn";
    if (!features::cert_dict && is(MP_QSTR_cert_info))
        return "cert_dict";
    if (!features::context && is(MP_QSTR_SSLContext, MP_QSTR_create_default_context))
        return "context";
    if (!features::crl &&
        is(MP_QSTR_verify_flags, MP_QSTR_VERIFY_CRL_CHECK_LEAF, MP_QSTR_VERIFY_CRL_CHECK_CHAIN))
        return "crl";
    if (!features::cryptolib && is(MP_QSTR_md5, MP_QSTR_sha1))
        return "cryptolib";
    if (!features::keylog && is(MP_QSTR_keylog_filename))
        return "keylog";
    if (!features::self_signed && is(MP_QSTR_self_signed))
        return "self_signed";
    if (!features::session_export && is(MP_QSTR_SSLSession, MP_QSTR_session))
        return "session_export";
    if (!features::sign_callback && is(MP_QSTR_sign_callback, MP_QSTR_ecdsa_sign_callback))
        return "sign_callback";
    if (!features::sni_callback && is(MP_QSTR_sni_callback))
        return "sni_callback";
    return nullptr;
}

}  // namespace

extern "C" void ussl_raise_if_omitted(qstr name) {
    if (const char* feature = omitted_feature_of(name))
        mp_raise_msg_varg(&mp_type_AttributeError,
                          MP_ERROR_TEXT("%q is not in this build (USSL_WITH=%s)"), name, feature);
}

// The module's __getattr__, for names that it lacks.
extern "C" mp_obj_t ussl_module_getattr(mp_obj_t name) {
    ussl_raise_if_omitted(mp_obj_str_get_qstr(name));
    mp_raise_msg_varg(&mp_type_AttributeError, MP_ERROR_TEXT("module has no attribute '%q'"),
                      mp_obj_str_get_qstr(name));
}
