#pragma once

#include "engine.hpp"

namespace ussl {

/// The engines there are; a build links those that it names.
extern const Engine openssl_engine;
extern const Engine mbedtls_engine;

}  // namespace ussl
