// Globs with `*` only, which matches any bytes.
#pragma once

#include <string_view>

namespace interlock::runtime {

bool GlobMatches(std::string_view glob, std::string_view text);

}  // namespace interlock::runtime
