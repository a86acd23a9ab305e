// The fold of holds: what budgets have left.
#include <algorithm>

#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {

std::string PlanHolder(std::string_view run) { return "plan:" + std::string(run); }

core::Status State::ApplyBudget(const audit::EntryView& entry) {
  const std::string id = Field(entry, "hold");
  std::string call = Field(entry, "call");
  const bool of_plan = call.empty() && !entry.run.empty();
  if (of_plan) call = PlanHolder(entry.run);
  if (id.empty() || call.empty()) return Missing(entry, "hold");
  const std::string key = BudgetKey(Field(entry, "budget"), Field(entry, "unit"),
                                    Field(entry, "scope"), Amount(entry, "window_us"));
  BudgetRow& budget = budgets_.Edit(key);
  const std::int64_t amount = Amount(entry, "amount");
  ++budget.version;
  if (entry.kind == "budget.credited") {  // of a hold that was settled long ago
    budget.settled = std::max<std::int64_t>(0, budget.settled - amount);
    return core::OkStatus();
  }
  HoldRow& hold = holds_.Edit(id);
  if (entry.kind == "budget.held") {
    budget.budget = Field(entry, "budget");
    budget.scope = Field(entry, "scope");
    budget.unit = Field(entry, "unit");
    budget.window_us = Amount(entry, "window_us");
    budget.limit_amount = Amount(entry, "limit");
    budget.held += amount;
    hold.call = call;
    hold.budget_key = key;
    hold.unit = budget.unit;
    hold.amount = amount;
    CallHoldsRow& open = call_holds_.Edit(call);
    open.holds += (open.holds.empty() ? "" : " ") + id;
    return core::OkStatus();
  }
  budget.held -= hold.amount;
  holds_.Erase(id);
  if (entry.kind == "budget.settled") {
    budget.settled += amount;
    if (!of_plan) {
      CallRow& row = calls_.Edit(call);
      NoteMoney(entry, row);
      NoteSettled(row, id, amount, key);
    }
  }
  CallHoldsRow& open = call_holds_.Edit(call);
  open.holds = WithoutWord(open.holds, id);
  if (open.holds.empty()) call_holds_.Erase(call);
  return core::OkStatus();
}

}  // namespace interlock::runtime
