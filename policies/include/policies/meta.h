// What an editor needs to know of a bundle's tools: a LuaLS `---@meta` file.
#pragma once

#include <string>
#include <string_view>

#include "policies/bundle.h"

namespace interlock::policies {

// Classes for the arguments and facts of every tool, an overload of `on` for each, and the
// functions of the environment: an editor then completes `c.args.` and marks a misspelt field.
// Deterministic.
std::string LuaMeta(const Bundle& bundle);

// What each of them begins with, so that a tool never takes one for a policy.
inline constexpr std::string_view kMetaMark = "---@meta";

}  // namespace interlock::policies
