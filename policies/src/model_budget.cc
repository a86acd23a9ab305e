#include "policies/model_budget.h"

#include <algorithm>
#include <limits>

#include "policies/budget.h"
#include "scope.h"

namespace interlock::policies {
namespace {

bool Fits(std::int64_t used, std::int64_t wanted, std::int64_t limit) {
  std::int64_t after = 0;
  return !__builtin_add_overflow(used, wanted, &after) && after <= limit;
}

struct Refusal {
  std::string why{};      // empty: it is covered, and reserved
  bool may_pass = false;  // as in ModelCharge
};

std::string NoPrice(const BudgetDecl& budget, const ModelUse& most) {
  const std::string counts = "budget " + budget.name + " counts " + budget.unit + ", and ";
  if (most.currency.empty() || !budget.unit.starts_with(kMicroUnit)) {
    return counts + "the planner knows no such price; add the model to its `prices`";
  }
  return counts + "the planner has its `prices` in " + most.currency +
         "; give both in one currency";
}

Refusal TakeShare(const BudgetDecl& budget, const DecisionInput& who, const ModelUse& most,
                  std::vector<Reservation>& reservations) {
  const std::string scope = BudgetScope(who, budget.per, "");
  if (scope.empty() && budget.optional) return {};
  if (scope.empty()) {
    return {.why = "budget " + budget.name + " is per " + budget.per + ", and there is none"};
  }
  const std::optional<std::int64_t> amount = AmountIn(budget.unit, most);
  if (!amount) return {.why = NoPrice(budget, most)};
  const VersionedRead read = who.state->BudgetUsed(budget, scope);
  const std::int64_t spent = read.value - read.held;
  if (!Fits(read.value, *amount, budget.limit)) {
    const std::string held = read.held == 0 ? "" : " and " + std::to_string(read.held) + " held";
    return {.why = "budget " + budget.name + ": " + std::to_string(spent) + " used" + held + ", " +
                   std::to_string(*amount) + " wanted, limit " + std::to_string(budget.limit) +
                   " " + budget.unit,
            .may_pass = Fits(spent, *amount, budget.limit)};
  }
  reservations.push_back({.rule = "",
                          .budget = budget,
                          .scope = scope,
                          .window_start_us = WindowStart(who.now_us, budget.window_ms),
                          .amount = *amount});
  return {};
}

std::int64_t Sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

}  // namespace

ModelUse Together(const ModelUse& a, const ModelUse& b) {
  const bool same = a.free || b.free || a.currency == b.currency;
  const std::string& currency = a.free ? b.currency : a.currency;
  return {.requests = Sum(a.requests, b.requests),
          .tokens = Sum(a.tokens, b.tokens),
          .cost_micros = Sum(a.cost_micros, b.cost_micros),
          .currency = same ? currency : std::string(),
          .wait_ms = Sum(a.wait_ms, b.wait_ms),
          .free = a.free && b.free};
}

std::optional<std::int64_t> AmountIn(std::string_view unit, const ModelUse& use) {
  if (unit == "tokens") return use.tokens;
  if (unit == "requests") return use.requests;
  if (unit == "ms") return use.wait_ms;
  if (!unit.starts_with(kMicroUnit)) return std::nullopt;
  if (use.free) return 0;
  if (unit.substr(kMicroUnit.size()) != use.currency) return std::nullopt;
  return use.cost_micros;
}

ModelCharge ChargeModel(const std::vector<BudgetDecl>& budgets, const DecisionInput& who,
                        const ModelUse& most) {
  ModelCharge charge;
  bool lasts = false;
  for (const BudgetDecl& budget : budgets) {
    const Refusal refusal = TakeShare(budget, who, most, charge.reservations);
    if (refusal.why.empty()) continue;
    charge.refused += (charge.refused.empty() ? "" : "; ") + refusal.why;
    lasts = lasts || !refusal.may_pass;
  }
  if (charge.refused.empty()) return charge;
  charge.may_pass = !lasts;
  charge.reservations.clear();
  return charge;
}

}  // namespace interlock::policies
