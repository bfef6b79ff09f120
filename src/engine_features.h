#pragma once

// What the engine of this build can do, for tables in C: ussl.HAS_…, and the engine's own table.

#ifdef USSL_ENGINE_MBEDTLS
#include "mbedtls/mbedtls_features.h"
#else
#define USSL_HAS_TLS1_3 1
#define USSL_HAS_PSK 1
#define USSL_HAS_ALPN 1
#endif
