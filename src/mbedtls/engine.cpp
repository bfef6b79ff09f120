// The function table of this engine, and Mbed TLS's global state.

#include "mbedtls.hpp"

namespace ussl::mbedtls {

bool start_up() {
#ifdef MBEDTLS_PSA_CRYPTO_C
    return psa_crypto_init() == PSA_SUCCESS;
#else
    return true;
#endif
}

// Mbed TLS's key store is a global variable with pointers to the heap. After this call, it rejects
// the keys of connections that are destroyed later. The Mbed TLS of a port has its own memory and
// other users, so it is not shut down.
void shut_down() {
#if defined(MBEDTLS_PSA_CRYPTO_C) && defined(USSL_MBEDTLS_PLATFORM)
    mbedtls_psa_crypto_free();
#endif
}

bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) {
    Holder<mbedtls_md_context_t, mbedtls_md_init, mbedtls_md_free> hash;
    bool good = mbedtls_md_setup(&hash, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) == 0 &&
                mbedtls_md_starts(&hash) == 0;
    for (const Bytes part : parts)
        good = good && mbedtls_md_update(&hash, part.data(), part.size()) == 0;
    return good && mbedtls_md_finish(&hash, out.data()) == 0;
}

}  // namespace ussl::mbedtls

namespace ussl {

const Engine mbedtls_engine{
    .version = [] { return std::string_view{MBEDTLS_VERSION_STRING_FULL}; },
#ifdef USSL_HAS_SYSTEM_STORE
    .has_system_store = true,
#else
    .has_system_store = false,
#endif
    .has_root_store = USSL_HAS_ROOT_STORE != 0,
    .has_tls1_3 = USSL_HAS_TLS1_3 != 0,
    .has_psk = USSL_HAS_PSK != 0,
    .has_alpn = USSL_HAS_ALPN != 0,
    .has_crls = USSL_HAS_CRLS != 0,
    .has_signing_by_program = USSL_HAS_SIGNING_BY_PROGRAM != 0,
    .for_each_suite = features::context ? mbedtls::for_each_suite : nullptr,
    .best_groups = mbedtls::best_groups,
    .find_groups = mbedtls::find_groups,
    .sha256 = mbedtls::sha256,
    .now = mbedtls::now,
    .random =
        [](MutableBytes out) {
            return mbedtls::random_bytes(nullptr, out.data(), out.size()) == 0;
        },
    .crypto = features::cryptolib ? &mbedtls::crypto : nullptr,
    .describe = features::cert_dict ? mbedtls::describe_first : nullptr,
    .make_self_signed = features::self_signed ? mbedtls::make_self_signed : nullptr,
    .make_context = mbedtls::MbedContext::make,
    .shut_down = mbedtls::shut_down,
    .wipe_released_memory = [] { return true; },  // Mbed TLS wipes its secrets
};

}  // namespace ussl
