#pragma once

#include "binding.h"
#include "ussl/error.hpp"

/// OSError: the stream's errno, or a row of the table with its text.
MP_NORETURN void ussl_raise(const ussl::Error& error);
