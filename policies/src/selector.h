// Which calls a rule, a policy or a fact is about: data, so that rules can be indexed by it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/decision.h"

namespace interlock::policies {

// Edit distance with adjacent swaps, for "did you mean"; at most 32 characters are looked at.
int EditDistance(std::string_view a, std::string_view b);
// The nearest of `names` if it is near enough to be a slip of the pen; else empty.
std::string Nearest(std::string_view name, const std::vector<std::string>& names);
// "; did you mean `x`?" or "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& names);

// Immutable once built. A selector of messages or answers names no tool and no effect.
struct Selector {
  RulePhase phase = RulePhase::kCall;
  std::vector<std::string> tools;    // names and globs
  std::vector<std::string> effects;  // "read", "write", "money", "egress"

  bool Matches(std::string_view tool, std::string_view effect) const;
  static bool IsGlob(std::string_view tool) { return tool.find('*') != std::string_view::npos; }
};

}  // namespace interlock::policies
