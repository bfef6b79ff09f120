#include "errors.hpp"

#include <string.h>

#include "context.hpp"

using ussl::Code;
using ussl::Error;

namespace {

// The names of options in the library's error messages, and their names for programs.
struct OptionName {
    const char* option;
    const char* argument;  // of wrap_socket()
#if !USSL_WITHOUT_CONTEXT
    const char* attribute;  // attribute or method of SSLContext
#endif
};
#define NAME(option, argument, ...) {option, argument USSL_IF(CONTEXT, , __VA_ARGS__)}
constexpr OptionName option_names[] = {
    NAME("key", "keyfile", "keyfile"),
    NAME("certificate", "certfile", "certfile (load_cert_chain)"),
    NAME("trusted", "ca_certs", "load_verify_locations()"),
    NAME("system_store", "SSLContext.load_default_certs()", "load_default_certs()"),
    NAME("verify", "cert_reqs", "verify_mode"),
    NAME("crl_check", "SSLContext.verify_flags", "verify_flags"),
    NAME("psk_identity", "psk_ident", "psk_identity"),
    NAME("psk_server", "psk_keys", "server_psk_keys"),
#if !USSL_WITHOUT_CONTEXT
    {"key_password", "key_password", "password"},
    {"verify_by_program", "verify_callback", "verify_callback"},
    {"psk_hint", "psk_hint", "identity_hint"},
    {"suites", "set_ciphers", "set_ciphers"},
    {"alpn", "set_alpn_protocols", "set_alpn_protocols"},
    {"choose_by_name", "sni_callback", "sni_callback"},
#endif
};
#undef NAME

// Appends the program's name of an option; most have the same name in the library.
void add_name(vstr_t* text, const ussl_context_obj_t* context, const char* option, size_t size) {
    for (const OptionName& name : option_names) {
        if (context == nullptr || strlen(name.option) != size ||
            memcmp(name.option, option, size) != 0)
            continue;
#if USSL_WITHOUT_CONTEXT
        const char* known = name.argument;
#else
        const char* known = context->strict != 0 ? name.argument : name.attribute;
#endif
        // Some arguments of wrap_socket() have two names.
        if ((context->aliases & ussl_called_key) != 0 && strcmp(known, "keyfile") == 0)
            known = "key";
        if ((context->aliases & ussl_called_cert) != 0 && strcmp(known, "certfile") == 0)
            known = "cert";
        if ((context->aliases & ussl_called_cadata) != 0 && strcmp(known, "ca_certs") == 0)
            known = "cadata";
        vstr_add_str(text, known);
        return;
    }
    vstr_add_strn(text, option, size);
}

constexpr size_t max_row = 256;  // the length of a text with a single table entry

}  // namespace

MP_NORETURN void ussl_raise_refusal(const ussl_context_obj_t* context, const char* reason,
                                    bool out_of_memory) {
    ussl_raise(ussl::ConfigError{reason, out_of_memory}, nullptr, context);
}

MP_NORETURN void ussl_raise(const ussl::ConfigError& config_error, const ussl_sources_t* sources,
                            const ussl_context_obj_t* context) {
    if (config_error.out_of_memory)
        mp_raise_OSError(MP_ENOMEM);
    vstr_t reason;
    vstr_init(&reason, 64);
    const char* rest = config_error.reason;
    for (const char* quote; (quote = strchr(rest, '`')) != nullptr;) {
        const char* end = strchr(quote + 1, '`');
        vstr_add_strn(&reason, rest, static_cast<size_t>(quote - rest));
        add_name(&reason, context, quote + 1, static_cast<size_t>(end - quote - 1));
        rest = end + 1;
    }
    vstr_add_str(&reason, rest);
    ussl::ConfigError named = config_error;
    named.reason = vstr_null_terminated_str(&reason);
    using About = ussl::ConfigError::About;
    const ussl_source_t* source = nullptr;
    if (sources != nullptr && config_error.about != About::call &&
        config_error.about != About::system_roots)
        source = config_error.about == About::key           ? &sources->key
                 : config_error.about == About::certificate ? &sources->certificate
                                                            : &sources->trusted;
    std::string_view argument =
        config_error.about == About::system_roots ? "the firmware's root store" : "";
    std::string_view file;
    if (source != nullptr) {
        size_t size = 0;
        const char* text = qstr_str(source->argument);
        argument = {text, strlen(text)};
        if (source->from_file) {
            text = mp_obj_str_get_data(source->given, &size);
            file = {text, size};
        }
    }
    char text[ussl::max_description];
    const size_t size = ussl::describe(named, argument, file, text);
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%.*s"), static_cast<int>(size), text);
}

MP_NORETURN void ussl_raise(const Error& error, const char* text, size_t size) {
    if (error.code == Code::stream)
        mp_raise_OSError(error.number());
    if (error.code == Code::NO_MEMORY)
        mp_raise_OSError(MP_ENOMEM);
    // If there is no memory for the text (the heap may be locked), only the number is raised.
    auto* copy = m_new_maybe(byte, size + 1);
    auto* string = copy != nullptr ? m_new_obj_maybe(mp_obj_str_t) : nullptr;
    if (string == nullptr)
        mp_raise_OSError(error.number());
    memcpy(copy, text, size);
    copy[size] = 0;
    *string = {{&mp_type_str}, qstr_compute_hash(copy, size), size, copy};
    const mp_obj_t args[2] = {MP_OBJ_NEW_SMALL_INT(error.number()), MP_OBJ_FROM_PTR(string)};
    nlr_raise(mp_obj_exception_make_new(&mp_type_OSError, 2, 0, args));
}

MP_NORETURN void ussl_raise_row(Code code) {
    Error error;
    error.code = code;
    char text[max_row];
    ussl_raise(error, text, ussl::describe(error, text));
}
