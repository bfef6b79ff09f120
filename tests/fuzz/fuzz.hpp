#pragma once

// What the fuzz targets share. A target is run(): one input, one verdict. The input decides all
// that happens, the engines' random numbers and the time of day included, so that what fails once
// fails again.

#include <fuzzer/FuzzedDataProvider.h>

#include "../contract/contract.hpp"

namespace fuzz {

using namespace contract;
using Input = FuzzedDataProvider;

/// What a target does with one input.
void run(Input& input);

/// Ends the program unless it is so; libFuzzer keeps the input.
void expect(bool good, std::string_view what);
/// The same about a connection: it has no error but of the table, keeps it, and says so.
void expect_explained(Connection& connection, MemoryCallbacks& callbacks);
/// Does what a program does once it is open, until nothing moves: writes, reads, and says goodbye.
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
