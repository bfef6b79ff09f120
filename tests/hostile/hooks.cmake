# add_rogue_hooks(<name>): programs that link to it can change the messages of Mbed TLS (hooks.h).
function(add_rogue_hooks name)
    add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/tests/hostile/hooks.c)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src/mbedtls)
    target_include_directories(${name} SYSTEM PRIVATE ${mbedtls_tree}/include ${mbedtls_tree}/library)
    target_compile_definitions(${name} PRIVATE MBEDTLS_CONFIG_FILE="ussl_mbedtls_config.h")
    target_link_options(${name} INTERFACE
        -Wl,--wrap=mbedtls_ssl_write_handshake_msg_ext -Wl,--wrap=mbedtls_ssl_finish_handshake_msg
        -Wl,--wrap=mbedtls_ssl_add_hs_msg_to_checksum -Wl,--wrap=mbedtls_ssl_add_hs_hdr_to_checksum
        -Wl,--wrap=mbedtls_ssl_write_change_cipher_spec -Wl,--wrap=mbedtls_ssl_write_client_hello
        -Wl,--wrap=mbedtls_ssl_optimize_checksum)
endfunction()
