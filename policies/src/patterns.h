// RE2 patterns of a bundle, compiled at load with bounded memory; matching is linear.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vm.h"

namespace interlock::policies {

struct Pattern {
  std::string name{};
  std::unique_ptr<re2::RE2> expression{};
};

// Sorted by name. Immutable; thread-safe.
using PatternList = std::vector<Pattern>;

// The first pattern by name that matches somewhere in `text`, or nullptr.
const Pattern* FirstMatch(const PatternList& patterns, std::string_view text);
// What such a look costs, in instructions.
std::int64_t MatchWork(const PatternList& patterns, std::string_view text);

// The set that patterns { … } made at `index`, or nullptr.
std::shared_ptr<const PatternList> PatternsAt(lua_State* lua, int index);

}  // namespace interlock::policies
