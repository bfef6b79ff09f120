#include "engines.hpp"

namespace ussl {

#if defined(USSL_ENGINE_OPENSSL)
const Engine& default_engine() {
    return openssl_engine;
}
#else
#error "USSL_ENGINE_OPENSSL must be defined: no other engine is there yet"
#endif

}  // namespace ussl
