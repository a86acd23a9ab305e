#include "policies/budget_change.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace interlock::policies {
namespace {

// As rules write it: "1d", "90m".
std::string SpanText(std::int64_t ms) {
  constexpr std::array<std::pair<std::int64_t, const char*>, 4> kUnits = {
      {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}}};
  for (const auto& [length, name] : kUnits) {
    if (ms % length == 0) return std::to_string(ms / length) + name;
  }
  return std::to_string(ms) + "ms";
}

std::string CountedIn(const BudgetDecl& budget) {
  const std::string window =
      budget.window_ms == 0 ? ", for ever" : " within " + SpanText(budget.window_ms);
  return budget.unit + " per " + budget.per + window;
}

const BudgetDecl* Named(const std::vector<BudgetDecl>& budgets, const std::string& name) {
  const auto found = std::find_if(budgets.begin(), budgets.end(),
                                  [&](const BudgetDecl& one) { return one.name == name; });
  return found == budgets.end() ? nullptr : &*found;
}

// "vouchers" of the level "vouchers.user.30d", whose window is in its name.
std::string_view WholeOf(const BudgetDecl& level) {
  const std::string_view name = level.name;
  return level.level.empty() ? name : name.substr(0, name.size() - level.level.size() - 1);
}

// The budget of that name before; of a level that is new, the one that has gone for it.
const BudgetDecl* Before(const BudgetDecl& now, const std::vector<BudgetDecl>& before,
                         const std::vector<BudgetDecl>& after) {
  const BudgetDecl* was = Named(before, now.name);
  if (was != nullptr || now.level.empty()) return was;
  const auto gone = std::find_if(before.begin(), before.end(), [&](const BudgetDecl& one) {
    return !one.level.empty() && WholeOf(one) == WholeOf(now) && one.per == now.per &&
           Named(after, one.name) == nullptr;
  });
  return gone == before.end() ? nullptr : &*gone;
}

}  // namespace

std::string TextOf(const BudgetChange& change) {
  return "budget " + change.budget + " begins anew: " + change.before + " becomes " + change.after +
         ", and what was spent before does not count in it";
}

std::vector<BudgetChange> BudgetsAnew(const std::vector<BudgetDecl>& before,
                                      const std::vector<BudgetDecl>& after) {
  std::vector<BudgetChange> anew;
  for (const BudgetDecl& now : after) {
    const BudgetDecl* was = Before(now, before, after);
    if (was == nullptr || CountedIn(*was) == CountedIn(now)) continue;
    anew.push_back({.budget = now.name, .before = CountedIn(*was), .after = CountedIn(now)});
  }
  return anew;
}

}  // namespace interlock::policies
