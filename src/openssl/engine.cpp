// The function table of this engine.

#include <openssl/rand.h>

#include <ctime>

#include "openssl.hpp"

namespace ussl::openssl {

bool sha256(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) {
    const DigestContext digest{EVP_MD_CTX_new()};
    bool good = digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1;
    for (const Bytes part : parts)
        good = good && EVP_DigestUpdate(digest.get(), part.data(), part.size()) == 1;
    return good && EVP_DigestFinal_ex(digest.get(), out.data(), nullptr) == 1;
}

}  // namespace ussl::openssl

namespace ussl {

const Engine openssl_engine{
    .version =
        [] {
            // Removes the date from "OpenSSL 3.0.15 3 Sep 2024".
            std::string_view text = OpenSSL_version(OPENSSL_VERSION);
            text.remove_suffix(text.size() - text.find(' ', sizeof "OpenSSL"));
            return text;
        },
    .has_system_store = true,
    .has_root_store = features::root_store,
    .has_tls1_3 = true,
    .has_psk = true,
    .has_alpn = features::alpn,
    .has_crls = features::crl,
    .has_signing_by_program = features::sign_callback,
    .for_each_suite = features::context ? openssl::for_each_suite : nullptr,
    .best_groups = openssl::best_groups,
    .find_groups = openssl::find_groups,
    .sha256 = openssl::sha256,
    .now = [] { return static_cast<std::int64_t>(time(nullptr)); },
    .random =
        [](MutableBytes out) { return RAND_bytes(out.data(), static_cast<int>(out.size())) == 1; },
    .crypto = features::cryptolib ? &openssl::crypto : nullptr,
    .describe = features::cert_dict ? openssl::describe_first : nullptr,
    .make_self_signed = features::self_signed ? openssl::make_self_signed : nullptr,
    .make_context = openssl::OpenSslContext::make,
    .shut_down = [] {},  // the heap of a host exists until the process ends
    .wipe_released_memory = openssl::wipe_released_memory,
};

}  // namespace ussl
