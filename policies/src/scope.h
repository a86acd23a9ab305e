// Whose share of a budget a call draws on.
#pragma once

#include <string>
#include <string_view>

#include "policies/decision.h"

namespace interlock::policies {

inline constexpr std::string_view kPerKey = "key";

// "user:u1", "key:4111"; empty where the call has no such. `key` is for budgets per key only.
inline std::string BudgetScope(const DecisionInput& input, std::string_view per,
                               std::string_view key) {
  std::string_view who = input.call.run;
  if (per == "tenant") who = input.tenant;
  if (per == "agent") who = input.call.agent;
  if (per == "principal") who = input.principal;
  if (per == "user") who = input.user;
  if (per == kPerKey) who = key;
  return who.empty() ? std::string() : std::string(per) + ":" + std::string(who);
}

// Balances and counters as rules ask for them, with what was asked. Precondition: there is a state.
inline VersionedRead ReadBudget(const DecisionInput& input, const BudgetDecl& budget,
                                std::string_view scope) {
  VersionedRead read = input.state->BudgetUsed(budget, scope);
  read.asked = budget.name;
  read.scope = scope;
  return read;
}
inline VersionedRead ReadCount(const DecisionInput& input, std::string_view key,
                               std::int64_t per_ms) {
  VersionedRead read = input.state->Count(key, per_ms, input.now_us);
  read.asked = key;
  read.per_ms = per_ms;
  return read;
}
inline VersionedRead ReadSum(const DecisionInput& input, std::string_view key,
                             std::int64_t per_ms) {
  VersionedRead read = input.state->Sum(key, per_ms, input.now_us);
  read.asked = key;
  read.per_ms = per_ms;
  read.summed = true;
  return read;
}

}  // namespace interlock::policies
