// Budgets as people look at them: the windows that calls are counted in now, and whose they are.
#include <algorithm>

#include "engine/answers.h"
#include "engine/engine.h"
#include "engine/select.h"
#include "policies/budget.h"

namespace interlock::runtime {
namespace {

constexpr const char* kRowsMax = "10000";

// Scopes by their HMACs, as far as they are no people's.
using Names = std::map<std::string, std::string>;

// Of one scope; empty: of all.
core::StatusOr<std::vector<BudgetRow>> AllRows(const audit::Log& log, const std::string& scope) {
  return Select<BudgetRow>(
      log, "WHERE (? = '' OR scope = ?) ORDER BY key LIMIT " + std::string(kRowsMax),
      {scope, scope});
}

// Those of one window of a budget.
core::StatusOr<std::vector<BudgetRow>> RowsOf(const audit::Log& log,
                                              const policies::BudgetDecl& budget,
                                              std::int64_t window_us, const std::string& scope) {
  const std::string key = budget.name + "|" + budget.unit + "|";
  return Select<BudgetRow>(log,
                           "WHERE key >= ? AND key < ? AND window_us = CAST(? AS INTEGER) AND "
                           "(? = '' OR scope = ?) ORDER BY key LIMIT " +
                               std::string(kRowsMax),
                           {key, key + "~", std::to_string(window_us), scope, scope});
}

const policies::BudgetDecl* DeclOf(const std::vector<policies::BudgetDecl>& budgets,
                                   const BudgetRow& row) {
  const auto found = std::find_if(budgets.begin(), budgets.end(), [&](const auto& one) {
    return one.name == row.budget && one.unit == row.unit;
  });
  return found == budgets.end() ? nullptr : &*found;
}

BudgetInfo Described(const BudgetRow& row, const policies::BudgetDecl* budget, std::int64_t now_us,
                     const Names& names) {
  const auto name = names.find(row.scope);
  BudgetInfo info{.name = row.budget,
                  .scope = name == names.end() ? row.scope : name->second,
                  .unit = row.unit,
                  .limit = row.limit_amount,
                  .held = row.held,
                  .settled = row.settled,
                  .window_start_us = row.window_us};
  const std::int64_t length_us = budget == nullptr ? 0 : budget->window_ms * 1000;
  info.past = budget == nullptr ||
              policies::WindowStart(now_us, budget->window_ms) != row.window_us ||
              (budget->per == "run" && name == names.end());
  // One that is over may be of another length.
  if (!info.past && length_us > 0) info.window_end_us = row.window_us + length_us;
  return info;
}

}  // namespace

// Runs that have not ended, so that a budget of one that has is past.
core::StatusOr<std::vector<RunRow>> EngineImpl::OpenRuns() const {
  std::string states;
  for (int state = 0; state <= static_cast<int>(kRunStateLast); ++state) {
    if (IsFinal(static_cast<RunState>(state))) continue;
    states += (states.empty() ? "" : ", ") + std::to_string(state);
  }
  return Select<RunRow>(*hub_.parts.log,
                        "WHERE state IN (" + states + ") ORDER BY run DESC LIMIT " + kRowsMax, {});
}

core::StatusOr<std::map<std::string, std::string>> EngineImpl::ScopeNames(
    const std::vector<policies::BudgetDecl>& budgets, const std::string& user) const {
  Names names;
  const auto add = [&](const std::string& scope) {
    names[hub_.parts.keys->Hmac("scope", scope)] = scope;
  };
  add("tenant:" + hub_.parts.tenant);
  if (!user.empty()) add("user:" + user);
  for (const AgentFile& agent : hub_.parts.agents) add("agent:" + agent.name);
  if (hub_.parts.principals != nullptr) {
    for (const core::Principal& one : *hub_.parts.principals) add("principal:" + one.id);
  }
  const bool of_runs =
      std::any_of(budgets.begin(), budgets.end(), [](const auto& one) { return one.per == "run"; });
  if (!of_runs) return names;
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<RunRow> runs, OpenRuns());
  for (const RunRow& run : runs) add("run:" + run.run);
  return names;
}

core::StatusOr<std::vector<BudgetInfo>> EngineImpl::ListBudgets(const core::Principal& who,
                                                                const BudgetQuery& query) {
  const bool may = who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor) ||
                   who.Has(core::kRoleApprover) || who.Has(core::kRoleIntegrator);
  if (!may) return Need(who, core::kRoleOperator);
  const std::vector<policies::BudgetDecl> budgets = hub_.Budgets();
  const std::int64_t now_us = NowInLog(hub_.parts);
  const std::string scope =
      query.user.empty() ? "" : hub_.parts.keys->Hmac("scope", "user:" + query.user);
  std::vector<BudgetRow> rows;
  if (query.past) {
    INTERLOCK_ASSIGN_OR_RETURN(rows, AllRows(*hub_.parts.log, scope));
  } else {
    for (const policies::BudgetDecl& budget : budgets) {
      const std::int64_t window_us = policies::WindowStart(now_us, budget.window_ms);
      INTERLOCK_ASSIGN_OR_RETURN(auto found, RowsOf(*hub_.parts.log, budget, window_us, scope));
      rows.insert(rows.end(), found.begin(), found.end());
    }
  }
  INTERLOCK_ASSIGN_OR_RETURN(const Names names, ScopeNames(budgets, query.user));
  std::vector<BudgetInfo> infos;
  for (const BudgetRow& row : rows) {
    BudgetInfo info = Described(row, DeclOf(budgets, row), now_us, names);
    if (query.past || !info.past) infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace interlock::runtime
