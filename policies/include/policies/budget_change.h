// Budgets that begin anew when other policies come into force. Pure.
#pragma once

#include <string>
#include <vector>

#include "policies/decision.h"

namespace interlock::policies {

// What is spent is kept by name, unit, share and window: where one of them is another, what was
// spent before does not count any more, though the budget has its name still.
struct BudgetChange {
  std::string budget{};
  std::string before{};  // "USD per user within 1d"
  std::string after{};
};
std::vector<BudgetChange> BudgetsAnew(const std::vector<BudgetDecl>& before,
                                      const std::vector<BudgetDecl>& after);
// One line for whoever changes policies.
std::string TextOf(const BudgetChange& change);

}  // namespace interlock::policies
