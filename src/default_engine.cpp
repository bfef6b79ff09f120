#include "engines.hpp"

namespace ussl {

#if defined(USSL_ENGINE_OPENSSL)
const Engine& default_engine() {
    return openssl_engine;
}
#elif defined(USSL_ENGINE_MBEDTLS)
const Engine& default_engine() {
    return mbedtls_engine;
}
#else
#error "define USSL_ENGINE_OPENSSL or USSL_ENGINE_MBEDTLS"
#endif

}  // namespace ussl
