# Takes ussl into a CMake port (rp2, esp32): -DUSER_C_MODULES=…/ussl/bindings/micropython/micropython.cmake
# Neither the port nor the board is edited: this file leaves out MicroPython's own TLS and, on rp2, its Mbed TLS.
#
#   USSL_ENGINE                 mbedtls, the only one here
#   USSL_MBEDTLS                own: Mbed TLS is built from its sources, patched and configured by ussl (the default)
#                               port: the one that the port links already (the default of ESP-IDF, and there the only one)
#   USSL_BESIDE                 ON: MicroPython's own TLS stays, ssl and tls are its names; with USSL_MBEDTLS=port only
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
if(NOT USSL_MBEDTLS MATCHES "^(own|port)$")
    message(FATAL_ERROR "ussl: USSL_MBEDTLS=${USSL_MBEDTLS}: it is own or port")
endif()
if(USSL_MBEDTLS STREQUAL own AND ESP_PLATFORM)
    message(FATAL_ERROR "ussl: ESP-IDF always links its own Mbed TLS, and two do not fit into one firmware; use USSL_MBEDTLS=port")
endif()
if(USSL_MBEDTLS STREQUAL own AND USSL_BESIDE)
    message(FATAL_ERROR "ussl: USSL_BESIDE needs USSL_MBEDTLS=port: two Mbed TLS do not fit into one firmware")
endif()

set(ussl_defines USSL_ENGINE=mbedtls USSL_BOARD USSL_PORT_MEMORY)
set(ussl_include ${ussl_dir}/include ${ussl_dir}/src ${ussl_dir}/src/mbedtls)
set(ussl_cxx_options -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics)

# What MicroPython scans for interned strings. Its headers, and those of makers, are C and break some rules when read as C++.
file(GLOB ussl_binding_sources ${ussl_binding}/*.cpp)
set_source_files_properties(${ussl_binding_sources} PROPERTIES COMPILE_OPTIONS
    "${ussl_cxx_options};-Wno-missing-field-initializers;-Wno-pedantic;-Wno-double-promotion;-Wno-float-conversion;-Wno-register;-Wno-volatile")

file(GLOB ussl_sources ${ussl_dir}/src/*.cpp ${ussl_dir}/src/pem/*.cpp ${ussl_dir}/src/policy/*.cpp ${ussl_dir}/src/mbedtls/*.cpp)

add_library(usermod_ussl INTERFACE)
target_sources(usermod_ussl INTERFACE
    ${ussl_binding}/modussl.c ${ussl_binding}/modcrypto.c ${ussl_binding}/port.c ${ussl_binding_sources})
set(ussl_firmware_defines ${ussl_defines})
if(NOT USSL_BESIDE)
    list(APPEND ussl_firmware_defines MP_CONFIGFILE="mpconfigport_without_tls.h")
    target_include_directories(usermod_ussl INTERFACE ${ussl_binding})
endif()

if(USSL_MBEDTLS STREQUAL port)
    # The port's headers, flags and libraries are those of its firmware: all of ussl is compiled with it.
    set_source_files_properties(${ussl_sources} PROPERTIES COMPILE_OPTIONS "${ussl_cxx_options}")
    target_include_directories(usermod_ussl INTERFACE ${ussl_include})
    # A library of its own, and its name hidden in an expression: what knows nothing of MicroPython is not scanned for names.
    add_library(ussl_core INTERFACE)
    target_sources(ussl_core INTERFACE ${ussl_sources})
    # What patches/mbedtls-signature-limit.patch does (src/mbedtls/verify.cpp).
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
    list(APPEND ussl_firmware_defines ${ussl_mbedtls_defines})
    target_include_directories(usermod_ussl INTERFACE ${ussl_include} ${ussl_mbedtls_dir}/include)

    # MicroPython's Mbed TLS is left out. rp2 always links it, with a configuration of its own, and always compiles two
    # files that need it; its headers would come before ussl's.
    if(TARGET micropy_lib_mbedtls)
        foreach(property SOURCES INCLUDE_DIRECTORIES COMPILE_DEFINITIONS)
            set_property(TARGET micropy_lib_mbedtls PROPERTY INTERFACE_${property})
        endforeach()
        list(REMOVE_ITEM MICROPY_INC_CORE ${MICROPY_LIB_MBEDTLS_DIR}/include)
        set_source_files_properties(${MICROPY_PORT_DIR}/mbedtls/mbedtls_port.c ${MICROPY_DIR}/extmod/mbedtls/mbedtls_alt.c
            PROPERTIES HEADER_FILE_ONLY ON)
    endif()

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
endif()

# A part of port.c's source of entropy, which MicroPython links since 1.28 only.
if(TARGET pico_rand)
    target_link_libraries(usermod_ussl INTERFACE $<1:pico_rand>)
endif()

# The functions of two Mbed TLS have the same names. Where the linker takes them from a library, it takes whichever comes
# first: code then runs with structures of another size, and nothing says so. Checked when the firmware's target is complete.
function(ussl_find_mbedtls target)
    get_property(checked GLOBAL PROPERTY ussl_checked)
    if(NOT TARGET ${target} OR target IN_LIST checked OR target STREQUAL ussl_core)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY ussl_checked ${target})
    foreach(kind "" INTERFACE_)
        get_target_property(sources ${target} ${kind}SOURCES)
        list(FILTER sources INCLUDE REGEX "/library/(aes|bignum|ecp|ssl_tls|x509_crt)\\.c$")
        if(sources)
            list(GET sources 0 source)
            message(FATAL_ERROR "ussl: two Mbed TLS in one firmware: the library ${target} brings ${source}, and ussl its own. "
                "Leave that library out, or let ussl use it: -DUSSL_MBEDTLS=port (bindings/micropython/micropython.cmake)")
        endif()
        get_target_property(libraries ${target} ${kind}LINK_LIBRARIES)
        foreach(library IN LISTS libraries)
            ussl_find_mbedtls("${library}")
        endforeach()
    endforeach()
endfunction()
if(USSL_MBEDTLS STREQUAL own)
    cmake_language(DEFER CALL ussl_find_mbedtls ${MICROPY_TARGET})
endif()

target_compile_definitions(usermod_ussl INTERFACE ${ussl_firmware_defines})
# The scan for names knows the definitions of the firmware's target only.
list(APPEND MICROPY_CPP_DEF_EXTRA ${ussl_firmware_defines})
target_link_libraries(usermod_ussl INTERFACE $<1:ussl_core>)
target_link_libraries(usermod INTERFACE usermod_ussl)
