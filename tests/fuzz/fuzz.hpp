#pragma once

// The common code of the fuzz targets. A target is run(): one input, one result. The input controls
// everything, including the engines' random numbers and the time of day, so that each failure is
// reproducible.

#include <fuzzer/FuzzedDataProvider.h>

#include "../contract/contract.hpp"

namespace fuzz {

using namespace contract;
using Input = FuzzedDataProvider;

/// The run of a target with one input.
void run(Input& input);

/// Ends the program unless it is so; libFuzzer keeps the input.
void expect(bool good, std::string_view what);
/// The same about a connection: it has only errors of the table, keeps them, and reports them.
void expect_explained(Connection& connection, MemoryCallbacks& callbacks);
/// Acts like a program after the handshake, until there is no progress: writes, reads, and sends
/// close_notify.
void converse(Connection& connection, MemoryCallbacks& callbacks, std::string_view words);

/// A context of these options, made once. nullptr: refused.
ussl::Ref<Context> context_of(const ussl::Engine& engine, const Options& options);

inline constexpr const ussl::Engine* engines[] = {&ussl::openssl_engine, &ussl::mbedtls_engine};
inline constexpr Version versions[] = {Version::tls1_2, Version::tls1_3};
/// Certificates are looked at on this day, in 2024.
inline constexpr std::int64_t today = 1'720'000'000;

/// Random numbers begin anew.
void forget_random();

}  // namespace fuzz
