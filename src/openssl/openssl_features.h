#pragma once

// The features of this engine, for tables in C.

#include "../switches.h"

#define USSL_HAS_TLS1_3 1
#define USSL_HAS_PSK 1
#if USSL_WITHOUT_ALPN
#define USSL_HAS_ALPN 0
#else
#define USSL_HAS_ALPN 1
#endif
