#pragma once

// The same input for both engines, and their results.

#include "edit.hpp"

namespace fuzz {

/// The state of an end: "open", "waits", or the row of its error.
std::string verdict_of(const Connection& connection);

/// The two results are the same, or a row of differences.def has them.
void expect_same(std::string_view where, const std::string& openssl, const std::string& mbedtls);

/// A conversation that is held with either engine at one end.
struct Scene {
    explicit Scene(Input& input);

    /// The result of `engine`; `tamper` is called before (true) and after each step of its peer.
    std::string verdict(const ussl::Engine* engine,
                        const std::function<void(Ring& to_victim, bool before)>& tamper) const;

    Plan plan;
    Role victim{};
    std::string where;
};

}  // namespace fuzz
