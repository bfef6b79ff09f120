#pragma once

#include "engine.hpp"

// USSL_TEST_ENGINES(X) is X(name) for each engine that a test program links, the first one first.
#ifndef USSL_TEST_ENGINES
#define USSL_TEST_ENGINES(X) X(openssl) X(mbedtls)
#endif

namespace ussl {

#define USSL_DECLARE(name) extern const Engine name##_engine;
USSL_TEST_ENGINES(USSL_DECLARE)
#undef USSL_DECLARE

}  // namespace ussl
