// The module itself.

#include "module.h"
#include "ussl/context.hpp"
#include "ussl/memory.hpp"

extern "C" {

mp_obj_str_t ussl_engine_name_obj = {{&mp_type_str}, 0, 0, nullptr};

// Called by each import of the module, under each of its names.
mp_obj_t ussl_module_init(void) {
    ussl::wipe_released_memory(ussl::default_engine());
    const std::string_view name = ussl::engine_version(ussl::default_engine());
    ussl_engine_name_obj.data = reinterpret_cast<const byte*>(name.data());
    ussl_engine_name_obj.len = name.size();
    ussl_engine_name_obj.hash = qstr_compute_hash(ussl_engine_name_obj.data, name.size());
    return mp_const_none;
}

}  // extern "C"
