#include "engine/plan_budgets.h"

#include <charconv>

#include "core/check.h"
#include "engine/budget_view.h"

namespace interlock::runtime {
namespace {

// Of entries that a program of then wrote; another writer's may hold anything.
core::StatusOr<std::int64_t> CountIn(const core::Json& use, const char* name) {
  const auto at = use.find(name);
  if (at == use.end()) return 0;
  std::int64_t number = -1;
  if (at->is_number_integer()) number = at->get<std::int64_t>();
  if (at->is_string()) {
    const auto& text = at->get_ref<const std::string&>();
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size()) number = -1;
  }
  if (number >= 0) return number;
  return core::InvalidArgument("`" + std::string(name) + "` of what a plan used is no count");
}

policies::DecisionInput InputOf(const CallIdentity& who, const GateParts& parts,
                                const policies::StateReader& state, std::int64_t now_us) {
  policies::DecisionInput input;
  input.call.run = who.Root();
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
  if (use.requests != 1) writer.Int("requests", use.requests);
  writer.Int("tokens", use.tokens);
  writer.Int("wait_ms", use.wait_ms);
  writer.Close();
  return text;
}

core::StatusOr<policies::ModelUse> UseOf(const core::Json& use) {
  if (!use.is_object()) return core::InvalidArgument("what a plan used is no object");
  policies::ModelUse read;
  INTERLOCK_ASSIGN_OR_RETURN(read.tokens, CountIn(use, "tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(read.cost_micros, CountIn(use, "cost"));
  INTERLOCK_ASSIGN_OR_RETURN(read.wait_ms, CountIn(use, "wait_ms"));
  if (use.contains("requests")) {
    INTERLOCK_ASSIGN_OR_RETURN(read.requests, CountIn(use, "requests"));
  }
  const auto currency = use.find("currency");
  const auto free = use.find("free");
  if (currency != use.end() && currency->is_string()) read.currency = currency->get<std::string>();
  read.free = free != use.end() && free->is_boolean() && free->get<bool>();
  return read;
}

std::string MicrosJson(std::int64_t micros, const std::string& currency) {
  std::string amount;
  core::JsonObjectWriter writer(amount);
  writer.String("amount", std::to_string(micros));
  writer.String("unit", std::string(policies::kMicroUnit) + currency);
  writer.Close();
  return amount;
}

std::string SpentJson(const Spent& spent) {
  std::string text;
  core::JsonObjectWriter writer(text);
  if (!spent.use.currency.empty()) {
    writer.Raw("cost", MicrosJson(spent.use.cost_micros, spent.use.currency));
  }
  writer.Int("requests", spent.use.requests);
  if (spent.cached_tokens > 0) writer.Int("tokens_cached", spent.cached_tokens);
  writer.Int("tokens_in", spent.prompt_tokens);
  writer.Int("tokens_out", spent.completion_tokens);
  if (spent.reasoning_tokens > 0) writer.Int("tokens_reasoning", spent.reasoning_tokens);
  writer.Close();
  return text;
}

core::StatusOr<Spent> SpentOf(const core::Json& spent) {
  if (!spent.is_object()) return core::InvalidArgument("what was spent is no object");
  Spent read;
  read.use.free = false;
  INTERLOCK_ASSIGN_OR_RETURN(read.use.requests, CountIn(spent, "requests"));
  INTERLOCK_ASSIGN_OR_RETURN(read.cached_tokens, CountIn(spent, "tokens_cached"));
  INTERLOCK_ASSIGN_OR_RETURN(read.prompt_tokens, CountIn(spent, "tokens_in"));
  INTERLOCK_ASSIGN_OR_RETURN(read.completion_tokens, CountIn(spent, "tokens_out"));
  INTERLOCK_ASSIGN_OR_RETURN(read.reasoning_tokens, CountIn(spent, "tokens_reasoning"));
  read.use.tokens = read.prompt_tokens + read.completion_tokens;
  const auto cost = spent.find("cost");
  if (cost == spent.end()) return read;
  if (!cost->is_object()) return core::InvalidArgument("what was spent costs no amount");
  INTERLOCK_ASSIGN_OR_RETURN(read.use.cost_micros, CountIn(*cost, "amount"));
  const auto unit = cost->find("unit");
  const bool named = unit != cost->end() && unit->is_string() &&
                     unit->get_ref<const std::string&>().starts_with(policies::kMicroUnit);
  if (!named) return core::InvalidArgument("what was spent is in no currency");
  read.use.currency = unit->get<std::string>().substr(policies::kMicroUnit.size());
  return read;
}

PlanCost CostOf(const core::StatusOr<Plan>& plan, const PlanReply& reply) {
  if (!plan.ok() && !reply.lost) return {};
  policies::ModelUse used = reply.lost.value_or(policies::NoUse());
  const bool assumed = used.requests > 0;
  const bool tells = plan.ok() && (!plan->tokens_estimated || plan->from_cache);
  if (plan.ok() && !tells && !assumed) return {};  // nobody counted it
  if (tells) {
    used = policies::Together(used, {.tokens = plan->prompt_tokens + plan->completion_tokens,
                                     .cost_micros = plan->cost_micros,
                                     .currency = plan->currency,
                                     .free = plan->from_cache || plan->provider.empty()});
  }
  used = policies::Together(used, reply.spent.use);
  used.wait_ms = reply.wait_ms;
  return {.used = std::move(used), .assumed = assumed};
}

bool ChargesModels(const policies::Engine* engine) {
  return engine != nullptr && !engine->bundle().model_budgets().empty();
}

core::StatusOr<PlanRefusal> AskOrRefuse(Serial& serial, const GateParts& parts, const PlanAsk& ask,
                                        std::vector<Draft>& before) {
  const std::string& run = ask.who->run;
  const policies::Engine* engine = serial.engine();
  PlanRequestedFields fields = *ask.fields;
  policies::ModelCharge charge;
  if (engine == nullptr) {
    fields.refused_code = kNoBundle;
    fields.refused = "no policies are active; see `interlock policy activate`";
  } else if (ChargesModels(engine)) {
    if (!ask.most) return core::Error(core::StatusCode::kAborted, "model budgets came into force");
    const std::int64_t now_us = serial.state().TrustedTime(serial.now_us());
    const LiveReader live(serial.state(), *parts.keys, now_us);
    charge = policies::ChargeModel(engine->bundle().model_budgets(),
                                   InputOf(*ask.who, parts, live, now_us), *ask.most);
    if (ask.waits && charge.may_pass) return PlanRefusal{.waits = true};
    fields.use = UseJson(*ask.most);
    fields.bundle = core::DigestName(ask.bundle.value_or(engine->bundle().id()));
    fields.refused_code = charge.refused.empty() ? "" : kModelBudget;
    fields.refused = charge.refused;
  }
  for (Draft& draft : before) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
  Draft requested = DraftPlanRequested(run, fields);
  INTERLOCK_RETURN_IF_ERROR(serial.Append(requested).status());
  CallIdentity of;
  of.run = run;
  for (const policies::Reservation& wanted : charge.reservations) {
    INTERLOCK_RETURN_IF_ERROR(Hold(serial, parts, of, wanted));
  }
  return PlanRefusal{.code = fields.refused_code, .why = fields.refused};
}

core::Status SettlePlan(Serial& serial, const std::string& run, const PlanCost& cost) {
  CallIdentity of;
  of.run = run;
  for (const std::string& id : serial.state().HoldsOf(PlanHolder(run))) {
    const HoldRow* hold = serial.state().FindHold(id);
    INTERLOCK_CHECK(hold != nullptr);
    const HoldFields fields = HoldFieldsOf(*hold, id, serial.state());
    const std::optional<std::int64_t> known =
        cost.used ? policies::AmountIn(hold->unit, *cost.used) : std::nullopt;
    const std::int64_t amount = known.value_or(hold->amount);
    const bool flagged = !known || cost.assumed || amount > hold->amount;
    Draft draft = cost.used && cost.used->requests == 0 ? DraftReleased(of, fields, "not_billed")
                                                        : DraftSettled(of, fields, amount, flagged);
    INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
