// The smallest changes of one call that would change what is decided about it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

struct Flip {
  std::string path{};     // "args.amount"
  core::Json from{};      // null: it was not there
  core::Json to{};        // null: without it
  std::string verdict{};  // what it would be then: "allow", "ask", "deny LIMIT"
};

// Tries, one at a time, the values that table rules compare with, other truths, other users, and
// numbers up to where the verdict turns (to 1 or 0.01). The nearest change a path and verdict, by
// path. A search, not a proof: that nothing is found does not mean that nothing would do. Only for
// calls (not messages, results, answers). Pure; a few hundred decisions.
std::vector<Flip> FindFlips(const std::shared_ptr<const Bundle>& bundle,
                            const DecisionInput& input);

}  // namespace interlock::policies
