#pragma once

// The version is defined only here; CMake and the Python module read this file.
#define USSL_VERSION_MAJOR 0
#define USSL_VERSION_MINOR 1
#define USSL_VERSION_PATCH 0
#define USSL_VERSION "0.1.0"
