#pragma once

#include "binding.h"
#include "ussl/context.hpp"
#include "ussl/error.hpp"

/// OSError: the stream's errno, or a row of the table with `text`, which is copied.
MP_NORETURN void ussl_raise(const ussl::Error& error, const char* text, size_t size);
/// ValueError that names the argument, the file and the place in it, as far as they are known, or
/// OSError ENOMEM. `sources` and `context` may be null.
MP_NORETURN void ussl_raise(const ussl::ConfigError& config_error, const ussl_sources_t* sources,
                            const ussl_context_obj_t* context);
