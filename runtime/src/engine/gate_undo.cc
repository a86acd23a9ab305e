// What a call that took another one back does to the effect and the budgets of that.
#include <algorithm>

#include "engine/budget_view.h"
#include "engine/gate.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

// A settled hold of a call, as CreditRow has it.
struct Settled {
  std::string hold;
  std::int64_t amount = 0;
  std::string budget_key;
};

Settled SettledIn(std::string_view word) {
  const std::size_t amount = word.find(':') + 1;
  const std::size_t key = word.find(':', amount) + 1;
  return {.hold = std::string(word.substr(0, amount - 1)),
          .amount = NumberAt(std::string(word.substr(amount, key - 1 - amount))),
          .budget_key = std::string(word.substr(key))};
}

// A tool that says what it moves gives back what it says, and without a word nothing.
std::int64_t GivenBack(const tools::Tool* tool, const Settled& settled, std::string_view unit,
                       const std::optional<core::Money>& reported) {
  const bool tells = tool == nullptr || tool->manifest().money.has_value();
  if (!tells || !core::MinorDigits(unit).ok()) return settled.amount;
  const bool told = reported && reported->currency == unit && reported->minor > 0;
  return told ? std::min(settled.amount, reported->minor) : 0;
}

}  // namespace

// Precondition: the call has taken effect. Where it takes another one back, that effect may happen
// again, and its budgets have back what it was charged for, in the window of then.
core::Status Gate::Undo(Serial& serial, const CallIdentity& id,
                        const std::optional<core::Money>& reported) const {
  if (id.compensates.empty()) return core::OkStatus();
  State& state = serial.state();
  const CreditRow* credit = state.FindCredit(id.compensates);
  const std::string words = credit == nullptr ? "" : credit->settled;
  const auto tool = parts_.registry->Find(id.tool);
  for (const std::string& word : SplitWords(words)) {
    const Settled settled = SettledIn(word);
    const BudgetRow* budget = state.FindBudget(settled.budget_key);
    if (budget == nullptr) continue;
    const std::int64_t amount =
        std::min(GivenBack(tool.get(), settled, budget->unit, reported), budget->settled);
    if (amount <= 0) continue;
    const HoldRow hold{.hold = settled.hold,
                       .call = id.compensates,
                       .budget_key = settled.budget_key,
                       .unit = budget->unit,
                       .amount = amount};
    Draft credited = DraftCredited(id, HoldFieldsOf(hold, settled.hold, state));
    INTERLOCK_RETURN_IF_ERROR(serial.Append(credited).status());
  }
  Draft compensated = DraftCompensated(id);
  return serial.Append(compensated).status();
}

}  // namespace interlock::runtime
