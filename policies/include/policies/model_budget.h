// Budgets that are charged with what planners use of models (ADR 36): held before a request at
// every level or at none, settled after it with what was used. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/decision.h"

namespace interlock::policies {

// What one request to a model may use at most, or used.
struct ModelUse {
  std::int64_t requests = 1;     // attempts, each of which a provider may count and bill
  std::int64_t tokens = 0;       // read and written, from caches and reasoning too
  std::int64_t cost_micros = 0;  // millionths of a unit of `currency`
  std::string currency{};        // ISO 4217; empty: no price is known
  std::int64_t wait_ms = 0;
  bool free = false;  // it costs nothing in any currency: an answer from a script or a cache
};

// Nothing of anything: no attempt was made, or each was turned away unread.
inline ModelUse NoUse() { return {.requests = 0, .free = true}; }
// Of both, as much as fits. A price that one of them lacks, or has in another currency, is none.
ModelUse Together(const ModelUse& a, const ModelUse& b);

// The word in a budget's declaration, and what comes before a currency in the unit of its shares:
// they are kept in millionths, as single requests cost less than the smallest coin.
inline constexpr std::string_view kChargesModel = "model";
inline constexpr std::string_view kMicroUnit = "micro-";

// In the unit of a share: "tokens", "requests", "ms", "micro-USD". nullopt: it cannot be told.
std::optional<std::int64_t> AmountIn(std::string_view unit, const ModelUse& use);

struct ModelCharge {
  std::vector<Reservation> reservations{};
  std::string refused{};  // why, one line without content; empty: everything is covered
  // Refused, and only for what others hold: it may be covered when they have ended.
  bool may_pass = false;
};

// What a request by `who` (tenant, principal, user, call.run and call.agent are read) has to hold
// of `budgets`, those that charge models, by its state. None is held where one does not cover it,
// where it has no such level that is not optional, or where the cost cannot be told.
ModelCharge ChargeModel(const std::vector<BudgetDecl>& budgets, const DecisionInput& who,
                        const ModelUse& most);

}  // namespace interlock::policies
