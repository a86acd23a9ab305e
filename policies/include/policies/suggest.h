// What people keep approving, as an exception that somebody could sign: mined, never applied.
#pragma once

#include <string>
#include <vector>

#include "policies/recorded.h"

namespace interlock::policies {

inline constexpr std::size_t kSuggestValuesMax = 5;  // of one argument, in one suggestion

struct SuggestOptions {
  std::size_t least = 10;  // approvals of one rule for one tool
};

struct Suggestion {
  std::string rule{};  // that asked
  std::string tool{};
  std::size_t granted = 0;
  std::string policy{};  // Lua: an exception with a scope; owner and end are left to be filled in
  std::string tests{};   // Lua: a case on each side of every bound
};

// One for each tool and rule whose demands were granted at least `least` times and never refused,
// where the arguments bound it: a number up to the largest granted, a text among at most
// kSuggestValuesMax. By tool and rule. Pure.
std::vector<Suggestion> SuggestExceptions(const std::vector<RecordedDecision>& recorded,
                                          const SuggestOptions& options);

}  // namespace interlock::policies
