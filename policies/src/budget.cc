#include "policies/budget.h"

#include "core/check.h"

namespace interlock::policies {

HoldResult TryHold(BudgetState& state, std::int64_t limit, std::int64_t amount) {
  INTERLOCK_CHECK(amount > 0);
  state.limit = limit;
  std::int64_t used = 0;
  if (__builtin_add_overflow(state.held, state.settled, &used) ||
      __builtin_add_overflow(used, amount, &used) || used > limit) {
    return HoldResult::kNoMoney;
  }
  state.held += amount;
  ++state.version;
  return HoldResult::kHeld;
}

void Settle(BudgetState& state, std::int64_t hold, std::int64_t amount) {
  INTERLOCK_CHECK(hold > 0 && hold <= state.held);
  INTERLOCK_CHECK(amount >= 0 && amount <= hold);
  state.held -= hold;
  state.settled += amount;
  ++state.version;
}

void Release(BudgetState& state, std::int64_t hold) {
  INTERLOCK_CHECK(hold > 0 && hold <= state.held);
  state.held -= hold;
  ++state.version;
}

Settlement SettlementOf(std::int64_t hold, const std::string& hold_unit, bool reported,
                        std::int64_t reported_amount, const std::string& reported_unit) {
  const bool credible =
      reported && reported_unit == hold_unit && reported_amount >= 0 && reported_amount <= hold;
  if (credible) return {.amount = reported_amount, .flagged = false};
  return {.amount = hold, .flagged = true};
}

std::int64_t WindowStart(std::int64_t now_us, std::int64_t window_ms) {
  if (window_ms <= 0) return 0;
  std::int64_t window_us = 0;
  if (__builtin_mul_overflow(window_ms, std::int64_t{1000}, &window_us)) return 0;
  const std::int64_t into = now_us % window_us;
  return now_us - (into < 0 ? into + window_us : into);
}

}  // namespace interlock::policies
