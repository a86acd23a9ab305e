// Budgets as a pure state machine (rule 13); the journal persists them as entries. No clock, no
// lock.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace interlock::policies {

// One budget, one scope, one window.
struct BudgetState {
  std::int64_t limit = 0;
  std::int64_t held = 0;
  std::int64_t settled = 0;
  std::uint64_t version = 0;  // moves with every change

  std::int64_t available() const { return limit - held - settled; }
};

enum class HoldResult { kHeld, kNoMoney };

// amount > 0. Overflow counts as no money. `limit` is the active bundle's, taken into the state.
HoldResult TryHold(BudgetState& state, std::int64_t limit, std::int64_t amount);
// `amount` 0..hold. Precondition (checked): the hold is part of `held`.
void Settle(BudgetState& state, std::int64_t hold, std::int64_t amount);
void Release(BudgetState& state, std::int64_t hold);

// What is settled for a hold: the reported amount if it is well-formed, of the same unit and
// 0..hold; else the whole hold, flagged.
struct Settlement {
  std::int64_t amount = 0;
  bool flagged = false;
};
Settlement SettlementOf(std::int64_t hold, const std::string& hold_unit, bool reported,
                        std::int64_t reported_amount, const std::string& reported_unit);

// Start of the window that holds `now_us`; 0 for window_ms 0.
std::int64_t WindowStart(std::int64_t now_us, std::int64_t window_ms);

}  // namespace interlock::policies
