#pragma once

// The features of this build's engine, for tables in C: ussl.HAS_…. Each engine's folder has a header for it.

#define USSL_TEXT(words) #words
#define USSL_FEATURES_OF(engine) USSL_TEXT(engine/engine##_features.h)
#define USSL_FEATURES(engine) USSL_FEATURES_OF(engine)
#include USSL_FEATURES(USSL_ENGINE)
