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

// Why the planner of a run may not be asked any more: for a model budget, or for want of policies.
inline constexpr const char* kModelBudget = "MODEL_BUDGET";
inline constexpr const char* kNoBundle = "NO_BUNDLE";

// For entries, and back. Errors: kInvalidArgument for what is no such object.
std::string UseJson(const policies::ModelUse& use);
core::StatusOr<policies::ModelUse> UseOf(const core::Json& use);

// Of replies that gave no plan. A price of nothing is told too: budgets are settled by it.
std::string SpentJson(const Spent& spent);
core::StatusOr<Spent> SpentOf(const core::Json& spent);
// Models cost less than the smallest coin, so it is millionths (ADR 36).
std::string MicrosJson(std::int64_t micros, const std::string& currency);

// What a request came to: what the plan and replies before it tell, and the most of the attempts
// that were lost.
struct PlanCost {
  std::optional<policies::ModelUse> used{};  // nullopt: nobody knows
  bool assumed = false;                      // some of it nobody reported
};
// `lost` of the reply is what the planner said of attempts before it.
PlanCost CostOf(const core::StatusOr<Plan>& plan, const PlanReply& reply);

struct PlanAsk {
  const CallIdentity* who = nullptr;            // of the run
  const PlanRequestedFields* fields = nullptr;  // without `use`, `bundle` and `refused`
  std::optional<policies::ModelUse> most{};     // nullopt: no budget was there that charges models
  std::optional<core::Digest> bundle{};         // cited in place of the one in force; of a replay
  bool waits = false;  // where only what others hold is in the way, nothing is written
};
// Why the planner is not asked; empty: it is.
struct PlanRefusal {
  std::string code{};
  std::string why{};   // one line without content
  bool waits = false;  // nothing was written: it is to be asked again
};

// Whether policies in force charge for what models do; null: none are.
bool ChargesModels(const policies::Engine* engine);

// Serial section. Appends plan.requested with the holds of all model budgets in force, or
// plan.refused, behind `before`; without policies nobody is asked. Errors: kAborted when such
// budgets came into force after nobody saw any.
core::StatusOr<PlanRefusal> AskOrRefuse(Serial& serial, const GateParts& parts, const PlanAsk& ask,
                                        std::vector<Draft>& before);

// Serial section. What the run's open request held is settled with what was used, and flagged where
// that is not what a provider reported; nothing used: released. What nobody knows costs the whole
// hold.
core::Status SettlePlan(Serial& serial, const std::string& run, const PlanCost& cost);

}  // namespace interlock::runtime
