# For ./firmware's comparison: a CMake port without TLS. USER_C_MODULES names this file instead of ussl's.
add_library(usermod_without_tls INTERFACE)
target_include_directories(usermod_without_tls INTERFACE ${CMAKE_CURRENT_LIST_DIR}/../../bindings/micropython)
target_compile_definitions(usermod_without_tls INTERFACE MP_CONFIGFILE="mpconfigport_without_tls.h")
list(APPEND MICROPY_CPP_DEF_EXTRA MP_CONFIGFILE="mpconfigport_without_tls.h")
target_link_libraries(usermod INTERFACE usermod_without_tls)
