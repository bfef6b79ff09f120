#include "errors.hpp"

#include <string.h>

#include "binding.h"

using ussl::Code;
using ussl::Error;

extern "C" MP_NORETURN void ussl_raise_refusal(const char* reason, bool out_of_memory) {
    if (out_of_memory)
        mp_raise_OSError(MP_ENOMEM);
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), reason);
}

MP_NORETURN void ussl_raise(const ussl::Refusal& refusal, const ussl_sources_t* sources) {
    if (refusal.out_of_memory)
        mp_raise_OSError(MP_ENOMEM);
    using About = ussl::Refusal::About;
    const ussl_source_t* source = nullptr;
    if (sources != nullptr && refusal.about != About::call)
        source = refusal.about == About::key           ? &sources->key
                 : refusal.about == About::certificate ? &sources->certificate
                                                       : &sources->trusted;
    std::string_view argument;
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
    const size_t size = ussl::describe(refusal, argument, file, text);
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%.*s"), static_cast<int>(size), text);
}

MP_NORETURN void ussl_raise(const Error& error) {
    if (error.code == Code::stream)
        mp_raise_OSError(error.number());
    if (error.code == Code::NO_MEMORY)
        mp_raise_OSError(MP_ENOMEM);
    char text[ussl::max_description];
    const size_t size = ussl::describe(error, text);
    // Where there is no memory for the text (the heap may be locked), the number matters more.
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

extern "C" MP_NORETURN void ussl_raise_row(unsigned code) {
    Error error;
    error.code = static_cast<Code>(code);
    ussl_raise(error);
}
