// Model budgets of a run (ADR 36): what a request to its planner holds, and what becomes of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "engine/gate.h"
#include "engine/run_entries.h"
#include "policies/model_budget.h"

namespace interlock::runtime {

// Code of a run whose planner may not be asked any more.
inline constexpr const char* kModelBudget = "MODEL_BUDGET";

// For plan.requested, and back.
std::string UseJson(const policies::ModelUse& use);
std::optional<policies::ModelUse> UseOf(const core::Json& use);
std::optional<policies::ModelUse> UseOfPlan(const Plan& plan, std::int64_t wait_ms);

struct PlanAsk {
  const CallIdentity* who = nullptr;            // of the run
  const PlanRequestedFields* fields = nullptr;  // without `use` and `refused`
  std::optional<policies::ModelUse> most{};     // nullopt: no budget was there that charges models
};

// Serial section. Appends plan.requested with the holds of all model budgets in force, or
// plan.refused; gives the reason for that, empty where the planner may be asked. Errors: kAborted
// when such budgets came into force after nobody saw any.
core::StatusOr<std::string> AskOrRefuse(Serial& serial, const GateParts& parts, const PlanAsk& ask);

// Serial section. What the run's open request held is settled with what was used. Where nobody
// knows (nullopt), `code` of the planner's error decides: what never reached a model is released,
// all else has cost the whole hold.
core::Status SettlePlan(Serial& serial, const std::string& run,
                        const std::optional<policies::ModelUse>& used, std::string_view code);

}  // namespace interlock::runtime
