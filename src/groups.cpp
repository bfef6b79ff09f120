#include "groups.hpp"

#include <algorithm>
#include <cstring>

#include "text.hpp"

namespace ussl::groups {
namespace {

bool is_same(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

bool has(std::uint32_t found, const Group& group) {
    return (found >> (&group - all) & 1U) != 0;
}

}  // namespace

const Group* find(std::uint16_t number) {
    const auto* group = std::ranges::find(all, number, &Group::number);
    return group != std::end(all) ? group : nullptr;
}

std::span<const std::uint16_t> of(const Engine& engine, const Options& options,
                                  std::span<std::uint16_t, max_groups> storage) {
    if (features::context && options.groups)
        return *options.groups;
    return storage.first(default_groups(engine, storage));
}

std::optional<ConfigError> check(const Engine& engine, const Options& options) {
    if (!options.groups)
        return std::nullopt;
    const std::span<const std::uint16_t> wanted = *options.groups;
    if (wanted.empty())
        return ConfigError{"`groups` must not be empty"};
    const std::optional<std::uint32_t> found = engine.find_groups();
    if (!found)
        return ConfigError{"out of memory", true};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Group* group = find(wanted[i]);
        const std::span<const std::uint16_t> before = wanted.first(i);
        ConfigError config_error{"`groups`: unknown group"};
        if (group == nullptr)
            return config_error;
        if (!has(*found, *group))
            config_error.reason = "`groups`: this build's TLS library has no such group";
        else if (std::ranges::find(before, wanted[i]) != before.end())
            config_error.reason = "`groups`: the same group twice";
        else
            continue;
        std::ranges::copy(group->name, config_error.named);
        return config_error;
    }
    return std::nullopt;
}

}  // namespace ussl::groups

namespace ussl {

std::uint16_t group_of(std::string_view name) {
    constexpr std::string_view of_x962 = "prime256v1";
    if (groups::is_same(name, of_x962))
        name = "secp256r1";
    for (const groups::Group& group : groups::all)
        if (!name.empty() &&
            (groups::is_same(name, group.name) || groups::is_same(name, group.alias)))
            return group.number;
    return 0;
}

std::string_view group_name(std::uint16_t number) {
    const groups::Group* group = groups::find(number);
    return group != nullptr ? group->name : std::string_view{};
}

std::size_t default_groups(const Engine& engine, std::span<std::uint16_t, max_groups> into) {
    std::size_t count = 0;
    if (const std::optional<std::uint32_t> found = engine.find_groups())
        for (const std::uint16_t number : engine.best_groups)
            if (groups::has(*found, *groups::find(number)))
                into[count++] = number;
    return count;
}

}  // namespace ussl
