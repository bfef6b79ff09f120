#pragma once

// The features that a build can omit, for C and C++ (docs/porting/small-builds.md). USSL_WITHOUT=crl,keylog on the
// command line of make or CMake omits two of them. tools/features reads the names from this file, and defines the macros
// as 1. "small": the profile omits the feature.

#ifndef USSL_WITHOUT_ALPN
#define USSL_WITHOUT_ALPN 0  // small: application protocols
#endif
#ifndef USSL_WITHOUT_ARGUMENT_TEXTS
#define USSL_WITHOUT_ARGUMENT_TEXTS 0  // small: full texts for wrong arguments; their names and short reasons remain
#endif
#ifndef USSL_WITHOUT_CERT_DICT
#define USSL_WITHOUT_CERT_DICT 0  // small: getpeercert() as a dictionary, cert_info()
#endif
#ifndef USSL_WITHOUT_CONTEXT
#define USSL_WITHOUT_CONTEXT 0  // small: SSLContext, create_default_context(); wrap_socket() remains
#endif
#ifndef USSL_WITHOUT_CONTEXT_SHARING
#define USSL_WITHOUT_CONTEXT_SHARING 0  // small: calls of wrap_socket() share parsed keys, certificates and sessions
#endif
#ifndef USSL_WITHOUT_CRL
#define USSL_WITHOUT_CRL 0  // small: CRLs in ca_certs, verify_flags
#endif
#ifndef USSL_WITHOUT_CRYPTOLIB
#define USSL_WITHOUT_CRYPTOLIB 0  // small: the module cryptolib, md5 and sha1 of hashlib
#endif
#ifndef USSL_WITHOUT_ENCRYPTED_KEYS
#define USSL_WITHOUT_ENCRYPTED_KEYS 0  // small: encrypted private keys, with key_password
#endif
#ifndef USSL_WITHOUT_ERROR_TEXTS
#define USSL_WITHOUT_ERROR_TEXTS 0  // small: texts of errors; numbers and names remain
#endif
#ifndef USSL_WITHOUT_KEYLOG
#define USSL_WITHOUT_KEYLOG 0  // small: keylog_filename
#endif
#ifndef USSL_WITHOUT_PEM
#define USSL_WITHOUT_PEM 0  // small: keys, certificates and CRLs in PEM; DER remains
#endif
#ifndef USSL_WITHOUT_RESUMPTION
#define USSL_WITHOUT_RESUMPTION 0  // small: resumed sessions; each handshake is a full one
#endif
#ifndef USSL_WITHOUT_ROOT_STORE
#define USSL_WITHOUT_ROOT_STORE 0  // small: compact root stores
#endif
#ifndef USSL_WITHOUT_SELF_SIGNED
#define USSL_WITHOUT_SELF_SIGNED 0  // small: self_signed()
#endif
#ifndef USSL_WITHOUT_SESSION_EXPORT
#define USSL_WITHOUT_SESSION_EXPORT 0  // small: SSLSession, SSLSocket.session; automatic resumption remains
#endif
#ifndef USSL_WITHOUT_SIGN_CALLBACK
#define USSL_WITHOUT_SIGN_CALLBACK 0  // small: sign_callback, ecdsa_sign_callback
#endif
#ifndef USSL_WITHOUT_SNI_CALLBACK
#define USSL_WITHOUT_SNI_CALLBACK 0  // small: sni_callback
#endif

#ifndef USSL_WITHOUT_SOCKET_FACTS
#define USSL_WITHOUT_SOCKET_FACTS 0  // small: version(), cipher(), group(), session_reused of SSLSocket
#endif

// 1 if any of them is omitted.
#ifndef USSL_OMITS_FEATURES
#define USSL_OMITS_FEATURES 0
#endif

// USSL_IF(CRL, row) is `row` if the build has the feature, and otherwise nothing.
#define USSL_IF(feature, ...) USSL_IF_OF(USSL_WITHOUT_##feature)(__VA_ARGS__)
#define USSL_IF_OF(omitted) USSL_IF_OF_(omitted)
#define USSL_IF_OF_(omitted) USSL_IF_##omitted
#define USSL_IF_0(...) __VA_ARGS__
#define USSL_IF_1(...)
// The same if the build omits it.
#define USSL_IF_OMITTED(feature, ...) USSL_IF_OMITTED_OF(USSL_WITHOUT_##feature)(__VA_ARGS__)
#define USSL_IF_OMITTED_OF(omitted) USSL_IF_OMITTED_OF_(omitted)
#define USSL_IF_OMITTED_OF_(omitted) USSL_IF_OMITTED_##omitted
#define USSL_IF_OMITTED_0(...)
#define USSL_IF_OMITTED_1(...) __VA_ARGS__

// The text for a wrong argument, and the short one of a build without argument_texts. Both name the argument.
#if USSL_WITHOUT_ARGUMENT_TEXTS
#define USSL_ARGUMENT(text, short_text) short_text
#else
#define USSL_ARGUMENT(text, short_text) text
#endif

#ifdef __cplusplus

// The error of an option that a build omits. It names the switch that includes it.
#define USSL_OMITTED(what, feature) what " is not in this build (USSL_WITH=" feature ")"

namespace ussl::features {

inline constexpr bool alpn = USSL_WITHOUT_ALPN == 0;
inline constexpr bool argument_texts = USSL_WITHOUT_ARGUMENT_TEXTS == 0;
inline constexpr bool cert_dict = USSL_WITHOUT_CERT_DICT == 0;
inline constexpr bool context = USSL_WITHOUT_CONTEXT == 0;
inline constexpr bool context_sharing = USSL_WITHOUT_CONTEXT_SHARING == 0;
inline constexpr bool crl = USSL_WITHOUT_CRL == 0;
inline constexpr bool cryptolib = USSL_WITHOUT_CRYPTOLIB == 0;
inline constexpr bool encrypted_keys = USSL_WITHOUT_ENCRYPTED_KEYS == 0;
inline constexpr bool error_texts = USSL_WITHOUT_ERROR_TEXTS == 0;
inline constexpr bool keylog = USSL_WITHOUT_KEYLOG == 0;
inline constexpr bool pem = USSL_WITHOUT_PEM == 0;
inline constexpr bool resumption = USSL_WITHOUT_RESUMPTION == 0;
inline constexpr bool root_store = USSL_WITHOUT_ROOT_STORE == 0;
inline constexpr bool self_signed = USSL_WITHOUT_SELF_SIGNED == 0;
inline constexpr bool session_export = USSL_WITHOUT_SESSION_EXPORT == 0;
inline constexpr bool sign_callback = USSL_WITHOUT_SIGN_CALLBACK == 0;
inline constexpr bool sni_callback = USSL_WITHOUT_SNI_CALLBACK == 0;
inline constexpr bool socket_facts = USSL_WITHOUT_SOCKET_FACTS == 0;

}  // namespace ussl::features

#endif
