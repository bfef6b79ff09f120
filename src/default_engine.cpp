#include "engine.hpp"
#include "ussl/context.hpp"

#ifndef USSL_ENGINE
#error "define USSL_ENGINE: the name of a folder with an engine, such as openssl"
#endif
#define USSL_TABLE_OF(engine) engine##_engine
#define USSL_TABLE(engine) USSL_TABLE_OF(engine)

namespace ussl {

extern const Engine USSL_TABLE(USSL_ENGINE);

const Engine& default_engine() {
    return USSL_TABLE(USSL_ENGINE);
}

}  // namespace ussl
