// Globs of names: tools, agents, selectors of rules.
#pragma once

#include <string_view>

namespace interlock::core {

// `*` stands for any run of bytes, also none; everything else for itself. Linear in practice, at
// worst |glob| x |text|. Pure.
bool GlobMatches(std::string_view glob, std::string_view text);

}  // namespace interlock::core
