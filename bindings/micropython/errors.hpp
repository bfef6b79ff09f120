#pragma once

#include "binding.hpp"
#include "files.hpp"
#include "ussl/context.hpp"
#include "ussl/error.hpp"

/// Raises an error of the library. Options in `reason` are renamed to the arguments of
/// wrap_socket() or the attributes of SSLContext, depending on `context`, which may be null if
/// `reason` names no option.
MP_NORETURN void ussl_raise_refusal(const ussl_context_obj_t* context, const char* reason,
                                    bool out_of_memory);
/// Raises OSError with an entry of the error table.
MP_NORETURN void ussl_raise_row(ussl::Code code);
/// Raises OSError with the stream's errno, or with an entry of the error table and a copy of
/// `text`.
MP_NORETURN void ussl_raise(const ussl::Error& error, const char* text, size_t size);
/// Raises ValueError that names the argument, the file and the place in it, if known; or OSError
/// ENOMEM. `sources` and `context` may be null.
MP_NORETURN void ussl_raise(const ussl::ConfigError& config_error, const ussl_sources_t* sources,
                            const ussl_context_obj_t* context);
