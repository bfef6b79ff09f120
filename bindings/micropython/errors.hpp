#pragma once

#include "binding.h"
#include "files.hpp"
#include "ussl/context.hpp"
#include "ussl/error.hpp"

/// Raises OSError with the stream's errno, or with an entry of the error table and a copy of
/// `text`.
MP_NORETURN void ussl_raise(const ussl::Error& error, const char* text, size_t size);
/// Raises ValueError that names the argument, the file and the place in it, if known; or OSError
/// ENOMEM. `sources` and `context` may be null.
MP_NORETURN void ussl_raise(const ussl::ConfigError& config_error, const ussl_sources_t* sources,
                            const ussl_context_obj_t* context);
