// The lattice: what all rules said, as one decision. Order does not matter; outcomes come sorted by
// rule id.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "program.h"

namespace interlock::policies {

// What one rule said: a verdict, or why it failed.
struct RuleOutcome {
  const Rule* rule = nullptr;
  const ExceptionDecl* exception = nullptr;  // takes a denial or a demand back
  std::optional<RuleVerdict> verdict{};
  std::string error_code{};  // "RULE_ERROR", "FUEL", "MEMORY"; empty when it did not fail
  std::string error{};
  int line = 0;
};

// What combining needs of the program besides the outcomes.
struct CombineWorld {
  const std::vector<BudgetDecl>& budgets;
  const std::vector<PolicyDecl>& policies;
  Layer owner = Layer::kAgent;  // of the called tool
};

// error = deny > deny > ask > modify, limit, reserve > allow > default deny. A modify that changes
// nothing counts as done; otherwise, unless something denies, the verdict is kModify and the gate
// decides again on the new arguments, where demands for approval and allows are weighed. Fills
// everything of `decision` but bundle_id and input_digest. Reads balances and counters through
// input.state. Rules in shadow are weighed once more, with all others, for shadow_verdict only.
void Combine(const DecisionInput& input, const CombineWorld& world,
             const std::vector<RuleOutcome>& outcomes, Decision& decision);

}  // namespace interlock::policies
