# Takes ussl into a CMake port (rp2, esp32): -DUSER_C_MODULES=…/ussl/bindings/micropython/micropython.cmake
#
#   USSL_ENGINE                 mbedtls (the default here) or openssl
#   USSL_MBEDTLS                own: Mbed TLS is built from its sources, patched and configured by ussl (the default)
#                               port: the one that the port links already (the default of ESP-IDF)
#   MBEDTLS_DIR                 the sources (a copy is patched); otherwise tools/deps fetches them
#   USSL_MBEDTLS_CONFIG         another configuration than ussl_mbedtls_config.h
#   USSL_MBEDTLS_USER_CONFIG    a file with changes to it

set(ussl_binding ${CMAKE_CURRENT_LIST_DIR})
get_filename_component(ussl_dir ${ussl_binding}/../.. ABSOLUTE)

if(NOT USSL_ENGINE)
    set(USSL_ENGINE mbedtls)
endif()
if(NOT USSL_ENGINE STREQUAL mbedtls)
    message(FATAL_ERROR "USSL_ENGINE=${USSL_ENGINE}: on a board it is mbedtls")
endif()
if(NOT USSL_MBEDTLS)
    set(USSL_MBEDTLS own)
    if(ESP_PLATFORM)
        set(USSL_MBEDTLS port)
    endif()
endif()

set(ussl_defines USSL_ENGINE_MBEDTLS USSL_BOARD USSL_PORT_MEMORY)
set(ussl_include ${ussl_dir}/include ${ussl_dir}/src ${ussl_dir}/src/mbedtls)
set(ussl_cxx_options -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics)

# What MicroPython scans for interned strings. Its headers are C and break some rules when read as C++.
file(GLOB ussl_binding_sources ${ussl_binding}/*.cpp)
set_source_files_properties(${ussl_binding_sources} PROPERTIES COMPILE_OPTIONS
    "${ussl_cxx_options};-Wno-missing-field-initializers;-Wno-pedantic;-Wno-double-promotion;-Wno-float-conversion")

file(GLOB ussl_sources ${ussl_dir}/src/*.cpp ${ussl_dir}/src/mbedtls/*.cpp)

add_library(usermod_ussl INTERFACE)
target_sources(usermod_ussl INTERFACE
    ${ussl_binding}/modussl.c ${ussl_binding}/modcrypto.c ${ussl_binding}/port.c ${ussl_binding_sources})
target_compile_definitions(usermod_ussl INTERFACE ${ussl_defines})

if(USSL_MBEDTLS STREQUAL port)
    # The port's headers, flags and libraries are those of its firmware: all of ussl is compiled with it.
    set_source_files_properties(${ussl_sources} PROPERTIES COMPILE_OPTIONS "${ussl_cxx_options}")
    target_sources(usermod_ussl INTERFACE ${ussl_sources})
    target_include_directories(usermod_ussl INTERFACE ${ussl_include})
    # What patches/mbedtls-signature-limit.patch does (src/mbedtls/engine.cpp).
    target_link_options(usermod_ussl INTERFACE -Wl,--wrap=mbedtls_x509_crt_verify_restartable)
else()
    # A patch that is changed, added or removed makes another copy of the sources.
    file(GLOB ussl_mbedtls_patches CONFIGURE_DEPENDS ${ussl_dir}/patches/mbedtls-*.patch)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ussl_mbedtls_patches} ${ussl_dir}/tools/deps)
    set(ussl_mbedtls_environment)
    if(MBEDTLS_DIR)
        set(ussl_mbedtls_environment MBEDTLS_DIR=${MBEDTLS_DIR})
    endif()
    execute_process(COMMAND ${CMAKE_COMMAND} -E env ${ussl_mbedtls_environment} ${ussl_dir}/tools/deps source mbedtls
        OUTPUT_VARIABLE ussl_mbedtls_dir OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    if(NOT USSL_MBEDTLS_CONFIG)
        set(USSL_MBEDTLS_CONFIG ussl_mbedtls_config.h)
    endif()
    set(ussl_mbedtls_defines MBEDTLS_CONFIG_FILE="${USSL_MBEDTLS_CONFIG}")
    if(USSL_MBEDTLS_USER_CONFIG)
        list(APPEND ussl_mbedtls_defines MBEDTLS_USER_CONFIG_FILE="${USSL_MBEDTLS_USER_CONFIG}")
    endif()
    target_compile_definitions(usermod_ussl INTERFACE ${ussl_mbedtls_defines})
    target_include_directories(usermod_ussl INTERFACE ${ussl_include} ${ussl_mbedtls_dir}/include)

    file(GLOB ussl_mbedtls_sources ${ussl_mbedtls_dir}/library/*.c)
    list(APPEND ussl_mbedtls_sources ${ussl_dir}/src/mbedtls/internals.c)

    # What knows nothing of MicroPython is a library of its own; the linker drops what is not used.
    add_library(ussl_core STATIC ${ussl_sources} ${ussl_mbedtls_sources})
    target_include_directories(ussl_core PRIVATE ${ussl_include} ${ussl_mbedtls_dir}/include ${ussl_mbedtls_dir}/library)
    target_compile_definitions(ussl_core PRIVATE ${ussl_defines} ${ussl_mbedtls_defines})
    target_compile_options(ussl_core PRIVATE -Os -ffunction-sections -fdata-sections
        $<$<COMPILE_LANGUAGE:CXX>:${ussl_cxx_options}> $<$<COMPILE_LANGUAGE:C>:-w>)
    # Where a handshake spends its time: with -O2 it is a sixth quicker, and 6 KB larger.
    foreach(name bignum bignum_core constant_time ecp ecp_curves)
        set_source_files_properties(${ussl_mbedtls_dir}/library/${name}.c PROPERTIES COMPILE_OPTIONS -O2)
    endforeach()
    target_link_libraries(usermod_ussl INTERFACE ussl_core)
endif()

target_link_libraries(usermod INTERFACE usermod_ussl)
