# Adds ussl to a CMake port (rp2, esp32): -DUSER_C_MODULES=…/ussl/bindings/micropython/micropython.cmake
# You do not edit the port or the board: this file removes MicroPython's own TLS and, on rp2, its Mbed TLS.
#
#   USSL_ENGINE                 mbedtls, the only engine here
#   USSL_MBEDTLS=own            Mbed TLS is built from its sources, patched and configured by ussl (the default)
#   USSL_MBEDTLS=port           the Mbed TLS that the port links already (the default with ESP-IDF, which needs it)
#   USSL_BESIDE=ON              keeps MicroPython's own TLS as ssl and tls; only with USSL_MBEDTLS=port
#   MBEDTLS_DIR                 the sources (a copy is patched); otherwise tools/deps fetches them
#   USSL_MBEDTLS_CONFIG         a configuration in place of ussl_mbedtls_config.h
#   USSL_MBEDTLS_USER_CONFIG    a file with changes to the configuration
#   USSL_PROFILE=small          omits features, for small firmware (docs/porting/small-builds.md)
#   USSL_WITHOUT=crl,keylog     omits these features
#   USSL_WITH=crl,keylog        includes these features that the profile omits
#   USSL_ROOTS=common           the root store in flash, docs/guide/root-stores.md (the default with USSL_MBEDTLS=own)
#   USSL_ROOTS=none             no root store (the default otherwise)
#   USSL_ROOTS=FILE             another root store, of tools/make_roots

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

# The lines NAME=VALUE of the engine's description, as variables.
file(STRINGS ${ussl_dir}/src/mbedtls/engine.conf ussl_lines)
foreach(line IN LISTS ussl_lines)
    if(line MATCHES "^([A-Z_]+)=(.*)")
        set(${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
    endif()
endforeach()
separate_arguments(USSL_ENGINE_QUICK_SOURCES)
separate_arguments(USSL_ENGINE_KNOWN_SOURCES)

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ussl_dir}/src/switches.h ${ussl_dir}/tools/features)
execute_process(COMMAND ${ussl_dir}/tools/features "${USSL_PROFILE}" "${USSL_WITHOUT}" "${USSL_WITH}"
    OUTPUT_VARIABLE ussl_features OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(ussl_features)
set(ussl_defines USSL_ENGINE=mbedtls USSL_BOARD USSL_PORT_MEMORY ${ussl_features})

if(NOT USSL_ROOTS)
    set(USSL_ROOTS none)
    if(USSL_MBEDTLS STREQUAL own AND NOT "USSL_WITHOUT_ROOT_STORE=1" IN_LIST ussl_features)
        set(USSL_ROOTS common)
    endif()
endif()
if(NOT USSL_ROOTS STREQUAL none)
    if(NOT USSL_MBEDTLS STREQUAL own)
        message(FATAL_ERROR "ussl: USSL_ROOTS=${USSL_ROOTS}: root stores need USSL_MBEDTLS=own")
    endif()
    execute_process(COMMAND ${ussl_dir}/tools/root_store ${USSL_ROOTS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
        OUTPUT_VARIABLE ussl_roots_file OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
set(ussl_include ${ussl_dir}/include ${ussl_dir}/src ${ussl_dir}/src/mbedtls)
set(ussl_cxx_options -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics)

# MicroPython scans these files for interned strings. Its headers, and those of the chips' makers, are C, and cause some
# warnings in C++.
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
    # All of ussl is compiled with the headers and flags of the port's firmware.
    set_source_files_properties(${ussl_sources} PROPERTIES COMPILE_OPTIONS "${ussl_cxx_options}")
    target_include_directories(usermod_ussl INTERFACE ${ussl_include})
    # These sources do not use MicroPython. They are a separate library, linked with a generator expression, so that
    # MicroPython does not scan them for interned strings.
    add_library(ussl_core INTERFACE)
    target_sources(ussl_core INTERFACE ${ussl_sources})
    # In place of patches/mbedtls-signature-limit.patch (src/mbedtls/verify.cpp).
    target_link_options(usermod_ussl INTERFACE -Wl,--wrap=mbedtls_x509_crt_verify_restartable)
else()
    # If a patch is changed, added or removed, CMake runs again and makes another copy of the sources.
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

    # Removes MicroPython's Mbed TLS. rp2 always links it, with its own configuration, and always compiles two files that
    # need it. Its headers would precede those of ussl.
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

    if(NOT USSL_ROOTS STREQUAL none)
        list(APPEND ussl_sources ${ussl_binding}/roots.c)
        list(APPEND ussl_firmware_defines USSL_ROOTS)
        set_source_files_properties(${ussl_binding}/roots.c PROPERTIES
            COMPILE_DEFINITIONS USSL_ROOTS_FILE="${ussl_roots_file}" OBJECT_DEPENDS ${ussl_roots_file})
    endif()

    # The sources that do not use MicroPython are a separate library; the linker omits unused objects.
    add_library(ussl_core STATIC ${ussl_sources} ${ussl_mbedtls_sources})
    target_include_directories(ussl_core PRIVATE ${ussl_include} ${ussl_mbedtls_dir}/include ${ussl_mbedtls_dir}/library)
    target_compile_definitions(ussl_core PRIVATE ${ussl_defines} ${ussl_mbedtls_defines})
    target_compile_options(ussl_core PRIVATE -Os -ffunction-sections -fdata-sections
        $<$<COMPILE_LANGUAGE:CXX>:${ussl_cxx_options}> $<$<COMPILE_LANGUAGE:C>:-w>)
    foreach(name IN LISTS USSL_ENGINE_QUICK_SOURCES)
        set_source_files_properties(${ussl_mbedtls_dir}/library/${name}.c PROPERTIES COMPILE_OPTIONS -O2)
    endforeach()
endif()

# A part of port.c's source of entropy. MicroPython links it only since 1.28.
if(TARGET pico_rand)
    target_link_libraries(usermod_ussl INTERFACE $<1:pico_rand>)
endif()

# Stops the build if the firmware links two copies of Mbed TLS. Their functions have the same names. From libraries, the
# linker uses the first one without a message, and code runs with structures of a wrong size. This is checked when the
# firmware's target is complete.
function(ussl_find_mbedtls target)
    get_property(checked GLOBAL PROPERTY ussl_checked)
    if(NOT TARGET ${target} OR target IN_LIST checked OR target STREQUAL ussl_core)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY ussl_checked ${target})
    list(JOIN USSL_ENGINE_KNOWN_SOURCES | known)
    foreach(kind "" INTERFACE_)
        get_target_property(sources ${target} ${kind}SOURCES)
        list(FILTER sources INCLUDE REGEX "/library/(${known})\\.c$")
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
# The scan for interned strings uses only the definitions of the firmware's target.
list(APPEND MICROPY_CPP_DEF_EXTRA ${ussl_firmware_defines})
target_link_libraries(usermod_ussl INTERFACE $<1:ussl_core>)
target_link_libraries(usermod INTERFACE usermod_ussl)
