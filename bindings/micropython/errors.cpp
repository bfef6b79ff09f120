#include "errors.hpp"
#include "binding.h"

using ussl::Code;
using ussl::Error;

extern "C" MP_NORETURN void ussl_raise_refusal(const char* reason, bool out_of_memory) {
    if (out_of_memory)
        mp_raise_OSError(MP_ENOMEM);
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s"), reason);
}

MP_NORETURN void ussl_raise(const Error& error) {
    if (error.code == Code::stream)
        mp_raise_OSError(error.number());
    if (error.code == Code::NO_MEMORY)
        mp_raise_OSError(MP_ENOMEM);
    char text[ussl::max_description];
    const size_t size = ussl::describe(error, text);
    const mp_obj_t args[2] = {MP_OBJ_NEW_SMALL_INT(error.number()), mp_obj_new_str(text, size)};
    nlr_raise(mp_obj_exception_make_new(&mp_type_OSError, 2, 0, args));
}

extern "C" MP_NORETURN void ussl_raise_row(unsigned code) {
    Error error;
    error.code = static_cast<Code>(code);
    ussl_raise(error);
}
