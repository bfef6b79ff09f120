#pragma once

// The features of this engine, for tables in C.

#define USSL_HAS_TLS1_3 1
#define USSL_HAS_PSK 1
#define USSL_HAS_ALPN 1
