#include "engine/plan_budgets.h"

#include <cstdlib>

#include "core/check.h"
#include "engine/budget_view.h"

namespace interlock::runtime {
namespace {

bool NeverReached(std::string_view code) { return code == "PLANNER_UNAVAILABLE"; }

policies::DecisionInput InputOf(const CallIdentity& who, const GateParts& parts,
                                const policies::StateReader& state, std::int64_t now_us) {
  policies::DecisionInput input;
  input.call.run = who.run;
  input.call.agent = who.agent;
  input.tenant = parts.tenant;
  input.principal = who.principal;
  input.user = who.user;
  input.now_us = now_us;
  input.state = &state;
  return input;
}

core::Status Hold(Serial& serial, const GateParts& parts, const CallIdentity& of,
                  const policies::Reservation& wanted) {
  if (wanted.amount == 0) return core::OkStatus();
  Draft held = DraftHeld(of, {.hold = core::NewUuidV7(*parts.clock, *parts.random),
                              .budget = wanted.budget.name,
                              .scope = parts.keys->Hmac("scope", wanted.scope),
                              .unit = wanted.budget.unit,
                              .window_us = wanted.window_start_us,
                              .limit = wanted.budget.limit,
                              .amount = wanted.amount});
  return serial.Append(held).status();
}

}  // namespace

std::string UseJson(const policies::ModelUse& use) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.String("cost", std::to_string(use.cost_micros));
  if (!use.currency.empty()) writer.String("currency", use.currency);
  if (use.free) writer.Bool("free", true);
  writer.Int("tokens", use.tokens);
  writer.Int("wait_ms", use.wait_ms);
  writer.Close();
  return text;
}

std::optional<policies::ModelUse> UseOf(const core::Json& use) {
  if (!use.is_object()) return std::nullopt;
  return policies::ModelUse{
      .tokens = use.value("tokens", std::int64_t{0}),
      .cost_micros = std::strtoll(use.value("cost", "0").c_str(), nullptr, 10),
      .currency = use.value("currency", ""),
      .wait_ms = use.value("wait_ms", std::int64_t{0}),
      .free = use.value("free", false)};
}

std::optional<policies::ModelUse> UseOfPlan(const Plan& plan, std::int64_t wait_ms) {
  if (plan.tokens_estimated && !plan.from_cache) return std::nullopt;
  return policies::ModelUse{.tokens = plan.prompt_tokens + plan.completion_tokens,
                            .cost_micros = plan.cost_micros,
                            .currency = plan.currency,
                            .wait_ms = wait_ms,
                            .free = plan.from_cache || plan.provider.empty()};
}

core::StatusOr<std::string> AskOrRefuse(Serial& serial, const GateParts& parts,
                                        const PlanAsk& ask) {
  const std::string& run = ask.who->run;
  const policies::Engine* engine = serial.engine();
  const bool charged = engine != nullptr && !engine->bundle().model_budgets().empty();
  PlanRequestedFields fields = *ask.fields;
  policies::ModelCharge charge;
  if (charged) {
    if (!ask.most) return core::Error(core::StatusCode::kAborted, "model budgets came into force");
    const LiveReader live(serial.state(), *parts.keys, serial.now_us());
    charge = policies::ChargeModel(engine->bundle().model_budgets(),
                                   InputOf(*ask.who, parts, live, serial.now_us()), *ask.most);
    fields.use = UseJson(*ask.most);
    fields.refused = charge.refused;
  }
  Draft requested = DraftPlanRequested(run, fields);
  INTERLOCK_RETURN_IF_ERROR(serial.Append(requested).status());
  CallIdentity of;
  of.run = run;
  for (const policies::Reservation& wanted : charge.reservations) {
    INTERLOCK_RETURN_IF_ERROR(Hold(serial, parts, of, wanted));
  }
  return charge.refused;
}

core::Status SettlePlan(Serial& serial, const std::string& run,
                        const std::optional<policies::ModelUse>& used, std::string_view code) {
  CallIdentity of;
  of.run = run;
  for (const std::string& id : serial.state().HoldsOf(PlanHolder(run))) {
    const HoldRow* hold = serial.state().FindHold(id);
    INTERLOCK_CHECK(hold != nullptr);
    const HoldFields fields = HoldFieldsOf(*hold, id, serial.state());
    const std::optional<std::int64_t> known =
        used ? policies::AmountIn(hold->unit, *used) : std::nullopt;
    const std::int64_t amount = known.value_or(hold->amount);
    Draft draft = !used && NeverReached(code)
                      ? DraftReleased(of, fields, "unavailable")
                      : DraftSettled(of, fields, amount,
                                     /*flagged=*/!known.has_value() || amount > hold->amount);
    INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
