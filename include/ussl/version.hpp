#pragma once

// The one place where the version stands; CMake and the Python module read it from here.
#define USSL_VERSION_MAJOR 0
#define USSL_VERSION_MINOR 1
#define USSL_VERSION_PATCH 0
#define USSL_VERSION "0.1.0"
